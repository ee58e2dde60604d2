// Open files: read, write, fsync, fallocate, lseek. Bytes in memory are answered in place; whatever
// may wait is a job.
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>

#include "core/base/log.h"
#include "fuse/errors.h"
#include "fuse/jobs.h"
#include "fuse/kernel_mount.h"
#include "fuse/limits.h"
#include "fuse/operations.h"
#include "fuse/volume_status.h"

namespace coffer::fuse {
namespace {

/// Since Linux 6.2: direct writes of one file run side by side. Not in Debian 12's <linux/fuse.h>.
constexpr std::uint32_t kOpenParallelDirectWrites = 1u << 6;

std::uint64_t Unsigned(off_t value) { return static_cast<std::uint64_t>(value); }

void ReplyError(fuse_req_t request, Image& image, const Error& error, const char* doing) {
  image.CountFailure(doing, error);
  fuse_reply_err(request, ErrnoFrom(error.code));
}

/// 0 for success.
void ReplyStatus(fuse_req_t request, Image& image, const Status& status, const char* doing) {
  if (status.has_value()) {
    fuse_reply_err(request, 0);
  } else {
    ReplyError(request, image, status.error(), doing);
  }
}

void Changed(Image& image, const Clock& clock) { image.SetModified(clock.WallNow()); }

// --- open, release ---

/// 0, or why not.
int RefusalOfOpen(const Node& node, int flags) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (writes && node.kind == Node::Kind::kStatus) return EACCES;
  if (writes && node.image->read_only()) return EROFS;
  if ((flags & O_TRUNC) != 0) return EPERM;  // the size is the volume's
  return 0;
}

/// The reply in the protocol's own form: libfuse 3.14 has no name for all of the flags.
int ReplyOpen(fuse_req_t request, std::uint64_t handle, std::uint32_t flags) {
  fuse_open_out reply{};
  reply.fh = handle;
  reply.open_flags = flags;
  return fuse_reply_buf(request, reinterpret_cast<const char*>(&reply), sizeof reply);
}

void Open(fuse_req_t request, fuse_ino_t inode, fuse_file_info* file) {
  const auto node = MountedOf(request).tree.Find(inode);
  if (!node || node->kind == Node::Kind::kDirectory) {
    fuse_reply_err(request, node ? EISDIR : ENODEV);
    return;
  }
  if (const int refusal = RefusalOfOpen(*node, file->flags); refusal != 0) {
    fuse_reply_err(request, refusal);
    return;
  }
  auto open = std::make_unique<OpenNode>();
  std::uint32_t flags = FOPEN_DIRECT_IO;
  if (node->kind == Node::Kind::kStatus) {
    open->status = StatusText(*node->image);
  } else {
    open->image = node->image;
    flags = open->image->cache() == Image::Cache::kNone
                ? FOPEN_DIRECT_IO | kOpenParallelDirectWrites
                : FOPEN_KEEP_CACHE | kOpenParallelDirectWrites;
  }
  Mounted& mounted = MountedOf(request);
  const std::uint64_t handle = mounted.open.Open(std::move(open));
  // After a successful reply the file may be closed already.
  if (ReplyOpen(request, handle, flags) != 0) mounted.open.Close(handle);
}

void Release(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  MountedOf(request).open.Close(file->fh);
  fuse_reply_err(request, 0);
}

// --- read ---

void ReplyRead(fuse_req_t request, Image& image, const Status& status, ByteView bytes) {
  if (!status.has_value()) return ReplyError(request, image, status.error(), "reading");
  image.counters().reads.fetch_add(1, std::memory_order_relaxed);
  image.counters().bytes_read.fetch_add(bytes.size(), std::memory_order_relaxed);
  fuse_reply_buf(request, reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void ReadStatus(fuse_req_t request, const std::string& text, std::size_t size, off_t offset) {
  const std::size_t from = std::min(text.size(), static_cast<std::size_t>(offset));
  fuse_reply_buf(request, text.data() + from, std::min(size, text.size() - from));
}

void Read(fuse_req_t request, fuse_ino_t, std::size_t size, off_t at, fuse_file_info* file) {
  const OpenNode& open = OpenNodeOf(file);
  if (open.image == nullptr) return ReadStatus(request, open.status, size, at);
  auto visit = open.image->Enter();
  if (!visit) {
    fuse_reply_err(request, ENODEV);
    return;
  }
  const std::uint64_t offset = Unsigned(at);
  const std::uint64_t end = visit->device().size();
  const std::size_t length =
      std::min<std::uint64_t>({size, kRequestBytesMax, end - std::min(end, offset)});
  static thread_local Bytes scratch(kRequestBytesMax);
  const MutableByteView bytes = MutableByteView(scratch).first(length);
  if (length == 0) return ReplyRead(request, *open.image, {}, bytes);
  if (const auto read = visit->device().TryRead(offset, bytes)) {
    return ReplyRead(request, *open.image, *read, bytes);
  }
  JobQueue& jobs = visit->jobs();
  jobs.Start(JobQueue::Kind::kRead, *std::move(visit), 0,
             [request, offset, length](Image::Visit inside) {
               Bytes buffer(length);
               const Status read = inside.device().Read(offset, buffer);
               ReplyRead(request, inside.image(), read, buffer);
             });
}

// --- write ---

void ReplyWrite(fuse_req_t request, Image& image, const Status& status, std::size_t length) {
  if (!status.has_value()) return ReplyError(request, image, status.error(), "writing");
  image.counters().writes.fetch_add(1, std::memory_order_relaxed);
  image.counters().bytes_written.fetch_add(length, std::memory_order_relaxed);
  fuse_reply_write(request, length);
}

/// The right to write in place. Asks for a moment: another loop's write takes a few microseconds,
/// unless the disk holds it up.
class InPlaceTurn {
 public:
  explicit InPlaceTurn(Mounted& mounted) : writing_(mounted.writing_in_place) {
    constexpr int kTimesMax = 1000;  // should the clock stand still
    const MonotonicTime end = mounted.clock.Now() + kInPlacePatience;
    int times = 0;
    do {
      held_ = !writing_.exchange(true, std::memory_order_acquire);
    } while (!held_ && ++times < kTimesMax && mounted.clock.Now() < end);
  }
  ~InPlaceTurn() {
    if (held_) writing_.store(false, std::memory_order_release);
  }
  InPlaceTurn(const InPlaceTurn&) = delete;
  InPlaceTurn& operator=(const InPlaceTurn&) = delete;
  [[nodiscard]] bool held() const { return held_; }

 private:
  std::atomic<bool>& writing_;
  bool held_ = false;
};

std::optional<Status> WriteInPlace(Mounted& mounted, block::BlockDevice& device,
                                   const block::BlockDevice::WriteRequest& write) {
  const InPlaceTurn turn(mounted);
  if (!turn.held()) return std::nullopt;
  return device.TryWrite(std::span(&write, 1));
}

/// With write-back the kernel has let the file grow already. It is told the size again, in which
/// it first sends what it has kept back: by a worker, since loops have to take that.
void TellKernelTheSize(const Mounted& mounted, Image& image) {
  if (!image.ClaimSize()) return;
  auto visit = image.Enter();
  if (!visit) return;
  JobQueue& jobs = visit->jobs();
  jobs.Start(JobQueue::Kind::kSurvey, *std::move(visit), 0, [&mounted](Image::Visit inside) {
    inside.image().SizeIsToldNow();
    const Status told = TellSize(mounted.tools, mounted.path, inside.image().file_stem() + ".img",
                                 inside.device().size());
    if (!told.has_value()) LOG(kWarning, "fuse: ", told.error().message);
  });
}

/// What write(2) has answered long ago cannot be cut: fsync(2) will say it.
void ReplyBeyondEnd(fuse_req_t request, const Mounted& mounted, Image& image) {
  fuse_reply_err(request, EFBIG);
  if (image.cache() == Image::Cache::kWriteBack) TellKernelTheSize(mounted, image);
}

/// What goes past the end is cut off, as write(2) has it at a limit; nothing inside, or kept back
/// by the kernel: EFBIG.
void Write(fuse_req_t request, fuse_ino_t, const char* from, std::size_t size, off_t at,
           fuse_file_info* file) {
  const OpenNode& open = OpenNodeOf(file);
  if (open.image == nullptr) {
    fuse_reply_err(request, EACCES);
    return;
  }
  auto visit = open.image->Enter();
  const std::uint64_t offset = Unsigned(at);
  const std::uint64_t end = visit ? visit->device().size() : 0;
  if (!visit || open.image->read_only()) {
    fuse_reply_err(request, visit ? EROFS : ENODEV);
    return;
  }
  Mounted& mounted = MountedOf(request);
  if (offset >= end) return ReplyBeyondEnd(request, mounted, *open.image);
  const std::size_t length = std::min<std::uint64_t>(size, end - offset);
  const ByteView data(reinterpret_cast<const std::byte*>(from), length);
  Changed(*open.image, mounted.clock);
  const auto flag =
      (file->flags & O_DSYNC) != 0 ? block::WriteFlag::kForceUnitAccess : block::WriteFlag::kNone;
  const bool cut = length < size && open.image->cache() == Image::Cache::kWriteBack;
  const auto reply = [request, &mounted, length, cut](Image& image, const Status& written) {
    if (cut && written.has_value()) return ReplyBeyondEnd(request, mounted, image);
    ReplyWrite(request, image, written, length);
  };
  if (flag == block::WriteFlag::kNone) {
    if (const auto written = WriteInPlace(mounted, visit->device(), {offset, data})) {
      return reply(*open.image, *written);
    }
  }
  JobQueue& jobs = visit->jobs();
  if (!jobs.HasRoomFor(length)) {
    fuse_reply_err(request, ENOMEM);
    return;
  }
  const auto kept = std::make_shared<const Bytes>(ToBytes(data));  // `from` is the loop's
  jobs.Start(JobQueue::Kind::kWrite, *std::move(visit), length,
             [offset, kept, flag, reply](Image::Visit inside) {
               reply(inside.image(), inside.device().Write(offset, *kept, flag));
             });
}

// --- fsync ---

void Flush(Image::Visit inside, fuse_req_t request) {
  const Status flushed = inside.device().Flush();
  inside.image().counters().flushes.fetch_add(1, std::memory_order_relaxed);
  ReplyStatus(request, inside.image(), flushed, "flushing");
}

void Sync(fuse_req_t request, fuse_ino_t, int, fuse_file_info* file) {
  const OpenNode& open = OpenNodeOf(file);
  if (open.image == nullptr) {
    fuse_reply_err(request, 0);
    return;
  }
  auto visit = open.image->Enter();
  if (!visit) {
    fuse_reply_err(request, ENODEV);
    return;
  }
  JobQueue& jobs = visit->jobs();
  jobs.Start(JobQueue::Kind::kFlush, *std::move(visit), 0,
             [request](Image::Visit inside) { Flush(std::move(inside), request); });
}

// --- fallocate ---

/// Zeroing costs a map entry, whatever its length, but may wait for room in the journal.
void Zero(fuse_req_t request, Image::Visit visit, int mode, std::uint64_t offset,
          std::uint64_t length) {
  const Mounted& mounted = MountedOf(request);
  Changed(visit.image(), mounted.clock);
  JobQueue& jobs = visit.jobs();
  jobs.Start(JobQueue::Kind::kWrite, std::move(visit), 0, [=](Image::Visit inside) {
    Image::Counters& counters = inside.image().counters();
    const bool punch = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
    (punch ? counters.trims : counters.zeroes).fetch_add(1, std::memory_order_relaxed);
    // A hole reads as zeros to its last byte; a trim would leave parts of blocks as they are.
    const Status done = inside.device().WriteZeroes(offset, length, block::ZeroFlag::kNone);
    ReplyStatus(request, inside.image(), done, punch ? "trimming" : "zeroing");
  });
}

/// Space is not reserved, since nothing is stored for it: allocating inside the image does nothing.
void Allocate(fuse_req_t request, fuse_ino_t, int mode, off_t at, off_t size,
              fuse_file_info* file) {
  const OpenNode& open = OpenNodeOf(file);
  auto visit = open.image == nullptr ? std::nullopt : open.image->Enter();
  if (!visit || open.image->read_only()) {
    fuse_reply_err(request, visit ? EROFS : ENODEV);
    return;
  }
  constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  constexpr int kZeroAndKeep = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  const bool zeroes = mode == kPunch || mode == kZeroAndKeep || mode == FALLOC_FL_ZERO_RANGE;
  const bool allocates = mode == 0 || mode == FALLOC_FL_KEEP_SIZE;
  if (at < 0 || size <= 0 || (!zeroes && !allocates)) {
    fuse_reply_err(request, at < 0 || size <= 0 ? EINVAL : EOPNOTSUPP);
    return;
  }
  const std::uint64_t offset = Unsigned(at);
  const std::uint64_t end = visit->device().size();
  const std::uint64_t inside = std::min(Unsigned(size), end - std::min(end, offset));
  const bool may_pass_end = zeroes && (mode & FALLOC_FL_KEEP_SIZE) != 0;
  if (inside < Unsigned(size) && !may_pass_end) {
    fuse_reply_err(request, EFBIG);
  } else if (allocates || inside == 0) {
    fuse_reply_err(request, 0);
  } else {
    Zero(request, *std::move(visit), mode, offset, inside);
  }
}

// --- lseek ---

/// The first byte from `offset` on that is a hole, or is none; the end is a hole. nullopt: no data
/// follows.
Result<std::optional<std::uint64_t>> Seek(block::BlockDevice& device, std::uint64_t offset,
                                          int whence) {
  constexpr std::size_t kExtentsAtOnce = 64;
  const std::uint64_t end = device.size();
  while (offset < end) {
    ASSIGN_OR_RETURN(const auto extents, device.Extents(offset, end - offset, kExtentsAtOnce));
    for (const block::Extent& extent : extents) {
      if ((extent.hole && extent.reads_zero) == (whence == SEEK_HOLE)) {
        return std::optional<std::uint64_t>(offset);
      }
      offset += extent.length;
    }
  }
  return whence == SEEK_HOLE ? std::optional<std::uint64_t>(end) : std::nullopt;
}

/// The kernel asks without having sent what it has kept back (Linux up to 6.18 at least), and of
/// that the device knows nothing: all may be data.
std::uint64_t SeekWhereWritesAreKeptBack(std::uint64_t offset, std::uint64_t end, int whence) {
  return whence == SEEK_DATA ? offset : end;
}

void SeekAndReply(fuse_req_t request, const Image::Visit& inside, std::uint64_t offset,
                  int whence) {
  const auto found = Seek(inside.device(), offset, whence);
  if (!found.has_value()) return ReplyError(request, inside.image(), found.error(), "mapping");
  if (*found) {
    fuse_reply_lseek(request, static_cast<off_t>(**found));
  } else {
    fuse_reply_err(request, ENXIO);
  }
}

void SeekData(fuse_req_t request, fuse_ino_t, off_t at, int whence, fuse_file_info* file) {
  const OpenNode& open = OpenNodeOf(file);
  auto visit = open.image == nullptr ? std::nullopt : open.image->Enter();
  if (!visit) {
    fuse_reply_err(request, open.image == nullptr ? EINVAL : ENODEV);
    return;
  }
  if (whence != SEEK_DATA && whence != SEEK_HOLE) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  const std::uint64_t end = visit->device().size();
  if (at < 0 || Unsigned(at) >= end) {
    fuse_reply_err(request, ENXIO);
    return;
  }
  if (open.image->cache() == Image::Cache::kWriteBack) {
    fuse_reply_lseek(request,
                     static_cast<off_t>(SeekWhereWritesAreKeptBack(Unsigned(at), end, whence)));
    return;
  }
  JobQueue& jobs = visit->jobs();
  jobs.Start(JobQueue::Kind::kSurvey, *std::move(visit), 0,
             [request, at, whence](Image::Visit inside) {
               SeekAndReply(request, inside, Unsigned(at), whence);
             });
}

}  // namespace

void AddFileOperations(fuse_lowlevel_ops& operations) {
  operations.open = Open;
  operations.release = Release;
  operations.read = Read;
  operations.write = Write;
  operations.fsync = Sync;
  operations.fallocate = Allocate;
  operations.lseek = SeekData;
  // Without `flush` the kernel does not ask at each close(2): a close promises nothing here.
}

}  // namespace coffer::fuse

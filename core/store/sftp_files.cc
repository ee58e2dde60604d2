#include "core/store/sftp_files.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "core/base/log.h"
#include "core/base/planted.h"

namespace coffer::store {
namespace {

using sftp::PacketType;
using sftp::StatusCode;

/// READs and WRITEs of one file at once: 2 MiB, which is what OpenSSH's window lets through.
constexpr std::size_t kPiecesInFlight = 16;
/// A directory is read in ever more requests at once, up to so many; most end with the second.
constexpr std::size_t kDirectoryReadsMax = 8;
/// No directory of a store comes near; a listing that does not end is none.
constexpr std::uint64_t kEntriesMax = 10'000'000;
constexpr std::size_t kServerWordsMax = 200;

ErrorCode CodeOf(StatusCode code) {
  switch (code) {
    case StatusCode::kNoSuchFile:
      return ErrorCode::kNotFound;
    case StatusCode::kPermissionDenied:
      return ErrorCode::kIoError;
    case StatusCode::kUnsupported:
      return ErrorCode::kUnsupported;
    default:
      return ErrorCode::kUnavailable;
  }
}

std::string_view TextOf(StatusCode code) {
  constexpr std::array<std::string_view, 9> kTexts = {
      "success",     "end of file",   "no such file",    "permission denied",    "failure",
      "bad message", "no connection", "connection lost", "operation unsupported"};
  return kTexts[static_cast<std::size_t>(code)];
}

/// Servers that say why a write failed do so in words alone.
bool SpeaksOfSpace(std::string message) {
  for (char& c : message) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  constexpr std::array<std::string_view, 4> kWords = {"quota", "no space", "disk full",
                                                      "space left"};
  return std::ranges::any_of(
      kWords, [&](std::string_view word) { return message.find(word) != std::string::npos; });
}

constexpr char kSpaceHint[] = "make room on the server, or have the quota raised";

}  // namespace

/// Of an open file, unless somebody has closed it before.
class SftpFiles::ClosesAtEnd {
 public:
  ClosesAtEnd(SftpFiles& files, const std::string& handle) : files_(files), handle_(handle) {}
  ~ClosesAtEnd() {
    if (!closed_) files_.CloseFile(handle_);
  }
  ClosesAtEnd(const ClosesAtEnd&) = delete;
  ClosesAtEnd& operator=(const ClosesAtEnd&) = delete;
  void Closed() { closed_ = true; }

 private:
  SftpFiles& files_;
  const std::string handle_;
  bool closed_ = false;
};

Error SftpFiles::ErrorOf(const sftp::StatusReply& reply, const std::string& what) const {
  std::string text(TextOf(reply.code));
  if (!reply.message.empty()) {
    text = EscapeForTerminal(std::string_view(reply.message).substr(0, kServerWordsMax));
  }
  Error error{CodeOf(reply.code), Concat(session_->name(), ": ", what, ": ", text), ""};
  if (reply.code == StatusCode::kPermissionDenied) {
    error.hint = "see on the server who owns it, what its mode allows, and whether it is read-only";
  }
  if (reply.code == StatusCode::kFailure && SpeaksOfSpace(reply.message)) {
    error.code = ErrorCode::kNoSpace;
    error.hint = kSpaceHint;
  }
  return error;
}

Status SftpFiles::StatusIn(const Result<sftp::Reply>& reply, const std::string& what) {
  if (!reply.has_value()) return Fail(reply.error());
  const auto* status = std::get_if<sftp::StatusReply>(&reply->body);
  if (status == nullptr || status->code == StatusCode::kOk) return {};
  return Fail(ErrorOf(*status, what));
}

/// A status where another answer was due: success is none either.
Result<sftp::Attributes> SftpFiles::AttributesIn(const Result<sftp::Reply>& reply,
                                                 const std::string& what) {
  if (!reply.has_value()) return Fail(reply.error());
  if (const auto* found = std::get_if<sftp::AttributesReply>(&reply->body)) {
    return found->attributes;
  }
  return Fail(ErrorOf(std::get<sftp::StatusReply>(reply->body), what));
}

Result<std::string> SftpFiles::HandleIn(const Result<sftp::Reply>& reply, const std::string& what) {
  if (!reply.has_value()) return Fail(reply.error());
  if (const auto* opened = std::get_if<sftp::HandleReply>(&reply->body)) return opened->handle;
  return Fail(ErrorOf(std::get<sftp::StatusReply>(reply->body), what));
}

Result<std::uint32_t> SftpFiles::BeginLstat(const std::string& path) {
  return exchange_.Send(sftp::OfPath(PacketType::kLstat, path));
}

Result<sftp::Attributes> SftpFiles::EndLstat(std::uint32_t id, const std::string& path) {
  return AttributesIn(exchange_.Await(id), Concat("looking at ", path));
}

Result<sftp::Attributes> SftpFiles::Lstat(const std::string& path) {
  ASSIGN_OR_RETURN(const std::uint32_t id, BeginLstat(path));
  return EndLstat(id, path);
}

Result<sftp::Attributes> SftpFiles::Stat(const std::string& path) {
  return AttributesIn(exchange_.Ask(sftp::OfPath(PacketType::kStat, path)),
                      Concat("looking at ", path));
}

Result<std::string> SftpFiles::RealPath(const std::string& path) {
  ASSIGN_OR_RETURN(const sftp::Reply reply,
                   exchange_.Ask(sftp::OfPath(PacketType::kRealPath, path)));
  const auto* names = std::get_if<sftp::NameReply>(&reply.body);
  if (names == nullptr) {
    return Fail(ErrorOf(std::get<sftp::StatusReply>(reply.body), Concat("resolving ", path)));
  }
  if (names->entries.size() == 1 && names->entries.front().name.starts_with('/')) {
    return names->entries.front().name;
  }
  return Fail(ErrorCode::kUnavailable,
              Concat(session_->name(), ": resolving ", path, ": the answer is no path"));
}

Status SftpFiles::MakeDirectory(const std::string& path) {
  const std::string what = Concat("making the directory ", path);
  Status made = StatusIn(exchange_.Ask(sftp::MakeDirectory(path)), what);
  if (made.has_value() || made.error().code == ErrorCode::kCancelled) return made;
  if (made.error().code == ErrorCode::kNotFound) return made;
  // "Failure" is also what most servers say when it is there.
  if (!Lstat(path).has_value()) return made;
  return Fail(ErrorCode::kAlreadyExists, Concat(path, " exists already"));
}

Status SftpFiles::RemoveDirectory(const std::string& path) {
  return StatusIn(exchange_.Ask(sftp::OfPath(PacketType::kRemoveDirectory, path)),
                  Concat("removing the directory ", path));
}

Status SftpFiles::Remove(const std::string& path) {
  return StatusIn(exchange_.Ask(sftp::OfPath(PacketType::kRemove, path)),
                  Concat("removing ", path));
}

Result<sftp::StatusReply> SftpFiles::HardLink(const std::string& from, const std::string& to) {
  ASSIGN_OR_RETURN(const sftp::Reply reply, exchange_.Ask(sftp::HardLink(from, to)));
  const auto* status = std::get_if<sftp::StatusReply>(&reply.body);
  return status != nullptr ? *status : sftp::StatusReply{StatusCode::kFailure, ""};
}

Result<sftp::StatusReply> SftpFiles::Rename(const std::string& from, const std::string& to) {
  ASSIGN_OR_RETURN(const sftp::Reply reply, exchange_.Ask(sftp::Rename(from, to)));
  return std::get<sftp::StatusReply>(reply.body);
}

Result<std::string> SftpFiles::OpenNew(const std::string& path) {
  return HandleIn(exchange_.Ask(sftp::Open(path, sftp::kOpenNew)), Concat("creating ", path));
}

Status SftpFiles::AwaitAll(std::deque<std::uint32_t>& ids, std::size_t left,
                           const std::string& what) {
  while (ids.size() > left) {
    const std::uint32_t id = ids.front();
    ids.pop_front();
    RETURN_IF_ERROR(StatusIn(exchange_.Await(id), what));
  }
  return {};
}

Status SftpFiles::WriteAndClose(const std::string& handle, const std::string& path, ByteView data) {
  const std::string what = Concat("writing ", path);
  ClosesAtEnd open(*this, handle);
  ASSIGN_OR_RETURN(const SftpSession::Terms terms, Terms());
  std::deque<std::uint32_t> ids;
  Status written;
  for (std::size_t offset = 0; offset < data.size() && written.has_value();) {
    const std::size_t count = std::min<std::size_t>(terms.write_bytes, data.size() - offset);
    ASSIGN_OR_RETURN(const std::uint32_t id,
                     exchange_.Send(sftp::Write(handle, offset, data.subspan(offset, count))));
    ids.push_back(id);
    offset += count;
    written = AwaitAll(ids, kPiecesInFlight - 1, what);
  }
  // Requests for one file are carried out in their order: syncing need not wait for the writes'
  // answers, only what is said of it must.
  std::optional<std::uint32_t> sync;
  if (written.has_value() && terms.offers.fsync && !Planted("name-unsynced-upload")) {
    ASSIGN_OR_RETURN(sync, exchange_.Send(sftp::Fsync(handle)));
  }
  ASSIGN_OR_RETURN(const std::uint32_t closing, exchange_.Send(sftp::Close(handle)));
  open.Closed();
  if (written.has_value()) written = AwaitAll(ids, 0, what);
  if (written.has_value() && sync.has_value()) {
    const Status synced = StatusIn(exchange_.Await(*sync), Concat("syncing ", path));
    // A file system that has no such call has said so.
    if (!synced.has_value() && synced.error().code != ErrorCode::kUnsupported) written = synced;
  }
  // Some servers write at last when the file is closed.
  if (written.has_value()) written = StatusIn(exchange_.Await(closing), what);
  return written.has_value() ? written : DoneOrFull(std::move(written), path, data.size());
}

/// OpenSSH says "Failure" when the disk is full: whether it is can be asked.
Status SftpFiles::DoneOrFull(Status failed, const std::string& path, std::uint64_t bytes) {
  if (failed.error().code != ErrorCode::kUnavailable) return failed;
  const Result<sftp::Space> space = Space(path.substr(0, path.rfind('/')));
  if (space.has_value() && space->free_bytes < bytes) {
    return Fail(
        ErrorCode::kNoSpace,
        Concat(failed.error().message, "; the server has ", space->free_bytes, " bytes free"),
        kSpaceHint);
  }
  if (failed.error().hint.empty() && space.has_value()) {
    return Fail(ErrorCode::kUnavailable, failed.error().message,
                "see whether the server's disk works, and whether a quota is used up there");
  }
  return failed;
}

Result<sftp::Space> SftpFiles::Space(const std::string& path) {
  ASSIGN_OR_RETURN(const SftpSession::Terms terms, Terms());
  if (!terms.offers.stat_vfs) {
    return Fail(ErrorCode::kUnsupported, "the server does not tell how much is free");
  }
  ASSIGN_OR_RETURN(const sftp::Reply reply, exchange_.Ask(sftp::StatVfs(path)));
  if (const auto* told = std::get_if<sftp::ExtendedReply>(&reply.body)) {
    return sftp::DecodeSpace(told->data);
  }
  return Fail(ErrorOf(std::get<sftp::StatusReply>(reply.body), Concat("free space of ", path)));
}

Status SftpFiles::SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(const SftpSession::Terms terms, Terms());
  if (!terms.offers.fsync) return Fail(ErrorCode::kUnsupported, "the server cannot sync");
  const std::string what = Concat("syncing ", path);
  const Result<std::string> handle =
      HandleIn(exchange_.Ask(sftp::Open(path, sftp::kOpenRead)), what);
  if (!handle.has_value()) {
    Error error = handle.error();
    // Servers on systems whose directories are not opened as files.
    if (error.code == ErrorCode::kUnavailable && !session_->has_ended()) {
      error.code = ErrorCode::kUnsupported;
    }
    return Fail(std::move(error));
  }
  const ClosesAtEnd open(*this, *handle);
  ASSIGN_OR_RETURN(const std::uint32_t id, exchange_.Send(sftp::Fsync(*handle)));
  return StatusIn(exchange_.Await(id), what);
}

Status SftpFiles::ForEach(const std::string& path,
                          const std::function<void(const sftp::NamedAttributes&)>& entry) {
  const std::string what = Concat("listing ", path);
  ASSIGN_OR_RETURN(const std::string handle,
                   HandleIn(exchange_.Ask(sftp::OfPath(PacketType::kOpenDirectory, path)), what));
  const ClosesAtEnd open(*this, handle);
  std::deque<std::uint32_t> ids;
  std::size_t at_once = 1;
  std::uint64_t count = 0;
  bool ended = false;
  Status listed;
  while (listed.has_value() && (!ended || !ids.empty())) {
    while (!ended && ids.size() < at_once) {
      ASSIGN_OR_RETURN(const std::uint32_t id, exchange_.Send(sftp::ReadDirectory(handle)));
      ids.push_back(id);
    }
    ASSIGN_OR_RETURN(const sftp::Reply reply, exchange_.Await(ids.front()));
    ids.pop_front();
    if (const auto* status = std::get_if<sftp::StatusReply>(&reply.body)) {
      // Others that are under way may still bring names.
      if (status->code != StatusCode::kEndOfFile) listed = Fail(ErrorOf(*status, what));
      ended = true;
      continue;
    }
    const auto& names = std::get<sftp::NameReply>(reply.body);
    ended = ended || names.entries.empty();
    at_once = std::min(at_once * 2, kDirectoryReadsMax);
    for (const sftp::NamedAttributes& named : names.entries) {
      if (named.name != "." && named.name != "..") entry(named);
    }
    count += names.entries.size();
    if (count > kEntriesMax) {
      listed = Fail(ErrorCode::kUnavailable, Concat(session_->name(), ": ", what,
                                                    ": it does not end after ", count, " names"));
    }
  }
  return listed;
}

/// The pieces of one file on their way, in order: what comes is appended, and no memory is taken
/// for what a server merely promises.
class SftpFiles::Download {
 public:
  Download(SftpFiles& files, std::string handle, std::string what, std::uint32_t piece_bytes)
      : files_(files),
        handle_(std::move(handle)),
        what_(std::move(what)),
        piece_bytes_(piece_bytes) {}
  ~Download() { files_.CloseFile(handle_); }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  /// Asks for what comes next, up to `end`.
  Status AskUpTo(std::uint64_t end) {
    while (next_ < end && pieces_.size() < kPiecesInFlight) {
      const auto length =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_bytes_, end - next_));
      ASSIGN_OR_RETURN(const std::uint32_t id,
                       files_.exchange_.Send(sftp::Read(handle_, next_, length)));
      pieces_.push_back({id, next_, length});
      next_ += length;
    }
    return {};
  }

  void BeginAt(std::uint64_t offset) { next_ = offset; }

  Result<Bytes> ReadAll(Range range) {
    const std::uint64_t end = range.offset + range.length;
    Bytes bytes;
    while (bytes.size() < range.length) {
      RETURN_IF_ERROR(AskUpTo(end));
      RETURN_IF_ERROR(TakeFirst(end, bytes));
    }
    return bytes;
  }

 private:
  Status TakeFirst(std::uint64_t end, Bytes& bytes) {
    const Piece piece = pieces_.front();
    pieces_.pop_front();
    ASSIGN_OR_RETURN(const sftp::Reply reply, files_.exchange_.Await(piece.id));
    if (const auto* status = std::get_if<sftp::StatusReply>(&reply.body)) {
      if (status->code != StatusCode::kEndOfFile) return Fail(files_.ErrorOf(*status, what_));
      return Fail(ErrorCode::kCorruption, Concat(files_.session_->name(), ": ", what_,
                                                 ": it became shorter while it was read"));
    }
    const Bytes& data = std::get<sftp::DataReply>(reply.body).data;
    if (data.empty()) {
      return Fail(ErrorCode::kUnavailable,
                  Concat(files_.session_->name(), ": ", what_, ": the server gives no bytes"));
    }
    const std::uint64_t count = std::min<std::uint64_t>(data.size(), end - piece.offset);
    bytes.insert(bytes.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(count));
    const auto got = static_cast<std::uint32_t>(data.size());
    if (got >= piece.length || piece.offset + got >= end) return {};
    // Less than asked for is no end: the rest is asked for again, and comes before what follows.
    ASSIGN_OR_RETURN(const std::uint32_t id, files_.exchange_.Send(sftp::Read(
                                                 handle_, piece.offset + got, piece.length - got)));
    pieces_.push_front({id, piece.offset + got, piece.length - got});
    return {};
  }

  SftpFiles& files_;
  const std::string handle_;
  const std::string what_;
  const std::uint32_t piece_bytes_;
  std::uint64_t next_ = 0;
  std::deque<Piece> pieces_;
};

Result<Bytes> SftpFiles::Read(const std::string& path, Range likely, const Wanted& wanted) {
  const std::string what = Concat("reading ", path);
  ASSIGN_OR_RETURN(const SftpSession::Terms terms, Terms());
  ASSIGN_OR_RETURN(const std::uint32_t looking, BeginLstat(path));
  const Result<std::string> handle =
      HandleIn(exchange_.Ask(sftp::Open(path, sftp::kOpenRead)), what);
  const Result<sftp::Attributes> there = EndLstat(looking, path);
  if (there.has_value() && there->TellsKind() && !there->IsRegular()) {
    if (handle.has_value()) CloseFile(*handle);
    if (there->IsDirectory()) {
      return Fail(ErrorCode::kNotFound, Concat(session_->name(), ": ", path, " is a directory"));
    }
    return Fail(
        ErrorCode::kCorruption,
        Concat(session_->name(), ": ", path,
               there->IsSymlink() ? " is a symbolic link; stores hold none" : " is no plain file"),
        "see what put it there, and remove it");
  }
  if (!handle.has_value()) return Fail(handle.error());

  Download download(*this, *handle, what, terms.read_bytes);
  download.BeginAt(likely.offset);
  ASSIGN_OR_RETURN(const std::uint32_t sizing, exchange_.Send(sftp::Fstat(*handle)));
  RETURN_IF_ERROR(download.AskUpTo(likely.offset + likely.length));
  ASSIGN_OR_RETURN(const sftp::Attributes attributes, AttributesIn(exchange_.Await(sizing), what));
  if (!attributes.size.has_value()) {
    return Fail(ErrorCode::kUnsupported,
                Concat(session_->name(), ": ", what, ": the server does not tell sizes"));
  }
  ASSIGN_OR_RETURN(const Range range, wanted(*attributes.size));
  return download.ReadAll(range);
}

}  // namespace coffer::store

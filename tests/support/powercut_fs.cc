// powercut_fs: FaultyFileSystem behind FUSE, so that real processes meet its power cuts.
//
//   powercut_fs MOUNTPOINT [SEED]      prints "mounted", then obeys lines on standard input:
//     cut                              the power goes: every call fails from now on
//     on drop-all|keep-all|random-subset|prefix
//                                      it is back; what was not synced is kept or lost by that mode
//     fail CALL PATH_PART once|sticky ERRNO            calls on what has that in its path fail:
//     sync, write, link,
//                                      rename-no-replace, sync-directory
//     slow sync SECONDS                each fsync of a file takes so long
//     read-only                        as after the kernel's remount
//     heal                             ends fail and slow
//   and answers each with "ok". It unmounts at the end of its input. Everything is in memory.
//
// What a cut may leave: fake_disk.h. Names need a sync of their directory, as POSIX has it. The
// kernel caches nothing (direct I/O, no attribute or entry cache); flock works within this mount.
#define FUSE_USE_VERSION 32

#include <fcntl.h>
#include <fuse3/fuse.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

#include "tests/support/faulty_file_system.h"

namespace coffer {
namespace {

constexpr unsigned kRenameNoReplace = 1;  // RENAME_NOREPLACE, without _GNU_SOURCE's stdio.h

std::atomic<int> slow_sync_seconds = 0;

FaultyFileSystem& Fs() { return *static_cast<FaultyFileSystem*>(fuse_get_context()->private_data); }

int ErrnoOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound:
      return -ENOENT;
    case ErrorCode::kAlreadyExists:
      return -EEXIST;
    case ErrorCode::kNoSpace:
      return -ENOSPC;
    case ErrorCode::kUnsupported:
      return -EOPNOTSUPP;
    case ErrorCode::kInvalidArgument:
      return -EINVAL;
    default:
      return -EIO;
  }
}

int Answer(const Status& status) { return status.has_value() ? 0 : ErrnoOf(status.error()); }

File& FileOf(const fuse_file_info* info) { return *reinterpret_cast<File*>(info->fh); }

int Keep(Result<std::unique_ptr<File>> file, fuse_file_info* info) {
  if (!file.has_value()) return ErrnoOf(file.error());
  info->fh = reinterpret_cast<std::uint64_t>(file->release());
  info->direct_io = 1;
  return 0;
}

/// Runs `use` on the open file, or on one opened for it.
template <class Use>
int WithFile(const char* path, const fuse_file_info* info, const Use& use) {
  if (info != nullptr) return Answer(use(FileOf(info)));
  const auto file = Fs().Open(path, FileSystem::OpenMode::kReadWrite);
  return file.has_value() ? Answer(use(**file)) : ErrnoOf(file.error());
}

void* Init(fuse_conn_info* /*connection*/, fuse_config* config) {
  config->hard_remove = 1;
  config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
  return fuse_get_context()->private_data;
}

int GetAttributes(const char* path, struct stat* out, fuse_file_info* info) {
  const auto found = info == nullptr ? Fs().Stat(path) : FileOf(info).Info();
  if (!found.has_value()) return ErrnoOf(found.error());
  *out = {};
  out->st_mode = (found->is_directory ? S_IFDIR : S_IFREG) | found->mode;
  out->st_nlink = 1;
  out->st_uid = getuid();
  out->st_gid = getgid();
  out->st_size = static_cast<off_t>(found->size);
  out->st_blocks = out->st_size / 512;
  return 0;
}

int OpenFile(const char* path, fuse_file_info* info) {
  const bool reads = (info->flags & O_ACCMODE) == O_RDONLY;
  return Keep(
      Fs().Open(path, reads ? FileSystem::OpenMode::kRead : FileSystem::OpenMode::kReadWrite),
      info);
}

int CreateFile(const char* path, mode_t /*mode*/, fuse_file_info* info) {
  const bool exclusive = (info->flags & O_EXCL) != 0;
  return Keep(Fs().Open(path, exclusive ? FileSystem::OpenMode::kCreate
                                        : FileSystem::OpenMode::kOpenOrCreate),
              info);
}

int CloseFile(const char* /*path*/, fuse_file_info* info) {
  delete &FileOf(info);
  return 0;
}

int ReadFile(const char* /*path*/, char* out, std::size_t size, off_t offset,
             fuse_file_info* info) {
  const MutableByteView bytes(reinterpret_cast<std::byte*>(out), size);
  const auto count = FileOf(info).ReadAt(static_cast<std::uint64_t>(offset), bytes);
  return count.has_value() ? static_cast<int>(*count) : ErrnoOf(count.error());
}

int WriteFile(const char* /*path*/, const char* data, std::size_t size, off_t offset,
              fuse_file_info* info) {
  const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
  const Status written = FileOf(info).WriteAt(static_cast<std::uint64_t>(offset), bytes);
  return written.has_value() ? static_cast<int>(size) : ErrnoOf(written.error());
}

int SyncFile(const char* /*path*/, int /*data_only*/, fuse_file_info* info) {
  const auto started = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - started < std::chrono::seconds(slow_sync_seconds))
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return Answer(FileOf(info).SyncData());
}

int Truncate(const char* path, off_t size, fuse_file_info* info) {
  return WithFile(path, info,
                  [&](File& file) { return file.Truncate(static_cast<std::uint64_t>(size)); });
}

int Allocate(const char* path, int mode, off_t offset, off_t length, fuse_file_info* info) {
  const auto from = static_cast<std::uint64_t>(offset);
  const auto bytes = static_cast<std::uint64_t>(length);
  if (mode == 0) return WithFile(path, info, [&](File& f) { return f.Allocate(from + bytes); });
  if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) return -EOPNOTSUPP;
  return WithFile(path, info, [&](File& file) { return file.Discard(from, bytes); });
}

int ReadDirectory(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/,
                  fuse_file_info* /*info*/, fuse_readdir_flags /*flags*/) {
  const auto names = Fs().List(path);
  if (!names.has_value()) return ErrnoOf(names.error());
  for (const std::string& name : *names) fill(buffer, name.c_str(), nullptr, 0, {});
  return 0;
}

int RenameName(const char* from, const char* to, unsigned flags) {
  if (flags == kRenameNoReplace) return Answer(Fs().RenameNoReplace(from, to));
  return flags == 0 ? Answer(Fs().Rename(from, to)) : -EINVAL;
}

int ChangeMode(const char* path, mode_t mode, fuse_file_info* /*info*/) {
  Fs().SetOwnerAndMode(path, getuid(), mode & 07777);
  return 0;
}

int FileSystemSpace(const char* path, struct statvfs* out) {
  const auto space = Fs().Space(path);
  if (!space.has_value()) return ErrnoOf(space.error());
  *out = {};
  out->f_bsize = out->f_frsize = kFakePageBytes;
  out->f_blocks = space->total_bytes / kFakePageBytes;
  out->f_bfree = out->f_bavail = space->free_bytes / kFakePageBytes;
  out->f_namemax = 255;
  return 0;
}

fuse_operations Operations() {
  fuse_operations all{};
  all.init = Init;
  all.getattr = GetAttributes;
  all.open = OpenFile;
  all.create = CreateFile;
  all.release = CloseFile;
  all.read = ReadFile;
  all.write = WriteFile;
  all.fsync = SyncFile;
  all.truncate = Truncate;
  all.fallocate = Allocate;
  all.readdir = ReadDirectory;
  all.fsyncdir = [](const char* path, int, fuse_file_info*) {
    return Answer(Fs().SyncDirectory(path));
  };
  all.mkdir = [](const char* path, mode_t) { return Answer(Fs().CreateDirectory(path)); };
  all.rmdir = [](const char* path) { return Answer(Fs().RemoveDirectory(path)); };
  all.unlink = [](const char* path) { return Answer(Fs().Remove(path)); };
  all.rename = RenameName;
  all.link = [](const char* from, const char* to) { return Answer(Fs().Link(from, to)); };
  all.chmod = ChangeMode;
  all.chown = [](const char*, uid_t, gid_t, fuse_file_info*) { return 0; };
  all.utimens = [](const char*, const timespec[2], fuse_file_info*) { return 0; };
  all.statfs = FileSystemSpace;
  return all;
}

bool ObeyFail(FaultyFileSystem& fs, std::istringstream& words) {
  std::string call;
  std::string repeat;
  FsFault fault;
  if (!(words >> call >> fault.path_contains >> repeat >> fault.error_number)) return false;
  static const std::map<std::string, FsCall> kCalls = {
      {"sync", FsCall::kSync},
      {"write", FsCall::kWrite},
      {"link", FsCall::kLink},
      {"rename-no-replace", FsCall::kRenameNoReplace},
      {"sync-directory", FsCall::kSyncDirectory}};
  if (!kCalls.contains(call) || (repeat != "once" && repeat != "sticky")) return false;
  fault.call = kCalls.at(call);
  fault.repeat = repeat == "once" ? FaultRepeat::kOnce : FaultRepeat::kSticky;
  fs.AddFault(fault);
  return true;
}

/// One line of the standard input.
bool Obey(FaultyFileSystem& fs, const std::string& line) {
  static const std::map<std::string, CutMode> kModes = {{"drop-all", CutMode::kDropAll},
                                                        {"keep-all", CutMode::kKeepAll},
                                                        {"random-subset", CutMode::kRandomSubset},
                                                        {"prefix", CutMode::kPrefix}};
  std::istringstream words(line);
  std::string verb;
  std::string word;
  words >> verb;
  if (verb == "cut") {
    fs.Halt();
  } else if (verb == "on") {
    words >> word;
    if (!kModes.contains(word)) return false;
    fs.PowerCut(kModes.at(word));
  } else if (verb == "fail") {
    return ObeyFail(fs, words);
  } else if (verb == "slow") {
    int seconds = 0;
    if (!(words >> word >> seconds) || word != "sync") return false;
    slow_sync_seconds = seconds;
  } else if (verb == "read-only") {
    fs.SetReadOnly();
  } else if (verb == "heal") {
    fs.ClearFaults();
    slow_sync_seconds = 0;
  } else {
    return false;
  }
  return true;
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: powercut_fs MOUNTPOINT [SEED]\n");
    return 2;
  }
  FaultyFileSystem fs(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  const fuse_operations operations = Operations();
  fuse_args arguments = FUSE_ARGS_INIT(1, argv);
  fuse* const fuse = fuse_new(&arguments, &operations, sizeof operations, &fs);
  if (fuse == nullptr || fuse_mount(fuse, argv[1]) != 0) return 1;
  std::thread control([&] {
    std::cout << "mounted" << std::endl;
    for (std::string line; std::getline(std::cin, line);)
      std::cout << (Obey(fs, line) ? "ok" : "what?") << std::endl;
    fuse_unmount(fuse);
    std::_Exit(0);  // the loop would wait for files that are open still
  });
  fuse_loop_config config{};
  config.max_idle_threads = 8;
  const int ended = fuse_loop_mt(fuse, &config);
  control.join();
  return ended == 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer

int main(int argc, char** argv) { return coffer::Main(argc, argv); }

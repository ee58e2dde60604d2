// Everybody's way: e2fsprogs' own code serves an ext file system through FUSE, in a child that
// lives as long as the mount.
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/mount_table.h"
#include "core/mount/growth.h"
#include "core/mount/way.h"

namespace coffer::mount {
namespace {

constexpr std::chrono::milliseconds kMountPause{20};
constexpr int kMountTries = 6'000;  // two minutes: it reads all group descriptors first
constexpr std::chrono::milliseconds kEndLimit{600'000};  // it writes what it has kept
constexpr std::chrono::milliseconds kForcedEndLimit{10'000};

class Fuse2fsWay final : public Way {
 public:
  Fuse2fsWay(const FileSystems& tools, uid_t uid) : tools_(tools), uid_(uid) {}
  [[nodiscard]] const char* name() const override { return "fuse2fs"; }

  Status Mount(Attempt& attempt) override {
    RETURN_IF_ERROR(CheckCan(attempt));
    if (!attempt.spec.read_only) RETURN_IF_ERROR(tools_.PutRightExt(attempt.spec.image));
    RETURN_IF_ERROR(attempt.save(attempt.record));
    RETURN_IF_ERROR(TakeMountPoint(attempt.record.point));
    // "fakeroot": files belong to whom the file system says, but their modes do not keep the one
    // who has the image out of them.
    const std::string options = std::string("fakeroot,") + (attempt.spec.read_only ? "ro" : "rw");
    ASSIGN_OR_RETURN(const ChildOutput output, ChildOutput::Create());
    ASSIGN_OR_RETURN(attempt.server, Child::Start({tools_.Find("fuse2fs"), "-f", "-o", options,
                                                   attempt.spec.image, attempt.record.point.path},
                                                  output.fd()));
    attempt.path = attempt.record.point.path;
    return AwaitMounted(attempt, output);
  }

  Status Unmount(const Record& record, Child& server, Force force) override {
    while (!PathOf(record).empty()) RETURN_IF_ERROR(UnmountPath(record.point.path, force));
    if (force == Force::kYes) server.Signal(SIGTERM);  // whoever still has files open loses them
    if (server.AwaitEnd(force == Force::kYes ? kForcedEndLimit : kEndLimit)) return {};
    server.Signal(SIGKILL);
    static_cast<void>(server.AwaitEnd(kForcedEndLimit));
    return Fail(ErrorCode::kIoError, "fuse2fs did not end after it was unmounted and was killed",
                "the next open has e2fsck look at the file system");
  }

  [[nodiscard]] std::string PathOf(const Record& record) const override {
    const auto seen = FindMount(record.point.path);
    const bool is_ours = seen.has_value() && *seen && (*seen)->source == record.image &&
                         (*seen)->type.substr(0, 4) == "fuse";
    return is_ours ? record.point.path : std::string();
  }

  [[nodiscard]] std::string ImageGrew(const Record&, const std::string& file_system,
                                      std::uint64_t) const override {
    return HowFuse2fsGrows(file_system);
  }

 private:
  Status CheckCan(const Attempt& attempt) const {
    if (!IsExt(attempt.file_system)) {
      return Fail(ErrorCode::kUnsupported,
                  "it is for ext2, ext3 and ext4, and this is " + attempt.file_system);
    }
    if (tools_.Find("fuse2fs").empty()) return Fail(NotInstalled("fuse2fs", "fuse2fs"));
    if (uid_ != 0 && tools_.Find("fusermount").empty()) {
      return Fail(NotInstalled("fusermount", "fuse3"));
    }
    if (access("/dev/fuse", R_OK | W_OK) != 0) {
      return Fail(ErrorCode::kUnsupported, std::string("/dev/fuse: ") + std::strerror(errno),
                  "the kernel's module fuse, and access to its device");
    }
    return {};
  }

  Status AwaitMounted(Attempt& attempt, const ChildOutput& output) const {
    for (int i = 0; i < kMountTries; ++i) {
      if (attempt.server.AwaitEnd(kMountPause)) {
        return Fail(ErrorCode::kIoError, "fuse2fs: " + output.Text());
      }
      if (!PathOf(attempt.record).empty()) return {};
    }
    attempt.server.Signal(SIGKILL);
    static_cast<void>(attempt.server.AwaitEnd(kForcedEndLimit));
    return Fail(ErrorCode::kIoError, "fuse2fs has not mounted it within two minutes");
  }

  Status UnmountPath(const std::string& path, Force force) {
    std::string program = tools_.Find("fusermount3");
    if (program.empty()) program = tools_.Find("fusermount");
    if (program.empty()) return Fail(NotInstalled("fusermount3", "fuse3"));
    ASSIGN_OR_RETURN(ProgramEnd end, RunProgram({program, "-u", path}));
    if (!end.ok() && force == Force::kYes) {
      ASSIGN_OR_RETURN(end, RunProgram({program, "-u", "-z", path}));
    }
    if (end.ok()) return {};
    const bool busy = end.output.find("busy") != std::string::npos;
    return Fail(busy ? ErrorCode::kConflict : ErrorCode::kIoError, end.output);
  }

  const FileSystems& tools_;
  const uid_t uid_;
};

}  // namespace

std::unique_ptr<Way> NewFuse2fsWay(const FileSystems& tools, uid_t uid) {
  return std::make_unique<Fuse2fsWay>(tools, uid);
}

}  // namespace coffer::mount

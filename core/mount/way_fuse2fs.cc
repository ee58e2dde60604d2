// Everybody's way: e2fsprogs' own code serves an ext file system through FUSE, in a child that
// lives as long as the mount.
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/log.h"
#include "core/base/mount_table.h"
#include "core/mount/flush.h"
#include "core/mount/growth.h"
#include "core/mount/way.h"

namespace coffer::mount {
namespace {

constexpr std::chrono::milliseconds kMountPause{20};
constexpr int kMountTries = 6'000;  // two minutes: it reads all group descriptors first
constexpr std::chrono::milliseconds kKilledLimit{10'000};
constexpr std::chrono::milliseconds kEndLimit{600'000};  // it writes what it has kept

class Fuse2fsWay final : public Way {
 public:
  Fuse2fsWay(const FileSystems& tools, uid_t uid) : tools_(tools), uid_(uid) {}
  [[nodiscard]] const char* name() const override { return "fuse2fs"; }

  Status Mount(Attempt& attempt) override {
    RETURN_IF_ERROR(CheckCan(attempt.spec, attempt.file_system));
    if (!attempt.spec.read_only) RETURN_IF_ERROR(tools_.PutRightExt(attempt.spec.image));
    RETURN_IF_ERROR(attempt.save(attempt.record));
    RETURN_IF_ERROR(TakeMountPoint(attempt.record.point));
    attempt.path = attempt.record.point.path;
    if (!attempt.spec.read_only) return Serve(attempt, "rw");
    const Status plain = Serve(attempt, "ro");
    if (plain.has_value() || !Serve(attempt, "ro,norecovery").has_value()) return plain;
    attempt.note = UnreplayedNote(attempt.file_system);
    return {};
  }

  Status Unmount(const Record& record, Child& server, Unmounting& unmounting) override {
    while (!PathOf(record).empty()) RETURN_IF_ERROR(UnmountPath(record.point.path, unmounting));
    if (unmounting.by_force()) server.Signal(SIGTERM);  // whoever still has files open loses them
    if (AwaitEnd(server, unmounting)) {
      if (server.exit_code() != 0) {
        unmounting.lost = Concat("what fuse2fs had not yet written is lost: it ended with code ",
                                 server.exit_code());
      }
      return {};
    }
    server.Signal(SIGKILL);
    static_cast<void>(server.AwaitEnd(unmounting.how.patience));
    unmounting.lost =
        "what fuse2fs had not yet written is lost: it did not end after it was unmounted and was "
        "killed; the next open has e2fsck look at the file system";
    return {};
  }

  [[nodiscard]] std::string PathOf(const Record& record) const override {
    const auto seen = FindMount(record.point.path);
    const bool is_ours = seen.has_value() && *seen && (*seen)->source == record.image &&
                         (*seen)->type.substr(0, 4) == "fuse";
    return is_ours ? record.point.path : std::string();
  }

  /// While fuse2fs runs, which Mounter looks after.
  [[nodiscard]] bool IsHeld(const Record&) const override { return false; }

  [[nodiscard]] std::string ImageGrew(const Record&, const std::string& file_system,
                                      std::uint64_t) const override {
    return HowFuse2fsGrows(file_system);
  }

  [[nodiscard]] Status CheckCan(const MountSpec&, const std::string& file_system) const override {
    if (!IsExt(file_system)) {
      return Fail(ErrorCode::kUnsupported,
                  "it is for ext2, ext3 and ext4, and this is " + file_system);
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

 private:
  /// It writes what it has kept: for as long as that takes, or, by force, gets on.
  static bool AwaitEnd(Child& server, const Unmounting& unmounting) {
    if (!unmounting.by_force()) return server.AwaitEnd(kEndLimit);
    Advance gets_on(unmounting.how);
    do {
      if (server.AwaitEnd(unmounting.how.patience)) return true;
    } while (gets_on());
    return false;
  }

  Status Serve(Attempt& attempt, const std::string& words) const {
    // "fakeroot": files belong to whom the file system says, but their modes do not keep the one
    // who has the image out of them.
    ASSIGN_OR_RETURN(const ChildOutput output, ChildOutput::Create());
    ASSIGN_OR_RETURN(attempt.server,
                     Child::Start({tools_.Find("fuse2fs"), "-f", "-o", "fakeroot," + words,
                                   attempt.spec.image, attempt.record.point.path},
                                  output.fd()));
    return AwaitMounted(attempt, output);
  }

  Status AwaitMounted(Attempt& attempt, const ChildOutput& output) const {
    for (int i = 0; i < kMountTries; ++i) {
      if (attempt.server.AwaitEnd(kMountPause)) {
        return Fail(ErrorCode::kIoError, "fuse2fs: " + InOneLine(output.Text()));
      }
      if (!PathOf(attempt.record).empty()) return {};
    }
    attempt.server.Signal(SIGKILL);
    static_cast<void>(attempt.server.AwaitEnd(kKilledLimit));
    return Fail(ErrorCode::kIoError, "fuse2fs has not mounted it within two minutes");
  }

  Status UnmountPath(const std::string& path, const Unmounting& unmounting) {
    std::string program = tools_.Find("fusermount3");
    if (program.empty()) program = tools_.Find("fusermount");
    if (program.empty()) return Fail(NotInstalled("fusermount3", "fuse3"));
    ASSIGN_OR_RETURN(ProgramEnd end, RunProgram({program, "-u", path}));
    if (!end.ok() && unmounting.by_force()) {
      ASSIGN_OR_RETURN(end, RunProgram({program, "-u", "-z", path}));
    }
    if (end.ok()) return {};
    const bool busy = end.output.find("busy") != std::string::npos;
    return Fail(busy ? ErrorCode::kConflict : ErrorCode::kIoError, InOneLine(end.output));
  }

  const FileSystems& tools_;
  const uid_t uid_;
};

}  // namespace

std::unique_ptr<Way> NewFuse2fsWay(const FileSystems& tools, uid_t uid) {
  return std::make_unique<Fuse2fsWay>(tools, uid);
}

}  // namespace coffer::mount

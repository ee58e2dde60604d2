// Root's way: a loop device, mount(8).
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/mount_table.h"
#include "core/base/unique_fd.h"
#include "core/mount/flush.h"
#include "core/mount/growth.h"
#include "core/mount/loop_device.h"
#include "core/mount/way.h"

namespace coffer::mount {
namespace {

class LoopWay final : public Way {
 public:
  LoopWay(const FileSystems& tools, const LoopDevices& loops, uid_t uid)
      : tools_(tools), loops_(loops), uid_(uid) {}
  [[nodiscard]] const char* name() const override { return "loop"; }

  [[nodiscard]] Status CheckCan(const MountSpec&, const std::string&) const override {
    if (uid_ != 0) {
      return Fail(ErrorCode::kUnsupported, "cofferd does not run as root, who alone may do that");
    }
    if (tools_.Find("mount").empty()) return Fail(NotInstalled("mount", "mount"));
    if (access("/dev/loop-control", R_OK | W_OK) == 0) return {};
    return Fail(ErrorCode::kUnsupported, std::string("/dev/loop-control: ") + std::strerror(errno),
                "modprobe loop");
  }

  Status Mount(Attempt& attempt) override {
    RETURN_IF_ERROR(CheckCan(attempt.spec, attempt.file_system));
    const std::string program = tools_.Find("mount");
    int keep = -1;
    ASSIGN_OR_RETURN(attempt.record.device,
                     SetUpLoop(attempt.spec.image, attempt.spec.read_only, &keep));
    const UniqueFd kept(keep);  // closed at a failure: the device goes with it
    const Status mounted = MountDevice(program, attempt);
    if (!mounted.has_value()) attempt.record.device.clear();
    return mounted;
  }

  Status Unmount(const Record& record, Child&, Unmounting& unmounting) override {
    // Not all at once: what is mounted several times is taken away in the reverse order.
    for (std::string path = PathOf(record); !path.empty(); path = PathOf(record)) {
      RETURN_IF_ERROR(UnmountPath(path, unmounting));
    }
    if (!record.device.empty() && loops_.BackingFileOf(record.device) == record.image) {
      RETURN_IF_ERROR(DetachLoop(record.device));
    }
    return {};
  }

  [[nodiscard]] std::string PathOf(const Record& record) const override {
    const auto seen = FindMount(record.point.path);
    if (!seen.has_value() || !*seen) return {};
    const std::vector<std::string> devices = loops_.On(record.image);
    const bool is_ours =
        std::find(devices.begin(), devices.end(), (*seen)->source) != devices.end();
    return is_ours ? record.point.path : std::string();
  }

  [[nodiscard]] bool IsHeld(const Record& record) const override {
    return loops_.BackingFileOf(record.device) == record.image && loops_.IsInUse(record.device);
  }

  [[nodiscard]] std::string ImageGrew(const Record& record, const std::string& file_system,
                                      std::uint64_t image_bytes) const override {
    return GrowLoop(loops_, {record.device, record.point.path, file_system, record.image},
                    image_bytes);
  }

 private:
  Status MountDevice(const std::string& program, Attempt& attempt) {
    const std::string& device = attempt.record.device;
    if (loops_.SizeOf(device) != attempt.image_bytes) {
      return Fail(ErrorCode::kUnsupported,
                  "the kernel sees " + device + " in another size than " + attempt.spec.image);
    }
    RETURN_IF_ERROR(attempt.save(attempt.record));
    RETURN_IF_ERROR(TakeMountPoint(attempt.record.point));
    attempt.path = attempt.record.point.path;
    Status mounted;
    for (const MountOptions& options : KernelOptions(attempt.file_system, attempt.access())) {
      ASSIGN_OR_RETURN(const ProgramEnd end,
                       RunProgram({program, "-t", attempt.file_system, "-o",
                                   options.words + ",nosuid,nodev", device, attempt.path}));
      attempt.note = options.note;
      if (end.ok()) return {};
      // What is said of the plainest options counts.
      if (mounted.has_value()) mounted = Fail(MountError(end.output));
    }
    return mounted;
  }

  static Error MountError(const std::string& output) {
    const bool kernel_lacks_it = output.find("unknown filesystem") != std::string::npos;
    return {kernel_lacks_it ? ErrorCode::kUnsupported : ErrorCode::kIoError, InOneLine(output)};
  }

  Status UnmountPath(const std::string& path, Unmounting& unmounting) {
    const std::string program = tools_.Find("umount");
    if (program.empty()) return Fail(NotInstalled("umount", "mount"));
    if (unmounting.by_force()) return UnmountByForce(program, path, unmounting);
    ASSIGN_OR_RETURN(const ProgramEnd end, RunProgram({program, path}));
    if (end.ok()) return {};
    const bool busy = end.output.find("busy") != std::string::npos;
    return Fail(busy ? ErrorCode::kConflict : ErrorCode::kIoError, InOneLine(end.output));
  }

  /// Never waits for what stands still: out of sight at least it is at once.
  Status UnmountByForce(const std::string& program, const std::string& path,
                        Unmounting& unmounting) {
    FlushByForce(tools_, path, unmounting);
    if (unmounting.lost.empty()) {
      const auto end = RunProgram({program, path}, {.limit = unmounting.how.patience});
      if (end.has_value() && end->ok()) return {};
    }
    ASSIGN_OR_RETURN(const ProgramEnd end,
                     RunProgram({program, "-l", path}, {.limit = unmounting.how.patience}));
    if (end.ok()) return {};
    return Fail(ErrorCode::kIoError, InOneLine(end.output));
  }

  const FileSystems& tools_;
  const LoopDevices& loops_;
  const uid_t uid_;
};

}  // namespace

std::unique_ptr<Way> NewLoopWay(const FileSystems& tools, const LoopDevices& loops, uid_t uid) {
  return std::make_unique<LoopWay>(tools, loops, uid);
}

}  // namespace coffer::mount

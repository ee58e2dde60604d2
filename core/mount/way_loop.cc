// Root's way: a loop device, mount(8).
#include <algorithm>

#include "core/base/mount_table.h"
#include "core/base/unique_fd.h"
#include "core/mount/growth.h"
#include "core/mount/loop_device.h"
#include "core/mount/way.h"

namespace coffer::mount {
namespace {

constexpr std::chrono::milliseconds kFlushLimit{30'000};

class LoopWay final : public Way {
 public:
  LoopWay(const FileSystems& tools, const LoopDevices& loops, uid_t uid)
      : tools_(tools), loops_(loops), uid_(uid) {}
  [[nodiscard]] const char* name() const override { return "loop"; }

  Status Mount(Attempt& attempt) override {
    if (uid_ != 0) {
      return Fail(ErrorCode::kUnsupported, "cofferd does not run as root, who alone may do that");
    }
    const std::string program = tools_.Find("mount");
    if (program.empty()) return Fail(NotInstalled("mount", "mount"));
    int keep = -1;
    ASSIGN_OR_RETURN(attempt.record.device,
                     SetUpLoop(attempt.spec.image, attempt.spec.read_only, &keep));
    const UniqueFd kept(keep);  // closed at a failure: the device goes with it
    const Status mounted = MountDevice(program, attempt);
    if (!mounted.has_value()) attempt.record.device.clear();
    return mounted;
  }

  Status Unmount(const Record& record, Child&, Force force) override {
    // Not all at once: what is mounted several times is taken away in the reverse order.
    for (std::string path = PathOf(record); !path.empty(); path = PathOf(record)) {
      RETURN_IF_ERROR(UnmountPath(path, force));
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
    const std::string options = std::string(attempt.spec.read_only ? "ro" : "rw") + ",nosuid,nodev";
    ASSIGN_OR_RETURN(const ProgramEnd end,
                     RunProgram({program, "-t", attempt.file_system, "-o", options, device,
                                 attempt.record.point.path}));
    attempt.path = attempt.record.point.path;
    if (end.ok()) return {};
    const bool kernel_lacks_it = end.output.find("unknown filesystem") != std::string::npos;
    return Fail(kernel_lacks_it ? ErrorCode::kUnsupported : ErrorCode::kIoError, end.output);
  }

  Status UnmountPath(const std::string& path, Force force) {
    const std::string program = tools_.Find("umount");
    if (program.empty()) return Fail(NotInstalled("umount", "mount"));
    ASSIGN_OR_RETURN(ProgramEnd end, RunProgram({program, path}));
    if (end.ok()) return {};
    if (force == Force::kYes) {
      const std::string sync = tools_.Find("sync");
      if (!sync.empty()) static_cast<void>(RunProgram({sync, "-f", path}, {.limit = kFlushLimit}));
      ASSIGN_OR_RETURN(end, RunProgram({program, "-l", path}));
      if (end.ok()) return {};
    }
    const bool busy = end.output.find("busy") != std::string::npos;
    return Fail(busy ? ErrorCode::kConflict : ErrorCode::kIoError, end.output);
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

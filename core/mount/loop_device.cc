#include "core/mount/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "core/mount/system_files.h"

namespace coffer::mount {
namespace {

constexpr int kTries = 16;  // somebody else may take the device just found free
constexpr std::uint64_t kSectorBytes = 512;

}  // namespace

Result<UniqueFd> OpenForLoop(const std::string& image, bool read_only) {
  const int mode = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW;
  UniqueFd fd(open(image.c_str(), mode | O_DIRECT));
  if (!fd.valid()) fd = UniqueFd(open(image.c_str(), mode));
  if (!fd.valid()) return Fail(ErrorFromErrno(errno, "opening " + image));
  return fd;
}

Result<std::string> SetUpLoop(const std::string& image, bool read_only, int* keep_fd) {
  ASSIGN_OR_RETURN(const UniqueFd file, OpenForLoop(image, read_only));
  const UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control.valid()) {
    return Fail(ErrorCode::kUnsupported, std::string("/dev/loop-control: ") + std::strerror(errno));
  }
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(file.get());
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
  if (read_only) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
  std::strncpy(reinterpret_cast<char*>(config.info.lo_file_name), image.c_str(), LO_NAME_SIZE - 1);
  int error = 0;
  for (int i = 0; i < kTries; ++i) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) {
      return Fail(ErrorCode::kUnsupported,
                  std::string("no loop device is free: ") + std::strerror(errno));
    }
    std::string device = "/dev/loop" + std::to_string(number);
    UniqueFd loop(open(device.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
    if (!loop.valid()) {
      return Fail(ErrorCode::kUnsupported, device + ": " + std::strerror(errno));
    }
    if (ioctl(loop.get(), LOOP_CONFIGURE, &config) == 0) {
      *keep_fd = dup(loop.get());
      return device;
    }
    error = errno;
    if (error == EINVAL && (config.info.lo_flags & LO_FLAGS_DIRECT_IO) != 0) {
      config.info.lo_flags &= ~static_cast<std::uint32_t>(LO_FLAGS_DIRECT_IO);
    } else if (error != EBUSY) {
      break;
    }
  }
  return Fail(ErrorCode::kUnsupported,
              "setting up a loop device on " + image + ": " + std::strerror(error));
}

std::string LoopDevices::PathOf(const std::string& device, const char* file) const {
  return sys_block_ + "/" + device.substr(device.rfind('/') + 1) + "/" + file;
}

std::string LoopDevices::BackingFileOf(const std::string& device) const {
  // An image served with write-back is a new file to the kernel after a resize: what was set up
  // before is on one that is gone, though served as ever.
  constexpr std::string_view kNameless = " (deleted)";
  std::string path = ReadSystemLine(PathOf(device, "loop/backing_file"));
  if (path.ends_with(kNameless)) path.resize(path.size() - kNameless.size());
  return path;
}

std::uint64_t LoopDevices::SizeOf(const std::string& device) const {
  const std::string text = ReadSystemLine(PathOf(device, "size"));
  std::uint64_t sectors = 0;
  std::from_chars(text.data(), text.data() + text.size(), sectors);
  return sectors * kSectorBytes;
}

bool LoopDevices::TakesDiscards(const std::string& device) const {
  for (const char* const limit : {"queue/discard_max_bytes", "queue/discard_granularity"}) {
    const std::string text = ReadSystemLine(PathOf(device, limit));
    if (text.empty() || text == "0") return false;
  }
  return true;
}

bool LoopDevices::IsInUse(const std::string& device) const {
  if (BackingFileOf(device).empty()) return false;
  // It would have gone at its last use.
  if (ReadSystemLine(PathOf(device, "loop/autoclear")) == "1") return true;
  const std::string name = device.substr(device.rfind('/') + 1);
  const std::string file_systems = sys_block_ + "/../fs";
  for (const char* const type : {"/ext4", "/xfs"}) {
    for (const std::string& used : ListSystemDirectory(file_systems + type)) {
      if (used == name) return true;
    }
  }
  for (const std::string& id : ListSystemDirectory(file_systems + "/btrfs")) {
    for (const std::string& used :
         ListSystemDirectory(file_systems + "/btrfs/" + id + "/devices")) {
      if (used == name) return true;
    }
  }
  return false;
}

std::vector<std::string> LoopDevices::On(const std::string& image) const {
  std::vector<std::string> found;
  for (const std::string& name : ListSystemDirectory(sys_block_)) {
    if (name.substr(0, 4) != "loop") continue;
    const std::string device = "/dev/" + name;
    if (BackingFileOf(device) == image) found.push_back(device);
  }
  return found;
}

Status TakeOverFileSize(const std::string& device) {
  // Reading is enough for root; writing a kernel may refuse while it is mounted.
  const UniqueFd loop(open(device.c_str(), O_RDONLY | O_CLOEXEC));
  if (!loop.valid()) return Fail(ErrorFromErrno(errno, "opening " + device));
  if (ioctl(loop.get(), LOOP_SET_CAPACITY) == 0) return {};
  return Fail(ErrorFromErrno(errno, "resizing " + device));
}

Status DetachLoop(const std::string& device) {
  const UniqueFd loop(open(device.c_str(), O_RDONLY | O_CLOEXEC));
  if (!loop.valid()) return Fail(ErrorFromErrno(errno, "opening " + device));
  if (ioctl(loop.get(), LOOP_CLR_FD) == 0 || errno == ENXIO) return {};
  return Fail(ErrorFromErrno(errno, "detaching " + device));
}

}  // namespace coffer::mount

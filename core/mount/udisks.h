// What is asked of udisks2, the service that mounts a desktop user's disks for him.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"

namespace coffer::mount {

/// Errors: kUnsupported when it is not there or does not allow it (polkit), kConflict when busy,
/// kIoError with its words for anything else. One thread.
class Udisks {
 public:
  virtual ~Udisks() = default;

  /// kUnsupported when no udisks2 answers.
  virtual Status Check() = 0;

  struct Loop {
    std::string object;  // how to speak of it from now on
    std::string device;  // "/dev/loop0"
  };
  virtual Result<Loop> SetUpLoop(int image_fd, bool read_only) = 0;
  /// Mounts what is on it, with options of mount(8) ("ro,noload"); where. kNotFound when udisks
  /// sees no file system on it.
  virtual Result<std::string> Mount(const std::string& object, const std::string& options) = 0;
  /// From now on the loop device goes when it is unmounted, by whomever.
  virtual Status ClearAfterUse(const std::string& object) = 0;

  /// How long a call may take: a mount replays a journal, an unmount writes what is dirty.
  static constexpr std::chrono::milliseconds kLongCall{600'000};
  enum class Force { kNo, kLazily };
  virtual Status Unmount(const std::string& object, Force force,
                         std::chrono::milliseconds limit) = 0;
  virtual Status DeleteLoop(const std::string& object, std::chrono::milliseconds limit) = 0;
};

using ConnectUdisks = std::function<Result<std::unique_ptr<Udisks>>()>;

/// The one on the system bus.
Result<std::unique_ptr<Udisks>> ConnectSystemUdisks();

}  // namespace coffer::mount

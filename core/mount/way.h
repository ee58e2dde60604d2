// One way to mount an image; mounter.h lists them. Each knows how to undo its own work from the
// record alone, since that may be another process's. Called on threads with descriptors of their
// own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/mount/file_systems.h"
#include "core/mount/loop_device.h"
#include "core/mount/mounter.h"
#include "core/mount/record.h"

namespace coffer::mount {

/// A mount being made: what is asked for, and what has come of it.
struct Attempt {
  const MountSpec& spec;
  std::string file_system;  // what the image holds
  std::uint64_t image_bytes = 0;
  Record record;
  std::function<Status(const Record&)> save;  // durable when it returns
  std::string path;                           // where the files are, once it is mounted
  Child server;                               // that serves them, if a process of ours does
  std::string note;                           // as MountedAs has it
  [[nodiscard]] Access access() const {
    return spec.read_only ? Access::kReadOnly : Access::kReadWrite;
  }
};

/// A mount being undone.
struct Unmounting {
  const UnmountHow& how;
  std::string lost = {};  // what could not be flushed, and why
  [[nodiscard]] bool by_force() const { return how.force == Force::kYes; }
};

class Way {
 public:
  virtual ~Way() = default;
  [[nodiscard]] virtual const char* name() const = 0;
  /// kUnsupported where it is known beforehand that it does not work.
  [[nodiscard]] virtual Status CheckCan(const MountSpec& spec,
                                        const std::string& file_system) const = 0;
  /// kUnsupported: not in this way, and nothing is left of the attempt; another may work. Any other
  /// error would be met in the other ways too.
  virtual Status Mount(Attempt& attempt) = 0;
  /// Unmounts what `record` describes, if it is still there; nothing else. kConflict while in use.
  virtual Status Unmount(const Record& record, Child& server, Unmounting& unmounting) = 0;
  /// Where it is mounted now; "" for nowhere.
  [[nodiscard]] virtual std::string PathOf(const Record& record) const = 0;
  /// Whether the kernel uses the image though it is mounted nowhere that can be seen.
  [[nodiscard]] virtual bool IsHeld(const Record& record) const = 0;
  /// MountedImage::ImageGrew, of what is mounted and holds a `file_system`.
  [[nodiscard]] virtual std::string ImageGrew(const Record& record, const std::string& file_system,
                                              std::uint64_t image_bytes) const = 0;
};

[[nodiscard]] std::unique_ptr<Way> NewLoopWay(const FileSystems& tools, const LoopDevices& loops,
                                              uid_t uid);
[[nodiscard]] std::unique_ptr<Way> NewUdisksWay(const FileSystems& tools, const LoopDevices& loops,
                                                ConnectUdisks connect);
[[nodiscard]] std::unique_ptr<Way> NewFuse2fsWay(const FileSystems& tools, uid_t uid);

}  // namespace coffer::mount

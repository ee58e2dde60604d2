// Instance: this process as the one cofferd on its state and runtime directories. Holds both locks
// while it lives, so that whoever holds them may remove what a killed daemon left behind.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/control/places.h"

namespace coffer::daemon {

class Instance {
 public:
  /// Makes and checks the directories, takes the locks, removes stale sockets, writes the pid file.
  /// kConflict when another daemon has one of the directories; kInvalidArgument for a place that
  /// is not private or whose socket path is too long. Sockets at the paths in `inherited` are left
  /// alone: they are the listening ones that somebody handed to this process.
  static Result<std::unique_ptr<Instance>> Claim(FileSystem& fs, const control::Places& places,
                                                 uid_t uid, pid_t pid,
                                                 const std::vector<std::string>& inherited = {});
  ~Instance();

 private:
  Instance(FileSystem& fs, control::Places places) : fs_(fs), places_(std::move(places)) {}

  Status TakeLocks();

  FileSystem& fs_;
  const control::Places places_;
  std::unique_ptr<FileLock> state_lock_;
  std::unique_ptr<FileLock> runtime_lock_;
};

}  // namespace coffer::daemon

// Server: coffer's FUSE exporter. One mount per directory, shared by all volumes exported there:
// <volume>.img, <volume>.status.json, snapshots/. Each mount has threads of its own
// (coffer-fuse) that read the kernel's requests; one of them at a time may be held up by a
// journal's pwrite, in a write that is done in place. What may wait goes to workers of the image's
// own.
//
// Threads: every public call may come from any thread but the mounts' and the workers'. Calls that
// concern one directory take turns.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/block/exporter.h"
#include "fuse/jobs.h"
#include "fuse/mount_point.h"

namespace coffer::fuse {

class Server final : public block::Exporter {
 public:
  /// All outlive the server; `waits` is where its callers wait.
  Server(MountTools tools, Executor& waits, const Clock& clock, FileSystem& fs);
  /// Withdraws what is still exported.
  ~Server() override;

  [[nodiscard]] std::string kind() const override { return "fuse"; }
  Status Check(const block::ExportSpec& spec) override;
  /// `spec.address` is the directory, absolute; its last component is made if it is missing.
  Result<block::ExportPlace> Export(const block::ExportSpec& spec) override;
  /// From every directory it is exported in. A directory without exports is unmounted: lazily if
  /// it is in use, after everything in flight was answered and the device flushed.
  Status Withdraw(const std::string& name) override;
  /// Mounts anew what somebody has unmounted.
  Status Restore(const std::string& name) override;
  void Resized(const std::string& name) override;
  /// Files open.
  [[nodiscard]] int client_count(const std::string& name) const override;

 private:
  struct Directory;
  class Turn;  // the right to change one directory

  Result<std::shared_ptr<Directory>> MountedAt(const std::string& path, bool write_back);
  static Status CheckCache(const Directory& directory, bool write_back);
  Status Mount(Directory& directory);
  void Unmount(Directory& directory);
  void EndSession(Directory& directory);
  void WithdrawFrom(Directory& directory, Image& image);
  [[nodiscard]] std::vector<std::shared_ptr<Directory>> Holding(const std::string& name) const
      EXCLUDES_LOCK(mutex_);

  const MountTools tools_;
  Executor& waits_;
  const Clock& clock_;
  FileSystem& fs_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::set<std::string> being_changed_ GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Directory>> directories_ GUARDED_BY(mutex_);  // by path
};

}  // namespace coffer::fuse

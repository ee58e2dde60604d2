// The requests of the kernel, as libfuse hands them over, answered from a tree of images. Any
// number of threads may be in here at once; none blocks but on memory: what may wait goes to the
// jobs. A request is answered exactly once, by whoever carries it out.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "fuse/low_level.h"
#include "fuse/mount_point.h"
#include "fuse/tree.h"

namespace coffer::fuse {

/// What `fh` of an open file or directory stands for: one of the three.
struct OpenNode {
  std::shared_ptr<Image> image;
  std::string status;  // as it was at open
  std::vector<Node> listing;
};

/// The open nodes of a session. The kernel says when one is closed, except for those that are open
/// when the connection ends. Thread-safe.
class OpenNodes {
 public:
  OpenNodes() = default;
  ~OpenNodes();
  OpenNodes(const OpenNodes&) = delete;
  OpenNodes& operator=(const OpenNodes&) = delete;

  /// A number to know it by, until Close.
  [[nodiscard]] std::uint64_t Open(std::unique_ptr<OpenNode> node) EXCLUDES_LOCK(mutex_);
  void Close(std::uint64_t handle) EXCLUDES_LOCK(mutex_);
  [[nodiscard]] static OpenNode& At(std::uint64_t handle) {
    return *reinterpret_cast<OpenNode*>(handle);
  }

 private:
  static void Ended(const OpenNode& node);

  Mutex mutex_;
  std::map<std::uint64_t, std::unique_ptr<OpenNode>> nodes_ GUARDED_BY(mutex_);
};

/// What a mounted directory answers from: the session's user data. All outlive the session.
struct Mounted {
  Tree& tree;
  const MountTools& tools;
  const std::string& path;  // of the directory
  const Clock& clock;
  const bool write_back;  // the kernel is offered its write-back cache
  const uid_t uid;
  const gid_t gid;
  const UnixSeconds since;
  OpenNodes open = {};
  /// A loop writes in place. One at a time may: should the disk hold it up, the other goes on.
  std::atomic<bool> writing_in_place = false;
};

[[nodiscard]] const fuse_lowlevel_ops& Operations();

/// For the files that share the table.
inline Mounted& MountedOf(fuse_req_t request) {
  return *static_cast<Mounted*>(fuse_req_userdata(request));
}
inline OpenNode& OpenNodeOf(const fuse_file_info* file) { return OpenNodes::At(file->fh); }
/// Fills in what a file does, and what a name does.
void AddFileOperations(fuse_lowlevel_ops& operations);
void AddNameOperations(fuse_lowlevel_ops& operations);

}  // namespace coffer::fuse

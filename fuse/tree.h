// Tree: what a mounted directory holds. <volume>.img and <volume>.status.json for each image, and
// snapshots/, empty so far. Thread-safe; memory only.
//
// Inode numbers: 1 the root, 2 snapshots/, then an even and the next odd number for each image and
// its status. None is used twice in the life of a tree: a file still open after its volume has gone
// can never be taken for another one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/result.h"
#include "fuse/image.h"

namespace coffer::fuse {

using Inode = std::uint64_t;
inline constexpr Inode kRootInode = 1;
inline constexpr Inode kSnapshotsInode = 2;

struct Node {
  enum class Kind { kDirectory, kImage, kStatus };
  Kind kind;
  Inode inode;
  std::string name;
  std::shared_ptr<Image> image;  // null for a directory
};

class Tree {
 public:
  /// kAlreadyExists if a file of that name is there.
  Status Add(std::shared_ptr<Image> image) EXCLUDES_LOCK(mutex_);
  void Remove(const Image& image) EXCLUDES_LOCK(mutex_);
  /// What Add would say to an image of that FileStem.
  [[nodiscard]] Status CheckFree(const std::string& stem) const EXCLUDES_LOCK(mutex_);

  [[nodiscard]] std::optional<Node> Find(Inode inode) const EXCLUDES_LOCK(mutex_);
  [[nodiscard]] std::optional<Node> Find(Inode directory, std::string_view name) const
      EXCLUDES_LOCK(mutex_);
  /// Without "." and "..".
  [[nodiscard]] std::vector<Node> List(Inode directory) const EXCLUDES_LOCK(mutex_);
  /// The image's and its status's, now.
  [[nodiscard]] std::vector<Node> NodesOf(const Image& image) const EXCLUDES_LOCK(mutex_);
  [[nodiscard]] std::vector<std::shared_ptr<Image>> images() const EXCLUDES_LOCK(mutex_);
  /// Null if there is none.
  [[nodiscard]] std::shared_ptr<Image> FindImage(std::string_view name) const EXCLUDES_LOCK(mutex_);
  [[nodiscard]] bool empty() const EXCLUDES_LOCK(mutex_);

 private:
  using Images = std::map<Inode, std::shared_ptr<Image>>;
  [[nodiscard]] static Node ImageNode(const Images::value_type& entry);
  [[nodiscard]] static Node StatusNode(const Images::value_type& entry);
  [[nodiscard]] std::vector<Node> ListLocked(Inode directory) const REQUIRES_LOCK(mutex_);

  [[nodiscard]] Status CheckFreeLocked(const std::string& stem) const REQUIRES_LOCK(mutex_);

  mutable Mutex mutex_;
  Images images_ GUARDED_BY(mutex_);  // by inode number
  Inode next_ GUARDED_BY(mutex_) = 4;
};

}  // namespace coffer::fuse

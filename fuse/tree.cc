#include "fuse/tree.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace coffer::fuse {

Node Tree::ImageNode(const Images::value_type& entry) {
  return {Node::Kind::kImage, entry.first, entry.second->file_stem() + ".img", entry.second};
}

Node Tree::StatusNode(const Images::value_type& entry) {
  return {Node::Kind::kStatus, entry.first + 1, entry.second->file_stem() + ".status.json",
          entry.second};
}

Status Tree::CheckFreeLocked(const std::string& stem) const {
  for (const auto& [inode, other] : images_) {
    if (other->file_stem() == stem) {
      return Fail(ErrorCode::kAlreadyExists, Concat("a file ", stem, ".img is there"));
    }
  }
  return {};
}

Status Tree::CheckFree(const std::string& stem) const {
  MutexLock lock(mutex_);
  return CheckFreeLocked(stem);
}

Status Tree::Add(std::shared_ptr<Image> image) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(CheckFreeLocked(image->file_stem()));
  images_.emplace(std::exchange(next_, next_ + 2), std::move(image));
  return {};
}

void Tree::Remove(const Image& image) {
  const auto is_it = [&](const auto& entry) { return entry.second.get() == &image; };
  MutexLock lock(mutex_);
  std::erase_if(images_, is_it);
}

std::vector<Node> Tree::ListLocked(Inode directory) const {
  std::vector<Node> nodes;
  if (directory != kRootInode) return nodes;
  for (const auto& entry : images_) {
    nodes.push_back(ImageNode(entry));
    nodes.push_back(StatusNode(entry));
  }
  nodes.push_back({Node::Kind::kDirectory, kSnapshotsInode, "snapshots", nullptr});
  return nodes;
}

std::vector<Node> Tree::List(Inode directory) const {
  MutexLock lock(mutex_);
  return ListLocked(directory);
}

std::optional<Node> Tree::Find(Inode inode) const {
  if (inode == kRootInode) return Node{Node::Kind::kDirectory, inode, "", nullptr};
  if (inode == kSnapshotsInode) return Node{Node::Kind::kDirectory, inode, "snapshots", nullptr};
  const Inode of_image = inode - inode % 2;
  MutexLock lock(mutex_);
  const auto found = images_.find(of_image);
  if (found == images_.end()) return std::nullopt;
  return inode == of_image ? ImageNode(*found) : StatusNode(*found);
}

std::optional<Node> Tree::Find(Inode directory, std::string_view name) const {
  MutexLock lock(mutex_);
  for (Node& node : ListLocked(directory)) {
    if (node.name == name) return std::move(node);
  }
  return std::nullopt;
}

std::vector<Node> Tree::NodesOf(const Image& image) const {
  std::vector<Node> nodes = List(kRootInode);
  std::erase_if(nodes, [&image](const Node& node) { return node.image.get() != &image; });
  return nodes;
}

std::vector<std::shared_ptr<Image>> Tree::images() const {
  std::vector<std::shared_ptr<Image>> images;
  MutexLock lock(mutex_);
  for (const auto& [inode, image] : images_) images.push_back(image);
  return images;
}

std::shared_ptr<Image> Tree::FindImage(std::string_view name) const {
  MutexLock lock(mutex_);
  for (const auto& [inode, image] : images_) {
    if (image->name() == name) return image;
  }
  return nullptr;
}

bool Tree::empty() const {
  MutexLock lock(mutex_);
  return images_.empty();
}

}  // namespace coffer::fuse

// The other side of FaultyFileSystem: events, faults, set-up, inspection, counts.
#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"
#include "tests/support/faulty_file_system.h"

namespace coffer {

std::vector<std::shared_ptr<FakeNode>> FaultyFileSystem::LiveNodesLocked() const {
  std::vector<std::shared_ptr<FakeNode>> live;
  for (const auto& weak : nodes_) {
    if (auto node = weak.lock()) live.push_back(std::move(node));
  }
  return live;
}

// The world's events.

void FaultyFileSystem::Halt() {
  MutexLock lock(mutex_);
  halted_ = true;
}

void FaultyFileSystem::HaltAt(std::uint64_t nth) {
  CHECK(nth > 0);
  MutexLock lock(mutex_);
  halt_in_ = nth;
}

void FaultyFileSystem::RestartLocked() {
  ++epoch_;
  halted_ = false;
  halt_in_.reset();
  for (const auto& node : LiveNodesLocked()) node->locked = false;
  std::erase_if(nodes_, [](const auto& weak) { return weak.expired(); });
}

void FaultyFileSystem::PowerCut(CutMode mode) {
  MutexLock lock(mutex_);
  const Cut cut{mode, random_, random_.Below(next_number_ + 1)};
  for (const auto& node : LiveNodesLocked()) node->DecideMoves(cut);
  for (const auto& node : LiveNodesLocked()) node->Settle(cut);
  faults_.clear();
  read_only_ = false;
  RestartLocked();
}

void FaultyFileSystem::Crash() {
  MutexLock lock(mutex_);
  RestartLocked();
}

void FaultyFileSystem::Reseed(std::uint64_t seed) { random_.Seed(seed); }

// Faults.

void FaultyFileSystem::AddFault(FsFault fault) {
  CHECK(fault.nth > 0);
  MutexLock lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FaultyFileSystem::ClearFaults() {
  MutexLock lock(mutex_);
  faults_.clear();
  read_only_ = false;
}

void FaultyFileSystem::SetReadOnly() {
  MutexLock lock(mutex_);
  read_only_ = true;
}

void FaultyFileSystem::SetTotalBytes(std::uint64_t total_bytes) {
  MutexLock lock(mutex_);
  total_bytes_ = total_bytes;
}

// Set-up and inspection.

void FaultyFileSystem::AddDirectories(const std::string& path) {
  MutexLock lock(mutex_);
  std::shared_ptr<FakeDirectory> directory = root_;
  for (const std::string& name : SplitFakePath(path)) {
    const auto found = directory->visible().find(name);
    if (found == directory->visible().end()) {
      auto made = NewDirectoryLocked();
      directory->SetDurably(name, made);
      directory = std::move(made);
    } else {
      CHECK(found->second->is_directory);
      directory = std::static_pointer_cast<FakeDirectory>(found->second);
    }
  }
}

void FaultyFileSystem::AddFile(const std::string& path, ByteView data) {
  AddImage(path, FakeImage(data));
}

void FaultyFileSystem::AddImage(const std::string& path, const FakeImage& data) {
  AddDirectories(path.substr(0, path.find_last_of('/') + 1));
  MutexLock lock(mutex_);
  const Result<Place> place = FindLocked(path, "add");
  CHECK(place.has_value() && place->parent != nullptr);
  auto file = NewFileLocked();
  file->SetDurably(data);
  place->parent->SetDurably(place->name, std::move(file));
}

void FaultyFileSystem::SetOwnerAndMode(const std::string& path, std::uint32_t owner_uid,
                                       std::uint32_t mode) {
  MutexLock lock(mutex_);
  const Result<Place> place = FindLocked(path, "change");
  CHECK(place.has_value() && place->node != nullptr);
  place->node->owner_uid = owner_uid;
  place->node->mode = mode;
}

void FaultyFileSystem::Damage(const std::string& path, std::uint64_t offset, std::byte flip) {
  MutexLock lock(mutex_);
  const Result<Place> place = FindLocked(path, "damage");
  CHECK(place.has_value() && place->node != nullptr && !place->node->is_directory);
  static_cast<FakeFile&>(*place->node).Damage(offset, flip);
}

std::vector<std::string> FaultyFileSystem::Files() const {
  std::vector<std::string> files;
  const std::shared_ptr<const Image> image = Save();  // outlives the loop over its entries
  for (const auto& [path, entry] : image->entries) {
    if (!entry.is_directory) files.push_back(path);
  }
  return files;
}

std::optional<Bytes> FaultyFileSystem::Contents(const std::string& path) const {
  MutexLock lock(mutex_);
  const Result<Place> place = FindLocked(path, "read");
  if (!place.has_value() || place->node == nullptr || place->node->is_directory) {
    return std::nullopt;
  }
  return static_cast<const FakeFile&>(*place->node).visible().Contents();
}

std::shared_ptr<const FaultyFileSystem::Image> FaultyFileSystem::Save() const {
  MutexLock lock(mutex_);
  auto image = std::make_shared<Image>();
  std::vector<std::pair<std::string, std::shared_ptr<FakeNode>>> queue{{"", root_}};
  while (!queue.empty()) {
    const auto [path, node] = std::move(queue.back());
    queue.pop_back();
    Image::Entry entry{node->is_directory, node->mode, node->owner_uid, {}};
    if (node->is_directory) {
      for (const auto& child : static_cast<const FakeDirectory&>(*node).visible()) {
        queue.emplace_back(Concat(path, "/", child.first), child.second);
      }
    } else {
      entry.data = static_cast<const FakeFile&>(*node).visible();
    }
    if (!path.empty()) image->entries.emplace(path, std::move(entry));
  }
  return image;
}

void FaultyFileSystem::Load(const Image& image) {
  {
    MutexLock lock(mutex_);
    root_ = NewDirectoryLocked();
    RestartLocked();
  }
  for (const auto& [path, entry] : image.entries) {
    if (entry.is_directory) {
      AddDirectories(path);
    } else {
      AddImage(path, entry.data);
    }
    SetOwnerAndMode(path, entry.owner_uid, entry.mode);
  }
}

// Counts.

std::uint64_t FaultyFileSystem::call_count(FsCall call) const {
  MutexLock lock(mutex_);
  const auto found = calls_.find(call);
  return found == calls_.end() ? 0 : found->second;
}

std::uint64_t FaultyFileSystem::call_count() const {
  MutexLock lock(mutex_);
  std::uint64_t total = 0;
  for (const auto& [call, count] : calls_) total += count;
  return total;
}

std::uint64_t FaultyFileSystem::change_count() const {
  MutexLock lock(mutex_);
  return changes_;
}

bool FaultyFileSystem::halted() const {
  MutexLock lock(mutex_);
  return halted_;
}

std::vector<std::string> FaultyFileSystem::RecentCalls() const {
  MutexLock lock(mutex_);
  return {recent_.begin(), recent_.end()};
}

std::uint64_t FaultyFileSystem::digest() const {
  MutexLock lock(mutex_);
  return digest_;
}

}  // namespace coffer

#include "tests/support/fake_disk.h"

#include <algorithm>
#include <array>
#include <utility>

namespace coffer {
namespace {

bool Keep(const Cut& cut, std::uint64_t number) {
  switch (cut.mode) {
    case CutMode::kDropAll:
      return false;
    case CutMode::kKeepAll:
      return true;
    case CutMode::kRandomSubset:
      return cut.random.OneIn(2);
    case CutMode::kPrefix:
      return number <= cut.last_kept;
  }
  return false;
}

}  // namespace

void FakeFile::Apply(const Operation& operation, FakeImage& image) {
  image.Resize(operation.size_after);
  image.Write(operation.offset, operation.data);
  image.Zero(operation.offset, operation.zeros);
}

void FakeFile::Write(std::uint64_t number, std::uint64_t offset, ByteView data) {
  if (data.empty()) return;
  const std::uint64_t size_after = std::max<std::uint64_t>(visible_.size(), offset + data.size());
  MarkAllocated(offset, data.size());
  unsynced_.push_back({number, offset, ToBytes(data), size_after, size_after != visible_.size()});
  Apply(unsynced_.back(), visible_);
}

void FakeFile::Resize(std::uint64_t number, std::uint64_t size) {
  if (size == visible_.size()) return;
  unsynced_.push_back({number, 0, {}, size, true});
  Apply(unsynced_.back(), visible_);
  FreeBeyond(size);
}

void FakeFile::Allocate(std::uint64_t number, std::uint64_t size) {
  if (size > visible_.size()) Resize(number, size);
  MarkAllocated(0, size);
}

void FakeFile::Discard(std::uint64_t number, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = std::min<std::uint64_t>(visible_.size(), offset + length);
  if (offset >= end) return;
  unsynced_.push_back({number, offset, {}, visible_.size(), false, end - offset});
  Apply(unsynced_.back(), visible_);
  const std::uint64_t first = (offset + kFakePageBytes - 1) / kFakePageBytes;
  const std::uint64_t last = end == visible_.size()
                                 ? allocated_.size()
                                 : std::min(allocated_.size(), end / kFakePageBytes);
  for (std::uint64_t page = first; page < last; ++page) {
    if (!allocated_[page]) continue;
    allocated_[page] = false;
    --allocated_count_;
    --*disk_used_;
  }
}

void FakeFile::Sync() {
  // Not durable_ = visible_: what a failed sync forgot stays forgotten.
  for (const Operation& operation : unsynced_) Apply(operation, durable_);
  unsynced_.clear();
}

void FakeFile::Settle(const Cut& cut) {
  if (cut.mode == CutMode::kKeepAll) Sync();
  if (cut.mode == CutMode::kRandomSubset) SettleSectors(cut);
  if (cut.mode == CutMode::kPrefix) SettlePrefix(cut);
  unsynced_.clear();
  visible_ = durable_;
  FreeBeyond(durable_.size());
  locked = false;
}

void FakeFile::SettleSectors(const Cut& cut) {
  FakeImage running = durable_;  // as if every operation so far had reached the disk
  FakeImage kept = durable_;     // as long as the longest of all, cut to kept_size at the end
  std::uint64_t kept_size = durable_.size();
  for (const Operation& operation : unsynced_) {
    const std::uint64_t size_before = running.size();
    Apply(operation, running);
    if (kept.size() < running.size()) kept.Resize(running.size());
    if (operation.resizes && cut.random.OneIn(2)) {
      kept_size = running.size();
      if (running.size() < size_before) kept.Zero(running.size(), kept.size() - running.size());
    }
    const std::uint64_t end = operation.offset + operation.data.size() + operation.zeros;
    for (std::uint64_t at = operation.offset; at < end;) {
      const std::uint64_t sector = at / kFakeSectorBytes * kFakeSectorBytes;
      std::array<std::byte, kFakeSectorBytes> bytes;
      if (cut.random.OneIn(2)) {
        const std::size_t count = running.Read(sector, bytes);
        kept.Write(sector, ByteView(bytes).first(count));
      }
      at = sector + kFakeSectorBytes;
    }
  }
  kept.Resize(kept_size);
  durable_ = std::move(kept);
}

void FakeFile::SettlePrefix(const Cut& cut) {
  for (const Operation& operation : unsynced_) {
    if (operation.number <= cut.last_kept) {
      Apply(operation, durable_);
      continue;
    }
    if (operation.number == cut.last_kept + 1 && operation.data.size() + operation.zeros != 0) {
      const std::vector<Operation> torn{operation};
      unsynced_ = torn;
      SettleSectors(cut);
    }
    return;
  }
}

std::uint64_t FakeFile::NewBytes(std::uint64_t offset, std::uint64_t length) const {
  if (length == 0) return 0;
  std::uint64_t pages = 0;
  for (std::uint64_t page = offset / kFakePageBytes; page <= (offset + length - 1) / kFakePageBytes;
       ++page) {
    if (page >= allocated_.size() || !allocated_[page]) ++pages;
  }
  return pages * kFakePageBytes;
}

void FakeFile::MarkAllocated(std::uint64_t offset, std::uint64_t length) {
  if (length == 0) return;
  const std::uint64_t added = NewBytes(offset, length) / kFakePageBytes;
  allocated_count_ += added;
  *disk_used_ += added;
  const std::uint64_t end = (offset + length + kFakePageBytes - 1) / kFakePageBytes;
  if (allocated_.size() < end) allocated_.resize(end);
  for (std::uint64_t page = offset / kFakePageBytes; page < end; ++page) allocated_[page] = true;
}

void FakeFile::FreeBeyond(std::uint64_t size) {
  const std::uint64_t pages = (size + kFakePageBytes - 1) / kFakePageBytes;
  if (allocated_.size() <= pages) return;
  const auto freed = static_cast<std::uint64_t>(
      std::count(allocated_.begin() + static_cast<std::ptrdiff_t>(pages), allocated_.end(), true));
  allocated_.resize(pages);
  allocated_count_ -= freed;
  *disk_used_ -= freed;
}

void FakeFile::Damage(std::uint64_t offset, std::byte flip) {
  for (FakeImage* image : {&visible_, &durable_}) {
    std::byte byte{};
    if (image->Read(offset, {&byte, 1}) == 0) continue;
    byte ^= flip;
    image->Write(offset, {&byte, 1});
  }
}

void FakeFile::SetDurably(const FakeImage& image) {
  visible_ = durable_ = image;
  unsynced_.clear();
  FreeBeyond(0);
  MarkAllocated(0, image.size());
}

void FakeDirectory::Apply(const Operation& operation) {
  if (operation.node == nullptr) {
    durable_.erase(operation.name);
  } else {
    durable_[operation.name] = operation.node;
  }
}

void FakeDirectory::Set(std::uint64_t number, const std::string& name,
                        std::shared_ptr<FakeNode> node) {
  visible_[name] = node;
  unsynced_.push_back({number, name, std::move(node)});
}

void FakeDirectory::Unset(std::uint64_t number, const std::string& name) {
  visible_.erase(name);
  unsynced_.push_back({number, name, nullptr});
}

void FakeDirectory::Move(std::uint64_t number, const std::string& from_name,
                         const std::shared_ptr<FakeDirectory>& to, const std::string& to_name) {
  to->Set(number, to_name, visible_.at(from_name));
  visible_.erase(from_name);
  unsynced_.push_back({number + 1, from_name, nullptr, to, number});
}

void FakeDirectory::Persist(std::uint64_t number) {
  const auto found = std::find_if(unsynced_.begin(), unsynced_.end(),
                                  [number](const Operation& op) { return op.number == number; });
  if (found == unsynced_.end()) return;
  const Operation operation = *found;
  Apply(operation);
  std::erase_if(unsynced_, [&operation](const Operation& other) {
    return other.name == operation.name && other.number <= operation.number;
  });
}

void FakeDirectory::Sync() {
  const std::vector<Operation> operations = std::exchange(unsynced_, {});
  for (const Operation& operation : operations) {
    Apply(operation);
    const auto to = operation.moved_to.lock();
    if (to != nullptr && to.get() != this) to->Persist(operation.moved_by);
  }
}

void FakeDirectory::DecideMoves(const Cut& cut) {
  // The old name of a rename is lost only together with the new one's coming.
  std::erase_if(unsynced_, [&](const Operation& operation) {
    const auto to = operation.moved_to.lock();
    if (to == nullptr) return false;
    if (!Keep(cut, operation.number)) return true;
    to->kept_.insert(operation.moved_by);
    kept_.insert(operation.number);
    return false;
  });
}

void FakeDirectory::Settle(const Cut& cut) {
  for (const Operation& operation : unsynced_) {
    if (kept_.contains(operation.number) || Keep(cut, operation.number)) Apply(operation);
  }
  unsynced_.clear();
  kept_.clear();
  visible_ = durable_;
}

void FakeDirectory::SetDurably(const std::string& name, std::shared_ptr<FakeNode> node) {
  durable_[name] = node;
  visible_[name] = std::move(node);
}

std::vector<std::string> SplitFakePath(const std::string& path) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    std::string name = path.substr(begin, end - begin);
    if (!name.empty() && name != ".") names.push_back(std::move(name));
    begin = end + 1;
  }
  return names;
}

}  // namespace coffer

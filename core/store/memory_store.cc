#include "core/store/memory_store.h"

#include "core/base/log.h"

namespace coffer::store {

Status MemoryStore::Create(const RequestContext& /*context*/, const std::string& name,
                           ByteView data, ObjectClass /*object_class*/) {
  RETURN_IF_ERROR(CheckObjectName(name));
  auto object = std::make_shared<const Bytes>(data.begin(), data.end());
  const MutexLock lock(mutex_);
  if (!objects_.try_emplace(name, std::move(object)).second) {
    return Fail(ErrorCode::kAlreadyExists, Concat("object ", name, " exists already"));
  }
  return {};
}

Result<Bytes> MemoryStore::Get(const RequestContext& /*context*/, const std::string& name,
                               std::uint64_t size_max) {
  ASSIGN_OR_RETURN(const auto object, Find(name));
  if (object->size() > size_max) {
    return Fail(ErrorCode::kCorruption,
                Concat("object ", name, " holds ", object->size(), " bytes, more than ", size_max));
  }
  return *object;
}

Result<Bytes> MemoryStore::GetRange(const RequestContext& /*context*/, const std::string& name,
                                    std::uint64_t offset, std::uint64_t length) {
  ASSIGN_OR_RETURN(const auto object, Find(name));
  ASSIGN_OR_RETURN(const std::uint64_t there,
                   ClipObjectRange(name, object->size(), offset, length));
  return ToBytes(ByteView(*object).subspan(offset, there));
}

Result<ListPage> MemoryStore::List(const RequestContext& /*context*/, const std::string& prefix,
                                   const std::string& start_after, std::size_t limit) {
  RETURN_IF_ERROR(CheckListLimit(limit));
  ListPage page{{}, false};
  const MutexLock lock(mutex_);
  auto place =
      start_after < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(start_after);
  for (; place != objects_.end() && place->first.starts_with(prefix); ++place) {
    if (page.objects.size() == limit) {
      page.more = true;
      break;
    }
    page.objects.push_back({.name = place->first, .size = place->second->size()});
  }
  return page;
}

Status MemoryStore::Delete(const RequestContext& /*context*/, const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  const MutexLock lock(mutex_);
  if (objects_.erase(name) == 0) {
    return Fail(ErrorCode::kNotFound, Concat("no object ", name));
  }
  return {};
}

MemoryStore::Objects MemoryStore::Snapshot() const {
  const MutexLock lock(mutex_);
  return objects_;
}

void MemoryStore::Restore(Objects objects) {
  const MutexLock lock(mutex_);
  objects_.swap(objects);
}

std::size_t MemoryStore::object_count() const {
  const MutexLock lock(mutex_);
  return objects_.size();
}

std::uint64_t MemoryStore::total_bytes() const {
  const MutexLock lock(mutex_);
  std::uint64_t total = 0;
  for (const auto& [name, object] : objects_) total += object->size();
  return total;
}

Result<std::shared_ptr<const Bytes>> MemoryStore::Find(const std::string& name) const {
  RETURN_IF_ERROR(CheckObjectName(name));
  const MutexLock lock(mutex_);
  const auto found = objects_.find(name);
  if (found == objects_.end()) return Fail(ErrorCode::kNotFound, Concat("no object ", name));
  return found->second;
}

}  // namespace coffer::store

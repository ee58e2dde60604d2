// MemoryStore: objects in memory, with every promise of ObjectStore kept to the letter. Tests build
// on it, as do vaults that are thrown away. Thread-safe.
//
// Objects are shared and never changed, so a Snapshot costs names only. Editing one and giving it
// back is how tests play a provider that rolls back, swaps or damages objects.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/base/mutex.h"
#include "core/store/object_store.h"

namespace coffer::store {

class MemoryStore final : public ObjectStore {
 public:
  using Objects = std::map<std::string, std::shared_ptr<const Bytes>>;

  MemoryStore() = default;
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  [[nodiscard]] StoreCapabilities capabilities() const override { return {.times = false}; }
  [[nodiscard]] std::string description() const override { return "memory"; }
  [[nodiscard]] std::string identity() const override { return "memory:"; }

  /// Everything that is there now, and back to it.
  [[nodiscard]] Objects Snapshot() const;
  void Restore(Objects objects);

  [[nodiscard]] std::size_t object_count() const;
  [[nodiscard]] std::uint64_t total_bytes() const;

 private:
  Result<std::shared_ptr<const Bytes>> Find(const std::string& name) const;

  mutable Mutex mutex_;
  Objects objects_ GUARDED_BY(mutex_);
};

}  // namespace coffer::store

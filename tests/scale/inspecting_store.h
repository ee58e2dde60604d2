// InspectingStore: passes everything on, and adds up what the created objects consist of. Packs it
// opens with the vault's keys (header and table only), so it sees each frame's type and what is
// padding. One thread at a time.
#pragma once

#include <memory>

#include "core/store/object_store.h"
#include "core/vault/key_chest.h"

namespace coffer::scale {

/// Bytes as stored, tags included.
struct StoredBytes {
  std::uint64_t data = 0;
  std::uint64_t deltas = 0;
  std::uint64_t pages = 0;
  std::uint64_t tables = 0;  // prefix, header and table of packs
  std::uint64_t padding = 0;
  std::uint64_t heads = 0;
  std::uint64_t others = 0;  // marker, keys, catalog

  std::uint64_t data_frames = 0;
  std::uint64_t page_frames = 0;
  std::uint64_t packs = 0;

  [[nodiscard]] std::uint64_t total() const {
    return data + deltas + pages + tables + padding + heads + others;
  }
  [[nodiscard]] StoredBytes Since(const StoredBytes& earlier) const;
};

class InspectingStore final : public store::ObjectStore {
 public:
  /// What the tests look at; outlives the store. Packs are taken apart once `keys` are known.
  struct Sight {
    const vault::KeyChest* keys = nullptr;
    StoredBytes stored;
  };

  InspectingStore(std::unique_ptr<store::ObjectStore> inner, Sight& sight)
      : inner_(std::move(inner)), sight_(sight) {}

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                store::ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override {
    return inner_->Get(context, name, size_max);
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override {
    return inner_->GetRange(context, name, offset, length);
  }
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override {
    return inner_->List(context, prefix, start_after, limit);
  }
  Status Delete(const RequestContext& context, const std::string& name) override {
    return inner_->Delete(context, name);
  }
  [[nodiscard]] store::StoreCapabilities capabilities() const override {
    return inner_->capabilities();
  }
  [[nodiscard]] std::string description() const override { return inner_->description(); }
  [[nodiscard]] std::string identity() const override { return inner_->identity(); }

 private:
  Status TakeApart(const std::string& name, ByteView pack);

  const std::unique_ptr<store::ObjectStore> inner_;
  Sight& sight_;
};

}  // namespace coffer::scale

// StoreLayer: what all layers over one store have in common: they own it, and are the same place.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/store/object_store.h"

namespace coffer::store {

class StoreLayer : public ObjectStore {
 public:
  [[nodiscard]] StoreCapabilities capabilities() const override { return inner_->capabilities(); }
  [[nodiscard]] std::string description() const override { return inner_->description(); }
  [[nodiscard]] std::string identity() const override { return inner_->identity(); }

 protected:
  explicit StoreLayer(std::shared_ptr<ObjectStore> inner) : inner_(std::move(inner)) {}

  /// Shared, since a call that never returns keeps what it is in. Set before the first request.
  std::shared_ptr<ObjectStore> inner_;
};

}  // namespace coffer::store

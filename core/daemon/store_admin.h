// StoreAdmin: what is asked of stores themselves, whatever vault is in them. Thread-safe.
#pragma once

#include "core/control/messages.h"
#include "core/daemon/live_config.h"
#include "core/daemon/registry.h"
#include "core/daemon/vault_pool.h"

namespace coffer::daemon {

class StoreAdmin {
 public:
  StoreAdmin(vault::Environment& env, const Registry& registry, VaultPool& pool,
             const LiveConfig& config)
      : env_(env), registry_(registry), pool_(pool), config_(config) {}

  /// kNotFound for a vault that is not known. What the store does not do is in the reply, if it can
  /// be asked at all.
  Result<control::StoreTestReply> Test(const control::StoreTestRequest& request);

 private:
  Result<store::StoreUrl> UrlOf(const control::StoreTestRequest& request) const;

  vault::Environment& env_;
  const Registry& registry_;
  VaultPool& pool_;
  const LiveConfig& config_;
};

}  // namespace coffer::daemon

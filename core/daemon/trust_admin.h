// TrustAdmin: what this machine remembers of a vault against what its store offers; believing the
// store by hand; forgetting a vault. Thread-safe.
#pragma once

#include "core/control/messages.h"
#include "core/daemon/registry.h"
#include "core/daemon/vault_admin.h"
#include "core/daemon/vault_pool.h"

namespace coffer::daemon {

class TrustAdmin {
 public:
  TrustAdmin(Registry& registry, VaultPool& pool, VaultAdmin& admin)
      : registry_(registry), pool_(pool), admin_(admin) {}

  Result<control::TrustInfo> Show(const KnownVault& vault, const control::TrustRequest& request);
  /// kConflict while the vault's keys are held, or when the store offers something else than what
  /// was looked at. Any failure leaves what is remembered as it was.
  Result<control::TrustInfo> Accept(const KnownVault& vault,
                                    const control::TrustAcceptRequest& request);
  /// `waiting_bytes` in the journals of its volumes: kConflict then, unless forced. kConflict while
  /// its keys are held. What is in the state directory stays: `add` makes the vault known again.
  Result<control::Forgotten> Forget(const KnownVault& vault, std::uint64_t waiting_bytes,
                                    const control::ForgetRequest& request);

 private:
  Result<VaultPool::Lease> Unlock(const KnownVault& vault, const SecretBytes& password);
  [[nodiscard]] Status CheckNothingIsOpen(const KnownVault& vault) const;

  Registry& registry_;
  VaultPool& pool_;
  VaultAdmin& admin_;
};

}  // namespace coffer::daemon

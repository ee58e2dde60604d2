#include "core/daemon/trust_admin.h"

#include <utility>

#include "core/base/log.h"
#include "core/control/names.h"

namespace coffer::daemon {
namespace {

using vault::Vault;

std::string VerdictOf(const Vault::TrustedChain& chain) {
  if (chain.offered.seq == 0) return "missing";
  if (chain.doubt.has_value()) {
    return chain.offered.seq < chain.remembered.seq ? "older" : "other";
  }
  if (chain.remembered.seq == 0) return "first";
  return chain.offered == chain.remembered ? "same" : "newer";
}

control::TrustChain ChainInfo(std::string kind, std::string volume,
                              const Vault::TrustedChain& chain) {
  control::TrustChain info;
  info.chain = std::move(kind);
  info.volume = std::move(volume);
  info.remembered = chain.remembered.seq;
  info.offered = chain.offered.seq;
  info.offered_by = chain.host_name;
  info.offered_unix = chain.created_unix;
  info.verdict = VerdictOf(chain);
  if (chain.doubt.has_value()) info.doubt = chain.doubt->message;
  return info;
}

control::TrustInfo InfoOf(const Vault::TrustSurvey& survey) {
  control::TrustInfo info;
  info.doubtful = survey.doubtful();
  if (survey.lost.has_value()) info.lost = survey.lost->message;
  info.offer = survey.offer.ToString();
  info.chains.push_back(ChainInfo("keys", {}, survey.key_header));
  info.chains.push_back(ChainInfo("catalog", {}, survey.catalog));
  for (const Vault::TrustedVolumeChain& volume : survey.volumes) {
    info.chains.push_back(
        ChainInfo("heads", volume.name.empty() ? volume.id.ToString() : volume.name, volume.heads));
  }
  return info;
}

}  // namespace

Result<VaultPool::Lease> TrustAdmin::Unlock(const KnownVault& vault, const SecretBytes& password) {
  ASSIGN_OR_RETURN(const store::StoreUrl url, ParseKnownStore(vault.store));
  auto lease =
      pool_.Acquire(vault.id, url, password, vault.single_writer, VaultPool::For::kLooking);
  if (!lease.has_value()) {
    return Fail(NameVault(lease.error().Within("vault " + vault.alias), vault.alias));
  }
  return lease;
}

Status TrustAdmin::CheckNothingIsOpen(const KnownVault& vault) const {
  if (!pool_.HoldsKeys(vault.id)) return {};
  return Fail(ErrorCode::kConflict, "volumes of vault " + vault.alias + " are open",
              "close them first; coffer status shows which");
}

Result<control::TrustInfo> TrustAdmin::Show(const KnownVault& vault,
                                            const control::TrustRequest& request) {
  ASSIGN_OR_RETURN(const VaultPool::Lease lease, Unlock(vault, request.password));
  ASSIGN_OR_RETURN(const Vault::TrustSurvey survey, lease.vault().SurveyTrust());
  control::TrustInfo info = InfoOf(survey);
  info.vault = admin_.InfoOf(vault);
  return info;
}

Result<control::TrustInfo> TrustAdmin::Accept(const KnownVault& vault,
                                              const control::TrustAcceptRequest& request) {
  RETURN_IF_ERROR(CheckNothingIsOpen(vault));
  ASSIGN_OR_RETURN(const VaultPool::Lease lease, Unlock(vault, request.password));
  // Somebody else's unlock says nothing of this password, nor of what it has looked at.
  if (!lease.used_password()) {
    return Fail(ErrorCode::kConflict, "vault " + vault.alias + " is just being used", "try again");
  }
  ASSIGN_OR_RETURN(const Vault::TrustSurvey survey, lease.vault().SurveyTrust());
  if (survey.offer.ToString() != request.offer) {
    return Fail(ErrorCode::kConflict,
                "the store of vault " + vault.alias + " has changed since it was looked at",
                "nothing was accepted; look again with coffer trust show " + vault.alias);
  }
  ASSIGN_OR_RETURN(std::string kept, lease.vault().AcceptTrust(survey));
  LOG(kWarning, "vault ", vault.alias, ": what its store offers was accepted",
      kept.empty() ? "" : "; what was remembered is kept in ", kept);
  // It has happened: what fails from here on is no reason to say that it has not.
  const auto after = lease.vault().SurveyTrust();
  admin_.LearnVolumes(lease);
  control::TrustInfo info = InfoOf(after.has_value() ? *after : survey);
  info.vault = admin_.InfoOf(vault);
  info.kept_path = std::move(kept);
  return info;
}

Result<control::Forgotten> TrustAdmin::Forget(const KnownVault& vault, std::uint64_t waiting_bytes,
                                              const control::ForgetRequest& request) {
  RETURN_IF_ERROR(CheckNothingIsOpen(vault));
  if (waiting_bytes > 0 && !request.force) {
    return Fail(ErrorCode::kConflict,
                "vault " + vault.alias + ": " + control::FormatBytes(waiting_bytes) +
                    " wait in this machine's journals",
                "open its volumes to upload them; or coffer trust forget " + vault.alias +
                    " --force, which leaves them on the disk");
  }
  const control::VaultInfo info = admin_.InfoOf(vault);
  RETURN_IF_ERROR(registry_.Forget(vault.id));
  LOG(kInfo, "forgot vault ", vault.alias, " (", info.vault_id, ") at ", vault.store);
  return control::Forgotten{info, registry_.DirectoryOf(vault.id)};
}

}  // namespace coffer::daemon

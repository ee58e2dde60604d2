// Renaming and deleting volumes: changes of the catalog, and of a head chain before it.
#include <algorithm>

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/format/chain_name.h"
#include "core/vault/head_chain.h"
#include "core/vault/local_state.h"
#include "core/vault/new_volume.h"
#include "core/vault/person.h"
#include "core/vault/vault.h"

namespace coffer::vault {
namespace {

using format::CatalogVolume;

/// kNotFound unless the catalog has it live.
Result<CatalogVolume*> FindLive(format::Catalog& catalog, const VolumeId& id) {
  const auto found = std::find_if(catalog.volumes.begin(), catalog.volumes.end(),
                                  [&](const CatalogVolume& volume) { return volume.id == id; });
  if (found == catalog.volumes.end() || found->state != CatalogVolume::State::kLive) {
    return Fail(ErrorCode::kNotFound, Concat("volume ", id.ToString(), " has been deleted"));
  }
  return &*found;
}

}  // namespace

Status Vault::RenameVolume(const VolumeId& volume, const std::string& name) {
  RETURN_IF_ERROR(CheckVolumeName(name));
  RETURN_IF_ERROR(PrepareToWrite());
  RETURN_IF_ERROR(RefreshCatalog());
  bool renamed = false;
  const Status changed =
      catalog_->Update([&](format::Catalog& catalog) -> Result<CatalogChain::Edit> {
        ASSIGN_OR_RETURN(CatalogVolume * entry, FindLive(catalog, volume));
        // Called again: what was done before has arrived after all.
        if (renamed && entry->name == name) return CatalogChain::Edit::kNothingToDo;
        for (const CatalogVolume& other : catalog.volumes) {
          if (other.state == CatalogVolume::State::kLive && other.name == name) {
            return Fail(ErrorCode::kAlreadyExists,
                        Concat("the vault has a volume ", name, " already"));
          }
        }
        entry->name = name;
        renamed = true;
        return CatalogChain::Edit::kChanged;
      });
  if (!changed.has_value()) return Fail(NothingChangedWithoutRoom(changed.error()));
  return {};
}

Status Vault::DeleteVolume(const VolumeId& volume, Deletion* outcome) {
  Deletion ignored;
  if (outcome == nullptr) outcome = &ignored;
  *outcome = Deletion::kNotDone;
  RETURN_IF_ERROR(PrepareToWrite());
  RETURN_IF_ERROR(RefreshCatalog());
  format::Catalog known = catalog();
  RETURN_IF_ERROR(FindLive(known, volume));
  ASSIGN_OR_RETURN(const std::string directory, VolumeDirectory(volume));
  {
    auto lock = env_.fs.Lock(Concat(directory, "/", kVolumeLockFile));
    if (!lock.has_value()) return Fail(lock.error().Within("the volume is open"));
    RETURN_IF_ERROR(AppendTombstone(volume, directory, outcome));
    COFFER_FAILPOINT("delete-tombstone");
    const Status marked = MarkDeleted(volume);
    *outcome = marked.has_value() ? Deletion::kDone : Deletion::kStillListed;
    if (!marked.has_value()) LOG(kWarning, "the catalog: ", marked.error().message);
    COFFER_FAILPOINT("delete-marked");
    // Nothing of it can be of use any more; what stays of it is only space.
    const Status removed = RemoveTree(env_.fs, directory);
    if (!removed.has_value()) LOG(kWarning, removed.error().message);
  }
  return {};
}

/// From here on no machine can go on with the volume, whatever the catalog says: a crash before the
/// catalog's record leaves one that opens nowhere and that DeleteVolume finishes.
Status Vault::AppendTombstone(const VolumeId& volume, const std::string& directory,
                              Deletion* outcome) {
  HeadChain chain(*this, volume, directory);
  ASSIGN_OR_RETURN(const HeadChain::Newest newest, chain.Load());
  if (newest.head.tombstone) return {};
  if (!newest.ours && !newest.head.released) {
    return Fail(ErrorCode::kConflict,
                Concat("the volume is open on ", EscapeForTerminal(newest.head.host_name)),
                "close it there; if that machine is gone: coffer open --take-over, close it, then "
                "delete it");
  }
  format::Head head = newest.head;
  if (!newest.ours) ++head.epoch;
  head.tombstone = true;
  head.released = true;
  const Result<HeadChain::Newest> appended = chain.Append(std::move(head));
  if (appended.has_value()) return {};
  const Result<bool> stands = chain.SettleFailed(appended.error());
  if (stands.has_value() && *stands) return {};
  if (!stands.has_value()) *outcome = Deletion::kUnknown;
  if (stands.has_value()) return Fail(NothingChangedWithoutRoom(appended.error()));
  return Fail(appended.error());
}

Status Vault::FinishDeletion(const VolumeId& volume) {
  RETURN_IF_ERROR(RefreshCatalog());
  return MarkDeleted(volume);
}

Status Vault::MarkDeleted(const VolumeId& volume) {
  return catalog_->Update([&](format::Catalog& catalog) -> Result<CatalogChain::Edit> {
    const Result<CatalogVolume*> entry = FindLive(catalog, volume);
    if (!entry.has_value()) return CatalogChain::Edit::kNothingToDo;
    (*entry)->state = CatalogVolume::State::kDeleted;
    return CatalogChain::Edit::kChanged;
  });
}

}  // namespace coffer::vault

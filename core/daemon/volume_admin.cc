#include "core/daemon/volume_admin.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/control/names.h"
#include "core/daemon/deeds.h"
#include "core/volume/survey.h"

namespace coffer::daemon {
namespace {

constexpr char kFileSystemStays[] =
    "a file system on it keeps its size until its own program makes it larger: with the volume "
    "open "
    "with --mount, as root: resize2fs DEVICE (ext4; coffer status --json names the device), "
    "xfs_growfs DIR or btrfs filesystem resize max DIR";

std::string KindName(format::SlotKind kind) {
  switch (kind) {
    case format::SlotKind::kPassword:
      return "password";
    case format::SlotKind::kKeyFile:
      return "key-file";
    case format::SlotKind::kPasswordAndKeyFile:
      return "password-and-key-file";
    case format::SlotKind::kRecoveryKey:
      return "recovery-key";
    case format::SlotKind::kEmpty:
      break;
  }
  return "";
}

control::KeyInfo KeyInfoOf(const vault::KeySlotDescription& slot) {
  control::KeyInfo info;
  info.slot = slot.slot;
  info.kind = KindName(slot.kind);
  info.created_unix = slot.created_unix;
  info.host = slot.host_name;
  info.label = slot.label;
  info.memory_kib = slot.cost.memory_kib;
  info.iterations = slot.cost.iterations;
  info.parallelism = slot.cost.parallelism;
  return info;
}

std::string DedupName(format::DedupScope scope) {
  switch (scope) {
    case format::DedupScope::kOff:
      return "off";
    case format::DedupScope::kVolume:
      return "volume";
    case format::DedupScope::kVault:
      break;
  }
  return "vault";
}

control::RequestCounts RequestCountsOf(const store::StoreCounts& counts) {
  using store::StoreOperation;
  control::RequestCounts all;
  all.creates = counts.Of(StoreOperation::kCreate).requests;
  all.gets = counts.Of(StoreOperation::kGet).requests;
  all.range_gets = counts.Of(StoreOperation::kGetRange).requests;
  all.lists = counts.Of(StoreOperation::kList).requests;
  all.deletes = counts.Of(StoreOperation::kDelete).requests;
  const store::StoreCount total = counts.Total();
  all.failures = total.failures;
  all.bytes_up = total.bytes_up;
  all.bytes_down = total.bytes_down;
  return all;
}

control::SurveyInfo SurveyInfoOf(const volume::VolumeSurvey& survey) {
  control::SurveyInfo info;
  info.taken_unix = survey.taken_unix;
  info.head_sequence = survey.head_seq;
  info.head_created_unix = survey.head_created_unix;
  info.head_host = survey.host_name;
  info.head_released = survey.released;
  info.size_bytes = survey.size;
  info.chunk_size = survey.chunk_size;
  info.data_bytes = survey.map.data_bytes;
  info.chunks = survey.map.chunks;
  info.patched_chunks = survey.map.patched_chunks;
  info.frames = survey.map.frames;
  info.frame_plain_bytes = survey.map.frame_plain_bytes;
  info.frame_bytes = survey.map.frame_stored_bytes;
  info.dedup_saved_bytes = survey.map.piece_bytes - survey.map.frame_plain_bytes;
  info.pages = survey.map.pages;
  info.page_bytes = survey.map.page_stored_bytes;
  info.deltas = survey.map.deltas;
  info.delta_bytes = survey.map.delta_stored_bytes;
  info.lost_pages = survey.map.lost_pages;
  info.lost_deltas = survey.map.lost_deltas;
  info.lost_bytes_max = survey.map.lost_bytes_max;
  info.lost_why = survey.map.lost_why;
  info.packs = survey.map.packs;
  info.pack_bytes = survey.map.pack_bytes;
  info.heads = survey.heads;
  info.heads_exact = !survey.heads_are_more;
  info.head_bytes = survey.head_bytes;
  return info;
}

Status CheckGiven(const SecretBytes& password, const char* which) {
  if (!password.empty()) return {};
  return Fail(ErrorCode::kUnauthenticated, Concat("the vault's ", which, " is needed"));
}

}  // namespace

Result<VaultPool::Lease> VolumeAdmin::Unlock(const KnownVault& vault, const SecretBytes& password,
                                             VaultPool::For purpose) {
  ASSIGN_OR_RETURN(const store::StoreUrl url, ParseKnownStore(vault.store));
  auto lease = pool_.Acquire(vault.id, url, password, vault.single_writer, purpose);
  if (lease.has_value()) return lease;
  return Fail(NameVault(vaults_.ExplainNoVault(vault, lease.error()), vault.alias));
}

Result<VaultPool::Lease> VolumeAdmin::UnlockChecked(const KnownVault& vault,
                                                    const SecretBytes& password) {
  RETURN_IF_ERROR(CheckGiven(password, "password"));
  ASSIGN_OR_RETURN(VaultPool::Lease lease, Unlock(vault, password));
  if (!lease.used_password()) {
    const Status checked = lease.vault().CheckPassword(password);
    if (!checked.has_value()) return Fail(checked.error().Within("vault " + vault.alias));
  }
  return lease;
}

Result<control::PasswdReply> VolumeAdmin::Passwd(const KnownVault& vault,
                                                 const control::PasswdRequest& request) {
  RETURN_IF_ERROR(CheckGiven(request.password, "password"));
  RETURN_IF_ERROR(CheckGiven(request.new_password, "new password"));
  ASSIGN_OR_RETURN(const VaultPool::Lease lease,
                   Unlock(vault, request.password, VaultPool::For::kKeys));
  vaults_.SettleDeeds(lease, VaultAdmin::SettleFor::kWriting);
  const Deed deed{Deed::Kind::kPassword, {}, {}};
  RETURN_IF_ERROR(registry_.Begin(vault.id, deed));
  const Status changed = lease.used_password()
                             ? lease.vault().ChangePasswordAfterUnlock(request.new_password)
                             : lease.vault().ChangePassword(request.password, request.new_password);
  const bool unknown = !changed.has_value() && lease.vault().key_change_in_doubt();
  registry_.Finish(vault.id, deed, unknown ? Registry::End::kUnknown : Registry::End::kKnown);
  if (!changed.has_value()) return Fail(changed.error().Within("vault " + vault.alias));
  LOG(kInfo, "changed the password of vault ", vault.id.ToString());
  vaults_.LearnVolumes(lease);
  const KnownVault known = registry_.Find(vault.id).value_or(vault);
  control::PasswdReply reply;
  reply.vault = vaults_.InfoOf(known);
  reply.header_sequence = lease.vault().header_seq();
  if (lease.vault().key_change_unfinished()) {
    reply.note =
        "the store does not refuse the old password's key header yet: opening a volume of the "
        "vault for writing finishes that";
  }
  for (const KnownVolume& volume : known.volumes) reply.volumes.push_back(volume.name);
  return reply;
}

Result<control::KeyList> VolumeAdmin::Keys(const KnownVault& vault,
                                           const control::KeysRequest& request) {
  RETURN_IF_ERROR(CheckGiven(request.password, "password"));
  ASSIGN_OR_RETURN(const VaultPool::Lease lease, Unlock(vault, request.password));
  const auto keys = lease.vault().ListKeys(request.password);
  if (!keys.has_value()) return Fail(keys.error().Within("vault " + vault.alias));
  control::KeyList list;
  list.vault = vaults_.InfoOf(vault);
  list.header_sequence = keys->header_seq;
  for (const vault::KeySlotDescription& slot : keys->slots) {
    list.keys.push_back(KeyInfoOf(slot));
    list.keys.back().opened = slot.slot == keys->opened;
  }
  return list;
}

Status VolumeAdmin::Rename(const KnownVault& vault, const VolumeKey& key,
                           const control::RenameRequest& request) {
  RETURN_IF_ERROR(control::CheckName(request.name, "volume name"));
  if (request.name == key.volume) {
    return Fail(ErrorCode::kAlreadyExists, Concat("the volume is called ", key.volume, " already"));
  }
  if (registry_.Find(key.vault).value_or(vault).Find(request.name) != nullptr) {
    return Fail(ErrorCode::kAlreadyExists,
                Concat("vault ", vault.alias, " has a volume ", request.name, " already"));
  }
  ASSIGN_OR_RETURN(const auto from, open_.Exclude(key, "renamed"));
  ASSIGN_OR_RETURN(const auto to, open_.Exclude({key.vault, request.name}, "renamed"));
  ASSIGN_OR_RETURN(const VaultPool::Lease lease, Unlock(vault, request.password));
  vaults_.SettleDeeds(lease, VaultAdmin::SettleFor::kWriting);
  ASSIGN_OR_RETURN(const format::CatalogVolume listed, lease.vault().FindVolume(key.volume));
  RETURN_IF_ERROR(RenameNoted(vault, lease, listed.id, key.volume, request.name));
  {
    MutexLock lock(mutex_);
    surveyed_.erase(key);
  }
  LOG(kInfo, "renamed ", key.volume, " to ", request.name);
  return {};
}

Status VolumeAdmin::RenameNoted(const KnownVault& vault, const VaultPool::Lease& lease,
                                const VolumeId& id, const std::string& from,
                                const std::string& to) {
  const Deed deed{Deed::Kind::kRename, id, to};
  RETURN_IF_ERROR(registry_.Begin(vault.id, deed));
  const Status renamed = lease.vault().RenameVolume(id, to);
  auto ended = VaultAdmin::Ended::kDone;
  if (!renamed.has_value()) {
    ended = VaultAdmin::HowEnded(lease.vault(), [&](const format::Catalog& catalog) {
      return std::any_of(catalog.volumes.begin(), catalog.volumes.end(),
                         [&](const auto& one) { return one.id == id && one.name == to; });
    });
  }
  if (ended == VaultAdmin::Ended::kUnknown) {
    registry_.Finish(vault.id, deed, Registry::End::kUnknown);
    return Fail(UnknownEnd(renamed.error(), deed, vault.alias + "/" + from));
  }
  registry_.Finish(vault.id, deed, Registry::End::kKnown, [&lease](KnownVault& known) {
    known.TakeVolumesFrom(lease.vault().catalog(), BeliefIn(lease.vault()));
  });
  return ended == VaultAdmin::Ended::kDone ? Status{} : renamed;
}

Result<JobTable::Work> VolumeAdmin::Resize(const KnownVault& vault, const VolumeKey& key,
                                           const control::ResizeRequest& request) {
  RETURN_IF_ERROR(control::CheckVolumeSize(request.size_bytes));
  const std::uint64_t size = request.size_bytes;
  const auto tail =
      request.discard_tail ? volume::Volume::Tail::kDiscard : volume::Volume::Tail::kKeep;
  control::VolumeStatus status;
  if (open_.FillStatus(key, &status)) {
    RETURN_IF_ERROR(open_.CheckResize(key, size, tail));
    return JobTable::Work([this, key, size, tail](JobTable::Reporter& reporter) -> Status {
      ASSIGN_OR_RETURN(std::vector<std::string> notes, open_.Resize(key, size, tail));
      for (std::string& note : notes) reporter.Note(std::move(note));
      return {};
    });
  }
  const auto held = std::make_shared<Held>();
  ASSIGN_OR_RETURN(held->exclusion, open_.Exclude(key, "resized"));
  ASSIGN_OR_RETURN(held->lease, Unlock(vault, request.password));
  vaults_.SettleDeeds(held->lease, VaultAdmin::SettleFor::kWriting);
  RETURN_IF_ERROR(held->lease.vault().FindVolume(key.volume));
  return JobTable::Work([this, held, key, size, tail](JobTable::Reporter& reporter) {
    const Status resized = ResizeClosed(*held, key, size, tail, reporter);
    // Let go before the job has ended, so that whoever saw its end can open the volume.
    held->lease = VaultPool::Lease();
    held->exclusion.reset();
    return resized;
  });
}

/// Opens the volume for nobody else, and closes it again.
Status VolumeAdmin::ResizeClosed(Held& held, const VolumeKey& key, std::uint64_t size,
                                 volume::Volume::Tail tail, JobTable::Reporter& reporter) {
  vault::Vault& vault = held.lease.vault();
  ASSIGN_OR_RETURN(const format::CatalogVolume listed, vault.FindVolume(key.volume));
  volume::OpenOptions options;
  options.settings = VolumeSettings(open_.ConfigOf(key));
  auto opened = volume::Volume::Open(held.lease.resources(), listed.id, options);
  if (!opened.has_value()) return Fail(opened.error().Within("volume " + key.volume));
  volume::Volume& volume = **opened;
  const bool grows = size > volume.size();
  const Status resized = open_.ResizeNoted(key, listed.id, volume, size, tail);
  const auto mode =
      resized.has_value() ? volume::CloseMode::kUpload : volume::CloseMode::kLeaveInJournal;
  const Status closed = volume.Close(
      mode, [&](std::uint64_t done, std::uint64_t total) { reporter.Progress(done, total); });
  const std::uint64_t left = volume.status().behind_bytes;
  const std::uint64_t now = volume.size();
  registry_.Learn(key.vault, [&](KnownVault& known) {
    KnownVolume* known_volume = known.Find(key.volume);
    if (known_volume == nullptr) return;
    known_volume->size_bytes = now;
    known_volume->waiting_bytes = left;
    known_volume->open = false;
  });
  if (!resized.has_value()) return Fail(resized.error().Within("volume " + key.volume));
  LOG(kInfo, "resized ", key.volume, " to ", size, " bytes");
  if (grows) reporter.Note(kFileSystemStays);
  reporter.WaitingBytes(left);
  // It has that size from here on, for whoever opens it on this machine.
  if (!closed.has_value()) {
    reporter.Note("the new size waits on this machine for its upload, with the next open: " +
                  closed.error().message);
  }
  return {};
}

Result<JobTable::Work> VolumeAdmin::Delete(const KnownVault& vault, const VolumeKey& key,
                                           std::uint64_t waiting_bytes,
                                           const control::DeleteRequest& request) {
  if (request.confirm != key.volume) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("to delete the volume its name ", key.volume, " has to be given once more"),
                "nothing was deleted");
  }
  const auto held = std::make_shared<Held>();
  ASSIGN_OR_RETURN(held->exclusion, open_.Exclude(key, "deleted"));
  ASSIGN_OR_RETURN(held->lease, UnlockChecked(vault, request.password));
  vaults_.SettleDeeds(held->lease, VaultAdmin::SettleFor::kWriting);
  RETURN_IF_ERROR(held->lease.vault().FindVolume(key.volume));
  control::Deleted deleted;
  deleted.volume = key.volume;
  deleted.vault = vault.alias;
  deleted.discarded_bytes = waiting_bytes;
  return JobTable::Work([this, held, key, deleted](JobTable::Reporter& reporter) {
    const Status status = DeleteHeld(*held, key, deleted, reporter);
    held->lease = VaultPool::Lease();
    held->exclusion.reset();
    return status;
  });
}

Status VolumeAdmin::DeleteHeld(Held& held, const VolumeKey& key, control::Deleted deleted,
                               JobTable::Reporter& reporter) {
  vault::Vault& vault = held.lease.vault();
  ASSIGN_OR_RETURN(const format::CatalogVolume listed, vault.FindVolume(key.volume));
  RETURN_IF_ERROR(DeleteNoted(held.lease, key, listed.id, reporter));
  LOG(kInfo, "deleted ", key.volume);
  {
    MutexLock lock(mutex_);
    surveyed_.erase(key);
  }
  held.exclusion.reset();  // the name is free
  reporter.Message("counting what waits for gc");
  const format::Catalog catalog = vault.catalog();
  deleted.gc_bytes_shared =
      catalog.dedup == format::DedupScope::kVault &&
      std::any_of(catalog.volumes.begin(), catalog.volumes.end(), [](const auto& other) {
        return other.state == format::CatalogVolume::State::kLive;
      });
  const auto counted = volume::SurveyVolume(
      held.lease.resources(), listed.id,
      [&](std::uint64_t chunks, std::uint64_t total) { reporter.Progress(chunks, total); });
  if (counted.has_value()) {
    deleted.gc_bytes = counted->map.stored_bytes() + counted->heads * counted->head_bytes;
  } else {
    LOG(kWarning, "counting what waits for gc: ", counted.error().message);
  }
  reporter.Deleted(std::move(deleted));
  return {};
}

Status VolumeAdmin::DeleteNoted(const VaultPool::Lease& lease, const VolumeKey& key,
                                const VolumeId& id, JobTable::Reporter& reporter) {
  using Deletion = vault::Vault::Deletion;
  const Deed deed{Deed::Kind::kDelete, id, {}};
  RETURN_IF_ERROR(registry_.Begin(key.vault, deed));
  Deletion outcome = Deletion::kNotDone;
  const Status done = lease.vault().DeleteVolume(id, &outcome);
  const std::string name = control::Quoted(key.volume);
  switch (outcome) {
    case Deletion::kNotDone:
      registry_.Finish(key.vault, deed, Registry::End::kKnown);
      return Fail(done.error().Within("volume " + key.volume));
    case Deletion::kUnknown: {
      registry_.Finish(key.vault, deed, Registry::End::kUnknown);
      return Fail(UnknownEnd(done.error(), deed, key.volume));
    }
    case Deletion::kStillListed:
      reporter.Note("other machines see the name " + name +
                    " until this vault is used again: its catalog could not be changed");
      break;
    case Deletion::kDone:
      break;
  }
  registry_.Learn(key.vault, [&](KnownVault& known) {
    known.DropDeeds(Deed::Kind::kDelete, id);
    known.deeds.push_back({Deed::Kind::kDeleted, id, key.volume});
    known.TakeVolumesFrom(lease.vault().catalog());
  });
  return {};
}

void VolumeAdmin::FillInfo(const KnownVault& vault, const VolumeKey& key,
                           control::VolumeInfo* info) {
  {
    MutexLock lock(mutex_);
    const auto surveyed = surveyed_.find(key);
    if (surveyed != surveyed_.end()) {
      control::VolumeStatus status = std::move(info->volume);
      *info = surveyed->second;
      info->volume = std::move(status);
    }
  }
  info->codec = open_.ConfigOf(key)[config::Key::kCodec].value.text;
  if (!pool_.HoldsKeys(vault.id)) return;
  // Without a password: fails if the keys were let go a moment ago.
  const auto lease = Unlock(vault, SecretBytes());
  if (lease.has_value()) FillFromVault(*lease, key, info);
}

void VolumeAdmin::FillFromVault(const VaultPool::Lease& lease, const VolumeKey& key,
                                control::VolumeInfo* info) const {
  const format::Catalog catalog = lease.vault().catalog();
  for (const format::CatalogVolume& listed : catalog.volumes) {
    if (listed.state != format::CatalogVolume::State::kLive || listed.name != key.volume) continue;
    info->created_unix = listed.created_unix;
  }
  info->dedup = DedupName(catalog.dedup);
  info->header_sequence = lease.vault().header_seq();
  info->keys.clear();
  for (const vault::KeySlotDescription& slot : lease.vault().key_slots()) {
    info->keys.push_back(KeyInfoOf(slot));
  }
  info->requests = RequestCountsOf(lease.store_counts());
}

Result<JobTable::Work> VolumeAdmin::Survey(const KnownVault& vault, const VolumeKey& key,
                                           const control::SurveyRequest& request) {
  const auto held = std::make_shared<Held>();
  ASSIGN_OR_RETURN(held->lease, Unlock(vault, request.password));
  ASSIGN_OR_RETURN(const format::CatalogVolume listed, held->lease.vault().FindVolume(key.volume));
  return JobTable::Work([this, held, key, id = listed.id](JobTable::Reporter& reporter) -> Status {
    const auto survey = volume::SurveyVolume(
        held->lease.resources(), id,
        [&](std::uint64_t chunks, std::uint64_t total) { reporter.Progress(chunks, total); });
    control::VolumeInfo info;
    if (survey.has_value()) {
      info.survey = SurveyInfoOf(*survey);
      FillFromVault(held->lease, key, &info);
    }
    held->lease = VaultPool::Lease();
    if (!survey.has_value()) return Fail(survey.error().Within("volume " + key.volume));
    // Deleted or renamed meanwhile: nobody will ask.
    auto vault_now = registry_.Find(key.vault);
    if (!vault_now || vault_now->Find(key.volume) == nullptr) return {};
    MutexLock lock(mutex_);
    surveyed_[key] = std::move(info);
    return {};
  });
}

}  // namespace coffer::daemon

#include "core/daemon/vault_admin.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/base/log.h"
#include "core/control/names.h"
#include "core/daemon/deeds.h"
#include "core/vault/head_chain.h"

namespace coffer::daemon {
namespace {

using control::CheckName;
using control::Quoted;

/// Each costs two requests to the store.
constexpr std::size_t kSizesLearnedMax = 64;

/// A store's last path part made fit for an alias: a directory may be called anything.
std::string AliasFrom(std::string text) {
  for (char& c : text) {
    if (!CheckName(std::string("a") + c, "").has_value()) c = '-';
  }
  // A letter of another alphabet has several bytes.
  text.erase(
      std::unique(text.begin(), text.end(), [](char a, char b) { return a == '-' && b == '-'; }),
      text.end());
  while (!text.empty() && text.back() == '-') text.pop_back();
  const auto first = std::find_if(text.begin(), text.end(), [](char c) {
    return CheckName(std::string(1, c), "").has_value();
  });
  text.erase(text.begin(), first);
  text.resize(std::min(text.size(), control::kNameLengthMax));
  return text.empty() ? "vault" : text;
}

}  // namespace

control::VaultList VaultAdmin::Vaults() const {
  control::VaultList list;
  for (const KnownVault& vault : registry_.vaults()) list.vaults.push_back(InfoOf(vault));
  return list;
}

control::VaultInfo VaultAdmin::InfoOf(const KnownVault& vault) const {
  return {vault.alias, vault.id.ToString(), vault.store, pool_.HoldsKeys(vault.id)};
}

Result<control::ProbeReply> VaultAdmin::Probe(const control::ProbeRequest& request) {
  ASSIGN_OR_RETURN(const store::StoreUrl url, config_.StoreOf(request.store));
  control::ProbeReply reply;
  // A vault that is just being made here is no half one.
  const VaultPool::Turn turn(pool_, url.ToString());
  const auto id = pool_.IdentifyVault(url);
  if (id.has_value()) {
    RETURN_IF_ERROR(CheckMayEnter(*id, {url, request.alias, request.replace}));
    RETURN_IF_ERROR(AliasFor(*id, url, request.alias));
    RETURN_IF_ERROR(CheckNewVolume(*id, request.volume));
    reply.holds_vault = true;
    reply.keys_held = pool_.HoldsKeys(*id);
  } else if (id.error().code != ErrorCode::kNotFound) {
    return Fail(id.error());
  } else {
    RETURN_IF_ERROR(CheckNoVaultBelongsAt(url, request.alias));
    if (!request.volume.empty()) RETURN_IF_ERROR(pool_.CheckForInit(url));
  }
  return reply;
}

/// One history, one store: what two commands of one machine upload must not go to two places, and
/// nothing that is known by a name gets another one by the way.
Status VaultAdmin::CheckMayEnter(const VaultId& id, const Wanted& wanted) const {
  const auto known = registry_.Find(id);
  if (!known) return {};
  const bool moves = known->store != wanted.url.ToString();
  const bool renames = !wanted.alias.empty() && wanted.alias != known->alias;
  if (!moves && !renames) return {};
  if (!wanted.replace) {
    const std::string command = "coffer add " + wanted.url.ToString() +
                                (renames ? " --as " + wanted.alias : std::string()) + " --replace";
    return Fail(ErrorCode::kAlreadyExists,
                "the vault at " + wanted.url.ToString() + " is known on this machine already, as " +
                    known->alias + " at " + known->store,
                moves ? "to use this store for it from now on instead: " + command
                      : "to give it another name here: " + command);
  }
  if (moves && pool_.HoldsKeys(id)) {
    return Fail(ErrorCode::kConflict,
                "volumes of vault " + known->alias + " are open, with its store at " + known->store,
                "close them first; coffer status shows which");
  }
  return {};
}

/// What shows without the vault's keys: another machine may have made one of that name since.
Status VaultAdmin::CheckNewVolume(const VaultId& id, const std::string& volume) const {
  auto known = registry_.Find(id);
  if (volume.empty() || !known || known->Find(volume) == nullptr) return {};
  return Fail(ErrorCode::kAlreadyExists,
              "vault " + known->alias + " has a volume " + volume + " already",
              "choose another name, or coffer open that one");
}

/// An empty mount point must not get a new vault for that of the disk that is missing (faults.md
/// 52). Whoever names it otherwise means another one.
Status VaultAdmin::CheckNoVaultBelongsAt(const store::StoreUrl& url,
                                         const std::string& alias) const {
  for (const KnownVault& known : registry_.vaults()) {
    if (known.store != url.ToString()) continue;
    if (!alias.empty() && alias != known.alias) continue;
    if (known.MayBeUnmade()) continue;
    return Fail(ErrorCode::kUnavailable,
                "vault " + known.alias + " belongs at " + known.store + " and is not there",
                "mount the disk or share that holds it; if it is gone for good, --as NAME makes "
                "another vault there");
  }
  return {};
}

Result<control::InitReply> VaultAdmin::Init(const control::InitRequest& request) {
  RETURN_IF_ERROR(CheckName(request.volume, "volume name"));
  RETURN_IF_ERROR(control::CheckVolumeSize(request.size_bytes));
  if (!request.alias.empty()) RETURN_IF_ERROR(CheckName(request.alias, "vault alias"));
  RETURN_IF_ERROR(OverridesOf(request.settings));
  ASSIGN_OR_RETURN(const store::StoreUrl url, config_.StoreOf(request.store));
  // Whoever comes while the vault is being made adds to it.
  const VaultPool::Turn turn(pool_, url.ToString());
  bool created = false;
  ASSIGN_OR_RETURN(const VaultPool::Lease lease, CreateOrUnlock(request, url, &created));
  ASSIGN_OR_RETURN(const std::string alias, AliasFor(lease.vault().id(), url, request.alias));
  ASSIGN_OR_RETURN(const vault::VolumeSpec made, SpecOf(request, alias));
  if (!created) RETURN_IF_ERROR(AddVolume(lease, request, url));
  // From here on it is there, and this machine knows it since before.
  const KnownVault known = registry_.Learn(lease.vault().id(), [&](KnownVault& vault) {
    if (!request.alias.empty()) vault.alias = request.alias;
    vault.store = url.ToString();
    vault.single_writer = vault.single_writer || request.single_writer;
    vault.TakeVolumesFrom(lease.vault().catalog(), BeliefIn(lease.vault()));
    if (KnownVolume* volume = vault.Find(request.volume)) {
      volume->size_bytes = request.size_bytes;
      volume->chunk_size = made.chunk_size;
      volume->durability = DurabilityName(made.durability);
    }
    std::erase_if(vault.deeds, [&request](const Deed& deed) {
      return deed.kind == Deed::Kind::kInit && deed.text == request.volume;
    });
  });
  LOG(kInfo, created ? "made vault " : "added a volume to vault ", known.id.ToString());
  return control::InitReply{request.volume, request.size_bytes, created, InfoOf(known)};
}

Result<VaultPool::Lease> VaultAdmin::CreateOrUnlock(const control::InitRequest& request,
                                                    const store::StoreUrl& url, bool* created) {
  const auto id = pool_.IdentifyVault(url);
  if (id.has_value()) {
    RETURN_IF_ERROR(CheckMayEnter(*id, {url, request.alias}));
    RETURN_IF_ERROR(AliasFor(*id, url, request.alias));
    const auto known = registry_.Find(*id);
    const bool single_writer = request.single_writer || (known && known->single_writer);
    return pool_.Acquire(*id, url, request.password, single_writer);
  }
  if (id.error().code != ErrorCode::kNotFound) return Fail(id.error());
  if (request.password.empty()) {
    return Fail(ErrorCode::kUnauthenticated, "a new vault needs a password");
  }
  ForgetUnmade(url);
  ASSIGN_OR_RETURN(const std::string alias, AliasFor(VaultId{}, url, request.alias));
  RETURN_IF_ERROR(CheckNoVaultBelongsAt(url, request.alias));
  *created = true;
  return CreateVault(request, url, alias);
}

Result<VaultPool::Lease> VaultAdmin::CreateVault(const control::InitRequest& request,
                                                 const store::StoreUrl& url,
                                                 const std::string& alias) {
  ASSIGN_OR_RETURN(const vault::VolumeSpec spec, SpecOf(request, alias));
  const Deed deed{Deed::Kind::kInit, {}, request.volume, /*running=*/true};
  std::optional<VaultId> entered;
  vault::Vault::CreateOptions options;
  options.single_writer = request.single_writer;
  options.before_marker = [&](const vault::Vault& vault) -> Status {
    RETURN_IF_ERROR(registry_.Change(vault.id(), [&](KnownVault& known) {
      known.alias = alias;
      known.store = url.ToString();
      known.single_writer = request.single_writer;
      known.TakeVolumesFrom(vault.catalog());
      known.deeds.push_back(deed);
    }));
    entered = vault.id();
    return {};
  };
  options.taken_back = [&](const vault::Vault& vault) {
    ForgetAgain(vault.id());
    entered.reset();
  };
  auto lease = pool_.Create(url, request.password, spec, options);
  if (!lease.has_value() && entered) registry_.Finish(*entered, deed, Registry::End::kUnknown);
  return lease;
}

/// What an init was broken off of that is now done anew.
void VaultAdmin::ForgetUnmade(const store::StoreUrl& url) {
  for (const KnownVault& known : registry_.vaults()) {
    if (known.store == url.ToString() && known.MayBeUnmade()) ForgetAgain(known.id);
  }
}

Error VaultAdmin::ExplainNoVault(const KnownVault& vault, const Error& why) const {
  Error error = why.Within("vault " + vault.alias);
  if (error.code != ErrorCode::kNotFound) return error;
  // The vault is known, it is its store that is not there: mounting it again heals that.
  error.code = ErrorCode::kUnavailable;
  if (registry_.Find(vault.id).value_or(vault).MayBeUnmade()) {
    error.hint =
        "the init that was to make it was broken off: coffer init does it anew, coffer "
        "trust forget " +
        vault.alias + " makes it known no more";
  }
  return error;
}

/// A vault that was entered too soon.
void VaultAdmin::ForgetAgain(const VaultId& id) {
  const Status forgotten = registry_.Forget(id);
  if (!forgotten.has_value()) LOG(kWarning, forgotten.error().message);
}

/// To a vault that is there. One that this machine did not know is known from here on, unless
/// nothing comes of it.
Status VaultAdmin::AddVolume(const VaultPool::Lease& lease, const control::InitRequest& request,
                             const store::StoreUrl& url) {
  vault::Vault& vault = lease.vault();
  ASSIGN_OR_RETURN(const std::string alias, AliasFor(vault.id(), url, request.alias));
  ASSIGN_OR_RETURN(const vault::VolumeSpec spec, SpecOf(request, alias));
  SettleDeeds(lease, SettleFor::kWriting);
  const bool was_known = registry_.Find(vault.id()).has_value();
  const Deed deed{Deed::Kind::kInit, {}, request.volume, /*running=*/true};
  RETURN_IF_ERROR(registry_.Change(vault.id(), [&](KnownVault& known) {
    if (!was_known) {
      known.alias = alias;
      known.store = url.ToString();
      known.TakeVolumesFrom(vault.catalog());
    }
    std::erase(known.deeds, deed);
    known.deeds.push_back(deed);
  }));
  const auto added = vault.CreateVolume(spec);
  if (added.has_value()) return {};
  Ended ended = Ended::kNotDone;
  if (added.error().code != ErrorCode::kAlreadyExists) {
    ended = HowEnded(vault, [&spec](const format::Catalog& catalog) {
      return std::any_of(catalog.volumes.begin(), catalog.volumes.end(), [&spec](const auto& one) {
        return one.state == format::CatalogVolume::State::kLive && one.name == spec.name;
      });
    });
  }
  if (ended == Ended::kDone) return {};
  if (ended == Ended::kUnknown) {
    registry_.Finish(vault.id(), deed, Registry::End::kUnknown);
    return Fail(UnknownEnd(added.error(), deed, alias + "/" + request.volume));
  }
  if (was_known) {
    registry_.Finish(vault.id(), deed, Registry::End::kKnown);
  } else {
    ForgetAgain(vault.id());
  }
  return Fail(added.error());
}

VaultAdmin::Ended VaultAdmin::HowEnded(vault::Vault& vault,
                                       const std::function<bool(const format::Catalog&)>& shows) {
  if (vault.catalog_in_doubt() && !vault.RefreshCatalog().has_value()) return Ended::kUnknown;
  return shows(vault.catalog()) ? Ended::kDone : Ended::kNotDone;
}

void VaultAdmin::SettleDeeds(const VaultPool::Lease& lease, SettleFor purpose) {
  vault::Vault& vault = lease.vault();
  const auto known = registry_.Find(vault.id());
  if (!known || known->deeds.empty()) return;
  for (const Deed& deed : known->deeds) {
    if (purpose != SettleFor::kWriting || deed.kind != Deed::Kind::kDeleted) continue;
    const Status finished = vault.FinishDeletion(deed.volume);
    if (!finished.has_value()) LOG(kWarning, "finishing a delete: ", finished.error().message);
  }
  if (!lease.used_password() && !vault.RefreshCatalog().has_value()) return;
  registry_.Learn(vault.id(), [&](KnownVault& now) {
    std::erase_if(now.deeds, [&lease](const Deed& deed) {
      if (deed.running) return false;
      if (deed.kind == Deed::Kind::kPassword) return lease.used_password();
      return deed.kind == Deed::Kind::kInit || deed.kind == Deed::Kind::kAdd ||
             deed.kind == Deed::Kind::kRename;
    });
    now.TakeVolumesFrom(vault.catalog());
  });
}

Result<vault::VolumeSpec> VaultAdmin::SpecOf(const control::InitRequest& request,
                                             const std::string& alias) const {
  ASSIGN_OR_RETURN(const config::Overrides overrides, OverridesOf(request.settings));
  vault::VolumeSpec spec = NewVolumeSpec(config_.For(alias, request.volume, overrides));
  spec.name = request.volume;
  spec.size = request.size_bytes;
  return spec;
}

Result<control::AddReply> VaultAdmin::Add(const control::AddRequest& request) {
  if (!request.alias.empty()) RETURN_IF_ERROR(CheckName(request.alias, "vault alias"));
  ASSIGN_OR_RETURN(const store::StoreUrl url, config_.StoreOf(request.store));
  ASSIGN_OR_RETURN(const VaultId id, pool_.IdentifyVault(url));
  RETURN_IF_ERROR(CheckMayEnter(id, {url, request.alias, request.replace}));
  ASSIGN_OR_RETURN(const std::string alias, AliasFor(id, url, request.alias));
  auto acquired =
      pool_.Acquire(id, url, request.password, request.single_writer, VaultPool::For::kLooking);
  if (!acquired.has_value()) return Fail(NameVault(acquired.error(), alias));
  const VaultPool::Lease lease = *std::move(acquired);
  const auto before = registry_.Find(id);
  if (before && before->store != url.ToString() && !lease.used_password()) {
    return Fail(ErrorCode::kConflict, "vault " + alias + " is just being used", "try again");
  }
  RETURN_IF_ERROR(lease.vault().RefreshCatalog());
  RETURN_IF_ERROR(Enter(lease, url, request.alias, request.single_writer));
  if (lease.vault().doubts().empty()) LearnSizes(lease);
  const KnownVault known = registry_.Find(id).value_or(KnownVault{});
  control::AddReply reply;
  for (const Error& doubt : lease.vault().doubts()) {
    reply.needs.push_back(doubt.message);
    reply.hints.push_back(NameVault(doubt, alias).hint);
  }
  reply.vault = InfoOf(known);
  for (const KnownVolume& volume : known.volumes) {
    reply.volumes.push_back({volume.name, volume.size_bytes});
  }
  return reply;
}

/// A disk that fails while it writes may have written: then the deed is there after a restart.
Status VaultAdmin::Enter(const VaultPool::Lease& lease, const store::StoreUrl& url,
                         const std::string& alias, bool single_writer) {
  const VaultId id = lease.vault().id();
  ASSIGN_OR_RETURN(const std::string name, AliasFor(id, url, alias));
  const Deed deed{Deed::Kind::kAdd, {}, {}, /*running=*/true};
  RETURN_IF_ERROR(registry_.Change(id, [&](KnownVault& known) {
    known.alias = name;
    known.store = url.ToString();
    known.single_writer = known.single_writer || single_writer;
    known.TakeVolumesFrom(lease.vault().catalog(), BeliefIn(lease.vault()));
    std::erase(known.deeds, deed);
    known.deeds.push_back(deed);
  }));
  registry_.Finish(id, deed, Registry::End::kKnown);
  return {};
}

void VaultAdmin::LearnVolumes(const VaultPool::Lease& lease) {
  registry_.Learn(lease.vault().id(), [&lease](KnownVault& known) {
    known.TakeVolumesFrom(lease.vault().catalog(), BeliefIn(lease.vault()));
  });
}

/// Of volumes that this machine has never opened, as their newest heads say. What cannot be learned
/// now stays unknown.
void VaultAdmin::LearnSizes(const VaultPool::Lease& lease) {
  const auto known = registry_.Find(lease.vault().id());
  if (!known) return;
  std::map<VolumeId, format::Head> heads;
  for (const KnownVolume& volume : known->volumes) {
    if (volume.size_bytes != 0 || heads.size() >= kSizesLearnedMax) continue;
    const auto directory = lease.vault().VolumeDirectory(volume.id);
    if (!directory.has_value()) continue;
    const auto newest = vault::HeadChain(lease.vault(), volume.id, *directory).Look();
    if (newest.has_value() && !newest->doubt.has_value()) {
      heads[volume.id] = newest->head;
    } else {
      LOG(kInfo, "size of ", volume.name, ": ",
          newest.has_value() ? newest->doubt->message : newest.error().message);
    }
  }
  const auto learned = registry_.Change(known->id, [&heads](KnownVault& vault) {
    for (KnownVolume& volume : vault.volumes) {
      const auto head = heads.find(volume.id);
      if (head == heads.end()) continue;
      volume.size_bytes = head->second.map.size;
      volume.chunk_size = head->second.chunk_size;
      volume.durability = DurabilityName(head->second.durability);
    }
  });
  if (!learned.has_value()) LOG(kWarning, learned.error().message);
}

Result<std::string> VaultAdmin::AliasFor(const VaultId& id, const store::StoreUrl& url,
                                         const std::string& wanted) const {
  const auto known = registry_.Find(id);
  if (!wanted.empty()) {
    const auto holder = registry_.FindByName(wanted);
    if (holder && holder->id != id) {
      return Fail(ErrorCode::kAlreadyExists,
                  "another vault is called " + wanted + " on this machine: " + holder->store,
                  "choose another name with --as");
    }
    return wanted;
  }
  if (known) return known->alias;
  ASSIGN_OR_RETURN(const std::string last_part, store::DefaultAlias(url));
  return registry_.FreeAlias(AliasFrom(last_part));
}

}  // namespace coffer::daemon

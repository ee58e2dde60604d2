#include "core/vault/vault.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/store/probe.h"
#include "core/vault/head_record.h"
#include "core/vault/local_state.h"
#include "core/vault/new_volume.h"
#include "core/vault/person.h"

namespace coffer::vault {
namespace {

/// Of those that nobody has taken.
constexpr std::size_t kNotesMax = 64;

const format::CatalogVolume* FindLive(const format::Catalog& catalog, const std::string& name) {
  for (const format::CatalogVolume& volume : catalog.volumes) {
    if (volume.state == format::CatalogVolume::State::kLive && volume.name == name) return &volume;
  }
  return nullptr;
}

bool Names(const format::Catalog& catalog, const VolumeId& id) {
  return std::any_of(catalog.volumes.begin(), catalog.volumes.end(),
                     [&](const format::CatalogVolume& volume) { return volume.id == id; });
}

tl::unexpected<Error> FailNameTaken(const store::ObjectStore& store, const std::string& name) {
  return Fail(ErrorCode::kAlreadyExists,
              Concat("the vault at ", store.description(), " has a volume ", name, " already"),
              "choose another name, or coffer open that one");
}

}  // namespace

Vault::Vault(Environment& env, std::unique_ptr<store::ObjectStore> store, Writers writers)
    : env_(env), store_(std::move(store)), writers_(writers) {}

Vault::~Vault() = default;

Status Vault::OpenLocalState() {
  directory_ = VaultDirectory(env_.state_directory, id());
  RETURN_IF_ERROR(CreateDirectories(env_.fs, directory_));
  Result<std::unique_ptr<FileLock>> lock = env_.fs.Lock(Concat(directory_, "/", kLockFile));
  if (!lock.has_value() && lock.error().code == ErrorCode::kConflict) {
    return Fail(ErrorCode::kConflict,
                Concat("another cofferd uses this state: ", directory_, " is locked"),
                "coffer daemon stop");
  }
  if (!lock.has_value()) return Fail(lock.error());
  lock_ = std::move(*lock);
  ASSIGN_OR_RETURN(HostKeys host, HostKeys::OpenOrCreate(env_.fs, env_.random, directory_, *keys_));
  host_ = std::make_unique<const HostKeys>(std::move(host));
  const auto lost =
      tolerate_ == Doubts::kTolerate ? TrustFile::Lost::kTolerate : TrustFile::Lost::kRefuse;
  ASSIGN_OR_RETURN(trust_,
                   TrustFile::OpenOrCreate(env_.fs, env_.random, directory_, id(), *host_, lost));
  if (const auto why = trust_->lost(); why.has_value()) RETURN_IF_ERROR(Doubt(*why));
  catalog_ = std::make_unique<CatalogChain>(
      env_, *store_, *keys_, *host_, *trust_, writers_, directory_,
      CatalogChain::Sinks{.doubt = [this](const Error& doubt) { return Doubt(doubt); },
                          .note = [this](std::string note) { AddNote(std::move(note)); }});
  return {};
}

void Vault::AddNote(std::string note) {
  const MutexLock lock(notes_mutex_);
  if (notes_.size() < kNotesMax) notes_.push_back(std::move(note));
}

std::vector<std::string> Vault::TakeNotes() {
  const MutexLock lock(notes_mutex_);
  return std::exchange(notes_, {});
}

Status Vault::PrepareToWrite() {
  if (const std::vector<Error> doubted = doubts(); !doubted.empty()) return Fail(doubted.front());
  if (key_change_unfinished_) {
    // Writing is no less safe without it.
    const Status finished = FinishKeyChange();
    if (!finished.has_value())
      LOG(kWarning, "finishing a change of keys: ", finished.error().message);
  }
  if (writers_ == Writers::kSingle) return {};
  const std::string name = store_->description();
  const std::string identity = store_->identity();
  if (store_->capabilities().strength == store::StoreStrength::kWeak) {
    return Fail(WeakStoreError(name, "it can't refuse to create an object that exists"));
  }
  if (trust_->HasProbed(identity)) return {};
  ASSIGN_OR_RETURN(const store::ProbeReport report, store::ProbeStore(*store_, env_.random));
  if (report.strength == store::StoreStrength::kWeak) {
    return Fail(WeakStoreError(name, report.reason));
  }
  return trust_->NoteProbed(identity);
}

Status Vault::RequireKeyHeader(std::uint64_t seq_min) {
  if (header_seq_ >= seq_min || trust_->key_header().seq >= seq_min) return {};
  ASSIGN_OR_RETURN(const std::optional<ChainTip> tip,
                   FindChainTip(*store_, std::string(format::kKeysPrefix)));
  if (tip.has_value() && tip->seq >= seq_min) return {};  // passwd on another machine meanwhile
  return Fail(HeaderRollbackError(Concat(store_->description(), ": key header ", seq_min,
                                         " exists somewhere, the store offers ",
                                         tip.has_value() ? tip->seq : 0)));
}

Result<format::CatalogVolume> Vault::FindVolume(const std::string& name) {
  const format::Catalog known = catalog();
  if (const auto* volume = FindLive(known, name)) return *volume;
  RETURN_IF_ERROR(RefreshCatalog());
  const format::Catalog newest = catalog();
  if (const auto* volume = FindLive(newest, name)) return *volume;
  return Fail(ErrorCode::kNotFound, Concat("the vault at ", store_->description(),
                                           " has no volume '", EscapeForTerminal(name), "'"));
}

Result<VolumeId> Vault::CreateVolume(const VolumeSpec& spec) {
  RETURN_IF_ERROR(CheckVolumeSpec(spec));
  RETURN_IF_ERROR(PrepareToWrite());
  const Result<format::CatalogVolume> taken = FindVolume(spec.name);
  if (taken.has_value()) return FailNameTaken(*store_, spec.name);
  if (taken.error().code != ErrorCode::kNotFound) return Fail(taken.error());

  const VolumeId volume = env_.random.NewId<VolumeId>();
  RETURN_IF_ERROR(CreateFirstHead(volume, spec));
  const Status added = AddToCatalog(CatalogEntry(env_, volume, spec));
  if (!added.has_value()) {
    // Once it is certain that no catalog names the volume, its head is litter.
    if (added.error().code == ErrorCode::kAlreadyExists) {
      (void)store_->Delete(Writing(), format::ChainName(format::HeadPrefix(volume), 1));
    }
    return Fail(added.error());
  }
  return volume;
}

Status Vault::CreateFirstHead(const VolumeId& volume, const VolumeSpec& spec) {
  return CreateFirstHead(FirstHead(env_, id(), volume, *host_, spec));
}

Status Vault::CreateForkHead(const VolumeId& fork, const format::Head& base) {
  const VolumeSpec spec{.name = {},
                        .size = base.map.size,
                        .chunk_size = base.chunk_size,
                        .durability = base.durability};
  format::Head head = FirstHead(env_, id(), fork, *host_, spec);
  head.map = base.map;
  head.features = base.features;
  head.gc_seen = base.gc_seen;
  return CreateFirstHead(std::move(head));
}

Status Vault::NameFork(const VolumeId& fork, const std::string& name, const ForkOrigin& origin) {
  const VolumeSpec spec{.name = name};
  format::CatalogVolume entry = CatalogEntry(env_, fork, spec);
  entry.forked_from = origin.volume;
  entry.forked_seq = origin.seq;
  return AddToCatalog(entry);
}

Status Vault::CreateFirstHead(format::Head head) {
  head.header_seq_min = header_seq_;
  head.catalog_seq_min = catalog().seq;
  const Bytes bytes = SealHead(*keys_, head, env_.random);
  const std::string name = format::ChainName(format::HeadPrefix(head.volume), head.seq);
  RETURN_IF_ERROR(store_->Create(Writing(), name, bytes, store::ObjectClass::kHead));
  return trust_->NoteHead(head.volume, {head.seq, crypto::Sha256(bytes)}, head.epoch,
                          /*ours=*/true);
}

Status Vault::AddToCatalog(const format::CatalogVolume& volume) {
  return catalog_->Update([&](format::Catalog& catalog) -> Result<CatalogChain::Edit> {
    if (Names(catalog, volume.id)) return CatalogChain::Edit::kNothingToDo;
    if (FindLive(catalog, volume.name) != nullptr) return FailNameTaken(*store_, volume.name);
    if (catalog.volumes.size() >= format::kVolumesMax) {
      return Fail(ErrorCode::kNoSpace,
                  Concat("the vault has ", format::kVolumesMax, " volumes, the most there can be"));
    }
    catalog.volumes.push_back(volume);
    catalog.header_seq_min = std::max(catalog.header_seq_min, header_seq());
    return CatalogChain::Edit::kChanged;
  });
}

Result<std::string> Vault::VolumeDirectory(const VolumeId& volume) {
  std::string path = Concat(directory_, "/", kVolumesDirectory, "/", volume.ToString());
  RETURN_IF_ERROR(CreateDirectories(env_.fs, path));
  return path;
}

}  // namespace coffer::vault

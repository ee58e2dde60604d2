#include "core/daemon/open_volumes.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/daemon/open_volumes_use.h"

namespace coffer::daemon {
namespace {

// The config speaks of listeners of a volume's own: the shared one is everybody's, and nobody else
// reaches it. A flag means this export, so that the exporter may say that it cannot be.
block::TlsFiles TlsFor(const config::Effective& config, const std::string& address) {
  using config::Key;
  const auto path = [&](Key key) {
    const bool by_flag = config[key].from.substr(0, 2) == "--";
    return address.empty() && !by_flag ? std::string() : config.text(key);
  };
  return {.x509_directory = path(Key::kTlsX509),
          .psk_file = path(Key::kTlsPsk),
          .verify_peer = config.text(Key::kTlsVerifyPeer) == "yes"};
}

block::ClientCache CacheFor(const config::Effective& config) {
  const std::string cache = config.text(config::Key::kFuseCache);
  if (cache == "direct") return block::ClientCache::kNone;
  return cache == "writeback" ? block::ClientCache::kWriteBack : block::ClientCache::kAuto;
}

bool IsSameMount(const std::optional<control::MountRequest>& there,
                 const std::optional<control::MountRequest>& wanted) {
  if (!there || !wanted) return !there && !wanted;
  return there->directory == wanted->directory &&
         (wanted->way.empty() || wanted->way == there->way);
}

}  // namespace

Error NotOpen(const std::string& full_name) {
  return Error{ErrorCode::kNotFound, "volume " + full_name + " is not open",
               "coffer open " + full_name};
}

OpenVolumes::OpenVolumes(vault::Environment& env, Registry& registry, control::EventHub& events,
                         std::vector<block::Exporter*> exporters, const LiveConfig& config,
                         Mounting mounting)
    : env_(env),
      registry_(registry),
      events_(events),
      exporters_(std::move(exporters)),
      config_(config),
      mounting_(std::move(mounting)) {}

OpenVolumes::~OpenVolumes() {
  MutexLock lock(mutex_);
  CHECK(entries_.empty());
}

std::shared_ptr<OpenVolumes::Entry> OpenVolumes::FindLocked(const VolumeKey& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : found->second;
}

config::Effective OpenVolumes::ConfigOf(const VolumeKey& key) const {
  config::Overrides overrides;
  {
    MutexLock lock(mutex_);
    if (const auto entry = FindLocked(key); entry != nullptr) overrides = entry->overrides;
  }
  return config_.For(VaultNameOf(key), key.volume, overrides);
}

void OpenVolumes::Retune() {
  for (const VolumeKey& key : keys()) {
    const auto use = Use::Begin(*this, key);
    // One that is being opened or closed has what it needs.
    if (use.has_value()) (*use)->entry().volume->Retune(VolumeSettings(ConfigOf(key)));
  }
}

void OpenVolumes::SetUploads(volume::Uploads uploads) {
  uploads_ = uploads;
  for (const VolumeKey& key : keys()) {
    const auto use = Use::Begin(*this, key);
    if (!use.has_value()) continue;
    (*use)->entry().volume->SetUploads(uploads);
    Announce(key, "open");
  }
}

void OpenVolumes::RereadFiles() {
  for (block::Exporter* const exporter : exporters_) exporter->RereadFiles();
}

std::string OpenVolumes::VaultNameOf(const VolumeKey& key) const {
  const auto vault = registry_.Find(key.vault);
  return vault ? vault->alias : key.vault.ToString();
}

std::string OpenVolumes::FullNameOf(const VolumeKey& key) const {
  return VaultNameOf(key) + "/" + key.volume;
}

/// Waits while the volume is being opened, or mounted again.
void OpenVolumes::AwaitOpenedLocked(MutexLock& lock, const VolumeKey& key) {
  env_.sync_executor.Await(lock, changed_, [this, &key]() REQUIRES_LOCK(mutex_) {
    const auto found = FindLocked(key);
    return found == nullptr ||
           (found->state != State::kOpening && found->state != State::kMounting);
  });
}

std::vector<VolumeKey> OpenVolumes::keys() const {
  MutexLock lock(mutex_);
  std::vector<VolumeKey> all;
  for (const auto& [key, entry] : entries_) {
    if (entry->state != State::kExcluded) all.push_back(key);
  }
  return all;
}

std::vector<control::ExportRequest> OpenVolumes::WantedExports(
    const control::OpenRequest& request) const {
  std::vector<control::ExportRequest> wanted = request.exports;
  const bool has_image = std::any_of(wanted.begin(), wanted.end(),
                                     [](const auto& one) { return one.kind == kImageExporter; });
  if (request.mount && !has_image) wanted.push_back({kImageExporter, mounting_.images_directory});
  if (wanted.empty()) wanted.push_back({"nbd", ""});
  return wanted;
}

Result<block::Exporter*> OpenVolumes::ExporterOf(const std::string& kind) const {
  for (block::Exporter* exporter : exporters_) {
    if (exporter->kind() == kind) return exporter;
  }
  return Fail(ErrorCode::kUnsupported, "this version of cofferd has no exporter " + kind);
}

/// Which vaults are known at that moment must not change a name that a client's configuration has:
/// only what is served under it does.
std::string OpenVolumes::ExportNameLocked(const VolumeKey& key) const {
  const bool taken = std::any_of(entries_.begin(), entries_.end(), [&key](const auto& open) {
    return open.second->export_name == key.volume;
  });
  return taken ? FullNameOf(key) : key.volume;
}

Result<control::OpenReply> OpenVolumes::Open(const VolumeKey& key,
                                             const control::OpenRequest& request,
                                             const Unlock& unlock,
                                             const volume::ReplayProgress& progress) {
  for (const control::ExportRequest& wanted : WantedExports(request)) {
    RETURN_IF_ERROR(ExporterOf(wanted.kind));
  }
  if (request.mount && mounting_.mounter == nullptr) {
    return Fail(ErrorCode::kUnsupported, "this cofferd mounts nothing");
  }
  ASSIGN_OR_RETURN(const config::Overrides overrides, OverridesOf(request.settings));
  std::shared_ptr<Entry> entry;
  std::unique_ptr<Use> use;
  {
    MutexLock lock(mutex_);
    AwaitOpenedLocked(lock, key);
    if (FindLocked(key) == nullptr) {
      entry = std::make_shared<Entry>();
      entry->export_name = ExportNameLocked(key);
      entry->read_only = request.read_only;
      entry->overrides = overrides;
      entry->mount_request = request.mount;
      entry->deed = "opened";
      entries_.emplace(key, entry);
    } else {
      ASSIGN_OR_RETURN(use, Use::BeginLocked(*this, key));
    }
  }
  if (use != nullptr) {
    return OpenAgain(key, use->entry(), request);
  }
  Status built = Build(key, *entry, request, unlock, progress);
  if (!built.has_value()) built = Fail(NameVault(built.error(), VaultNameOf(key)));
  {
    MutexLock lock(mutex_);
    refused_.erase(key);
    if (!built.has_value() && built.error().code == ErrorCode::kNeedsPerson)
      refused_.emplace(key, built.error());
  }
  if (!built.has_value()) {
    Remove(key);
    return Fail(built.error());
  }
  control::OpenReply reply = Describe(key, *entry);
  {
    MutexLock lock(mutex_);
    // Whoever changes it from here on finds this one open.
    entry->volume->SetUploads(uploads_);
    entry->state = State::kOpen;
    changed_.notify_all();
  }
  LOG(kInfo, "opened ", key.volume, entry->read_only ? " read-only" : "", " at ", reply.uri);
  Announce(key, "open");
  return reply;
}

Status OpenVolumes::Build(const VolumeKey& key, Entry& entry, const control::OpenRequest& request,
                          const Unlock& unlock, const volume::ReplayProgress& progress) {
  ASSIGN_OR_RETURN(VaultPool::Lease lease, unlock());
  ASSIGN_OR_RETURN(const format::CatalogVolume listed, lease.vault().FindVolume(key.volume));
  if (!request.read_only) RETURN_IF_ERROR(lease.vault().PrepareToWrite());
  volume::OpenOptions options;
  options.read_only = request.read_only;
  options.take_over = request.take_over;
  options.accept_damage = request.accept_damage;
  options.settings = VolumeSettings(config_.For(VaultNameOf(key), key.volume, entry.overrides));
  options.uploads = uploads_;
  options.replay_progress = progress;
  auto volume = volume::Volume::Open(lease.resources(), listed.id, options);
  if (!volume.has_value()) {
    // Its tombstone stands: the catalog is to say so too.
    if (volume.error().code == ErrorCode::kNotFound && !request.read_only) {
      const Status finished = lease.vault().FinishDeletion(listed.id);
      if (!finished.has_value()) LOG(kWarning, "finishing a delete: ", finished.error().message);
    }
    LearnVolumes(lease.vault());
    return Fail(volume.error().Within("volume " + key.volume));
  }
  entry.id = listed.id;
  entry.lease = std::move(lease);
  entry.volume = std::move(*volume);
  if (!entry.read_only) SettleDeedsOf(key, entry.id);
  NoteInUse(key, InUse::kYes);
  // Before a client can write: from here on the registry's count of waiting bytes may be stale.
  Remember(key, entry, !entry.read_only, entry.volume->status().behind_bytes);
  Status exported = CleanUpMount(key, entry);
  if (exported.has_value()) exported = ExportAll(key, entry, request);
  if (exported.has_value() && entry.mount_request) {
    exported = Mount(key, entry, entry.mount_request->mkfs);
  }
  if (exported.has_value()) return {};
  WithdrawAll(entry);
  NoteInUse(key, InUse::kNo);
  const Status closed = entry.volume->Close(volume::CloseMode::kLeaveInJournal, {});
  if (closed.has_value()) Remember(key, entry, false, entry.volume->status().behind_bytes);
  return exported;
}

std::vector<std::string> OpenVolumes::TakeNotes(const VolumeKey& key) {
  const auto use = Use::Begin(*this, key);
  if (!use.has_value()) return {};
  return (*use)->entry().lease.vault().TakeNotes();
}

/// What of it is said by the request and the config.
block::ExportSpec OpenVolumes::SpecOf(const VolumeKey& key, const config::Overrides& overrides,
                                      const control::ExportRequest& wanted) const {
  const config::Effective config = config_.For(VaultNameOf(key), key.volume, overrides);
  block::ExportSpec spec;
  spec.description = "coffer volume " + key.volume;
  spec.address = wanted.address;
  spec.tls = TlsFor(config, wanted.address);
  spec.cache = CacheFor(config);
  return spec;
}

Status OpenVolumes::CheckOpen(const VolumeKey& key, const control::OpenRequest& request) const {
  std::string export_name;
  {
    MutexLock lock(mutex_);
    if (FindLocked(key) != nullptr) return {};  // what is there already is no hindrance to it
    export_name = ExportNameLocked(key);
  }
  ASSIGN_OR_RETURN(const config::Overrides overrides, OverridesOf(request.settings));
  for (const control::ExportRequest& wanted : WantedExports(request)) {
    ASSIGN_OR_RETURN(block::Exporter* const exporter, ExporterOf(wanted.kind));
    if (wanted.address == mounting_.images_directory && !wanted.address.empty()) continue;
    block::ExportSpec spec = SpecOf(key, overrides, wanted);
    spec.name = export_name;
    RETURN_IF_ERROR(exporter->Check(spec));
  }
  if (!request.mount) return {};
  if (mounting_.mounter == nullptr) {
    return Fail(ErrorCode::kUnsupported, "this cofferd mounts nothing");
  }
  mount::MountSpec spec;
  spec.directory = request.mount->directory;
  spec.way = request.mount->way;
  spec.make = request.mount->mkfs;
  spec.read_only = request.read_only;
  auto vault = registry_.Find(key.vault);
  const KnownVolume* const known = vault ? vault->Find(key.volume) : nullptr;
  if (known != nullptr) spec.record_path = MountRecordOf(key.vault, known->id);
  return mounting_.mounter->Check(spec);
}

Status OpenVolumes::ExportAll(const VolumeKey& key, Entry& entry,
                              const control::OpenRequest& request) {
  const std::vector<control::ExportRequest> all = WantedExports(request);
  for (const control::ExportRequest& wanted : all) {
    ASSIGN_OR_RETURN(block::Exporter * exporter, ExporterOf(wanted.kind));
    if (wanted.address == mounting_.images_directory && !wanted.address.empty()) {
      const Status made = env_.fs.CreateDirectory(wanted.address);
      if (!made.has_value() && made.error().code != ErrorCode::kAlreadyExists) return made;
    }
    block::ExportSpec spec = SpecOf(key, entry.overrides, wanted);
    spec.name = entry.export_name;
    spec.device = entry.volume.get();
    spec.read_only = entry.read_only;
    spec.sole = all.size() == 1;
    auto place = exporter->Export(spec);
    if (!place.has_value()) return Fail(place.error().Within("exporting " + key.volume));
    entry.exports.push_back({exporter, wanted.address, std::move(place->uri)});
  }
  return {};
}

/// Each once, however many places it serves the volume at.
std::vector<block::Exporter*> OpenVolumes::ExportersOf(const Entry& entry) {
  std::vector<block::Exporter*> exporters;
  for (const Exported& exported : entry.exports) {
    const bool known =
        std::find(exporters.begin(), exporters.end(), exported.exporter) != exporters.end();
    if (!known) exporters.push_back(exported.exporter);
  }
  return exporters;
}

void OpenVolumes::WithdrawAll(Entry& entry) {
  for (block::Exporter* const exporter : ExportersOf(entry)) {
    const Status status = exporter->Withdraw(entry.export_name);
    // Withdraw fails for a name it does not serve; then nobody is in the device either.
    if (!status.has_value()) LOG(kWarning, "withdrawing: ", status.error().message);
  }
}

void OpenVolumes::Remove(const VolumeKey& key) {
  std::shared_ptr<Entry> gone;
  {
    MutexLock lock(mutex_);
    gone = FindLocked(key);
    gone->may_hurry = false;
    gone->hurry.reset();
    gone->leaving = true;
    env_.sync_executor.Await(lock, changed_, [&gone] { return gone->watchers == 0; });
  }
  // Outside the lock, and before anybody may open it again: lets go of lock files and keys.
  gone->volume.reset();
  gone->lease = VaultPool::Lease();
  ReturnFreeMemory();  // its caches
  MutexLock lock(mutex_);
  entries_.erase(key);
  changed_.notify_all();
}

Status OpenVolumes::Sync(const VolumeKey& key, const volume::SyncProgress& progress) {
  ASSIGN_OR_RETURN(const auto use, Use::Begin(*this, key));
  const Status status = use->entry().volume->Sync(progress);
  Announce(key, "open");
  if (!status.has_value()) return Fail(status.error().Within("sync of " + key.volume));
  return {};
}

Result<std::unique_ptr<OpenVolumes::Exclusion>> OpenVolumes::Exclude(const VolumeKey& key,
                                                                     std::string deed) {
  MutexLock lock(mutex_);
  AwaitOpenedLocked(lock, key);
  if (const auto entry = FindLocked(key); entry != nullptr) {
    if (entry->state == State::kOpen) {
      return Fail(ErrorCode::kConflict, Concat("volume ", FullNameOf(key), " is open"),
                  Concat("coffer close ", FullNameOf(key), " first"));
    }
    return Fail(ErrorCode::kConflict,
                Concat("volume ", FullNameOf(key), " is just being ", entry->deed),
                "try again when coffer status says that it is done");
  }
  const auto entry = std::make_shared<Entry>();
  entry->state = State::kExcluded;
  entry->deed = std::move(deed);
  entries_.emplace(key, entry);
  return std::make_unique<Exclusion>(*this, key);
}

Status OpenVolumes::CheckSame(const VolumeKey& key, const Entry& entry,
                              const control::OpenRequest& request) const {
  const std::vector<control::ExportRequest> wanted = WantedExports(request);
  // Who names no place is told the one that it has.
  const bool anywhere =
      !request.mount && (request.exports.empty() ||
                         (request.exports.size() == 1 && request.exports[0].kind == "nbd" &&
                          request.exports[0].address.empty()));
  const bool same_exports =
      anywhere ||
      std::equal(wanted.begin(), wanted.end(), entry.exports.begin(), entry.exports.end(),
                 [](const control::ExportRequest& a, const Exported& b) {
                   return a.kind == b.exporter->kind() && a.address == b.address;
                 });
  // To open it again without a word on its settings leaves them as they are.
  ASSIGN_OR_RETURN(const config::Overrides overrides, OverridesOf(request.settings));
  const bool same_settings = request.settings.empty() || overrides == entry.overrides;
  if (same_exports && entry.read_only == request.read_only && !same_settings) {
    return Fail(ErrorCode::kConflict,
                "volume " + FullNameOf(key) + " is open already, with other settings",
                "coffer config show " + FullNameOf(key) + " lists them; coffer close " +
                    FullNameOf(key) + " first");
  }
  const auto mounted = MountedOf(entry);
  if (!same_exports || entry.read_only != request.read_only ||
      !(anywhere || IsSameMount(entry.mount_request, request.mount))) {
    return Fail(ErrorCode::kConflict,
                "volume " + FullNameOf(key) + " is open already, " +
                    (entry.read_only ? "read-only, at " : "at ") +
                    (mounted != nullptr ? mounted->as().directory : entry.exports[0].uri),
                "coffer close " + FullNameOf(key) + " first");
  }
  return {};
}

Result<control::OpenReply> OpenVolumes::OpenAgain(const VolumeKey& key, Entry& entry,
                                                  const control::OpenRequest& request) {
  RETURN_IF_ERROR(CheckSame(key, entry, request));
  for (block::Exporter* const exporter : ExportersOf(entry)) {
    RETURN_IF_ERROR(exporter->Restore(entry.export_name));
  }
  if (request.mount) RETURN_IF_ERROR(RestoreMount(key, entry));
  control::OpenReply reply = Describe(key, entry);
  reply.already_open = true;
  if (reply.mount) reply.mount->made = false;
  return reply;
}

void OpenVolumes::ForgetRefusals(const VaultId& vault) {
  MutexLock lock(mutex_);
  std::erase_if(refused_, [&vault](const auto& refused) { return refused.first.vault == vault; });
}

void OpenVolumes::LearnVolumes(vault::Vault& vault) {
  registry_.Learn(vault.id(), [&vault](KnownVault& known) {
    known.TakeVolumesFrom(vault.catalog(), BeliefIn(vault));
  });
}

void OpenVolumes::NoteInUse(const VolumeKey& key, InUse in_use) {
  registry_.Learn(key.vault, [&](KnownVault& vault) {
    if (KnownVolume* volume = vault.Find(key.volume)) volume->in_use = in_use == InUse::kYes;
  });
}

/// Open for writing it is not deleted, and its size shows.
void OpenVolumes::SettleDeedsOf(const VolumeKey& key, const VolumeId& id) {
  const auto known = registry_.Find(key.vault);
  if (!known || known->deeds.empty()) return;
  registry_.Learn(key.vault, [&id](KnownVault& vault) {
    vault.DropDeeds(Deed::Kind::kDelete, id);
    vault.DropDeeds(Deed::Kind::kResize, id);
  });
}

void OpenVolumes::Remember(const VolumeKey& key, const Entry& entry, bool open,
                           std::uint64_t waiting_bytes) {
  if (entry.read_only) return;
  const volume::VolumeStatus now = entry.volume->status();
  // What `status` says of a locked volume is not worth failing an open or a close for.
  registry_.Learn(key.vault, [&](KnownVault& known) {
    KnownVolume* volume = known.Find(key.volume);
    if (volume == nullptr) return;
    volume->size_bytes = now.size;
    volume->chunk_size = now.chunk_size;
    volume->durability = DurabilityName(now.durability);
    volume->waiting_bytes = waiting_bytes;
    volume->open = open;
  });
}

}  // namespace coffer::daemon

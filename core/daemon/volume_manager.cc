#include "core/daemon/volume_manager.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/cache/journal_segment.h"
#include "core/control/names.h"
#include "core/control/version.h"
#include "core/daemon/deeds.h"

namespace coffer::daemon {
namespace {

constexpr const char* kFromVolume = "the volume";

control::HolderInfo InfoOf(MountHolder& holder, const std::string& volume) {
  return {holder.pid, std::move(holder.name), std::move(holder.how), volume};
}

/// What a close has to say beside its error.
void Tell(OpenVolumes::Closed& closed, JobTable::Reporter& reporter) {
  for (std::string& note : closed.notes) reporter.Note(std::move(note));
  for (MountHolder& holder : closed.held.holders) {
    reporter.Holder(InfoOf(holder, closed.held.volume));
  }
}

/// Of several volumes that stay open since they are in use each is named; otherwise the first error
/// counts. REQUIRES: there is one.
Error Join(std::vector<Error> errors, std::size_t volumes) {
  Error first = std::move(errors.front());
  const auto in_use = [](const Error& error) { return error.code == ErrorCode::kConflict; };
  if (errors.size() == 1) return first;
  if (in_use(first) && std::all_of(errors.begin() + 1, errors.end(), in_use)) {
    for (std::size_t i = 1; i < errors.size(); ++i) {
      first.message.append("; ").append(errors[i].message);
    }
    first.hint =
        "end what uses them, or coffer close --all --force, which takes them away from under it";
    return first;
  }
  first.message += Concat(" (and ", errors.size() - 1, " more of ", volumes, " volumes)");
  return first;
}

}  // namespace

Result<std::unique_ptr<VolumeManager>> VolumeManager::Open(vault::Environment& env, Executor& jobs,
                                                           std::vector<block::Exporter*> exporters,
                                                           Options options) {
  ASSIGN_OR_RETURN(auto registry, Registry::Open(env.fs, env.state_directory));
  return std::unique_ptr<VolumeManager>(
      new VolumeManager(env, jobs, std::move(exporters), std::move(registry), std::move(options)));
}

namespace {

/// What decoded frames may take: as the config says, but where memory is short no more than an
/// eighth of it, since whoever goes beyond a control group's limit is killed.
std::size_t FrameCacheBytes(const config::Effective& settings) {
  constexpr std::uint64_t kShareOfMemory = 8;
  const std::uint64_t wanted = settings.number(config::Key::kMemoryCacheBytesMax);
  const std::uint64_t usable = UsableMemoryBytes();
  return usable == 0 ? wanted : std::min(wanted, usable / kShareOfMemory);
}

}  // namespace

VolumeManager::VolumeManager(vault::Environment& env, Executor& jobs,
                             std::vector<block::Exporter*> exporters,
                             std::unique_ptr<Registry> registry, Options options)
    : env_(env),
      jobs_executor_(jobs),
      options_(std::move(options)),
      config_(options_.config),
      registry_(std::move(registry)),
      pool_(env, FrameCacheBytes(config_.Defaults()),
            {.directory = options_.cache_directory,
             .bytes_max = config_.Defaults().number(config::Key::kDiskCacheBytesMax)},
            options_.reach, options_.stores),
      admin_(*registry_, pool_, config_),
      open_(env, *registry_, events_, std::move(exporters), config_, options_.mounting),
      pause_(env.fs, env.clock, jobs, env.state_directory + "/paused",
             [this](volume::Uploads uploads) { open_.SetUploads(uploads); }),
      volume_admin_(*registry_, pool_, admin_, open_),
      store_admin_(env, *registry_, pool_, config_),
      trust_admin_(*registry_, pool_, admin_),
      jobs_(jobs, env.clock, events_) {
  SetBandwidth(config_.Defaults());
  open_.SetUploads(pause_.uploads());
}

void VolumeManager::SetBandwidth(const config::Effective& settings) {
  pool_.SetBandwidth(RatesOf(settings.text(config::Key::kUploadLimit)),
                     RatesOf(settings.text(config::Key::kDownloadLimit)));
}

VolumeManager::~VolumeManager() = default;

control::VersionInfo VolumeManager::Version() { return {control::Version(), getpid()}; }

Status VolumeManager::CheckServing() const {
  if (ending_) return Fail(ErrorCode::kConflict, "cofferd is ending");
  return {};
}

Result<control::InitReply> VolumeManager::Init(control::InitRequest request) {
  RETURN_IF_ERROR(CheckServing());
  return admin_.Init(request);
}

Result<control::AddReply> VolumeManager::Add(control::AddRequest request) {
  RETURN_IF_ERROR(CheckServing());
  return admin_.Add(request);
}

Status VolumeManager::StopDaemon(const control::StopRequest& request,
                                 std::vector<control::HolderInfo>* holders) {
  if (!request.force) {
    std::vector<OpenVolumes::Held> held;
    const Status unused = open_.CheckUnused(&held);
    for (OpenVolumes::Held& one : held) {
      for (MountHolder& holder : one.holders) holders->push_back(InfoOf(holder, one.volume));
    }
    RETURN_IF_ERROR(unused);
  }
  LOG(kInfo, "asked to end");
  options_.request_stop();
  return {};
}

void VolumeManager::Reload(config::Config config) {
  const config::Effective after = config.Defaults();
  config_.Replace(std::move(config));
  open_.Retune();
  pool_.SetFrameCacheBytes(FrameCacheBytes(after));
  pool_.SetDiskCacheBytes(after.number(config::Key::kDiskCacheBytesMax));
  SetBandwidth(after);
}

// --- Which volume is meant ---

Result<VolumeManager::Target> VolumeManager::Resolve(const std::string& reference,
                                                     Among among) const {
  ASSIGN_OR_RETURN(const auto parsed, control::ParseVolumeReference(reference));
  if (!parsed.snapshot.empty()) {
    return Fail(ErrorCode::kUnsupported, "opening a snapshot is not built yet in this version");
  }
  std::vector<Target> found;
  for (KnownVault& vault : registry_->vaults()) {
    if (!parsed.vault.empty() && vault.alias != parsed.vault &&
        vault.id.ToString() != parsed.vault) {
      continue;
    }
    Target target{vault, {vault.id, parsed.volume}, std::nullopt};
    if (const KnownVolume* volume = target.vault.Find(parsed.volume)) target.known = *volume;
    if (target.known || !parsed.vault.empty()) found.push_back(std::move(target));
  }
  if (among == Among::kOpenFirst && found.size() > 1) {
    const std::vector<VolumeKey> open = open_.keys();
    const auto is_open = [&open](const Target& target) {
      return std::find(open.begin(), open.end(), target.key) != open.end();
    };
    if (std::count_if(found.begin(), found.end(), is_open) == 1) {
      return std::move(*std::find_if(found.begin(), found.end(), is_open));
    }
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    const std::string what =
        parsed.vault.empty() ? "volume " + parsed.volume : "vault " + parsed.vault;
    return Fail(ErrorCode::kNotFound, "no " + what + " is known on this machine",
                "coffer list shows what is; coffer add STORE makes a vault known");
  }
  std::string names;
  for (const Target& target : found) names.append(" ").append(target.full_name());
  return Fail(ErrorCode::kInvalidArgument,
              "more than one vault has a volume " + parsed.volume + ":" + names,
              "say which, as VAULT/VOLUME");
}

Result<VolumeManager::Target> VolumeManager::ResolveKnown(const std::string& reference) const {
  ASSIGN_OR_RETURN(Target target, Resolve(reference, Among::kOpenFirst));
  if (!target.known) {
    return Fail(ErrorCode::kNotFound,
                "vault " + target.vault.alias + " has no volume " + target.key.volume +
                    " known on this machine",
                "coffer open " + target.full_name() + " looks in its store");
  }
  return target;
}

Result<KnownVault> VolumeManager::ResolveVault(const std::string& name) const {
  std::vector<KnownVault> found;
  for (KnownVault& vault : registry_->vaults()) {
    const bool meant = vault.alias == name || vault.id.ToString() == name ||
                       vault.Find(name) != nullptr ||
                       (name.rfind(vault.alias + "/", 0) == 0 &&
                        vault.Find(name.substr(vault.alias.size() + 1)) != nullptr);
    if (meant) found.push_back(std::move(vault));
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.empty()) {
    return Fail(ErrorCode::kNotFound,
                "no vault or volume " + control::Quoted(name) + " is known on this machine",
                "coffer list shows what is; coffer add STORE makes a vault known");
  }
  std::string names;
  for (const KnownVault& vault : found) names.append(" ").append(vault.alias);
  return Fail(ErrorCode::kInvalidArgument,
              control::Quoted(name) + " may mean several vaults:" + names,
              "say which, as VAULT/VOLUME or by the vault's id");
}

Result<control::StoreTestReply> VolumeManager::TestStore(const control::StoreTestRequest& request) {
  RETURN_IF_ERROR(CheckServing());
  return store_admin_.Test(request);
}

Result<control::TrustInfo> VolumeManager::Trust(const std::string& vault,
                                                control::TrustRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const KnownVault known, ResolveVault(vault));
  return trust_admin_.Show(known, request);
}

Result<control::TrustInfo> VolumeManager::AcceptTrust(const std::string& vault,
                                                      control::TrustAcceptRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const KnownVault known, ResolveVault(vault));
  ASSIGN_OR_RETURN(control::TrustInfo accepted, trust_admin_.Accept(known, request));
  open_.ForgetRefusals(known.id);
  return accepted;
}

Result<control::Forgotten> VolumeManager::Forget(const std::string& vault,
                                                 const control::ForgetRequest& request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const KnownVault known, ResolveVault(vault));
  std::uint64_t waiting = 0;
  for (const KnownVolume& volume : known.volumes) waiting += StatusOf(known, volume).waiting_bytes;
  return trust_admin_.Forget(known, waiting, request);
}

// --- Status ---

control::VolumeStatus VolumeManager::StatusOf(const KnownVault& vault, const KnownVolume& volume) {
  control::VolumeStatus status;
  const VolumeKey key{vault.id, volume.name};
  status.volume = volume.name;
  status.vault = vault.alias;
  status.volume_id = volume.id.ToString();
  status.vault_id = vault.id.ToString();
  status.store = vault.store;
  status.size_bytes = volume.size_bytes;
  status.keys_held = pool_.HoldsKeys(vault.id);
  status.waiting_bytes = volume.waiting_bytes;
  for (const Deed& deed : vault.deeds) {
    if (deed.running || deed.kind == Deed::Kind::kDeleted || !Concerns(deed, volume)) continue;
    const Error unfinished = UnfinishedError(deed, vault.alias + "/" + volume.name);
    status.needs.push_back(unfinished.message);
    status.hints.push_back(unfinished.hint);
  }
  if (!volume.fate.empty()) {
    status.needs.push_back(volume.fate);
    status.hints.push_back("coffer close " + vault.alias + "/" + volume.name +
                           ": what could not be uploaded becomes a volume of its own");
  }
  if (open_.FillStatus(key, &status)) return status;
  if (volume.open) {
    // It was not closed: what its journal's files could hold is all there is to say.
    status.waiting_bytes =
        cache::SegmentBytesOnDisk(env_.fs, registry_->DirectoryOf(vault.id) + "/volumes/" +
                                               volume.id.ToString() + "/journal");
    status.waiting_exact = status.waiting_bytes == 0;
  }
  status.state = !status.keys_held && status.waiting_bytes > 0 ? "locked" : "closed";
  return status;
}

control::VolumeStatus VolumeManager::StatusOfUnseen(const KnownVault& vault,
                                                    const std::string& name) {
  KnownVolume unseen;
  unseen.name = name;
  control::VolumeStatus status = StatusOf(vault, unseen);
  status.volume_id.clear();
  status.state = "unknown";
  return status;
}

control::PauseInfo VolumeManager::PauseNow() const {
  const std::optional<UnixSeconds> until = pause_.until();
  return {until.has_value(), until.value_or(0)};
}

Result<control::PauseInfo> VolumeManager::Pause(const control::PauseRequest& request) {
  RETURN_IF_ERROR(CheckServing());
  if (request.seconds > control::kPauseSecondsMax)
    return Fail(ErrorCode::kInvalidArgument, "uploads can be paused for a year at most");
  const auto wanted =
      request.seconds == 0 ? std::nullopt : std::optional<std::uint64_t>(request.seconds);
  RETURN_IF_ERROR(pause_.Pause(wanted));
  return PauseNow();
}

Result<control::PauseInfo> VolumeManager::Resume() {
  RETURN_IF_ERROR(CheckServing());
  RETURN_IF_ERROR(pause_.Resume());
  return PauseNow();
}

control::VolumeList VolumeManager::Volumes() {
  control::VolumeList list;
  list.uploads = PauseNow();
  list.vaults = admin_.Vaults().vaults;
  for (const KnownVault& vault : registry_->vaults()) {
    for (const KnownVolume& volume : vault.volumes) list.volumes.push_back(StatusOf(vault, volume));
    for (const Deed& deed : vault.deeds) {
      // One that may have been made is shown as well.
      if (deed.kind != Deed::Kind::kInit || deed.running) continue;
      KnownVault copy = vault;
      if (copy.Find(deed.text) == nullptr) list.volumes.push_back(StatusOfUnseen(vault, deed.text));
    }
  }
  return list;
}

Result<control::VolumeStatus> VolumeManager::Volume(const std::string& reference) {
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  // VAULT/VOLUME where the vault is known and the volume may yet be found in its catalog.
  if (!target.known) return StatusOfUnseen(target.vault, target.key.volume);
  return StatusOf(target.vault, *target.known);
}

Result<control::SettingList> VolumeManager::Settings(const std::string& reference) {
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  control::SettingList list{options_.config_path, SettingInfos(open_.ConfigOf(target.key))};
  // What the volume itself keeps holds, whatever new ones would get.
  control::VolumeStatus now;
  open_.FillStatus(target.key, &now);
  const KnownVolume known = target.known.value_or(KnownVolume{});
  const std::uint32_t chunk_size = now.chunk_size != 0 ? now.chunk_size : known.chunk_size;
  const std::string durability = now.durability.empty() ? known.durability : now.durability;
  for (control::SettingInfo& setting : list.settings) {
    if (setting.key == config::InfoOf(config::Key::kChunkSize).name && chunk_size != 0) {
      const auto value = config::ParseNumber(config::InfoOf(config::Key::kChunkSize), chunk_size);
      setting = {setting.key, value.has_value() ? value->text : std::to_string(chunk_size),
                 kFromVolume};
    }
    const bool said = setting.from != "default";
    if (setting.key == config::InfoOf(config::Key::kDurability).name && !said &&
        !durability.empty()) {
      setting = {setting.key, durability, kFromVolume};
    }
  }
  return list;
}

// --- Open ---

Result<VaultPool::Lease> VolumeManager::UnlockFor(const Target& target,
                                                  const control::OpenRequest& request) {
  ASSIGN_OR_RETURN(const store::StoreUrl url, ParseKnownStore(target.vault.store));
  const bool single_writer = target.vault.single_writer || request.single_writer;
  // Who only reads may look at a store that this machine has seen newer, or other.
  auto lease =
      pool_.Acquire(target.vault.id, url, request.password, single_writer,
                    request.read_only ? VaultPool::For::kLooking : VaultPool::For::kVolumes);
  if (!lease.has_value()) return Fail(admin_.ExplainNoVault(target.vault, lease.error()));
  if (!target.known) {
    const auto found = lease->vault().FindVolume(target.key.volume);
    if (!found.has_value()) return Fail(found.error());
  }
  if (single_writer) {
    RETURN_IF_ERROR(
        registry_->Change(target.vault.id, [](KnownVault& known) { known.single_writer = true; }));
  }
  admin_.SettleDeeds(*lease, request.read_only ? VaultAdmin::SettleFor::kReading
                                               : VaultAdmin::SettleFor::kWriting);
  admin_.LearnVolumes(*lease);
  return lease;
}

Result<control::OpenReply> VolumeManager::Open(const std::string& reference,
                                               control::OpenRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  return open_.Open(target.key, request, [&] { return UnlockFor(target, request); }, {});
}

Status VolumeManager::CheckOpen(const std::string& reference, const control::OpenRequest& request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  return open_.CheckOpen(target.key, request);
}

Result<control::JobInfo> VolumeManager::StartOpen(const std::string& reference,
                                                  control::OpenRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  const auto shared = std::make_shared<const control::OpenRequest>(std::move(request));
  return ListedAgain(jobs_.Start("open", target.full_name(), "bytes",
                                 [this, target, shared](JobTable::Reporter& reporter) -> Status {
                                   RETURN_IF_ERROR(CheckServing());
                                   const auto unlock = [&]() -> Result<VaultPool::Lease> {
                                     reporter.Message("unlocking vault " + target.vault.alias);
                                     auto lease = UnlockFor(target, *shared);
                                     reporter.Message("reading the journal");
                                     return lease;
                                   };
                                   auto opened =
                                       open_.Open(target.key, *shared, unlock,
                                                  [&](std::uint64_t done, std::uint64_t total) {
                                                    reporter.Progress(done, total);
                                                  });
                                   if (!opened.has_value()) return Fail(std::move(opened).error());
                                   for (std::string& note : open_.TakeNotes(target.key))
                                     reporter.Note(std::move(note));
                                   reporter.Opened(*std::move(opened));
                                   return {};
                                 }));
}

// --- Keys, names, the end of a volume ---

Result<control::PasswdReply> VolumeManager::Passwd(const std::string& reference,
                                                   control::PasswdRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  return volume_admin_.Passwd(target.vault, request);
}

Result<control::KeyList> VolumeManager::Keys(const std::string& reference,
                                             control::KeysRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  return volume_admin_.Keys(target.vault, request);
}

Result<control::VolumeStatus> VolumeManager::Rename(const std::string& reference,
                                                    control::RenameRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  RETURN_IF_ERROR(volume_admin_.Rename(target.vault, target.key, request));
  return Volume(target.vault.alias + "/" + request.name);
}

Result<control::JobInfo> VolumeManager::Resize(const std::string& reference,
                                               control::ResizeRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  ASSIGN_OR_RETURN(JobTable::Work work, volume_admin_.Resize(target.vault, target.key, request));
  return ListedAgain(jobs_.Start("resize", target.full_name(), "bytes", std::move(work)));
}

Result<control::JobInfo> VolumeManager::Delete(const std::string& reference,
                                               control::DeleteRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  const std::uint64_t waiting =
      target.known ? StatusOf(target.vault, *target.known).waiting_bytes : 0;
  ASSIGN_OR_RETURN(JobTable::Work work,
                   volume_admin_.Delete(target.vault, target.key, waiting, request));
  return ListedAgain(jobs_.Start("delete", target.full_name(), "chunks", std::move(work)));
}

// --- What a volume is made of ---

Result<control::VolumeInfo> VolumeManager::Info(const std::string& reference) {
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  control::VolumeInfo info;
  ASSIGN_OR_RETURN(info.volume, Volume(target.full_name()));
  volume_admin_.FillInfo(target.vault, target.key, &info);
  return info;
}

Result<control::JobInfo> VolumeManager::Survey(const std::string& reference,
                                               control::SurveyRequest request) {
  RETURN_IF_ERROR(CheckServing());
  ASSIGN_OR_RETURN(const Target target, Resolve(reference));
  if (auto running = jobs_.FindRunning("survey", target.full_name())) return *std::move(running);
  ASSIGN_OR_RETURN(JobTable::Work work, volume_admin_.Survey(target.vault, target.key, request));
  return ListedAgain(jobs_.Start("survey", target.full_name(), "chunks", std::move(work)));
}

// --- Sync, close ---

Result<control::JobInfo> VolumeManager::Sync(const std::string& reference) {
  RETURN_IF_ERROR(CheckServing());
  if (reference.empty()) return SyncAll();
  ASSIGN_OR_RETURN(const Target target, ResolveKnown(reference));
  control::VolumeStatus status;
  if (!open_.FillStatus(target.key, &status) || status.state != "open") {
    return Fail(NotOpen(target.full_name()));
  }
  return ListedAgain(jobs_.Start(
      "sync", target.full_name(), "bytes", [this, key = target.key](JobTable::Reporter& reporter) {
        return open_.Sync(key, [&reporter](std::uint64_t done, std::uint64_t total) {
          reporter.Progress(done, total);
        });
      }));
}

Result<control::JobInfo> VolumeManager::SyncAll() {
  return jobs_.Start("sync", "", "volumes", [this](JobTable::Reporter& reporter) -> Status {
    return ForEachOpen(reporter, [this](const VolumeKey& key) { return open_.Sync(key, {}); });
  });
}

Status VolumeManager::ForEachOpen(JobTable::Reporter& reporter,
                                  const std::function<Status(const VolumeKey&)>& work) {
  const std::vector<VolumeKey> all = open_.keys();
  Mutex mutex;
  std::size_t done = 0;
  std::vector<Error> errors;
  reporter.Progress(0, all.size());
  // All at once: one whose store is sick holds up no other.
  ParallelFor(jobs_executor_, all.size(), [&](std::size_t i) {
    const Status status = work(all[i]);
    const MutexLock lock(mutex);
    reporter.Progress(++done, all.size());
    // One that was closed meanwhile has nothing left to do.
    if (status.has_value() || status.error().code == ErrorCode::kNotFound) return;
    reporter.Note(status.error().message);
    errors.push_back(status.error());
  });
  if (errors.empty()) return {};
  return Fail(Join(std::move(errors), all.size()));
}

Result<control::JobInfo> VolumeManager::Close(const std::string& reference,
                                              const control::CloseRequest& request) {
  RETURN_IF_ERROR(CheckServing());
  const OpenVolumes::CloseHow how{
      request.no_wait ? volume::CloseMode::kLeaveInJournal : volume::CloseMode::kUpload,
      request.force ? mount::Force::kYes : mount::Force::kNo};
  if (reference.empty()) return CloseAll(how);
  ASSIGN_OR_RETURN(const Target target, ResolveKnown(reference));
  // Whoever asks again, after Ctrl-C say, gets the job that runs.
  if (auto running = jobs_.FindRunning("close", target.full_name())) {
    if (request.no_wait) open_.HurryClose(target.key);
    return *std::move(running);
  }
  control::VolumeStatus status;
  if (!open_.FillStatus(target.key, &status)) {
    // What is closed is done, with what it left here.
    const std::uint64_t left = target.known->open ? 0 : target.known->waiting_bytes;
    return ListedAgain(jobs_.Start("close", target.full_name(), "bytes",
                                   [left](JobTable::Reporter& reporter) -> Status {
                                     reporter.WaitingBytes(left);
                                     return {};
                                   }));
  }
  return ListedAgain(jobs_.Start("close", target.full_name(), "bytes",
                                 [this, key = target.key, how](JobTable::Reporter& reporter) {
                                   OpenVolumes::Closed closed;
                                   Status ended = open_.Close(
                                       key, how,
                                       [&reporter](std::uint64_t done, std::uint64_t total) {
                                         reporter.Progress(done, total);
                                       },
                                       &closed);
                                   Tell(closed, reporter);
                                   reporter.WaitingBytes(closed.waiting_bytes);
                                   return ended;
                                 }));
}

Result<control::JobInfo> VolumeManager::CloseAll(OpenVolumes::CloseHow how) {
  return jobs_.Start("close", "", "volumes", [this, how](JobTable::Reporter& reporter) -> Status {
    std::atomic<std::uint64_t> waiting_in_all = 0;
    const Status all = ForEachOpen(reporter, [&](const VolumeKey& key) {
      OpenVolumes::Closed closed;
      const Status status = open_.Close(key, how, {}, &closed);
      Tell(closed, reporter);
      waiting_in_all += closed.waiting_bytes;
      return status;
    });
    reporter.WaitingBytes(waiting_in_all);
    return all;
  });
}

/// A job just started, as it stands now: short work is often done already.
Result<control::JobInfo> VolumeManager::ListedAgain(Result<control::JobInfo> started) {
  if (!started.has_value()) return started;
  return jobs_.Find(started->id);
}

void VolumeManager::Shutdown() {
  StopServing();
  pool_.ShutStores();
  open_.CloseAllForEnd(jobs_executor_);
}

}  // namespace coffer::daemon

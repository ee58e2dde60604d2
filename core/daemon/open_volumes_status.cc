// OpenVolumes: what is told of an open volume.
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/daemon/open_volumes_use.h"

namespace coffer::daemon {
namespace {

/// design.md section 8, and FAILED-JOURNAL.
constexpr std::string_view kStates[] = {
    "ROLLBACK: ",        "FORK: ",          "FENCED: ",        "HEADER-ROLLBACK: ",
    "DAMAGED-JOURNAL: ", "MISSING-PACKS: ", "NO-SPACE: ",      "CREDENTIALS: ",
    "WEAK-STORE: ",      "NEWER-FORMAT: ",  "FAILED-JOURNAL: "};

control::MountInfo MountInfoOf(mount::MountedImage& mounted) {
  const mount::MountedAs& as = mounted.as();
  const mount::Presence presence = mounted.presence();
  return {as.directory,
          as.path,
          as.way,
          as.device,
          as.file_system,
          as.made,
          as.passed_over,
          as.note,
          presence == mount::Presence::kThere,
          mount::TroubleText(as, presence)};
}

/// The state's name comes first, whatever was said around it.
void AddNeed(const Error& need, control::VolumeStatus* status) {
  std::size_t begin = need.message.size();
  for (const std::string_view state : kStates) begin = std::min(begin, need.message.find(state));
  std::string text = need.message.substr(begin == need.message.size() ? 0 : begin);
  // What a doubt of the vault and a refused open both say is said once.
  for (std::size_t i = 0; i < status->needs.size(); ++i) {
    if (status->needs[i] == text && status->hints[i] == need.hint) return;
  }
  status->needs.push_back(std::move(text));
  status->hints.push_back(need.hint);
}

/// Of keys in files that could not be read again.
Error ExplainOldKeys(const Error& trouble) {
  return {
      ErrorCode::kNeedsPerson,
      "CREDENTIALS: the TLS files cannot be used as they are now, those read before stay in use: " +
          trouble.message,
      Concat(trouble.hint.empty() ? "mend them" : trouble.hint, ", then kill -HUP ", getpid())};
}

}  // namespace

control::OpenReply OpenVolumes::Describe(const VolumeKey& key, const Entry& entry) const {
  control::OpenReply reply;
  reply.volume = key.volume;
  if (const auto vault = registry_.Find(key.vault)) reply.vault = vault->alias;
  reply.size_bytes = entry.volume->size();
  reply.read_only = entry.read_only;
  for (const Exported& exported : entry.exports) {
    reply.exports.push_back({exported.exporter->kind(), exported.address, exported.uri,
                             exported.exporter->client_count(entry.export_name)});
  }
  reply.uri = reply.exports.front().uri;
  if (const auto mounted = MountedOf(entry)) reply.mount = MountInfoOf(*mounted);
  return reply;
}

bool OpenVolumes::FillStatus(const VolumeKey& key, control::VolumeStatus* status) {
  const auto use = Use::Begin(*this, key);
  if (!use.has_value()) {
    std::shared_ptr<Entry> entry;
    {
      MutexLock lock(mutex_);
      entry = FindLocked(key);
      if (entry == nullptr || entry->state == State::kExcluded) {
        if (const auto refused = refused_.find(key); refused != refused_.end())
          AddNeed(refused->second, status);
        return false;
      }
      status->state = entry->state == State::kOpening ? "opening" : "closing";
      if (entry->state != State::kClosing || entry->leaving) return true;
      entry->watchers += 1;
    }
    // What is not uploaded yet is what a person waits for now.
    FillNumbers(key, *entry, status);
    MutexLock lock(mutex_);
    entry->watchers -= 1;
    changed_.notify_all();
    return true;
  }
  const Entry& entry = (*use)->entry();
  status->state = "open";
  FillNumbers(key, entry, status);
  for (const Exported& exported : entry.exports) {
    status->exports.push_back({exported.exporter->kind(), exported.address, exported.uri,
                               exported.exporter->client_count(entry.export_name)});
  }
  for (block::Exporter* const exporter : ExportersOf(entry)) {
    const auto trouble = exporter->Trouble(entry.export_name);
    if (trouble) AddNeed(ExplainOldKeys(*trouble), status);
  }
  if (const auto mounted = MountedOf(entry)) status->mount = MountInfoOf(*mounted);
  return true;
}

void OpenVolumes::FillNumbers(const VolumeKey& key, const Entry& entry,
                              control::VolumeStatus* status) const {
  const volume::VolumeStatus now = entry.volume->status();
  status->size_bytes = now.size;
  status->chunk_size = now.chunk_size;
  status->read_only = now.read_only;
  status->durability = DurabilityName(now.durability);
  status->waiting_bytes = now.behind_bytes;
  status->waiting_exact = true;
  status->waiting_seconds = static_cast<std::uint64_t>(std::max(now.behind_seconds, 0.0));
  status->acknowledged = now.acknowledged_seq;
  status->durable = now.durable_seq;
  status->committed = now.committed_seq;
  status->head_sequence = now.head_seq;
  status->journal_bytes = now.journal_bytes;
  status->journal_bytes_max = now.journal_bytes_max;
  status->uploading = now.syncing;
  status->uploads_paused = !entry.read_only && uploads_ == volume::Uploads::kPaused;
  status->writers_waiting = static_cast<std::uint64_t>(now.writers_waiting);
  status->flushes_waiting = static_cast<std::uint64_t>(now.flushes_waiting);
  status->readers_waiting = static_cast<std::uint64_t>(now.readers_waiting);
  // Of an upload that gets on: while the store is away nobody knows.
  if (now.behind_bytes > 0 && now.sync_bytes_per_second > 0 && now.trouble.message.empty()) {
    status->upload_seconds = static_cast<std::uint64_t>(
        std::ceil(static_cast<double>(now.behind_bytes) / now.sync_bytes_per_second));
  }
  status->uploaded_bytes = now.uploaded_bytes;
  if (!entry.read_only) {
    status->requests_per_day = RequestsPerDay(VolumeSettings(ConfigOf(key)));
  }
  status->store_requests = entry.lease.store_counts().Total().requests;
  status->failed = now.failed;
  status->unsynced_bytes = now.unsynced_bytes;
  for (const Error& need : now.needs) AddNeed(NameVault(need, VaultNameOf(key)), status);
  if (now.trouble.code != ErrorCode::kNeedsPerson) {
    status->last_error = now.trouble.message;
    status->retry_seconds = static_cast<std::uint64_t>(std::ceil(now.retry_in_seconds));
  }
}

void OpenVolumes::Announce(const VolumeKey& key, const std::string& state) {
  control::VolumeStatus status;
  if (const auto vault = registry_.Find(key.vault)) status.vault = vault->alias;
  status.vault_id = key.vault.ToString();
  status.volume = key.volume;
  if (!FillStatus(key, &status)) status.state = state;
  events_.Publish(status);
}

}  // namespace coffer::daemon

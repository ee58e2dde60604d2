#include "core/volume/tail_forks.h"

#include <algorithm>

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/volume/open_volume.h"

namespace coffer::volume {
namespace {

constexpr std::string_view kTailPrefix = "journal.tail-";
constexpr std::size_t kVolumeNameBytesMax = 63;
constexpr int kNameAttempts = 60;

/// The id behind the prefix of a tail's name; nullopt for every other name, which is nobody's.
std::optional<VolumeId> TailId(std::string_view name) {
  if (!name.starts_with(kTailPrefix)) return std::nullopt;
  VolumeId id;
  if (!FromHex(name.substr(kTailPrefix.size()), id.bytes) ||
      name.substr(kTailPrefix.size()) != id.ToString())
    return std::nullopt;
  return id;
}

/// recovered-HOST-TIME as a volume may be called, the host's name cut to fit.
std::string ForkName(std::string host, UnixSeconds time) {
  const std::string stamp = "-" + CompactUtc(time);
  constexpr std::string_view kStart = "recovered-";
  for (char& c : host) {
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!allowed) c = '_';
  }
  return Concat(kStart, host.substr(0, kVolumeNameBytesMax - kStart.size() - stamp.size()), stamp);
}

}  // namespace

Result<vault::HeadChain::Newest> TailForks::OwnHead() {
  const auto known = resources_.vault().trust().volume(volume_);
  if (!known.has_value() || known->own.seq == 0)
    return Fail(ErrorCode::kNotFound, "this machine has written no head of the volume");
  if (!own_.has_value()) {
    ASSIGN_OR_RETURN(own_, chain_.ReadAt(known->own.seq));
  }
  if (!own_->ours)
    return Fail(ErrorCode::kNotFound,
                Concat("head ", known->own.seq, " is not the one written here"));
  return *own_;
}

Result<format::JournalPosition> TailForks::OwnCover() {
  const auto own = OwnHead();
  if (own.has_value()) return own->head.journal;
  if (own.error().code == ErrorCode::kNotFound) return format::JournalPosition{};
  return Fail(own.error());
}

Result<std::unique_ptr<cache::Journal>> TailForks::OpenJournal(
    const std::string& name, const cache::Journal::Options& options) {
  vault::Vault& vault = resources_.vault();
  vault::Environment& env = vault.env();
  return cache::Journal::Open(
      env.fs, env.clock, env.random, env.work_executor, Concat(directory_, "/", name),
      vault.host().journal,
      {.vault = vault.id(), .volume = volume_, .key_epoch = vault.host().key_epoch}, options);
}

Status TailForks::SetAside() {
  vault::Environment& env = resources_.vault().env();
  const VolumeId fork = env.random.NewId<VolumeId>();
  RETURN_IF_ERROR(env.fs.Rename(directory_ + "/journal",
                                Concat(directory_, "/", kTailPrefix, fork.ToString())));
  COFFER_FAILPOINT("fork-set-aside");
  return env.fs.SyncDirectory(directory_);
}

Result<std::vector<std::string>> TailForks::ForkAll(Baseless baseless) {
  FileSystem& fs = resources_.vault().env().fs;
  ASSIGN_OR_RETURN(const auto entries, fs.List(directory_));
  std::vector<std::string> names;
  for (const std::string& entry : entries) {
    if (!TailId(entry).has_value()) continue;
    ASSIGN_OR_RETURN(const FileInfo info, fs.Stat(Concat(directory_, "/", entry)));
    if (!info.is_directory) continue;
    auto name = Fork(entry, baseless);
    if (!name.has_value()) {
      return Fail(
          name.error().Within("keeping what this machine had not uploaded as a volume of its own"));
    }
    if (name->has_value()) names.push_back(std::move(**name));
  }
  return names;
}

/// The volume's name; nullopt if there was nothing to keep.
Result<std::optional<std::string>> TailForks::Fork(const std::string& entry, Baseless baseless) {
  vault::Vault& vault = resources_.vault();
  FileSystem& fs = vault.env().fs;
  const std::string broken = entry.substr(kTailPrefix.size());
  RETURN_IF_ERROR(vault.RefreshCatalog());
  const format::Catalog catalog = vault.catalog();
  const auto made = std::find_if(catalog.volumes.begin(), catalog.volumes.end(),
                                 [&](const auto& known) { return known.id.ToString() == broken; });
  if (made != catalog.volumes.end()) {
    Remove(entry);
    return std::optional(made->name);
  }
  RETURN_IF_ERROR(vault.PrepareToWrite());
  const VolumeId fork = vault.env().random.NewId<VolumeId>();
  const std::string tail = Concat(kTailPrefix, fork.ToString());
  RETURN_IF_ERROR(fs.Rename(Concat(directory_, "/", entry), Concat(directory_, "/", tail)));
  RETURN_IF_ERROR(fs.SyncDirectory(directory_));
  // The broken attempt's own journal and the like.
  (void)RemoveTree(fs, directory_.substr(0, directory_.rfind('/') + 1) + broken);

  ASSIGN_OR_RETURN(const format::JournalPosition covered, OwnCover());
  cache::Journal::Recovery recovery;
  {
    ASSIGN_OR_RETURN(const auto journal, OpenJournal(tail));
    ASSIGN_OR_RETURN(recovery, journal->Replay(covered, [](auto) -> Status { return {}; }));
  }
  std::optional<std::string> name;
  if (recovery.records > 0) {
    const Result<vault::HeadChain::Newest> found = BaseOf(recovery);
    if (!found.has_value()) {
      const bool gone = found.error().code == ErrorCode::kNeedsPerson;
      if (!gone || baseless == Baseless::kRefuse) return Fail(found.error());
      RETURN_IF_ERROR(Keep(tail, fork, found.error().message));
      return name;
    }
    const vault::HeadChain::Newest& base = *found;
    RETURN_IF_ERROR(vault.CreateForkHead(fork, base.head));
    COFFER_FAILPOINT("fork-created");
    RETURN_IF_ERROR(Upload(fork, tail));
    COFFER_FAILPOINT("fork-uploaded");
    ASSIGN_OR_RETURN(name, Name(fork, base.point));
    COFFER_FAILPOINT("fork-named");
    LOG(kWarning, "kept ", recovery.records, " journal records as volume ", *name);
  }
  if (!recovery.damaged) {
    Remove(tail);
    return name;
  }
  RETURN_IF_ERROR(Keep(tail, fork, recovery.damage));
  return name;
}

Status TailForks::Keep(const std::string& tail, const VolumeId& fork, const std::string& why) {
  FileSystem& fs = resources_.vault().env().fs;
  const std::string kept = Concat(directory_, "/journal.damaged-", fork.ToString());
  LOG(kWarning, "kept as ", kept, ": ", why);
  RETURN_IF_ERROR(fs.Rename(Concat(directory_, "/", tail), kept));
  return fs.SyncDirectory(directory_);
}

/// The head that the tail was written over: our newest, or the one that its stream began at.
Result<vault::HeadChain::Newest> TailForks::BaseOf(const cache::Journal::Recovery& recovery) {
  auto own = OwnHead();
  if (!own.has_value() && own.error().code != ErrorCode::kNotFound) return own;
  if (own.has_value() && own->point.seq >= recovery.base_head.seq) return own;
  Result<vault::HeadChain::Newest> base = chain_.ReadAt(recovery.base_head.seq);
  const bool gone = base.has_value() ? base->point != recovery.base_head
                                     : base.error().code == ErrorCode::kNotFound;
  if (!gone) return base;
  return Fail(ErrorCode::kNeedsPerson,
              Concat("DAMAGED-JOURNAL: what this machine had not uploaded goes on from head ",
                     recovery.base_head.seq, ", which the store does not have"),
              "bring the store's newer objects back; or coffer open --accept-damage goes on "
              "without those writes and keeps their files aside");
}

Status TailForks::Upload(const VolumeId& fork, const std::string& tail) {
  ASSIGN_OR_RETURN(const format::JournalPosition covered, OwnCover());
  ASSIGN_OR_RETURN(const auto journal, OpenJournal(tail));
  ASSIGN_OR_RETURN(const auto volume, OpenVolume::Open(resources_, fork, {.settings = settings_}));
  const auto replayed = journal->Replay(
      covered,
      [&](std::span<const cache::RecordPtr> request) -> Status { return volume->Replay(request); });
  const Status closed =
      volume->Close(replayed.has_value() ? CloseMode::kUpload : CloseMode::kLeaveInJournal, {});
  if (!replayed.has_value()) return Fail(replayed.error());
  return closed;
}

Result<std::string> TailForks::Name(const VolumeId& fork, const format::ChainPoint& base) {
  vault::Vault& vault = resources_.vault();
  const UnixSeconds now = vault.env().clock.WallNow();
  Status named;
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    std::string name = ForkName(vault.env().host_name, now + attempt);
    named = vault.NameFork(fork, name, {volume_, base.seq});
    if (named.has_value()) return name;
    if (named.error().code != ErrorCode::kAlreadyExists) break;
  }
  return Fail(named.error());
}

void TailForks::Remove(const std::string& tail) {
  (void)RemoveTree(resources_.vault().env().fs, Concat(directory_, "/", tail));
}

}  // namespace coffer::volume

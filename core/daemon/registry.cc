#include "core/daemon/registry.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/line_text.h"
#include "core/base/log.h"

namespace coffer::daemon {
namespace {

constexpr std::string_view kFirstLine = "coffer-known-vault ";
constexpr std::uint64_t kFileBytesMax = 16u << 20;

bool ParseNumber(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<KnownVolume> ParseVolume(std::string_view rest) {
  KnownVolume volume;
  if (!FromHex(TakeUntil(rest, ' '), volume.id.bytes)) return std::nullopt;
  if (!ParseNumber(TakeUntil(rest, ' '), volume.size_bytes)) return std::nullopt;
  if (!ParseNumber(TakeUntil(rest, ' '), volume.waiting_bytes)) return std::nullopt;
  volume.open = TakeUntil(rest, ' ') == "open";
  auto name = UnescapeFromLine(rest);
  if (!name) return std::nullopt;
  volume.name = std::move(*name);
  return volume;
}

/// What is not understood is left unknown: it is for showing only.
void ParseMade(std::string_view rest, KnownVault& vault) {
  VolumeId id;
  std::uint64_t chunk_size = 0;
  if (!FromHex(TakeUntil(rest, ' '), id.bytes)) return;
  if (!ParseNumber(TakeUntil(rest, ' '), chunk_size) || chunk_size > UINT32_MAX) return;
  for (KnownVolume& volume : vault.volumes) {
    if (volume.id != id) continue;
    volume.chunk_size = static_cast<std::uint32_t>(chunk_size);
    volume.durability = rest == "cloud" ? "cloud" : "local";
  }
}

struct DeedName {
  Deed::Kind kind;
  std::string_view name;
};
constexpr DeedName kDeedNames[] = {
    {Deed::Kind::kInit, "init"},       {Deed::Kind::kAdd, "add"},
    {Deed::Kind::kRename, "rename"},   {Deed::Kind::kResize, "resize"},
    {Deed::Kind::kPassword, "passwd"}, {Deed::Kind::kDelete, "delete"},
    {Deed::Kind::kDeleted, "deleted"},
};

/// One of a kind that a newer coffer knows is left out.
bool ParseDeed(std::string_view rest, KnownVault& vault) {
  const std::string_view name = TakeUntil(rest, ' ');
  Deed deed;
  if (!FromHex(TakeUntil(rest, ' '), deed.volume.bytes)) return false;
  auto text = UnescapeFromLine(rest);
  if (!text) return false;
  deed.text = std::move(*text);
  for (const DeedName& known : kDeedNames) {
    if (known.name != name) continue;
    deed.kind = known.kind;
    vault.deeds.push_back(std::move(deed));
    break;
  }
  return true;
}

bool ParseLine(std::string_view line, KnownVault& vault) {
  const std::string_view word = TakeUntil(line, ' ');
  if (word == "alias" || word == "store") {
    auto value = UnescapeFromLine(line);
    if (!value) return false;
    (word == "alias" ? vault.alias : vault.store) = std::move(*value);
  } else if (word == "single-writer") {
    vault.single_writer = line == "yes";
  } else if (word == "volume") {
    auto volume = ParseVolume(line);
    if (!volume) return false;
    vault.volumes.push_back(std::move(*volume));
  } else if (word == "made") {
    ParseMade(line, vault);
  } else if (word == "begun") {
    return ParseDeed(line, vault);
  }
  return true;
}

}  // namespace

KnownVolume* KnownVault::Find(std::string_view name) {
  const auto found = std::find_if(volumes.begin(), volumes.end(),
                                  [name](const KnownVolume& v) { return v.name == name; });
  return found == volumes.end() ? nullptr : &*found;
}

Deed* KnownVault::FindDeed(Deed::Kind kind, const VolumeId& volume) {
  const auto found = std::find_if(deeds.begin(), deeds.end(), [&](const Deed& deed) {
    return deed.kind == kind && deed.volume == volume;
  });
  return found == deeds.end() ? nullptr : &*found;
}

bool KnownVault::MayBeUnmade() const {
  return volumes.size() == 1 && std::any_of(deeds.begin(), deeds.end(), [this](const Deed& deed) {
           return deed.kind == Deed::Kind::kInit && !deed.running &&
                  deed.text == volumes.front().name;
         });
}

void KnownVault::DropDeeds(Deed::Kind kind, const VolumeId& volume) {
  std::erase_if(deeds,
                [&](const Deed& deed) { return deed.kind == kind && deed.volume == volume; });
}

/// With what the catalog says of them.
std::vector<KnownVolume> KnownVault::VolumesInUse(const format::Catalog& catalog) const {
  std::vector<KnownVolume> all;
  for (const KnownVolume& known : volumes) {
    if (!known.in_use) continue;
    KnownVolume volume = known;
    const auto listed = std::find_if(
        catalog.volumes.begin(), catalog.volumes.end(),
        [&volume](const format::CatalogVolume& other) { return other.id == volume.id; });
    const bool live =
        listed != catalog.volumes.end() && listed->state == format::CatalogVolume::State::kLive;
    if (!live) {
      volume.fate = "GONE: another machine has deleted it";
    } else if (listed->name != volume.name) {
      volume.fate = "RENAMED: another machine calls it " + listed->name + " now";
    } else {
      volume.fate.clear();
    }
    all.push_back(std::move(volume));
  }
  return all;
}

void KnownVault::TakeVolumesFrom(const format::Catalog& catalog, Belief belief) {
  std::vector<KnownVolume> taken = VolumesInUse(catalog);
  const std::size_t in_use = taken.size();
  const auto is_taken = [&](const format::CatalogVolume& listed) {
    return std::any_of(
        taken.begin(), taken.begin() + static_cast<std::ptrdiff_t>(in_use),
        [&listed](const KnownVolume& v) { return v.id == listed.id || v.name == listed.name; });
  };
  for (const format::CatalogVolume& listed : catalog.volumes) {
    if (listed.state != format::CatalogVolume::State::kLive) {
      DropDeeds(Deed::Kind::kDelete, listed.id);
      DropDeeds(Deed::Kind::kDeleted, listed.id);
      continue;
    }
    if (FindDeed(Deed::Kind::kDeleted, listed.id) != nullptr || is_taken(listed)) continue;
    const auto before = std::find_if(volumes.begin(), volumes.end(),
                                     [&listed](const KnownVolume& v) { return v.id == listed.id; });
    KnownVolume volume = before != volumes.end() ? *before : KnownVolume{};
    volume.id = listed.id;
    volume.name = listed.name;
    taken.push_back(std::move(volume));
  }
  for (const KnownVolume& before : volumes) {
    const bool listed = std::any_of(taken.begin(), taken.end(), [&before](const KnownVolume& v) {
      return v.id == before.id || v.name == before.name;
    });
    if (belief == Belief::kDoubtful && !listed) taken.push_back(before);
  }
  volumes = std::move(taken);
}

Error NameVault(Error error, const std::string& alias) {
  constexpr std::string_view kVault = " VAULT";
  for (std::size_t at = error.hint.find(kVault); at != std::string::npos;
       at = error.hint.find(kVault, at + 1)) {
    const std::size_t end = at + kVault.size();
    const bool whole = end == error.hint.size() || error.hint[end] == ',' ||
                       error.hint[end] == ';' || error.hint[end] == ' ';
    if (whole) error.hint.replace(at + 1, kVault.size() - 1, alias);
  }
  return error;
}

std::string EncodeKnownVault(const KnownVault& vault) {
  std::string text = Concat(kFirstLine, "1\nalias ", EscapeForLine(vault.alias), "\nstore ",
                            EscapeForLine(vault.store), "\n");
  if (vault.single_writer) text.append("single-writer yes\n");
  for (const KnownVolume& volume : vault.volumes) {
    text.append(Concat("volume ", volume.id.ToString(), " ", volume.size_bytes, " ",
                       volume.waiting_bytes, volume.open ? " open " : " closed ",
                       EscapeForLine(volume.name), "\n"));
    if (volume.chunk_size == 0) continue;
    text.append(Concat("made ", volume.id.ToString(), " ", volume.chunk_size, " ",
                       volume.durability, "\n"));
  }
  for (const Deed& deed : vault.deeds) {
    const auto name =
        std::find_if(std::begin(kDeedNames), std::end(kDeedNames),
                     [&deed](const DeedName& known) { return known.kind == deed.kind; });
    text.append(Concat("begun ", name->name, " ", deed.volume.ToString(), " ",
                       EscapeForLine(deed.text), "\n"));
  }
  return text;
}

Result<KnownVault> DecodeKnownVault(const VaultId& id, std::string_view text) {
  std::uint64_t version = 0;
  std::string_view first = TakeUntil(text, '\n');
  if (first.substr(0, kFirstLine.size()) != kFirstLine ||
      !ParseNumber(first.substr(kFirstLine.size()), version)) {
    return Fail(ErrorCode::kCorruption, "it is no record of a vault");
  }
  if (version != 1) {
    return Fail(ErrorCode::kUnsupported, "it was written by a newer coffer");
  }
  KnownVault vault;
  vault.id = id;
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    if (!ParseLine(line, vault)) {
      return Fail(ErrorCode::kCorruption, "a line of it is damaged");
    }
  }
  if (vault.alias.empty() || vault.store.empty()) {
    return Fail(ErrorCode::kCorruption, "alias or store is missing from it");
  }
  return vault;
}

Result<std::unique_ptr<Registry>> Registry::Open(FileSystem& fs, std::string state_directory) {
  auto registry = std::unique_ptr<Registry>(new Registry(fs, std::move(state_directory)));
  RETURN_IF_ERROR(registry->Load());
  return registry;
}

Status Registry::Load() {
  const auto names = fs_.List(vaults_directory_);
  if (!names.has_value()) {
    if (names.error().code == ErrorCode::kNotFound) return {};
    return Fail(names.error());
  }
  MutexLock lock(mutex_);
  for (const std::string& name : *names) {
    VaultId id;
    if (!FromHex(name, id.bytes) || id.ToString() != name) continue;
    const std::string path = DirectoryOf(id) + "/known";
    const auto bytes = ReadWholeFile(fs_, path, kFileBytesMax);
    if (!bytes.has_value() && bytes.error().code == ErrorCode::kNotFound) continue;
    auto vault = bytes.has_value() ? DecodeKnownVault(id, AsText(*bytes))
                                   : Result<KnownVault>(Fail(bytes.error()));
    if (vault.has_value()) {
      vaults_.emplace(id, std::move(*vault));
    } else {
      LOG(kError, path, " is left out: ", vault.error().message, "; coffer add writes it anew");
    }
  }
  return {};
}

std::vector<KnownVault> Registry::vaults() const {
  MutexLock lock(mutex_);
  std::vector<KnownVault> all;
  for (const auto& [id, vault] : vaults_) all.push_back(vault);
  std::sort(all.begin(), all.end(),
            [](const KnownVault& a, const KnownVault& b) { return a.alias < b.alias; });
  return all;
}

std::optional<KnownVault> Registry::Find(const VaultId& id) const {
  MutexLock lock(mutex_);
  const auto found = vaults_.find(id);
  if (found == vaults_.end()) return std::nullopt;
  return found->second;
}

std::optional<KnownVault> Registry::FindByName(const std::string& name) const {
  MutexLock lock(mutex_);
  for (const auto& [id, vault] : vaults_) {
    if (vault.alias == name || id.ToString() == name) return vault;
  }
  return std::nullopt;
}

Result<KnownVault> Registry::Change(const VaultId& id,
                                    const std::function<void(KnownVault&)>& change) {
  MutexLock changing(change_mutex_);
  const KnownVault after = Changed(id, change);
  const auto before = Find(id);
  if (before == after && !unwritten_.contains(id)) return after;
  if (const Status written = Write(after); !written.has_value()) {
    TakeBack(before, after);
    return Fail(written.error());
  }
  unwritten_.erase(id);
  MutexLock lock(mutex_);
  vaults_[id] = after;
  return after;
}

/// A write that failed may have been one all the same. Where nobody can tell, its deeds are shown
/// as after a restart: as broken off.
void Registry::TakeBack(const std::optional<KnownVault>& before, KnownVault after) {
  const std::string path = DirectoryOf(after.id) + "/known";
  const Status undone = before ? Write(*before) : fs_.Remove(path);
  if (undone.has_value()) return;
  const auto there = ReadWholeFile(fs_, path, kFileBytesMax);
  if (before ? there.has_value() && AsText(*there) == EncodeKnownVault(*before)
             : !there.has_value() && there.error().code == ErrorCode::kNotFound) {
    return;
  }
  for (Deed& deed : after.deeds) {
    const bool new_here = !before || std::find(before->deeds.begin(), before->deeds.end(), deed) ==
                                         before->deeds.end();
    if (new_here) deed.running = false;
  }
  unwritten_.insert(after.id);
  MutexLock lock(mutex_);
  vaults_[after.id] = std::move(after);
}

KnownVault Registry::Changed(const VaultId& id,
                             const std::function<void(KnownVault&)>& change) const {
  KnownVault vault = Find(id).value_or(KnownVault{});
  vault.id = id;
  change(vault);
  return vault;
}

KnownVault Registry::Learn(const VaultId& id, const std::function<void(KnownVault&)>& change) {
  MutexLock changing(change_mutex_);
  const KnownVault after = Changed(id, change);
  if (Find(id) == after && !unwritten_.contains(id)) return after;
  {
    MutexLock lock(mutex_);
    vaults_[id] = after;
  }
  const Status written = Write(after);
  if (written.has_value()) {
    unwritten_.erase(id);
  } else {
    unwritten_.insert(id);
    LOG(kWarning, "remembering vault ", after.alias, ": ", written.error().message);
  }
  return after;
}

Status Registry::Begin(const VaultId& id, Deed deed) {
  deed.running = true;
  RETURN_IF_ERROR(Change(id, [&](KnownVault& known) {
    known.DropDeeds(deed.kind, deed.volume);
    known.deeds.push_back(deed);
  }));
  return {};
}

void Registry::Finish(const VaultId& id, const Deed& deed, End end,
                      const std::function<void(KnownVault&)>& learned) {
  if (!Find(id)) return;  // forgotten with it
  if (end == End::kKnown) {
    Learn(id, [&](KnownVault& known) {
      std::erase(known.deeds, deed);
      if (learned) learned(known);
    });
    return;
  }
  MutexLock lock(mutex_);
  for (Deed& noted : vaults_[id].deeds) {
    if (noted == deed) noted.running = false;
  }
}

Status Registry::Forget(const VaultId& id) {
  MutexLock changing(change_mutex_);
  const std::string directory = DirectoryOf(id);
  const Status removed = fs_.Remove(directory + "/known");
  if (!removed.has_value() && removed.error().code != ErrorCode::kNotFound) return removed;
  unwritten_.erase(id);
  MutexLock lock(mutex_);
  vaults_.erase(id);
  return {};
}

Status Registry::Write(const KnownVault& vault) {
  const std::string directory = DirectoryOf(vault.id);
  RETURN_IF_ERROR(CreateDirectories(fs_, directory));
  return ReplaceFile(fs_, directory + "/known", AsBytes(EncodeKnownVault(vault)));
}

std::string Registry::FreeAlias(const std::string& wanted) const {
  std::string alias = wanted;
  for (int number = 2; FindByName(alias).has_value(); ++number) {
    alias = Concat(wanted.substr(0, 58), "-", number);
  }
  return alias;
}

std::string Registry::DirectoryOf(const VaultId& id) const {
  return vaults_directory_ + "/" + id.ToString();
}

}  // namespace coffer::daemon

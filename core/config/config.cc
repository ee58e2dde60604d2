#include "core/config/config.h"

#include <algorithm>
#include <array>

#include "core/base/log.h"
#include "core/config/toml_reader.h"
#include "core/control/names.h"

namespace coffer::config {
namespace {

constexpr const char* kDefaults = "defaults";
constexpr const char* kVaults = "vaults";
constexpr const char* kVolumes = "volumes";
constexpr const char* kStores = "stores";
constexpr const char* kDaemon = "daemon";
constexpr const char* kUrl = "url";

/// What stands before a ':' is one of these before it is the name of a section.
constexpr std::array<std::string_view, 12> kSchemes = {"file",   "s3",      "gs",     "az",
                                                       "webdav", "webdavs", "sftp",   "http",
                                                       "https",  "rclone",  "memory", "nbd"};

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// As the scheme of a URL is written, so that NAME:prefix is never taken for a path.
bool MayNameAStore(std::string_view name) {
  const auto fits = [](char c) {
    return IsLetter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  return !name.empty() && IsLetter(name.front()) && std::ranges::all_of(name, fits);
}

std::string VaultSection(const std::string& vault) { return Concat(kVaults, ".", vault); }
std::string VolumeSection(const std::string& vault, const std::string& volume) {
  return Concat(kVolumes, ".\"", vault, "/", volume, "\"");
}

std::string Located(const std::string& path, const Config::Problem& problem) {
  return problem.line == 0 ? Concat(path, ": ", problem.message)
                           : Concat(path, ":", problem.line, ": ", problem.message);
}

std::string AllKeys() {
  std::string all;
  for (const KeyInfo& key : Keys()) all.append(all.empty() ? "" : ", ").append(key.name);
  return all;
}

/// The file's bytes, after a look at whose it is; nothing when it is missing.
Result<std::optional<Bytes>> ReadOwnFile(FileSystem& fs, const std::string& path, uid_t uid) {
  const auto refuse = [&path](const std::string& why, const std::string& hint) {
    return Fail(ErrorCode::kInvalidArgument, Concat(path, ": refusing to read it: ", why), hint);
  };
  const auto named = fs.Stat(path);
  if (!named.has_value() && named.error().code == ErrorCode::kNotFound) return std::nullopt;
  if (named.has_value() && named->is_symlink) {
    return refuse("it is a symbolic link", "put the file itself there");
  }
  ASSIGN_OR_RETURN(const auto file, fs.Open(path, FileSystem::OpenMode::kRead));
  ASSIGN_OR_RETURN(const FileInfo info, file->Info());
  if (info.owner_uid != uid) {
    return refuse(Concat("it belongs to user ", info.owner_uid, ", not to ", uid),
                  "chown it, or move it away");
  }
  if ((info.mode & 022U) != 0) {
    return refuse("others than its owner may write it", "chmod go-w " + path);
  }
  if (info.size > kConfigBytesMax) {
    return refuse(Concat("it has ", info.size, " bytes, and ", kConfigBytesMax, " are the most"),
                  "move it away");
  }
  Bytes bytes(info.size);
  ASSIGN_OR_RETURN(const std::size_t count, file->ReadAt(0, bytes));
  bytes.resize(count);
  return bytes;
}

}  // namespace

/// Takes the entries of a file one by one and says what is wrong with each.
class Config::Builder {
 public:
  Config Build(std::string_view text) {
    auto read = ReadToml(text);
    if (const auto* problem = std::get_if<TomlProblem>(&read)) {
      problems_.push_back({problem->line, problem->message});
      return {};
    }
    for (const TomlEntry& entry : std::get<std::vector<TomlEntry>>(read)) Take(entry);
    CheckPacks();
    CheckStores();
    std::stable_sort(problems_.begin(), problems_.end(),
                     [](const Problem& a, const Problem& b) { return a.line < b.line; });
    return std::move(config_);
  }
  [[nodiscard]] const std::vector<Problem>& problems() const { return problems_; }

 private:
  void Blame(const TomlEntry& entry, std::string message) {
    problems_.push_back({entry.line, std::move(message)});
  }

  void Take(const TomlEntry& entry) {
    const std::string& section = entry.path.front();
    const bool named = section == kVaults || section == kVolumes || section == kStores;
    if (!named && section != kDefaults && section != kDaemon) {
      return BlameSection(entry);
    }
    const std::size_t depth = named ? 3 : 2;  // of a key with its tables
    if (entry.path.size() > depth) return BlameDepth(entry);
    if (named && entry.path.size() >= 2 && !CheckSectionName(entry)) return;
    if (entry.path.size() == depth && !entry.is_table) return TakeKey(entry);
    if (!entry.is_table) return BlameDepth(entry);
    if (entry.path.size() == depth) BlameUnknown(entry);  // [defaults.sync_age]
  }

  void BlameSection(const TomlEntry& entry) {
    const std::string name = control::Quoted(entry.path.front());
    constexpr const char* kSections =
        "[defaults], [vaults.NAME], [volumes.\"VAULT/NAME\"], [stores.NAME] or [daemon]";
    if (entry.path.size() == 1 && !entry.is_table) {
      Blame(entry,
            Concat("key ", name, " stands outside of a section: expected it in ", kSections));
    } else {
      Blame(entry, Concat("unknown section ", name, ": expected ", kSections));
    }
  }

  void BlameDepth(const TomlEntry& entry) {
    const std::string& section = entry.path.front();
    if (section == kVaults) {
      Blame(entry, "expected [vaults.NAME] with keys in it");
    } else if (section == kVolumes) {
      Blame(entry, "expected [volumes.\"VAULT/NAME\"], with the quotes, and keys in it");
    } else if (section == kStores) {
      Blame(entry, "expected [stores.NAME] with keys in it");
    } else {
      Blame(entry, Concat("expected keys in [", section, "], not tables"));
    }
  }

  bool CheckSectionName(const TomlEntry& entry) {
    const std::string& name = entry.path[1];
    Status checked;
    if (entry.path.front() == kVolumes) {
      const auto reference = control::ParseVolumeReference(name);
      const bool whole =
          reference.has_value() && !reference->vault.empty() && reference->snapshot.empty();
      if (whole) return true;
      Blame(entry, Concat("section of volume ", control::Quoted(name),
                          ": expected [volumes.\"VAULT/NAME\"], with the quotes"));
      return false;
    }
    if (entry.path.front() == kStores) return CheckStoreName(entry);
    checked = control::CheckName(name, "vault");
    if (!checked.has_value()) {
      Blame(entry, Concat(checked.error().message, ": expected ", checked.error().hint));
    }
    return checked.has_value();
  }

  bool CheckStoreName(const TomlEntry& entry) {
    const std::string& name = entry.path[1];
    if (std::ranges::find(kSchemes, name) != kSchemes.end()) {
      Blame(entry, Concat("store ", control::Quoted(name), ": ", name,
                          ": is a kind of store already: expected another name"));
      return false;
    }
    if (MayNameAStore(name)) return true;
    Blame(entry, Concat("store ", control::Quoted(name),
                        ": expected a letter, then letters, digits, \"-\" and \".\""));
    return false;
  }

  /// All texts; what the options mean the kind of store knows.
  void TakeStoreKey(const TomlEntry& entry) {
    const std::string& key = entry.path.back();
    if (const KeyInfo* setting = FindKey(key)) {
      (void)MayStand(*setting, entry);  // says where it does
      return;
    }
    const auto* text = std::get_if<std::string>(&entry.value);
    if (text == nullptr || text->empty()) {
      return Blame(entry, Concat(key, ": expected a text in quotes that is not empty"));
    }
    NamedStore& store = config_.stores_[entry.path[1]];
    if (store.line == 0) store.line = entry.line;
    if (key == kUrl) {
      const bool is_url = text->find(':') != std::string::npos;
      if (!is_url && text->front() != '/') {
        return Blame(entry, Concat("url = ", control::Quoted(*text),
                                   ": expected a URL or an absolute path"));
      }
      store.url = *text;
    } else {
      store.options[key] = *text;
    }
  }

  void CheckStores() {
    for (const auto& [name, store] : config_.stores_) {
      if (store.url.empty()) {
        problems_.push_back({store.line, Concat("[stores.", name, "] has no url")});
      } else if (store.url.front() == '/' && !store.options.empty()) {
        problems_.push_back({store.line, Concat("[stores.", name, "]: a directory has no option ",
                                                store.options.begin()->first)});
      }
    }
  }

  void BlameUnknown(const TomlEntry& entry) {
    const std::string& name = entry.path.back();
    const KeyInfo* nearest = NearestKey(name);
    Blame(entry, Concat("unknown key ", control::Quoted(name),
                        nearest == nullptr ? Concat(": expected one of ", AllKeys())
                                           : Concat(": expected ", nearest->name, ", perhaps")));
  }

  void TakeKey(const TomlEntry& entry) {
    if (entry.path.front() == kStores) return TakeStoreKey(entry);
    const KeyInfo* key = FindKey(entry.path.back());
    if (key == nullptr) return BlameUnknown(entry);
    if (!MayStand(*key, entry)) return;
    auto value = ValueOf(*key, entry);
    if (!value.has_value()) return Blame(entry, value.error().message);
    config_.sections_[SectionOf(entry)][key->key] = {*std::move(value), entry.line};
  }

  bool MayStand(const KeyInfo& key, const TomlEntry& entry) {
    const std::string& section = entry.path.front();
    switch (key.scope) {
      case Scope::kVolume:
        if (section == kDefaults || section == kVaults || section == kVolumes) return true;
        Blame(entry,
              Concat(key.name, " does not stand in [", section,
                     "]: expected in [defaults], [vaults.NAME] or [volumes.\"VAULT/NAME\"]"));
        return false;
      case Scope::kMachine:
        if (section == kDefaults) return true;
        Blame(entry, Concat(key.name, " is one for all volumes: expected in [defaults]"));
        return false;
      case Scope::kDaemon:
        if (section == kDaemon) return true;
        Blame(entry, Concat(key.name, " is the daemon's: expected in [daemon]"));
        return false;
    }
    return false;
  }

  static Result<Value> ValueOf(const KeyInfo& key, const TomlEntry& entry) {
    if (const auto* text = std::get_if<std::string>(&entry.value)) return ParseValue(key, *text);
    if (const auto* number = std::get_if<std::int64_t>(&entry.value)) {
      return ParseNumber(key, *number);
    }
    return Fail(ErrorCode::kInvalidArgument,
                Concat(key.name, " is ", std::get<OtherType>(entry.value).name, ": expected ",
                       Expected(key)));
  }

  static std::string SectionOf(const TomlEntry& entry) {
    const std::string& section = entry.path.front();
    if (section == kVaults) return VaultSection(entry.path[1]);
    if (section != kVolumes) return section;
    return Concat(kVolumes, ".\"", entry.path[1], "\"");
  }

  /// A target beyond the most: whichever of the two was said in the file is to blame.
  void CheckPacks() {
    for (const auto& [name, said] : config_.sections_) {
      const auto target = said.find(Key::kPackBytesTarget);
      const auto most = said.find(Key::kPackBytesMax);
      if (target == said.end() || most == said.end()) continue;
      if (target->second.value.number <= most->second.value.number) continue;
      problems_.push_back(
          {target->second.line,
           Concat("pack_bytes_target = \"", target->second.value.text,
                  "\": expected at most pack_bytes_max, \"", most->second.value.text, "\"")});
    }
  }

  Config config_;
  std::vector<Problem> problems_;
};

Result<Config> Config::Parse(std::string_view text, const std::string& path) {
  Builder builder;
  Config config = builder.Build(text);
  const std::vector<Problem>& problems = builder.problems();
  if (problems.empty()) return config;
  std::string message = Located(path, problems.front());
  if (problems.size() > 1) message.append(Concat("; and ", problems.size() - 1, " more"));
  return Fail(ErrorCode::kInvalidArgument, std::move(message),
              "coffer config check lists all that is wrong");
}

Result<Config> Config::Load(FileSystem& fs, const std::string& path, uid_t uid) {
  ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, ReadOwnFile(fs, path, uid));
  if (!bytes) return Config();
  return Parse(AsText(*bytes), path);
}

Result<std::vector<std::string>> Config::Check(FileSystem& fs, const std::string& path, uid_t uid) {
  ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, ReadOwnFile(fs, path, uid));
  std::vector<std::string> lines;
  if (!bytes) return lines;
  Builder builder;
  builder.Build(AsText(*bytes));
  for (const Problem& problem : builder.problems()) lines.push_back(Located(path, problem));
  return lines;
}

std::vector<Config::Named> Config::NamedSections() const {
  std::vector<Named> all;
  for (const auto& [name, said] : sections_) {
    const bool vault = name.rfind(Concat(kVaults, "."), 0) == 0;
    if (!vault && name.rfind(Concat(kVolumes, "."), 0) != 0) continue;
    Named named{vault ? name.substr(name.find('.') + 1) : std::string(), "", 0};
    if (!vault) {
      const std::string whole =
          name.substr(name.find('"') + 1, name.rfind('"') - name.find('"') - 1);
      named.vault = whole.substr(0, whole.find('/'));
      named.volume = whole.substr(whole.find('/') + 1);
    }
    for (const auto& [key, value] : said) {
      if (named.line == 0 || value.line < named.line) named.line = value.line;
    }
    all.push_back(std::move(named));
  }
  return all;
}

std::optional<NamedStore> Config::StoreNamed(const std::string& name) const {
  const auto found = stores_.find(name);
  if (found == stores_.end()) return std::nullopt;
  return found->second;
}

Effective Config::For(const std::string& vault, const std::string& volume,
                      const Overrides& overrides) const {
  // Later ones win.
  const std::string order[] = {kDaemon, kDefaults, VaultSection(vault),
                               VolumeSection(vault, volume)};
  Effective effective;
  for (const KeyInfo& key : Keys()) {
    Setting& setting = effective.settings_[static_cast<std::size_t>(key.key)];
    setting = {ParseValue(key, key.preset).value_or(Value{}), "default", true};
    for (const std::string& name : order) {
      const auto section = sections_.find(name);
      if (section == sections_.end()) continue;
      const auto said = section->second.find(key.key);
      if (said == section->second.end()) continue;
      setting = {said->second.value, Concat("[", name, "], line ", said->second.line), false};
    }
    const auto flag = overrides.values_.find(key.key);
    if (flag != overrides.values_.end()) {
      std::string name = key.name;
      std::replace(name.begin(), name.end(), '_', '-');
      setting = {flag->second, "--" + name, false};
    }
  }
  return effective;
}

Result<Overrides> Overrides::Parse(const std::vector<std::pair<std::string, std::string>>& flags) {
  Overrides overrides;
  for (const auto& [name, text] : flags) {
    const KeyInfo* key = FindKey(name);
    if (key == nullptr || key->scope != Scope::kVolume) {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat(control::Quoted(name), " is no setting of a volume"),
                  Concat("the settings are ", AllKeys()));
    }
    ASSIGN_OR_RETURN(overrides.values_[key->key], ParseValue(*key, text));
  }
  return overrides;
}

}  // namespace coffer::config

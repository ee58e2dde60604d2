// Config: what config.toml says, and what holds for a volume when flags, its own section, its
// vault's and the defaults are put together (flag > volume > vault > defaults).
//
// A file that says anything unknown or impossible is refused as a whole: a limit that somebody
// believes to have set must not silently be another. Immutable once read; copies are independent.
#pragma once

#include <sys/types.h>

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/config/keys.h"

namespace coffer::config {

/// Longer files are refused unread.
inline constexpr std::uint64_t kConfigBytesMax = 64u << 10;

/// A value and who said it: "default", "[defaults], line 3", "--sync-age".
struct Setting {
  Value value;
  std::string from;
  bool is_default = true;
};

/// Flags: keys with the texts given for them, checked.
class Overrides {
 public:
  Overrides() = default;
  /// kInvalidArgument for a key that is unknown or no setting of a volume, and for a value that is
  /// not one of the key's.
  static Result<Overrides> Parse(const std::vector<std::pair<std::string, std::string>>& flags);
  bool operator==(const Overrides&) const = default;

 private:
  friend class Config;
  std::map<Key, Value> values_;
};

/// What holds: a value for each key.
class Effective {
 public:
  [[nodiscard]] const Setting& operator[](Key key) const {
    return settings_[static_cast<std::size_t>(key)];
  }
  [[nodiscard]] std::uint64_t number(Key key) const { return (*this)[key].value.number; }
  [[nodiscard]] const std::string& text(Key key) const { return (*this)[key].value.text; }
  [[nodiscard]] Duration seconds(Key key) const {
    return std::chrono::seconds(static_cast<std::int64_t>(number(key)));
  }

 private:
  friend class Config;
  std::array<Setting, kKeyCount> settings_;
};

/// [stores.NAME]: a place that commands may call "NAME:prefix".
struct NamedStore {
  std::string url;  // or a path; set in every section that was accepted
  /// The section's other keys: options of the URL. Which there are its kind of store says, when it
  /// is used.
  std::map<std::string, std::string> options;
  std::uint32_t line = 0;
};

class Config {
 public:
  /// What is wrong with a file: the line (0: with the whole file) and what was expected.
  struct Problem {
    std::uint32_t line = 0;
    std::string message;
  };

  /// Everything at its default.
  Config() = default;
  /// A missing file is an empty one. kInvalidArgument names file, line and what was expected; also
  /// for a file that belongs to another user or that group or others may write.
  static Result<Config> Load(FileSystem& fs, const std::string& path, uid_t uid);
  /// `path` is for messages.
  static Result<Config> Parse(std::string_view text, const std::string& path);
  /// The reasons for which Load would fail, all of them, each on one line that begins with the
  /// file; empty: none.
  static Result<std::vector<std::string>> Check(FileSystem& fs, const std::string& path, uid_t uid);

  /// For `volume` of `vault`; without names what [defaults] says.
  [[nodiscard]] Effective For(const std::string& vault, const std::string& volume,
                              const Overrides& overrides = {}) const;
  /// A section of a vault or a volume, and the line of its first key.
  struct Named {
    std::string vault;
    std::string volume;  // empty: the whole vault
    std::uint32_t line = 0;
  };
  [[nodiscard]] std::vector<Named> NamedSections() const;
  [[nodiscard]] std::optional<NamedStore> StoreNamed(const std::string& name) const;
  [[nodiscard]] Effective Defaults() const { return For("", ""); }

 private:
  struct Said {
    Value value;
    std::uint32_t line = 0;
  };
  /// Section, as written in the file, and key.
  using Sections = std::map<std::string, std::map<Key, Said>>;
  class Builder;

  Sections sections_;
  std::map<std::string, NamedStore> stores_;
};

}  // namespace coffer::config

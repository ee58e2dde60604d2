// A TOML file as a flat list of its values, each with the tables it stands in and its line. The
// only place that knows toml++; what the values mean is config.cc's to say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace coffer::config {

/// A value of a type that no key takes: its name, "an array".
struct OtherType {
  std::string name;
};

struct TomlEntry {
  std::vector<std::string> path;  // the tables it stands in, and its own name last
  std::variant<std::string, std::int64_t, OtherType> value;
  std::uint32_t line = 0;
  bool is_table = false;  // one that is empty, or too deep to look into
};

struct TomlProblem {
  std::uint32_t line = 0;
  std::string message;
};

/// Longer lines are refused before they are parsed: each dot in a key nests a table in another, and
/// toml++ walks through them by recursion.
inline constexpr std::size_t kLineBytesMax = 4096;

/// The entries by line; or, where the text is no TOML (which is UTF-8), one problem. Tables deeper
/// than kDepthMax are listed without what is in them.
inline constexpr std::size_t kDepthMax = 4;
std::variant<std::vector<TomlEntry>, TomlProblem> ReadToml(std::string_view text);

}  // namespace coffer::config

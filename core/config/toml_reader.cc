#include "core/config/toml_reader.h"

#include <algorithm>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wconversion"
#endif
#include <toml++/toml.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace coffer::config {
namespace {

const char* NameOf(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::array:
      return "an array";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    default:
      return "a date or time of day";
  }
}

void Collect(const toml::table& table, const std::vector<std::string>& path,
             std::vector<TomlEntry>* entries) {
  for (const auto& [key, node] : table) {
    TomlEntry entry;
    entry.path = path;
    entry.path.emplace_back(key.str());
    entry.line = key.source().begin.line;
    const toml::table* inner = node.as_table();
    if (inner != nullptr && !inner->empty() && entry.path.size() < kDepthMax) {
      Collect(*inner, entry.path, entries);
      continue;
    }
    if (node.is_table()) {
      entry.is_table = true;
    } else if (const auto* text = node.as_string()) {
      entry.value = text->get();
    } else if (const auto* number = node.as_integer()) {
      entry.value = number->get();
    } else {
      entry.value = OtherType{NameOf(node)};
    }
    entries->push_back(std::move(entry));
  }
}

/// The first line that is too long, 0 if none is.
std::uint32_t FindLongLine(std::string_view text) {
  for (std::uint32_t line = 1; !text.empty(); ++line) {
    const std::size_t length = std::min(text.find('\n'), text.size());
    if (length > kLineBytesMax) return line;
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return 0;
}

}  // namespace

std::variant<std::vector<TomlEntry>, TomlProblem> ReadToml(std::string_view text) {
  if (const std::uint32_t line = FindLongLine(text); line != 0) {
    return TomlProblem{line,
                       "expected a line of at most " + std::to_string(kLineBytesMax) + " bytes"};
  }
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return TomlProblem{error.source().begin.line, std::string(error.description())};
  }
  std::vector<TomlEntry> entries;
  Collect(parsed.table(), {}, &entries);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const TomlEntry& a, const TomlEntry& b) { return a.line < b.line; });
  return entries;
}

}  // namespace coffer::config

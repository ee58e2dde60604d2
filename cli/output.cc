#include "cli/output.h"

#include <algorithm>
#include <cstdio>

#include "core/base/log.h"

namespace coffer::cli {

void PrintLine(const std::string& line) {
  std::fputs(EscapeForTerminal(line).append("\n").c_str(), stdout);
}

namespace {

/// Characters of UTF-8, each of which takes one column: names and paths mostly do.
std::size_t Columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

}  // namespace

void Table::Print() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], Columns(EscapeForTerminal(row[i])));
    }
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string cell = EscapeForTerminal(row[i]);
      line.append(cell);
      if (i + 1 < row.size()) line.append(widths[i] - Columns(cell) + 2, ' ');
    }
    PrintLine(line);
  }
}

void ShowError(const Error& error, bool json, const std::vector<control::HolderInfo>& holders) {
  if (json) {
    const control::WireError wire{std::string(ErrorCodeName(error.code)), error.message, "",
                                  error.hint, holders};
    const control::WipedString text = control::EncodeJson(wire);
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
    return;
  }
  std::fprintf(stderr, "coffer: %s\n", EscapeForTerminal(error.message).c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "  %s\n", EscapeForTerminal(error.hint).c_str());
}

}  // namespace coffer::cli

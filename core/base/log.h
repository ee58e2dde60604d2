// One line of log at a time: `LOG(kInfo, "synced ", n, " bytes")`. The sink (stderr or rotating
// files) is set up once by the program; before that, and in tests, warnings and errors go to
// stderr. Control characters in what is logged are escaped; secrets are never passed here. A thin
// seam over spdlog, which only log.cc includes (13 s a translation unit otherwise).
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace coffer {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

[[nodiscard]] bool LogEnabled(LogLevel level);
void LogLine(LogLevel level, std::string_view line);
void SetLogLevel(LogLevel level);
/// Sends the log to `directory`/NAME.log (0600), 5 files of 10 MiB, instead of stderr.
Status LogToFiles(const std::string& directory, const std::string& name);
/// "debug", "info", "warning", "error"; false for anything else.
[[nodiscard]] bool ParseLogLevel(std::string_view text, LogLevel* level);

/// `text` on one harmless line: control characters, bytes that are no UTF-8 and characters that
/// turn the direction of text come out as \n, \x1b, \u202e. For whatever a store, a file or a
/// client sent that is shown to a person.
[[nodiscard]] std::string EscapeForTerminal(std::string_view text);

inline std::string LogText(std::string_view text) { return std::string(text); }
inline std::string LogText(const char* text) { return text; }
inline std::string LogText(const std::string& text) { return text; }
inline std::string LogText(bool value) { return value ? "true" : "false"; }
template <class Number>
requires std::integral<Number> || std::floating_point<Number> std::string LogText(Number value) {
  return std::to_string(value);
}

/// Joins its arguments: Concat("synced ", n, " bytes").
template <class... Parts>
[[nodiscard]] std::string Concat(const Parts&... parts) {
  std::string joined;
  (joined.append(LogText(parts)), ...);
  return joined;
}

}  // namespace coffer

/// LOG(kInfo, "synced ", n, " bytes"): the parts are built only when the level is on.
#define LOG(level, ...)                                                            \
  do {                                                                             \
    if (::coffer::LogEnabled(::coffer::LogLevel::level))                           \
      ::coffer::LogLine(::coffer::LogLevel::level, ::coffer::Concat(__VA_ARGS__)); \
  } while (false)

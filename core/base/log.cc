#include "core/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdio>
#include <memory>

#include "core/base/mutex.h"
#include "core/base/redact.h"

namespace coffer {
namespace {

constexpr std::size_t kFileBytesMax = 10 * 1024 * 1024;
constexpr std::size_t kRotatedFiles = 4;  // and the one being written: five

std::shared_ptr<spdlog::logger> NewLogger(spdlog::sink_ptr sink) {
  auto logger = std::make_shared<spdlog::logger>("coffer", std::move(sink));
  logger->set_level(spdlog::level::trace);  // LogEnabled has decided already
  logger->flush_on(spdlog::level::trace);   // a killed process leaves every line
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  return logger;
}

struct LogState {
  std::atomic<LogLevel> level{LogLevel::kWarning};
  Mutex mutex;
  std::shared_ptr<spdlog::logger> logger GUARDED_BY(mutex) =
      NewLogger(std::make_shared<spdlog::sinks::stderr_sink_mt>());
};

/// Never destroyed: threads may log until the process is gone.
LogState& State() {
  static LogState& state = *new LogState;
  return state;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

/// One character of UTF-8: its code point and length, or length 0 if the bytes are none.
struct Character {
  char32_t code;
  std::size_t length;
};

Character DecodeUtf8(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {0, 0};
  char32_t code = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return {0, 0};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  static constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kSmallest[length] || code > 0x10ffff || surrogate) return {0, 0};
  return {code, length};
}

bool IsHarmful(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code <= 0x9f) ||  // control characters
         code == 0x200e || code == 0x200f || code == 0x061c ||
         (code >= 0x2028 && code <= 0x202e) ||  // line ends, direction of text
         (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

void AppendEscaped(std::string& out, char32_t code) {
  char text[16];
  if (code == '\n') {
    std::snprintf(text, sizeof text, "\\n");
  } else {
    std::snprintf(text, sizeof text, code < 0x100 ? "\\x%02x" : "\\u%04x",
                  static_cast<unsigned>(code));
  }
  out.append(text);
}

}  // namespace

bool LogEnabled(LogLevel level) { return level >= State().level.load(std::memory_order_relaxed); }

void LogLine(LogLevel level, std::string_view line) {
  const std::string escaped = EscapeForTerminal(Redacted(line));
  std::shared_ptr<spdlog::logger> logger;
  {
    LogState& state = State();
    MutexLock lock(state.mutex);
    logger = state.logger;
  }
  logger->log(ToSpdlog(level), spdlog::string_view_t(escaped.data(), escaped.size()));
}

void SetLogLevel(LogLevel level) { State().level.store(level, std::memory_order_relaxed); }

Status LogToFiles(const std::string& directory, const std::string& name) {
  const std::string path = directory + "/" + name + ".log";
  try {
    spdlog::file_event_handlers handlers;
    handlers.after_open = [](const spdlog::filename_t&, std::FILE* file) {
      fchmod(fileno(file), 0600);
    };
    auto logger = NewLogger(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
        path, kFileBytesMax, kRotatedFiles, false, handlers));
    LogState& state = State();
    MutexLock lock(state.mutex);
    state.logger = std::move(logger);
    return {};
  } catch (const spdlog::spdlog_ex& error) {
    return Fail(ErrorCode::kIoError, Concat("cannot log to ", path, ": ", error.what()));
  }
}

bool ParseLogLevel(std::string_view text, LogLevel* level) {
  static constexpr std::pair<std::string_view, LogLevel> kNames[] = {
      {"debug", LogLevel::kDebug},
      {"info", LogLevel::kInfo},
      {"warning", LogLevel::kWarning},
      {"error", LogLevel::kError},
  };
  for (const auto& [name, value] : kNames) {
    if (text == name) {
      *level = value;
      return true;
    }
  }
  return false;
}

std::string EscapeForTerminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = DecodeUtf8(text);
    const std::size_t length = character.length == 0 ? 1 : character.length;
    if (character.length == 0) {
      AppendEscaped(out, static_cast<unsigned char>(text[0]));
    } else if (IsHarmful(character.code)) {
      AppendEscaped(out, character.code);
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace coffer

#include "cli/daemon_options.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace coffer::cli {
namespace {

Status SetLogLevel(std::string_view text, DaemonOptions& options) {
  LogLevel level;
  if (ParseLogLevel(text, &level)) {
    options.log_level = level;
    return {};
  }
  return Fail(ErrorCode::kInvalidArgument,
              "log level " + EscapeForTerminal(text) + " is none of debug, info, warning, error");
}

Status ParseWord(std::string_view word, DaemonOptions& options) {
  constexpr std::string_view kLogLevel = "--log-level=";
  constexpr std::string_view kReadyFd = "--ready-fd=";
  if (word == "--background") {
    options.background = true;
  } else if (word == "--help") {
    options.help = true;
  } else if (word.substr(0, kLogLevel.size()) == kLogLevel) {
    return SetLogLevel(word.substr(kLogLevel.size()), options);
  } else if (word.substr(0, kReadyFd.size()) == kReadyFd) {
    const std::string_view number = word.substr(kReadyFd.size());
    const auto [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), options.ready_fd);
    if (error != std::errc() || end != number.data() + number.size() || options.ready_fd < 0) {
      return Fail(ErrorCode::kInvalidArgument, "--ready-fd needs a descriptor's number");
    }
  } else {
    return Fail(ErrorCode::kInvalidArgument, "unknown option " + EscapeForTerminal(word),
                "cofferd --help");
  }
  return {};
}

}  // namespace

Result<DaemonOptions> ParseDaemonOptions(int argc, char** argv) {
  DaemonOptions options;
  if (const char* level = std::getenv("COFFER_LOG")) {
    RETURN_IF_ERROR(SetLogLevel(level, options));
  }
  for (int i = 1; i < argc; ++i) RETURN_IF_ERROR(ParseWord(argv[i], options));
  return options;
}

}  // namespace coffer::cli

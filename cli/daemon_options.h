// The few options of cofferd; people use `coffer daemon` instead.
#pragma once

#include <optional>
#include <string>

#include "core/base/log.h"
#include "core/base/result.h"

namespace coffer::cli {

struct DaemonOptions {
  bool background = false;            // log to files, let go of the terminal
  int ready_fd = -1;                  // where to report that it is ready, or why not
  std::optional<LogLevel> log_level;  // else the config's
  bool help = false;
};

/// From the words after the program's name, and COFFER_LOG.
Result<DaemonOptions> ParseDaemonOptions(int argc, char** argv);

inline constexpr const char* kDaemonHelp =
    "usage: cofferd [--log-level=debug|info|warning|error]\n"
    "The daemon of coffer, in the foreground. coffer starts it when it is needed;\n"
    "coffer daemon run|stop|restart|status handles it by hand.\n"
    "Exit: 0 ended when asked to; 6 another one runs; 70 the cryptographic self-test failed;\n"
    "otherwise as coffer. TERM and INT end it within 10 seconds, a second one at once;\n"
    "HUP reads the config again, USR1 syncs every volume.\n"
    "Sockets handed over by systemd (LISTEN_FDS, named control and nbd) are taken\n"
    "in the place of its own, and stay.\n";

}  // namespace coffer::cli

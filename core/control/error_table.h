// The one table between error codes, HTTP statuses and exit codes (interfaces.md, "Exit").
#pragma once

#include <optional>
#include <string_view>

#include "core/base/error.h"

namespace coffer::control {

enum ExitCode : int {
  kExitDone = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitNotFound = 3,
  kExitExists = 4,
  kExitPassword = 5,
  kExitBusy = 6,
  kExitNoSpace = 7,
  kExitStoreUnavailable = 8,
  kExitCorrupt = 9,
  kExitNeedsPerson = 10,
  kExitUnsupported = 11,
  kExitNotUploaded = 12,
  kExitSelfTest = 70,  // cofferd alone: its cryptographic self-test failed
  kExitInterrupted = 130,
};

[[nodiscard]] int HttpStatusOf(ErrorCode code);
[[nodiscard]] ExitCode ExitCodeOf(ErrorCode code);
/// The code whose wire name is `name`; nothing for a name of a newer daemon.
[[nodiscard]] std::optional<ErrorCode> ErrorCodeFromName(std::string_view name);

}  // namespace coffer::control

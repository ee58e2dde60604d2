#include "core/control/error_table.h"

#include <array>

#include "core/base/check.h"

namespace coffer::control {
namespace {

struct Row {
  ErrorCode code;
  int http_status;
  ExitCode exit_code;
};

constexpr std::array kTable = {
    Row{ErrorCode::kNotFound, 404, kExitNotFound},
    Row{ErrorCode::kAlreadyExists, 409, kExitExists},
    Row{ErrorCode::kInvalidArgument, 400, kExitUsage},
    Row{ErrorCode::kCorruption, 500, kExitCorrupt},
    Row{ErrorCode::kUnauthenticated, 403, kExitPassword},
    Row{ErrorCode::kUnavailable, 503, kExitStoreUnavailable},
    Row{ErrorCode::kConflict, 409, kExitBusy},
    Row{ErrorCode::kNoSpace, 507, kExitNoSpace},
    Row{ErrorCode::kCancelled, 503, kExitInterrupted},
    Row{ErrorCode::kUnsupported, 501, kExitUnsupported},
    Row{ErrorCode::kIoError, 500, kExitFailed},
    Row{ErrorCode::kNeedsPerson, 409, kExitNeedsPerson},
};

const Row& RowOf(ErrorCode code) {
  for (const Row& row : kTable) {
    if (row.code == code) return row;
  }
  CheckFailed(__FILE__, __LINE__, "every ErrorCode has a row");
}

}  // namespace

int HttpStatusOf(ErrorCode code) { return RowOf(code).http_status; }

ExitCode ExitCodeOf(ErrorCode code) { return RowOf(code).exit_code; }

std::optional<ErrorCode> ErrorCodeFromName(std::string_view name) {
  for (const Row& row : kTable) {
    if (ErrorCodeName(row.code) == name) return row.code;
  }
  return std::nullopt;
}

}  // namespace coffer::control

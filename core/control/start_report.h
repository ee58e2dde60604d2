// What a cofferd that was started in the background says through the pipe it inherited: that it is
// ready, or why not. One line "ok", or "error EXIT_CODE", message and hint, a line each.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace coffer::control {

struct StartReport {
  bool ready = false;
  int exit_code = 0;  // of the daemon, when not ready
  std::string message;
  std::string hint;
};

[[nodiscard]] std::string EncodeStartReport(const StartReport& report);
/// Text that is no report (empty: the daemon died first) gives one that says so.
[[nodiscard]] StartReport DecodeStartReport(std::string_view text);

}  // namespace coffer::control

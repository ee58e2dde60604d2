// Which coffer this is.
#pragma once

#include <string>

namespace coffer::control {

/// "0.1.0", from CMakeLists.txt.
[[nodiscard]] std::string Version();
/// The Server header of the control API: "cofferd/0.1.0".
[[nodiscard]] std::string ServerName();

}  // namespace coffer::control

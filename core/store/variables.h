// The user's environment, as kinds of stores read it: keys, places, regions.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace coffer::store {

/// nullopt if the variable is not set. Empty: nothing is.
using Variables = std::function<std::optional<std::string>(const std::string& name)>;

}  // namespace coffer::store

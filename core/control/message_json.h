// JSON <-> messages.h. Pure. Bodies are WipedString both ways, since requests hold passwords; the
// JSON tree in between is wiped as well. No decoder message quotes what it read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/control/messages.h"
#include "core/control/wiped_string.h"

namespace coffer::control {

/// An error as it travels: `what` is the request or thing it is about.
struct WireError {
  std::string code;  // ErrorCodeName, or "unknown-request"
  std::string message;
  std::string what;
  std::string hint;
  std::vector<HolderInfo> holders = {};  // of a daemon that does not end
};
/// The wire code for a path or method that this daemon does not know.
inline constexpr std::string_view kUnknownRequest = "unknown-request";

// Defined for every struct of messages.h that is a body, and for WireError.
template <class Message>
[[nodiscard]] WipedString EncodeJson(const Message& message);
/// kInvalidArgument when it is no JSON object, or a known field has the wrong type or range.
template <class Message>
[[nodiscard]] Result<Message> DecodeJson(std::string_view text);

}  // namespace coffer::control

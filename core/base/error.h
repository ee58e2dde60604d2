// What went wrong, in a form that code can branch on and a person can act on.
//
// A message says what failed, on which object and why; it never holds a secret. `hint` is the
// command or step that resolves it, where there is one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/clock.h"

namespace coffer {

enum class ErrorCode {
  kNotFound,
  kAlreadyExists,
  kInvalidArgument,
  kCorruption,       // stored bytes are not what was written: authentication or structure failed
  kUnauthenticated,  // password, key or credentials are wrong
  kUnavailable,      // a retry may help: network, throttling, busy server
  kConflict,         // somebody else holds it: lock, other writer, connected client
  kNoSpace,          // disk, quota or journal is full
  kCancelled,
  kUnsupported,  // newer format, unknown suite, store that lacks a needed property
  kIoError,      // the local system failed: EIO and its kin
  kNeedsPerson,  // a state of design.md section 8; the message starts with its name
};

/// Why, where whoever handles the error does something of its own about it.
enum class ErrorCause {
  kOther,
  kThrottled,    // the store asks for fewer requests
  kCredentials,  // the store does not take what it was shown: other credentials may help
};

struct Error {
  ErrorCode code;
  std::string message;
  std::string hint = {};
  ErrorCause cause = ErrorCause::kOther;
  std::optional<Duration> retry_after = {};  // not before: the store said so

  /// This error with "context: " put before its message; behind the state's name of
  /// design.md section 8 ("FENCED: context: …"), since such a message begins with it.
  [[nodiscard]] Error Within(std::string_view context) const;
};

/// The stable lower-case name of `code` as the control API and logs print it ("not-found").
[[nodiscard]] std::string_view ErrorCodeName(ErrorCode code);

/// The one mapping from errno to codes. `what` names the operation and the object.
[[nodiscard]] Error ErrorFromErrno(int error_number, std::string_view what);

}  // namespace coffer

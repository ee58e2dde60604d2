// Where a password comes from: a descriptor, a private file, or the terminal without echo. Never
// the command line or the environment, which others can read (faults.md A29).
//
// One trailing newline is dropped; an empty password, one with a NUL, or one longer than 64 KiB is
// refused. Every refusal is kUnauthenticated and says why.
#pragma once

#include <string>
#include <variant>

#include "core/base/result.h"
#include "core/base/secret_bytes.h"

namespace coffer::cli {

struct FromTerminal {};
struct FromDescriptor {
  int fd;
};
struct FromFile {
  std::string path;
};
using PasswordSource = std::variant<FromTerminal, FromDescriptor, FromFile>;

/// kInvalidArgument for a descriptor that is no number.
Result<FromDescriptor> ParsePasswordDescriptor(const std::string& text);

/// `what` is what the password is for; a wait at the terminal ends with kCancelled when `cancel_fd`
/// becomes readable.
Result<SecretBytes> ReadPassword(const PasswordSource& source, const std::string& what,
                                 int cancel_fd);
/// Asks twice at the terminal, up to three times over if the two differ.
Result<SecretBytes> ReadNewPassword(const PasswordSource& source, const std::string& what,
                                    int cancel_fd);

}  // namespace coffer::cli

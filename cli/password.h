// Where a password comes from: a descriptor, a file, or the terminal without echo. Never the
// command line or the environment, which others can read (faults.md A29).
//
// Of a file: a regular one must be its user's or root's, and nobody else may read or change it; it
// may be reached through links. A pipe, such as <(command) makes, is read to its end. One trailing
// newline, LF or CR LF, is dropped, and a byte order mark in front. An empty password, one with a
// NUL, or one longer than 64 KiB is refused. Every refusal is kUnauthenticated and says why.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "cli/terminal.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"

namespace coffer::cli {

struct FromTerminal {
  std::string option = "--password";  // with "-fd" or "-file" behind it, what helps without one
};
struct FromDescriptor {
  int fd;
};
struct FromFile {
  std::string path;
};
using PasswordSource = std::variant<FromTerminal, FromDescriptor, FromFile>;

/// kInvalidArgument for a descriptor that is no number.
Result<FromDescriptor> ParsePasswordDescriptor(const std::string& text);

/// `what` is what the password is for; a wait at the terminal or for a pipe ends with kCancelled
/// when `cancel_fd` becomes readable.
Result<SecretBytes> ReadPassword(const PasswordSource& source, const std::string& what,
                                 int cancel_fd, QuietTerminal& terminal);
/// Asks twice at the terminal, up to three times over if the two differ.
Result<SecretBytes> ReadNewPassword(const PasswordSource& source, const std::string& what,
                                    int cancel_fd, QuietTerminal& terminal);

/// `password` as it is, and where Unicode can write the same text in other bytes ("é" as one
/// character or as two), composed (NFC) and decomposed (NFD): keyboards differ in what they give.
[[nodiscard]] std::vector<SecretBytes> Spellings(const SecretBytes& password);

}  // namespace coffer::cli

#include "cli/password.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "cli/terminal.h"
#include "core/base/log.h"
#include "core/control/messages.h"
#include "core/control/unix_socket.h"

namespace coffer::cli {
namespace {

using control::kPasswordBytesMax;

constexpr int kNewPasswordTries = 3;
constexpr off_t kFileBytesMax = 1 << 20;

tl::unexpected<Error> Refuse(const std::string& message, const std::string& hint = {}) {
  return Fail(ErrorCode::kUnauthenticated, message, hint);
}

/// Drops one trailing newline and checks what is left.
Result<SecretBytes> Trimmed(ByteView bytes, const std::string& origin) {
  if (!bytes.empty() && bytes.back() == std::byte{'\n'}) bytes = bytes.first(bytes.size() - 1);
  if (bytes.empty()) return Refuse("the password from " + origin + " is empty");
  if (std::memchr(bytes.data(), 0, bytes.size()) != nullptr) {
    return Refuse("the password from " + origin + " holds a NUL byte");
  }
  if (bytes.size() > kPasswordBytesMax) {
    return Refuse("the password from " + origin + " is longer than 65536 bytes");
  }
  return SecretBytes::CopyOf(bytes);
}

/// Everything up to the end of `fd`, straight into locked memory.
Result<SecretBytes> ReadToEnd(int fd, const std::string& origin) {
  SecretBytes buffer(kPasswordBytesMax + 2);  // one more than a password and its newline
  std::size_t length = 0;
  while (length < buffer.size()) {
    const ssize_t count = read(fd, buffer.mutable_view().data() + length, buffer.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      return Refuse(ErrorFromErrno(errno, "reading the password from " + origin).message);
    if (count == 0) break;
    length += static_cast<std::size_t>(count);
  }
  return Trimmed(buffer.view().first(length), origin);
}

/// Reads a private file. core/base would open it just so, but cannot tell a FIFO, on which an open
/// could wait for ever.
Result<SecretBytes> ReadFile(const std::string& path) {
  const std::string origin = "file " + EscapeForTerminal(path);
  const control::UniqueFd fd(
      open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ELOOP)
      return Refuse("password " + origin + " is a symbolic link", "name the file itself");
    return Refuse("password " + origin + ": " + ErrorFromErrno(errno, "opening it").message);
  }
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) {
    return Refuse("password " + origin + ": " + ErrorFromErrno(errno, "looking at it").message);
  }
  if (!S_ISREG(info.st_mode)) {
    return Refuse("password " + origin + " is not a regular file", "--password-fd reads a pipe");
  }
  if (info.st_uid != geteuid()) {
    return Refuse("password " + origin + " belongs to user " + std::to_string(info.st_uid) +
                  ", not to you");
  }
  if ((info.st_mode & 077U) != 0) {
    return Refuse("password " + origin + " may be read or changed by others",
                  "chmod 600 " + EscapeForTerminal(path));
  }
  if (info.st_size > kFileBytesMax) return Refuse("password " + origin + " is longer than 1 MiB");
  return ReadToEnd(fd.get(), origin);
}

}  // namespace

Result<FromDescriptor> ParsePasswordDescriptor(const std::string& text) {
  FromDescriptor source{-1};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), source.fd);
  if (error != std::errc() || end != text.data() + text.size() || source.fd < 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "--password-fd: " + EscapeForTerminal(text) + " is no file descriptor");
  }
  return source;
}

Result<SecretBytes> ReadPassword(const PasswordSource& source, const std::string& what,
                                 int cancel_fd) {
  if (const auto* descriptor = std::get_if<FromDescriptor>(&source)) {
    return ReadToEnd(descriptor->fd, "descriptor " + std::to_string(descriptor->fd));
  }
  if (const auto* file = std::get_if<FromFile>(&source)) return ReadFile(file->path);
  ASSIGN_OR_RETURN(const SecretBytes typed, AskSecretly("Password for " + what + ": ", cancel_fd));
  return Trimmed(typed.view(), "the terminal");
}

Result<SecretBytes> ReadNewPassword(const PasswordSource& source, const std::string& what,
                                    int cancel_fd) {
  if (!std::holds_alternative<FromTerminal>(source)) return ReadPassword(source, what, cancel_fd);
  for (int tries = 0; tries < kNewPasswordTries; ++tries) {
    ASSIGN_OR_RETURN(const SecretBytes typed,
                     AskSecretly("New password for " + what + ": ", cancel_fd));
    ASSIGN_OR_RETURN(SecretBytes first, Trimmed(typed.view(), "the terminal"));
    ASSIGN_OR_RETURN(const SecretBytes again, AskSecretly("The same again: ", cancel_fd));
    const auto second = Trimmed(again.view(), "the terminal");
    if (second.has_value() && ConstantTimeEqual(first.view(), second->view())) return first;
    TellUser("The two differ. Try again.");
  }
  return Refuse("the two passwords differed three times");
}

}  // namespace coffer::cli

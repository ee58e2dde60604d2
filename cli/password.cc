#include "cli/password.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <uninorm.h>
#include <unistd.h>
#include <unistr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

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

bool EndsWith(ByteView bytes, char last) {
  return !bytes.empty() && bytes.back() == static_cast<std::byte>(last);
}

bool StartsWith(ByteView bytes, std::string_view start) {
  return bytes.size() >= start.size() && std::memcmp(bytes.data(), start.data(), start.size()) == 0;
}

/// Drops what an editor or a shell puts around a line, and checks what is left.
Result<SecretBytes> Trimmed(ByteView bytes, const std::string& origin) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (StartsWith(bytes, kByteOrderMark)) bytes = bytes.subspan(kByteOrderMark.size());
  if (StartsWith(bytes, "\xff\xfe") || StartsWith(bytes, "\xfe\xff")) {
    return Refuse("the password from " + origin + " is in UTF-16", "save it as UTF-8");
  }
  if (EndsWith(bytes, '\n')) {
    bytes = bytes.first(bytes.size() - 1);
    if (EndsWith(bytes, '\r')) bytes = bytes.first(bytes.size() - 1);
  }
  if (bytes.empty()) return Refuse("the password from " + origin + " is empty");
  if (std::memchr(bytes.data(), 0, bytes.size()) != nullptr) {
    return Refuse("the password from " + origin + " holds a NUL byte");
  }
  if (EndsWith(bytes, '\r')) {
    return Refuse("the password from " + origin + " ends with a carriage return (CR)",
                  "end its line with LF or CR LF, or with nothing");
  }
  if (bytes.size() > kPasswordBytesMax) {
    return Refuse("the password from " + origin + " is longer than 65536 bytes");
  }
  return SecretBytes::CopyOf(bytes);
}

/// Everything up to the end of `fd`, straight into locked memory.
Result<SecretBytes> ReadToEnd(int fd, const std::string& origin, int cancel_fd) {
  SecretBytes buffer(kPasswordBytesMax + 6);  // more than a password and what is dropped
  std::size_t length = 0;
  while (length < buffer.size()) {
    std::array<pollfd, 2> entries = {{{cancel_fd, POLLIN, 0}, {fd, POLLIN, 0}}};
    if (poll(entries.data(), entries.size(), -1) < 0) continue;
    if (entries[0].revents != 0) return Fail(ErrorCode::kCancelled, "interrupted");
    const ssize_t count = read(fd, buffer.mutable_view().data() + length, buffer.size() - length);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0)
      return Refuse(ErrorFromErrno(errno, "reading the password from " + origin).message);
    if (count == 0) break;
    length += static_cast<std::size_t>(count);
  }
  return Trimmed(buffer.view().first(length), origin);
}

/// A file that anybody but its owner may read keeps no secret, whoever made it so.
Status CheckRegular(const struct stat& info, const std::string& path, const std::string& origin) {
  if (info.st_uid != geteuid() && info.st_uid != 0) {
    return Refuse("password " + origin + " belongs to user " + std::to_string(info.st_uid) +
                  ", not to you");
  }
  if ((info.st_mode & 077U) != 0) {
    return Refuse("password " + origin + " may be read or changed by others",
                  "chmod 600 " + EscapeForTerminal(path) +
                      "; where that cannot be done (a mounted secret), have it given on a "
                      "descriptor: --password-fd 0 < " +
                      EscapeForTerminal(path));
  }
  if (info.st_size > kFileBytesMax) return Refuse("password " + origin + " is longer than 1 MiB");
  return {};
}

/// Opened so that a FIFO does not hold up the opening: its writer is waited for with an eye on
/// `cancel_fd`.
Result<SecretBytes> ReadFile(const std::string& path, int cancel_fd) {
  const std::string origin = "file " + EscapeForTerminal(path);
  const control::UniqueFd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) {
    return Refuse("password " + origin + ": " + ErrorFromErrno(errno, "opening it").message);
  }
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) {
    return Refuse("password " + origin + ": " + ErrorFromErrno(errno, "looking at it").message);
  }
  if (isatty(fd.get()) == 1) {
    return Refuse("password " + origin + " is a terminal",
                  "without --password-file you are asked, and what you type does not show");
  }
  if (S_ISREG(info.st_mode)) {
    RETURN_IF_ERROR(CheckRegular(info, path, origin));
  } else if (!S_ISFIFO(info.st_mode)) {
    return Refuse("password " + origin + " is neither a regular file nor a pipe");
  }
  return ReadToEnd(fd.get(), origin, cancel_fd);
}

Result<SecretBytes> Ask(const FromTerminal& source, const std::string& prompt, int cancel_fd,
                        QuietTerminal& terminal) {
  const Result<SecretBytes> typed = terminal.Ask(prompt, cancel_fd);
  if (!typed.has_value()) {
    Error error = typed.error();
    if (error.code == ErrorCode::kUnauthenticated) {
      error.hint = "use " + source.option + "-fd N or " + source.option + "-file FILE";
    }
    return Fail(std::move(error));
  }
  return Trimmed(typed->view(), "the terminal");
}

/// `text` in that form; null where it is no UTF-8, or has no other spelling.
std::optional<SecretBytes> Normalized(ByteView text, uninorm_t form) {
  constexpr std::size_t kGrowth = 18;  // bytes of one character become at most so many in all
  SecretBytes out(text.size() * kGrowth);
  std::size_t length = out.size();
  auto* place = reinterpret_cast<std::uint8_t*>(out.mutable_view().data());
  const auto* from = reinterpret_cast<const std::uint8_t*>(text.data());
  if (u8_check(from, text.size()) != nullptr) return std::nullopt;
  std::uint8_t* made = u8_normalize(form, from, text.size(), place, &length);
  if (made == nullptr) return std::nullopt;
  if (made != place) {  // it did not fit after all: nothing of it stays behind
    explicit_bzero(made, length);
    std::free(made);
    return std::nullopt;
  }
  return SecretBytes::CopyOf(out.view().first(length));
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
                                 int cancel_fd, QuietTerminal& terminal) {
  if (const auto* descriptor = std::get_if<FromDescriptor>(&source)) {
    return ReadToEnd(descriptor->fd, "descriptor " + std::to_string(descriptor->fd), cancel_fd);
  }
  if (const auto* file = std::get_if<FromFile>(&source)) return ReadFile(file->path, cancel_fd);
  return Ask(std::get<FromTerminal>(source), "Password for " + what + ": ", cancel_fd, terminal);
}

Result<SecretBytes> ReadNewPassword(const PasswordSource& source, const std::string& what,
                                    int cancel_fd, QuietTerminal& terminal) {
  const auto* typed = std::get_if<FromTerminal>(&source);
  if (typed == nullptr) return ReadPassword(source, what, cancel_fd, terminal);
  for (int tries = 0; tries < kNewPasswordTries; ++tries) {
    ASSIGN_OR_RETURN(SecretBytes first,
                     Ask(*typed, "New password for " + what + ": ", cancel_fd, terminal));
    const auto second = Ask(*typed, "Repeat the new password: ", cancel_fd, terminal);
    if (!second.has_value() && second.error().code == ErrorCode::kCancelled) {
      return Fail(second.error());
    }
    if (second.has_value() && ConstantTimeEqual(first.view(), second->view())) return first;
    TellUser("The passwords do not match. Try again.");
  }
  return Refuse("the passwords did not match three times");
}

std::vector<SecretBytes> Spellings(const SecretBytes& password) {
  std::vector<SecretBytes> all;
  all.push_back(SecretBytes::CopyOf(password.view()));
  const bool ascii = std::all_of(password.view().begin(), password.view().end(),
                                 [](std::byte b) { return (b & std::byte{0x80}) == std::byte{0}; });
  if (ascii) return all;
  for (const uninorm_t form : {UNINORM_NFC, UNINORM_NFD}) {
    auto other = Normalized(password.view(), form);
    if (!other || other->size() > kPasswordBytesMax) continue;
    const bool known = std::any_of(all.begin(), all.end(), [&](const SecretBytes& one) {
      return ConstantTimeEqual(one.view(), other->view());
    });
    if (!known) all.push_back(std::move(*other));
  }
  return all;
}

}  // namespace coffer::cli

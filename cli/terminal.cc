#include "cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "core/control/messages.h"
#include "core/control/unix_socket.h"

namespace coffer::cli {
namespace {

/// Turns the terminal's echo off while it lives.
class EchoOff {
 public:
  explicit EchoOff(int fd) : fd_(fd), changed_(tcgetattr(fd, &before_) == 0) {
    if (!changed_) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    quiet.c_lflag |= ECHONL;
    changed_ = tcsetattr(fd, TCSAFLUSH, &quiet) == 0;
  }
  ~EchoOff() {
    if (changed_) tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

  [[nodiscard]] bool done() const { return changed_; }

 private:
  int fd_;
  termios before_{};
  bool changed_;
};

void WriteAll(int fd, const std::string& text) {
  [[maybe_unused]] const ssize_t written = write(fd, text.data(), text.size());
}

Result<SecretBytes> ReadLine(int fd, int cancel_fd) {
  SecretBytes line(control::kPasswordBytesMax + 1);
  std::size_t length = 0;
  while (length < line.size()) {
    std::array<pollfd, 2> entries = {{{cancel_fd, POLLIN, 0}, {fd, POLLIN, 0}}};
    if (poll(entries.data(), entries.size(), -1) < 0) continue;
    if (entries[0].revents != 0) return Fail(ErrorCode::kCancelled, "interrupted");
    std::byte* place = line.mutable_view().data() + length;
    const ssize_t count = read(fd, place, line.size() - length);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return Fail(ErrorFromErrno(errno, "reading from the terminal"));
    if (count == 0) return Fail(ErrorCode::kCancelled, "the terminal's input ended");
    length += static_cast<std::size_t>(count);
    if (place[count - 1] == std::byte{'\n'}) break;
  }
  return SecretBytes::CopyOf(line.view().first(length));
}

}  // namespace

Result<SecretBytes> AskSecretly(const std::string& prompt, int cancel_fd) {
  const control::UniqueFd terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.valid()) {
    return Fail(ErrorCode::kUnauthenticated, "a password is needed and there is no terminal to ask",
                "use --password-fd N or --password-file FILE");
  }
  const EchoOff echo_off(terminal.get());
  if (!echo_off.done()) {
    return Fail(ErrorCode::kUnauthenticated, "the terminal's echo cannot be turned off",
                "use --password-fd N or --password-file FILE");
  }
  WriteAll(terminal.get(), prompt);
  auto line = ReadLine(terminal.get(), cancel_fd);
  if (!line.has_value()) WriteAll(terminal.get(), "\n");
  return line;
}

Result<std::string> AskOpenly(const std::string& prompt, int cancel_fd) {
  const control::UniqueFd terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.valid()) {
    return Fail(ErrorCode::kInvalidArgument, "there is no terminal to ask at");
  }
  WriteAll(terminal.get(), prompt);
  ASSIGN_OR_RETURN(const SecretBytes line, ReadLine(terminal.get(), cancel_fd));
  std::string answer(AsText(line.view()));
  while (!answer.empty() && answer.back() == '\n') answer.pop_back();
  return answer;
}

void TellUser(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

ProgressLine::ProgressLine() : on_terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

std::size_t ProgressLine::columns() const {
  constexpr std::size_t kUsual = 80;
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return (known ? size.ws_col : kUsual) - 1;
}

void ProgressLine::Show(const std::string& line) {
  if (!on_terminal_) return;
  shown_ = true;
  std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
}

}  // namespace coffer::cli

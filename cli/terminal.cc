#include "cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/control/messages.h"
#include "core/control/unix_socket.h"

namespace coffer::cli {
namespace {

/// What the signal handlers below need: the terminal that is quiet, if one is. Written only while
/// both signals are blocked.
struct Quieted {
  int fd = -1;
  bool prompting = false;
  termios before{};
  termios quiet{};
  std::array<char, 512> prompt{};
  std::size_t prompt_length = 0;
};
Quieted g_quieted;

void SetModes(const termios& modes, int when) {
  while (tcsetattr(g_quieted.fd, when, &modes) != 0 && errno == EINTR) {
  }
}

/// Ctrl-Z: the shell gets its terminal back as it was, then this process stops as it would have.
void OnStop(int signal) {
  const int saved = errno;
  SetModes(g_quieted.before, TCSANOW);
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  struct sigaction handler {};
  sigaction(signal, &plain, &handler);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  raise(signal);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);  // here it stops
  sigaction(signal, &handler, nullptr);
  SetModes(g_quieted.quiet, TCSAFLUSH);  // nobody may have stopped it: an orphan goes on at once
  errno = saved;
}

/// fg, after whatever has stopped it: shells give back a terminal that echoes. What was typed until
/// now is dropped.
void OnContinue(int) {
  const int saved = errno;
  SetModes(g_quieted.quiet, TCSAFLUSH);
  if (g_quieted.prompting) {
    [[maybe_unused]] const ssize_t written =
        write(g_quieted.fd, g_quieted.prompt.data(), g_quieted.prompt_length);
  }
  errno = saved;
}

/// Holds both signals back while it lives.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    sigaddset(&set, SIGCONT);
    sigprocmask(SIG_BLOCK, &set, &before_);
  }
  ~SignalsHeld() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_{};
};

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGTSTP);
  sigaddset(&action.sa_mask, SIGCONT);
  sigaction(signal, &action, nullptr);
}

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

QuietTerminal::~QuietTerminal() { Restore(); }

Status QuietTerminal::Begin() {
  if (fd_.valid()) return {};
  control::UniqueFd terminal(open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal.valid()) {
    return Fail(ErrorCode::kUnauthenticated,
                "a password is needed and there is no terminal to ask at");
  }
  const SignalsHeld held;
  Quieted& quieted = g_quieted;
  quieted.fd = terminal.get();
  bool changed = tcgetattr(quieted.fd, &quieted.before) == 0;
  quieted.quiet = quieted.before;
  quieted.quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  quieted.quiet.c_lflag |= ECHONL;
  changed = changed && tcsetattr(quieted.fd, TCSAFLUSH, &quieted.quiet) == 0;
  if (!changed) {
    return Fail(ErrorCode::kUnauthenticated, "the terminal's echo cannot be turned off");
  }
  quieted.prompting = false;
  Handle(SIGTSTP, OnStop);
  Handle(SIGCONT, OnContinue);
  fd_ = std::move(terminal);
  return {};
}

void QuietTerminal::Restore() {
  if (!fd_.valid()) return;
  const SignalsHeld held;
  signal(SIGTSTP, SIG_DFL);
  signal(SIGCONT, SIG_DFL);
  SetModes(g_quieted.before, TCSAFLUSH);
  g_quieted.fd = -1;
  fd_ = control::UniqueFd();
}

Result<SecretBytes> QuietTerminal::Ask(const std::string& prompt, int cancel_fd) {
  RETURN_IF_ERROR(Begin());
  {
    const SignalsHeld held;
    g_quieted.prompt_length = std::min(prompt.size(), g_quieted.prompt.size());
    std::memcpy(g_quieted.prompt.data(), prompt.data(), g_quieted.prompt_length);
    g_quieted.prompting = true;
    // What was typed while something else was being done is no answer to this.
    tcflush(fd_.get(), TCIFLUSH);
    WriteAll(fd_.get(), prompt);
  }
  auto line = ReadLine(fd_.get(), cancel_fd);
  {
    const SignalsHeld held;
    g_quieted.prompting = false;
  }
  if (!line.has_value()) WriteAll(fd_.get(), "\n");
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

namespace {

/// One that can go back to the beginning of a line and clear it.
bool IsCapable() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && *term != '\0' &&
         std::string(term) != "dumb";
}

}  // namespace

ProgressLine::ProgressLine() : on_terminal_(IsCapable()) {}

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

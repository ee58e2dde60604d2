// Talking to the person at the terminal: questions without echo, progress, lines on stderr.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/control/unix_socket.h"

namespace coffer::cli {

/// The controlling terminal without echo, from the first question on until it is destroyed or
/// restored: what is typed while a password is being tried does not show either. Ctrl-Z gives the
/// shell its echo back, fg takes it away again before anything is read, and asks again.
///
/// One at a time in a process, used by one thread: it handles SIGTSTP and SIGCONT meanwhile.
class QuietTerminal {
 public:
  QuietTerminal() = default;
  ~QuietTerminal();
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;

  /// The answer includes its newline. kUnauthenticated without a terminal, kCancelled when
  /// `cancel_fd` becomes readable or the terminal ends.
  Result<SecretBytes> Ask(const std::string& prompt, int cancel_fd);
  /// As it was; what was typed and not read is dropped.
  void Restore();

 private:
  Status Begin();

  control::UniqueFd fd_;
};

/// Asks at the controlling terminal, with echo; the answer is without its newline. Errors as above,
/// kInvalidArgument without a terminal.
Result<std::string> AskOpenly(const std::string& prompt, int cancel_fd);

/// One line on stderr.
void TellUser(const std::string& line);

/// A line on stderr that is written over by the next; nothing where stderr is no terminal.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();  // clears it
  void Show(const std::string& line);
  [[nodiscard]] bool on_terminal() const { return on_terminal_; }
  /// That a line may have without wrapping.
  [[nodiscard]] std::size_t columns() const;

 private:
  const bool on_terminal_;
  bool shown_ = false;
};

}  // namespace coffer::cli

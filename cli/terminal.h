// Talking to the person at the terminal: questions without echo, progress, lines on stderr.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/result.h"
#include "core/base/secret_bytes.h"

namespace coffer::cli {

/// Asks at the controlling terminal, without echo; the answer includes its newline.
/// kUnauthenticated without a terminal, kCancelled when `cancel_fd` becomes readable or the
/// terminal ends.
Result<SecretBytes> AskSecretly(const std::string& prompt, int cancel_fd);

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

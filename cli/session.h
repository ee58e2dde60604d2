// Session: one run of coffer: where things are on this machine, what the global options say, how to
// reach the daemon, and how Ctrl-C ends a wait.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "cli/password.h"
#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/control/client.h"
#include "core/control/places.h"
#include "core/control/unix_socket.h"

namespace coffer::cli {

class Session {
 public:
  struct Options {
    bool json = false;
    std::optional<std::string> log_level;
    PasswordSource password;
  };

  /// Blocks INT, TERM and HUP in this thread; cancel_fd() tells of them.
  static Result<std::unique_ptr<Session>> Create(Options options);

  [[nodiscard]] bool json() const { return options_.json; }
  [[nodiscard]] const control::Places& places() const { return places_; }
  [[nodiscard]] FileSystem& fs() { return *fs_; }
  [[nodiscard]] const Options& options() const { return options_; }
  /// Readable once the user wants to end the wait.
  [[nodiscard]] int cancel_fd() const { return cancel_.get(); }
  /// What has come is done with; cancel_fd() tells of what comes from here on.
  void ForgetSignals() const;

  /// The daemon, started where none runs.
  Result<control::ControlClient> Daemon();
  /// The daemon that may or may not run: calls fail with kNotFound when it doesn't.
  [[nodiscard]] control::ControlClient RunningDaemon() const;

  /// The password for a thing that has one; `what` is shown to whoever types it.
  Result<SecretBytes> Password(const std::string& what) {
    return ReadPassword(options_.password, what, cancel_fd());
  }
  /// A new one, from `source` or typed twice at a terminal.
  Result<SecretBytes> NewPassword(const PasswordSource& source, const std::string& what) {
    return ReadNewPassword(source, what, cancel_fd());
  }
  Result<SecretBytes> NewPassword(const std::string& what) {
    return ReadNewPassword(options_.password, what, cancel_fd());
  }

 private:
  Session(Options options, std::unique_ptr<FileSystem> fs, control::Places places,
          control::UniqueFd cancel)
      : options_(std::move(options)),
        fs_(std::move(fs)),
        places_(std::move(places)),
        cancel_(std::move(cancel)) {}

  const Options options_;
  const std::unique_ptr<FileSystem> fs_;
  const control::Places places_;
  const control::UniqueFd cancel_;
};

/// Writing where nobody reads is an error from here on, and not the end of the process.
void BlockPipeSignal();

/// The signals that a Session turns into cancel_fd(); a child process gives them back.
void UnblockSessionSignals();

}  // namespace coffer::cli

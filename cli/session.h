// Session: one run of coffer: where things are on this machine, what the global options say, how to
// reach the daemon, and how Ctrl-C ends a wait.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cli/password.h"
#include "cli/terminal.h"
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
  /// Where it listens, or would.
  [[nodiscard]] std::string control_socket() const;
  /// The daemon that may or may not run: calls fail with kNotFound when it doesn't.
  [[nodiscard]] control::ControlClient RunningDaemon() const;

  /// Whether a request needs the password of the thing it is about.
  enum class Needs {
    kPassword,
    kNothingYet,  // its keys are held: only if they are not any more when it arrives
  };
  /// Has `attempt` made, a function of no arguments that sends a request, with `*password` set to
  /// what the user gives for `what`: as it is, then in its other Unicode spellings; at a terminal
  /// up to three times. Nothing typed shows until it has an answer.
  template <class Attempt>
  auto WithPassword(const std::string& what, Needs needs, SecretBytes* password,
                    const Attempt& attempt) -> decltype(attempt()) {
    int tries = 0;
    if (needs == Needs::kNothingYet) {
      auto done = attempt();
      if (!IsRefused(done)) return done;
    }
    for (;;) {
      ASSIGN_OR_RETURN(const SecretBytes given,
                       ReadPassword(options_.password, what, cancel_fd(), terminal_));
      auto done = TrySpellings(given, password, attempt);
      const bool typed = std::holds_alternative<FromTerminal>(options_.password);
      if (!IsRefused(done) || !typed || ++tries >= kPasswordTries) {
        terminal_.Restore();
        return done;
      }
      TellUser(done.error().message + ". Try again.");
    }
  }
  [[nodiscard]] static Needs NeedsUnless(bool keys_held) {
    return keys_held ? Needs::kNothingYet : Needs::kPassword;
  }
  /// A new one, from `source` or typed twice at a terminal.
  Result<SecretBytes> NewPassword(const PasswordSource& source, const std::string& what) {
    auto password = ReadNewPassword(source, what, cancel_fd(), terminal_);
    if (!password.has_value()) terminal_.Restore();
    return password;
  }
  Result<SecretBytes> NewPassword(const std::string& what) {
    return NewPassword(options_.password, what);
  }

 private:
  static constexpr int kPasswordTries = 3;

  template <class Done>
  [[nodiscard]] static bool IsRefused(const Done& done) {
    return !done.has_value() && done.error().code == ErrorCode::kUnauthenticated;
  }
  /// The first answer that is no refusal, else the one to the password as it was given.
  template <class Attempt>
  static auto TrySpellings(const SecretBytes& given, SecretBytes* password, const Attempt& attempt)
      -> decltype(attempt()) {
    std::vector<SecretBytes> spellings = Spellings(given);
    *password = std::move(spellings.front());
    auto first = attempt();
    for (std::size_t i = 1; i < spellings.size() && IsRefused(first); ++i) {
      *password = std::move(spellings[i]);
      auto done = attempt();
      if (!IsRefused(done)) return done;
    }
    return first;
  }

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
  QuietTerminal terminal_;
};

/// Writing where nobody reads is an error from here on, and not the end of the process.
void BlockPipeSignal();

/// The signals that a Session turns into cancel_fd(); a child process gives them back.
void UnblockSessionSignals();

}  // namespace coffer::cli

// Runs the system's programs: those that make, check, mount and unmount file systems. They see a
// small environment (LC_ALL=C, so that what they say can be understood), no descriptor but the
// standard three and one that is meant for them, and no signal blocked. Thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace coffer {

/// The program's path in the first of `directories` that has it; "" where none does.
[[nodiscard]] std::string FindProgram(const std::string& name,
                                      const std::vector<std::string>& directories);
/// Where the system keeps its programs, also those that an ordinary user's PATH leaves out.
[[nodiscard]] std::vector<std::string> SystemProgramDirectories();

struct ProgramEnd {
  int exit_code;       // 128 and the signal's number, if one ended it
  std::string output;  // stdout and stderr together, its first 16 KiB, without the last line's end
  [[nodiscard]] bool ok() const { return exit_code == 0; }
};

inline constexpr std::chrono::milliseconds kNoLimit{-1};

/// As which descriptor a program has the one that is passed to it.
inline constexpr int kPassedAs = 3;

/// How a program is run, where that is not as usual.
struct RunOptions {
  /// When it was silent for so long without ending, it is killed.
  std::chrono::milliseconds limit = kNoLimit;
  /// Asked when `limit` is over: whether what it works at has got on meanwhile, and it may go on
  /// for as long again. Called on the thread that waits.
  std::function<bool()> gets_on = {};
  /// This descriptor of the caller's is kPassedAs in it. REQUIRES: none of the standard three.
  int passed_fd = -1;
  /// "NAME=value", beside the usual ones.
  std::vector<std::string> environment = {};
};

/// What a program has said as one line of a message: line ends and tabs become single spaces.
[[nodiscard]] std::string InOneLine(std::string_view output);

/// Waits for the end of the program whose path is the first of `words`. kNotFound when there is
/// none; kUnavailable when `limit` is over.
Result<ProgramEnd> RunProgram(const std::vector<std::string>& words,
                              const RunOptions& options = {});

struct ConnectedChild;

/// A program that runs on: a child, whose number stays its own until its end has been asked for.
class Child {
 public:
  /// What it says goes to `output_fd`.
  static Result<Child> Start(const std::vector<std::string>& words, int output_fd);
  /// One that is talked to. `environment` has "NAME=value"; a PATH in it takes the usual one's
  /// place.
  static Result<ConnectedChild> StartConnected(const std::vector<std::string>& words,
                                               const std::vector<std::string>& environment);
  Child() = default;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// The exit code of that child of ours, nothing while it runs; asks without reaping it, from any
  /// thread. Of one that has been reaped: 0.
  [[nodiscard]] static std::optional<int> EndOf(pid_t pid);
  /// Whether it has ended by now; it is gone then.
  bool HasEnded();
  /// At most `limit`; false if it runs on.
  bool AwaitEnd(std::chrono::milliseconds limit);
  void Signal(int number) const;
  [[nodiscard]] int exit_code() const { return exit_code_; }  // once it has ended

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = 0;  // 0: none, or ended
  int exit_code_ = 0;
};

/// Neither end blocks.
struct ConnectedChild {
  Child child;
  UniqueFd stream;  // a socket: its stdin and its stdout
  UniqueFd errors;  // its stderr
};

/// Before one looks again at what does not tell when it changes.
void Pause(std::chrono::milliseconds time);

/// A file in memory that takes what a child says, up to 16 KiB.
class ChildOutput {
 public:
  static Result<ChildOutput> Create();
  ChildOutput(ChildOutput&& other) noexcept;
  ChildOutput& operator=(ChildOutput&&) = delete;
  ~ChildOutput();
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string Text() const;

 private:
  explicit ChildOutput(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace coffer

// How a job gets on, on one line of the terminal: what, how far, how fast, how long yet. Nothing
// where stderr is no terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cli/terminal.h"
#include "core/base/clock.h"
#include "core/control/messages.h"

namespace coffer::cli {

/// How fast `done` rises, smoothed over some seconds, so that one slow pack does not shake the
/// figure. Starts anew when `done` falls.
class RateMeter {
 public:
  void Note(MonotonicTime now, std::uint64_t done);
  /// 0 as long as it is anybody's guess.
  [[nodiscard]] double per_second() const { return per_second_; }

 private:
  bool started_ = false;
  MonotonicTime since_{};  // of the first note
  MonotonicTime last_{};
  std::uint64_t last_done_ = 0;
  double per_second_ = 0;
};

/// "0:42", "1:02:03".
[[nodiscard]] std::string DurationText(std::uint64_t seconds);

/// "sync home/photos  45% [#########>          ] 120 MiB of 266 MiB  31 MiB/s  0:05 left", at most
/// `columns` wide: first the bar goes, then the end. `per_second` 0 is unknown.
[[nodiscard]] std::string ProgressText(const control::JobInfo& job, double per_second,
                                       std::size_t columns);

/// The line of one job.
class JobProgress {
 public:
  void Show(const control::JobInfo& job);

 private:
  SystemClock clock_;
  RateMeter rate_;
  ProgressLine line_;
};

}  // namespace coffer::cli

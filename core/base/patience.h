// Patience: whether a thread that serves requests, with nothing to do, asks the kernel again and
// again for a short while before it sleeps. Going to sleep and being woken costs processor time and
// delays the answer, on a virtual machine by tens of microseconds; a client that sends its next
// request as soon as it has the last answer is back sooner than that. So asking goes on for at most
// about as long as sleeping costs, which at worst doubles the cost of a wait (ski rental), and only
// while it pays: each time it was in vain, it is not tried again for twice as many waits. One
// thread.
#pragma once

#include "core/base/clock.h"

namespace coffer {

class Patience {
 public:
  explicit Patience(Duration limit) : limit_(limit) {}

  /// How long to ask before sleeping this time; zero: sleep at once.
  [[nodiscard]] Duration ForThisWait() const { return pause_ == 0 ? limit_ : Duration::zero(); }
  /// Asked for ForThisWait(), and something came before it was over.
  void Paid() { in_vain_ = 0; }
  /// … or did not.
  void WasInVain();
  /// A wait without asking: slept, that long.
  void Slept(Duration time);

 private:
  const Duration limit_;
  int in_vain_ = 0;  // times in a row
  int pause_ = 1;    // short sleeps before it is tried again
};

}  // namespace coffer

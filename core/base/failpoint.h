// Failpoints: named places in product code where a test has the process killed or stopped.
//
//   COFFER_FAILPOINT("journal-appended");
//
// COFFER_FAILPOINT=journal-appended:7=kill in the environment: at the 7th passage of that place the
// process sends itself SIGKILL ("=stop": SIGSTOP; without ":7" the first passage). They are there
// in builds with the CMake option COFFER_FAILPOINTS alone, which no release has
// (tests/integration/failpoints_absent.sh looks at its binaries); elsewhere nothing is compiled.
//
// A test of one process says with a FailpointAction what shall happen there instead.
//
// tests/integration/kill_rounds.py finds the labels in the sources and hits every one. Any thread,
// any locks held: nobody is waited for.
#pragma once

#ifdef COFFER_FAILPOINTS
#include <functional>
#include <string>

namespace coffer {

void PassFailpoint(const char* label);

/// While it lives, whoever passes `label` runs `action`; it may come back to the same place. One at
/// a time, made and ended while nobody is about to pass.
class FailpointAction {
 public:
  FailpointAction(std::string label, std::function<void()> action);
  ~FailpointAction();
  FailpointAction(const FailpointAction&) = delete;
  FailpointAction& operator=(const FailpointAction&) = delete;

 private:
  friend void PassFailpoint(const char* label);

  const std::string label_;
  const std::function<void()> action_;
};

}  // namespace coffer
#define COFFER_FAILPOINT(label) ::coffer::PassFailpoint(label)
#else
#define COFFER_FAILPOINT(label) static_cast<void>(0)
#endif

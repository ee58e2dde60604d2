#include "core/base/failpoint.h"

#ifdef COFFER_FAILPOINTS

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/check.h"

namespace coffer {
namespace {

struct Armed {
  std::string label;
  std::atomic<long> passages_left = 0;
  // 0 ("=wait"): the passing thread alone waits there, until somebody opens the FIFO that
  // COFFER_FAILPOINT_GATE names for writing: a system call that does not return, for as long as a
  // test wants. It makes a file GATE.reached first.
  int signal = 0;
  std::string gate;

  Armed() {
    const char* const variable = std::getenv("COFFER_FAILPOINT");
    if (variable == nullptr) return;
    const std::string_view text(variable);
    const std::size_t equals = text.find('=');
    CHECK(equals != std::string_view::npos);
    const std::string_view action = text.substr(equals + 1);
    CHECK(action == "kill" || action == "stop" || action == "wait");
    if (action != "wait") signal = action == "kill" ? SIGKILL : SIGSTOP;
    const char* const place = std::getenv("COFFER_FAILPOINT_GATE");
    CHECK(signal != 0 || place != nullptr);
    if (place != nullptr) gate = place;
    const std::size_t colon = text.substr(0, equals).find(':');
    label = text.substr(0, std::min(colon, equals));
    passages_left = colon < equals ? std::strtol(variable + colon + 1, nullptr, 10) : 1;
    CHECK(passages_left > 0);
  }
};

std::atomic<const FailpointAction*> action_now = nullptr;

}  // namespace

FailpointAction::FailpointAction(std::string label, std::function<void()> action)
    : label_(std::move(label)), action_(std::move(action)) {
  CHECK(action_now.exchange(this) == nullptr);
}

FailpointAction::~FailpointAction() { action_now = nullptr; }

void PassFailpoint(const char* label) {
  if (const FailpointAction* const now = action_now.load(); now != nullptr && now->label_ == label)
    now->action_();
  static Armed armed;
  if (armed.label != label) return;
  if (--armed.passages_left != 0) return;
  if (armed.signal != 0) {
    kill(getpid(), armed.signal);
  } else {
    close(open((armed.gate + ".reached").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    close(open(armed.gate.c_str(), O_RDONLY | O_CLOEXEC));  // opens once there is a writer
  }
}

}  // namespace coffer

#endif

#include "core/base/failpoint.h"

#ifdef COFFER_FAILPOINTS

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
  int signal = 0;

  Armed() {
    const char* const variable = std::getenv("COFFER_FAILPOINT");
    if (variable == nullptr) return;
    const std::string_view text(variable);
    const std::size_t equals = text.find('=');
    CHECK(equals != std::string_view::npos);
    const std::string_view action = text.substr(equals + 1);
    CHECK(action == "kill" || action == "stop");
    signal = action == "kill" ? SIGKILL : SIGSTOP;
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
  if (--armed.passages_left == 0) kill(getpid(), armed.signal);
}

}  // namespace coffer

#endif

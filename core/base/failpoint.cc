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

}  // namespace

void PassFailpoint(const char* label) {
  static Armed armed;
  if (armed.label != label) return;
  if (--armed.passages_left == 0) kill(getpid(), armed.signal);
}

}  // namespace coffer

#endif

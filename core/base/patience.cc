#include "core/base/patience.h"

#include <algorithm>

namespace coffer {
namespace {

constexpr int kInVainMax = 10;
/// A sleep is longer than what was waited for, by the time it takes to be woken.
constexpr int kShortSleep = 3;  // times the limit

}  // namespace

void Patience::WasInVain() {
  in_vain_ = std::min(in_vain_ + 1, kInVainMax);
  pause_ = 1 << in_vain_;
}

void Patience::Slept(Duration time) {
  if (pause_ > 0 && time < kShortSleep * limit_) --pause_;
}

}  // namespace coffer

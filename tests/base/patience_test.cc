#include "core/base/patience.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

using std::chrono::microseconds;

constexpr Duration kLimit = microseconds(40);
constexpr Duration kNone = Duration::zero();

TEST(Patience, IsTriedOnceAShortSleepWasSeen) {
  Patience patience(kLimit);
  EXPECT_EQ(patience.ForThisWait(), kNone);
  patience.Slept(std::chrono::seconds(1));
  EXPECT_EQ(patience.ForThisWait(), kNone);
  patience.Slept(microseconds(60));
  EXPECT_EQ(patience.ForThisWait(), kLimit);
}

TEST(Patience, LastsWhileItPays) {
  Patience patience(kLimit);
  patience.Slept(microseconds(60));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(patience.ForThisWait(), kLimit);
    patience.Paid();
  }
}

TEST(Patience, IsRarerEachTimeItWasInVain) {
  Patience patience(kLimit);
  patience.Slept(microseconds(60));
  int waits = 0;
  int tries = 0;
  while (waits < 10'000) {
    ++waits;
    if (patience.ForThisWait() == kNone) {
      patience.Slept(microseconds(80));
    } else {
      ++tries;
      patience.WasInVain();
    }
  }
  EXPECT_GE(tries, 10);
  EXPECT_LE(tries, 20);
}

TEST(Patience, OfNoneIsNeverTried) {
  Patience patience(kNone);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(patience.ForThisWait(), kNone);
    patience.Slept(microseconds(1));
  }
}

}  // namespace
}  // namespace coffer

// Built twice: as it is, and linked with a planted wrong answer (COFFER_EXPECT_PLANTED).
#include "core/crypto/self_test.h"

#include <gtest/gtest.h>

#include "tests/support/result_macros.h"

namespace coffer::crypto {
namespace {

#ifdef COFFER_EXPECT_PLANTED
TEST(SelfTest, FailsOnOneWrongBitInAKnownAnswer) {
  const Status status = SelfTest();
  ASSERT_FAILS(status, kCorruption);
  EXPECT_NE(status.error().message.find("AES-256-GCM"), std::string::npos)
      << status.error().message;
}
#else
TEST(SelfTest, PassesOnThisMachine) { EXPECT_OK(SelfTest()); }
#endif

}  // namespace
}  // namespace coffer::crypto

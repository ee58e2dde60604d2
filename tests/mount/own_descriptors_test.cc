#include "core/mount/own_descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace coffer::mount {
namespace {

TEST(OwnDescriptors, OfTheProcessAreNotThoseOfTheThread) {
  const int ours = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const bool seen = WithOwnDescriptors([ours] { return fcntl(ours, F_GETFD) >= 0; });
  EXPECT_FALSE(seen);
  // And what the thread opened, under the same number perhaps, is not there any more.
  const int made = WithOwnDescriptors([] { return dup2(STDERR_FILENO, 900); });
  EXPECT_EQ(made, 900);
  EXPECT_EQ(fcntl(900, F_GETFD), -1);
  EXPECT_GE(fcntl(ours, F_GETFD), 0);
  close(ours);
}

}  // namespace
}  // namespace coffer::mount

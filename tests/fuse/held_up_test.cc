// What holds one image up, a disk that takes no write or flushes that wait, is felt by no other
// image of its directory, nor by reads of its own. MemoryDevice holds the calls: nothing here
// depends on time.
#include <fcntl.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "tests/fuse/fuse_world.h"

namespace coffer::fuse::testing {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

class HeldUp : public ::testing::Test {
 protected:
  HeldUp() {
    held_file_ = OpenFile(world_.Serve(held_, Named("held")), O_RDWR);
    other_file_ = OpenFile(world_.Serve(other_, Named("other")), O_RDWR);
  }
  static block::ExportSpec Named(const std::string& name) {
    block::ExportSpec spec{};
    spec.name = name;
    return spec;
  }
  void ExpectOtherServed() {
    EXPECT_EQ(WriteAt(other_file_.get(), 0, "not held"), 8);
    EXPECT_EQ(ReadAt(other_file_.get(), 0, 8), "not held");
    EXPECT_EQ(fsync(other_file_.get()), 0);
    EXPECT_EQ(fallocate(other_file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
    EXPECT_EQ(ReadAt(other_file_.get(), 0, 8), std::string(8, '\0'));
  }

  MemoryDevice held_{kMiB};
  MemoryDevice other_{kMiB};
  FuseWorld world_;
  UniqueFd held_file_;
  UniqueFd other_file_;
};

TEST_F(HeldUp, AWriteInPlaceThatTheDiskDoesNotTakeIsFeltByNoOtherImage) {
  ASSERT_EQ(WriteAt(held_file_.get(), 8192, "there"), 5);
  held_.set_slow_in_place(true);
  held_.Hold();
  std::vector<std::thread> writers;
  for (int i = 0; i < 6; ++i) {
    writers.emplace_back([&, i] {
      EXPECT_EQ(WriteAt(held_file_.get(), static_cast<std::uint64_t>(i) * 16384, "held"), 4);
    });
  }
  // One in a loop, the others by workers; the second loop goes on.
  EXPECT_TRUE(held_.AwaitInside(3));
  ExpectOtherServed();
  EXPECT_EQ(ReadAt(held_file_.get(), 8192, 5), "there");
  struct stat about {};
  EXPECT_EQ(fstat(held_file_.get(), &about), 0);
  held_.LetGo();
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(held_.Acknowledged(5 * 16384, 4), "held");
}

TEST_F(HeldUp, FlushesThatWaitAreFeltByNoOtherImage) {
  held_.Hold();
  std::vector<std::thread> flushers;
  for (int i = 0; i < 24; ++i) {
    flushers.emplace_back([&] { EXPECT_EQ(fsync(held_file_.get()), 0); });
  }
  EXPECT_TRUE(held_.AwaitInside(1));
  ExpectOtherServed();
  EXPECT_EQ(ReadAt(held_file_.get(), 0, 1), std::string(1, '\0'));
  held_.LetGo();
  for (std::thread& flusher : flushers) flusher.join();
}

}  // namespace
}  // namespace coffer::fuse::testing

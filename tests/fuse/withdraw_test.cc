// The end of an export: what is in flight is answered, the device is let go of, the directory goes.
#include <fcntl.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/base/mount_table.h"
#include "tests/fuse/fuse_world.h"

namespace coffer::fuse::testing {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

bool IsMounted(const std::string& path) {
  const auto seen = FindMount(path);
  EXPECT_TRUE(seen.has_value());
  return seen.has_value() && seen->has_value();
}

block::ExportSpec Named(const std::string& name) {
  block::ExportSpec spec{};
  spec.name = name;
  return spec;
}

TEST(FuseWithdraw, UnmountsWithTheLastVolumeOfADirectory) {
  StrictDevice first(kMiB);
  StrictDevice second(kMiB);
  FuseWorld world;
  const std::string photos = world.Serve(first, Named("photos"));
  const std::string music = world.Serve(second, Named("music"));
  EXPECT_TRUE(IsMounted(world.directory()));
  ASSERT_TRUE(world.server().Withdraw("photos").has_value());
  first.Close();
  EXPECT_EQ(ErrnoOf([&] { return open(photos.c_str(), O_RDONLY); }), ENOENT);
  EXPECT_EQ(access(music.c_str(), R_OK), 0);
  EXPECT_TRUE(IsMounted(world.directory()));
  ASSERT_TRUE(world.server().Withdraw("music").has_value());
  second.Close();
  EXPECT_FALSE(IsMounted(world.directory()));
  EXPECT_EQ(rmdir(world.directory().c_str()), 0) << "empty again";
  const Status again = world.server().Withdraw("music");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kNotFound);
}

TEST(FuseWithdraw, AnswersWhatIsInFlightAndFlushesBefore) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const std::string path = world.Serve(device);
  const UniqueFd file = OpenFile(path, O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), 0, "before"), 6);
  device.memory().set_in_place(false);
  device.memory().Hold();
  ssize_t written = 0;
  std::string read;
  std::thread writer([&] { written = WriteAt(file.get(), 4096, "hello"); });
  std::thread reader([&] { read = ReadAt(file.get(), 0, 6); });
  EXPECT_TRUE(device.memory().AwaitInside(2));
  std::atomic<bool> withdrawn = false;
  std::thread withdrawing([&] {
    EXPECT_TRUE(world.server().Withdraw("photos").has_value());
    withdrawn = true;
    device.Close();
  });
  EXPECT_TRUE(device.memory().AwaitInside(3)) << "its flush";
  EXPECT_FALSE(withdrawn);
  device.memory().LetGo();
  for (std::thread* thread : {&writer, &reader, &withdrawing}) thread->join();
  EXPECT_EQ(written, 5);
  EXPECT_EQ(read, "before");
  EXPECT_EQ(device.memory().Durable(0, 6), "before");
  EXPECT_FALSE(IsMounted(world.directory())) << "in use, so it has gone lazily";
  EXPECT_EQ(ReadAt(file.get(), 0, 6), "errno " + std::to_string(ENOTCONN));
  EXPECT_EQ(ErrnoOf([&] { return fsync(file.get()); }), ENOTCONN);
}

TEST(FuseWithdraw, WaitsForARead) {
  StrictDevice device(kMiB);
  FuseWorld world;
  block::ExportSpec spec{};
  spec.read_only = true;  // nothing is flushed, the read alone is in the way
  const std::string path = world.Serve(device, spec);
  const UniqueFd file = OpenFile(path, O_RDONLY);
  device.memory().set_in_place(false);
  device.memory().Hold();
  std::string read;
  std::thread reader([&] { read = ReadAt(file.get(), 0, 6); });
  EXPECT_TRUE(device.memory().AwaitInside(1));
  std::atomic<bool> withdrawn = false;
  std::thread withdrawing([&] {
    EXPECT_TRUE(world.server().Withdraw("photos").has_value());
    device.Close();
    withdrawn = true;
  });
  while (access(path.c_str(), R_OK) == 0) std::this_thread::yield();
  for (int i = 0; i < 1000 && !withdrawn; ++i) std::this_thread::yield();
  EXPECT_FALSE(withdrawn);
  device.memory().LetGo();
  reader.join();
  withdrawing.join();
  EXPECT_EQ(read, std::string(6, '\0'));
}

TEST(FuseWithdraw, LeavesFilesThatAreStillOpenWithErrorsAndNothingOld) {
  for (const bool sole : {true, false}) {
    StrictDevice device(kMiB);
    StrictDevice other(kMiB);
    StrictDevice next(kMiB);
    FuseWorld world;
    block::ExportSpec spec{};
    spec.sole = sole;
    const std::string path = world.Serve(device, spec);
    world.Serve(other, Named("music"));  // the directory stays
    const UniqueFd file = OpenFile(path, O_RDWR);
    ASSERT_EQ(WriteAt(file.get(), 0, "secret"), 6);
    ASSERT_EQ(ReadAt(file.get(), 0, 6), "secret");
    ASSERT_TRUE(world.server().Withdraw("photos").has_value());
    device.Close();
    EXPECT_EQ(ReadAt(file.get(), 0, 6), "errno " + std::to_string(ENODEV)) << "sole " << sole;
    EXPECT_EQ(WriteAt(file.get(), 0, "x"), -ENODEV);
    EXPECT_EQ(ErrnoOf([&] { return fsync(file.get()); }), ENODEV);
    EXPECT_EQ(ErrnoOf([&] { return lseek(file.get(), 0, SEEK_DATA); }), ENODEV);
    // The same name again is another file.
    const UniqueFd reopened = OpenFile(world.Serve(next, spec), O_RDWR);
    EXPECT_EQ(ReadAt(reopened.get(), 0, 6), std::string(6, '\0'));
    EXPECT_EQ(ReadAt(file.get(), 0, 6), "errno " + std::to_string(ENODEV));
  }
}

TEST(FuseWithdraw, WritesWhatTheKernelHasKeptBack) {
  StrictDevice device(4 * kMiB);
  FuseWorld world;
  block::ExportSpec spec{};
  spec.cache = block::ClientCache::kWriteBack;
  const UniqueFd file = OpenFile(world.Serve(device, spec), O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), 5, std::string(3 * kMiB, 'x')), static_cast<ssize_t>(3 * kMiB));
  ASSERT_TRUE(world.server().Withdraw("photos").has_value());
  device.Close();
  EXPECT_EQ(device.memory().Durable(5, 3 * kMiB), std::string(3 * kMiB, 'x'));
}

TEST(FuseWithdraw, IsWhatTheServersEndDoes) {
  StrictDevice device(kMiB);
  FuseWorld world;
  const UniqueFd file = OpenFile(world.Serve(device), O_RDWR);
  ASSERT_EQ(WriteAt(file.get(), 0, "x"), 1);
  world.EndServer();
  device.Close();
  EXPECT_FALSE(IsMounted(world.directory()));
  EXPECT_EQ(device.memory().Durable(0, 1), "x");
}

TEST(FuseWithdraw, WhileManyReadAndWriteLeavesNobodyInTheDevice) {
  for (int round = 0; round < 20; ++round) {
    StrictDevice device(kMiB);
    FuseWorld world;
    device.memory().set_in_place(round % 2 == 0);
    const std::string path = world.Serve(device);
    std::atomic<int> started = 0;
    std::vector<std::thread> threads;
    for (int number = 0; number < 6; ++number) {
      threads.emplace_back([&, number] {
        const UniqueFd file = OpenFile(path, O_RDWR);
        ++started;
        const std::string text(5000, static_cast<char>('a' + number));
        for (;;) {
          if (WriteAt(file.get(), 1000, text) != 5000) break;
          if (number % 2 == 0 && fsync(file.get()) != 0) break;
          if (ReadAt(file.get(), 1000, 5000).size() != 5000) break;
        }
      });
    }
    while (started < 6) std::this_thread::yield();
    EXPECT_TRUE(world.server().Withdraw("photos").has_value());
    device.Close();
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(FuseRequests, ThatAreSlowHoldUpNoOthersOfTheMount) {
  StrictDevice slow(4 * kMiB);
  StrictDevice quick(kMiB);
  FuseWorld world;
  slow.memory().set_in_place(false);
  quick.memory().set_in_place(false);
  const UniqueFd slow_file = OpenFile(world.Serve(slow, Named("slow")), O_RDWR);
  const UniqueFd quick_file = OpenFile(world.Serve(quick, Named("quick")), O_RDWR);
  slow.memory().Hold();
  std::vector<std::thread> threads;
  for (int number = 0; number < 20; ++number) {
    const auto offset = static_cast<std::uint64_t>(number) * 4096;
    threads.emplace_back(
        [&, offset] { EXPECT_EQ(ReadAt(slow_file.get(), offset, 10).size(), 10u); });
    threads.emplace_back([&, offset] { EXPECT_EQ(WriteAt(slow_file.get(), offset, "x"), 1); });
  }
  EXPECT_TRUE(slow.memory().AwaitInside(8 + 1));
  EXPECT_EQ(WriteAt(quick_file.get(), 0, "hello"), 5);
  EXPECT_EQ(fsync(quick_file.get()), 0);
  EXPECT_EQ(ReadAt(quick_file.get(), 0, 5), "hello");
  EXPECT_LE(slow.memory().calls_inside(), 12);
  slow.memory().LetGo();
  for (std::thread& thread : threads) thread.join();
}

TEST(FuseRequests, ThatWaitHoldABoundedAmountOfMemoryAndAreAllCarriedOut) {
  constexpr int kWriters = 140;  // more than kJobBytesMax holds of the largest
  StrictDevice device(kMiB);
  FuseWorld world;
  device.memory().set_in_place(false);
  const UniqueFd file = OpenFile(world.Serve(device), O_RDWR);
  device.memory().Hold();
  const std::string text(kMiB, 'x');
  std::vector<std::thread> threads;
  std::atomic<int> written = 0;
  for (int number = 0; number < kWriters; ++number) {
    threads.emplace_back([&] {
      if (WriteAt(file.get(), 0, text) == static_cast<ssize_t>(kMiB)) ++written;
    });
  }
  EXPECT_TRUE(device.memory().AwaitInside(4));
  EXPECT_EQ(written, 0);
  device.memory().LetGo();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(written, kWriters);
  EXPECT_EQ(device.memory().Acknowledged(0, kMiB), text);
}

}  // namespace
}  // namespace coffer::fuse::testing

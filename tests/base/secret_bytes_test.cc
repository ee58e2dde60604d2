#include "core/base/secret_bytes.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/seeded_random.h"

namespace coffer {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COFFER_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COFFER_SANITIZED 1
#endif
#endif
#if defined(COFFER_SANITIZED)
constexpr bool kSanitized =
    true;  // the sanitizers make mlock a no-op, and answer faults themselves
#else
constexpr bool kSanitized = false;
#endif

constexpr std::size_t kSizes[] = {1, 16, 32, 33, 100, 4096, 4097, 100'000};

/// The "VmFlags:" line of the mapping that holds `address`, as /proc tells.
std::string VmFlagsOf(const void* address) {
  const auto wanted = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream smaps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(smaps, line)) {
    unsigned long begin = 0;
    unsigned long end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      inside = begin <= wanted && wanted < end;
    }
    if (inside && line.rfind("VmFlags:", 0) == 0) return line + " ";
  }
  return "";
}

/// Whether this process may lock what the tests lock.
bool MayLock() {
  rlimit limit{};
  return geteuid() == 0 || (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= 4 << 20);
}

/// Status of a child that ran `body`, 0 if it returned true.
int InChild(const std::function<bool()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(SecretBytes, StartAsZerosAndKeepTheirBytes) {
  SeededRandom random(TestSeed());
  for (const std::size_t size : kSizes) {
    SecretBytes secret(size);
    EXPECT_EQ(secret.size(), size);
    EXPECT_TRUE(IsZero(secret.view()));
    random.Fill(secret.mutable_view());
    const SecretBytes copy = secret.Copy();
    EXPECT_TRUE(ConstantTimeEqual(copy.view(), secret.view()));
    EXPECT_NE(copy.view().data(), secret.view().data());
    const std::byte* place = secret.view().data();
    const SecretBytes moved = std::move(secret);
    EXPECT_EQ(moved.view().data(), place);
  }
  EXPECT_TRUE(SecretBytes().empty());
  EXPECT_TRUE(SecretBytes(0).empty());
  EXPECT_TRUE(SecretBytes::CopyOf({}).empty());
}

TEST(SecretBytes, AssignmentDropsTheOldSecret) {
  SecretBytes a = SecretBytes::CopyOf(AsBytes("first"));
  SecretBytes b = SecretBytes::CopyOf(AsBytes("second"));
  a = std::move(b);
  EXPECT_EQ(AsText(a.view()), "second");
  SecretBytes& self = a;
  a = std::move(self);
  EXPECT_EQ(a.size() == 0 || AsText(a.view()) == "second", true);
}

TEST(SecretBytes, AreWipedWhenFreed) {
  // A freed piece of a slab stays mapped, so that one can look.
  const std::byte* place = nullptr;
  {
    const SecretBytes secret = SecretBytes::CopyOf(Bytes(64, std::byte{0xa5}));
    place = secret.view().data();
    ASSERT_FALSE(IsZero({place, 64}));
  }
  EXPECT_TRUE(IsZero({place, 64}));
}

TEST(SecretBytes, LieInMemoryThatIsNeverDumpedNorForked) {
  for (const std::size_t size : kSizes) {
    const SecretBytes secret(size);
    const std::string flags = VmFlagsOf(secret.view().data());
    ASSERT_NE(flags, "");
    EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;  // MADV_DONTDUMP
    EXPECT_NE(flags.find(" wf "), std::string::npos) << flags;  // MADV_WIPEONFORK
  }
}

TEST(SecretBytes, LieInLockedMemory) {
  if (kSanitized) GTEST_SKIP() << "sanitizers do not lock";
  if (!MayLock()) GTEST_SKIP() << "needs a higher RLIMIT_MEMLOCK";
  for (const std::size_t size : kSizes) {
    const SecretBytes secret(size);
    const std::string flags = VmFlagsOf(secret.view().data());
    EXPECT_NE(flags.find(" lo "), std::string::npos) << flags;
  }
  EXPECT_TRUE(GetSecretArenaInfo().locked);
  EXPECT_GT(GetSecretArenaInfo().mapped_bytes, 0U);
}

TEST(SecretBytes, AreZerosInAForkedChild) {
  const SecretBytes secret = SecretBytes::CopyOf(AsBytes("for the parent only"));
  EXPECT_EQ(InChild([&secret] { return IsZero(secret.view()); }), 0);
  EXPECT_EQ(AsText(secret.view()), "for the parent only");
}

TEST(SecretBytes, BeyondTheLockLimitWorkAndAreReported) {
  if (kSanitized) GTEST_SKIP() << "sanitizers do not lock";
  if (!MayLock()) GTEST_SKIP() << "needs a higher RLIMIT_MEMLOCK";
  const auto exceed = [] {
    // Root may lock what it likes.
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return false;
    const rlimit limit{65536, 65536};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
    {
      SecretBytes large(1 << 20);
      std::fill(large.mutable_view().begin(), large.mutable_view().end(), std::byte{7});
      if (GetSecretArenaInfo().locked || large.view().back() != std::byte{7}) return false;
    }
    return GetSecretArenaInfo().locked;  // given back
  };
  EXPECT_EQ(InChild(exceed), 0);
}

TEST(SecretBytes, LargeOnesGiveTheirMemoryBack) {
  const std::size_t before = GetSecretArenaInfo().mapped_bytes;
  {
    const SecretBytes large(1 << 20);
    EXPECT_EQ(GetSecretArenaInfo().mapped_bytes, before + (1 << 20));
  }
  EXPECT_EQ(GetSecretArenaInfo().mapped_bytes, before);
}

TEST(SecretBytes, SmallOnesReuseMemory) {
  { const std::vector<SecretBytes> warm_up(1); }
  std::size_t mapped = 0;
  for (int round = 0; round < 10; ++round) {
    std::vector<SecretBytes> secrets;
    for (int i = 0; i < 1000; ++i) secrets.emplace_back(32);
    if (round == 0) mapped = GetSecretArenaInfo().mapped_bytes;
    EXPECT_EQ(GetSecretArenaInfo().mapped_bytes, mapped);
  }
}

TEST(SecretBytes, NeverOverlap) {
  SeededRandom random(TestSeed());
  std::vector<std::pair<SecretBytes, std::byte>> secrets;
  for (int i = 0; i < 2000; ++i) {
    if (!secrets.empty() && random.OneIn(3)) {
      std::swap(secrets[random.Below(secrets.size())], secrets.back());
      secrets.pop_back();
    }
    SecretBytes secret(1 + random.Below(200));
    ASSERT_TRUE(IsZero(secret.view()));
    const auto mark = static_cast<std::byte>(i);
    std::fill(secret.mutable_view().begin(), secret.mutable_view().end(), mark);
    secrets.emplace_back(std::move(secret), mark);
  }
  for (const auto& [secret, mark] : secrets) {
    const std::byte expected = mark;
    EXPECT_TRUE(std::all_of(secret.view().begin(), secret.view().end(),
                            [expected](std::byte byte) { return byte == expected; }));
  }
}

TEST(SecretBytes, MayComeAndGoOnManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (std::size_t i = 0; i < 500; ++i) {
        SecretBytes secret(1 + (i * 37) % 6000);
        secret.mutable_view()[0] = static_cast<std::byte>(t);
        EXPECT_EQ(secret.view()[0], static_cast<std::byte>(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SecretBytesDeathTest, EndBeforeAGuardPage) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer answers the fault in its own way";
  SecretBytes secret(8192);
  std::byte* end = secret.mutable_view().data() + 8192;
  EXPECT_EXIT(*end = std::byte{1}, testing::KilledBySignal(SIGSEGV), "");
}

TEST(Wipe, Overwrites) {
  Bytes bytes(100, std::byte{1});
  Wipe(bytes);
  EXPECT_TRUE(IsZero(bytes));
  Wipe({});
}

TEST(HardenProcess, ForbidsDumpsAndOtherEyes) {
  const auto harden = [] {
    HardenProcess();
    rlimit limit{};
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return false;
    return prctl(PR_GET_DUMPABLE) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0;
  };
  EXPECT_EQ(InChild(harden), 0);
}

}  // namespace
}  // namespace coffer

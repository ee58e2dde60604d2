#include "core/crypto/kdf.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/crypto/suite.h"
#include "tests/crypto/hex.h"
#include "tests/support/result_macros.h"

namespace coffer::crypto {
namespace {

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;
constexpr StoredKdfCost kCheap{.memory_kib = 64, .iterations = 1, .parallelism = 1};
constexpr KdfBounds kCheapBounds{.memory_kib_min = 8,
                                 .memory_kib_max = 1024,
                                 .iterations_min = 1,
                                 .iterations_max = 8,
                                 .parallelism_max = 4};

Credential Password(std::string_view password) { return Credential{.password = Secret(password)}; }

std::string Kek(const Credential& credential, const StoredKdfCost& cost = kCheap,
                std::size_t salt_start = 0, std::string_view context = "") {
  const Result<SecretBytes> kek =
      DeriveKek(credential, Counting(kSaltBytes, salt_start), cost, kCheapBounds, AsBytes(context));
  EXPECT_OK(kek);
  return kek ? ToHex(kek->view()) : "";
}

TEST(DeriveKek, DependsOnEveryInput) {
  const std::string kek = Kek(Password("secret"));
  EXPECT_EQ(kek.size(), 2 * kKeyBytes);
  EXPECT_EQ(Kek(Password("secret")), kek);
  EXPECT_NE(Kek(Password("Secret")), kek);
  EXPECT_NE(Kek(Password("secret"), kCheap, 1), kek);
  EXPECT_NE(Kek(Password("secret"), {65, 1, 1}), kek);
  EXPECT_NE(Kek(Password("secret"), {64, 2, 1}), kek);
  EXPECT_NE(Kek(Password("secret"), {64, 1, 2}), kek);
  EXPECT_NE(Kek(Password("secret"), kCheap, 0, "slot 1"), kek);
}

TEST(DeriveKek, KeepsPasswordAndKeyFileApart) {
  const std::string password_only = Kek(Password("secret"));
  const std::string file_only = Kek(Credential{.password = {}, .key_file_hash = Secret("secret")});
  const std::string both =
      Kek(Credential{.password = Secret("secret"), .key_file_hash = Secret("secret")});
  EXPECT_NE(password_only, file_only);
  EXPECT_NE(password_only, both);
  EXPECT_NE(file_only, both);
}

TEST(DeriveKek, RefusesAnEmptyCredential) {
  EXPECT_FAILS(DeriveKek(Credential{}, Counting(kSaltBytes), kCheap, kCheapBounds),
               kInvalidArgument);
}

long PeakResidentKib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(DeriveKek, RefusesCostsOutOfBoundsBeforeHashingOrAllocating) {
  const KdfBounds bounds = DefaultKdfBounds(8 * kGib);
  const std::vector<StoredKdfCost> refused = {
      {8, 3, 1},                       // 8 KiB: a gift to who guesses passwords
      {19 * 1024 - 1, 3, 1},           // just below the floor
      {256 * 1024, 1, 4},              // too few passes
      {256 * 1024, 0, 4},              // none
      {256 * 1024, 3, 0},              // no lane
      {0, 3, 4},                       //
      {0, 0, 0},                       //
      {256 * 1024, 65, 4},             // too many passes
      {256 * 1024, 0xffffffff, 4},     //
      {256 * 1024, 3, 17},             // too many lanes
      {256 * 1024, 3, 0xffffffff},     //
      {4 * 1024 * 1024 + 1, 3, 4},     // just above the ceiling
      {std::uint32_t{1} << 30, 3, 4},  // 2^40 bytes
      {0xffffffff, 3, 4},              // 4 TiB
  };
  const Credential credential = Password("secret");
  const Bytes salt = Counting(kSaltBytes);
  for (const StoredKdfCost& cost : refused) {
    const long resident_before = PeakResidentKib();
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FAILS(DeriveKek(credential, salt, cost, bounds), kUnsupported)
        << cost.memory_kib << ' ' << cost.iterations << ' ' << cost.parallelism;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(50));
    EXPECT_LT(PeakResidentKib() - resident_before, 4096);
  }
}

TEST(CheckKdfCost, AcceptsTheBoundsThemselvesAndTheDefaultPolicy) {
  const KdfBounds bounds = DefaultKdfBounds(8 * kGib);
  EXPECT_OK(CheckKdfCost({19 * 1024, 2, 1}, bounds));
  EXPECT_OK(CheckKdfCost({4 * 1024 * 1024, 64, 16}, bounds));
  EXPECT_OK(CheckKdfCost(CostOfNewSlot(KdfPolicy{}), bounds));
  EXPECT_OK(CheckKdfCost(CostOfNewSlot(KdfPolicy{}), DefaultKdfBounds(kGib)));
}

TEST(CheckKdfCost, TellsACostOfALargerMachineFromOneOfNone) {
  const auto message = [](const StoredKdfCost& cost, const KdfBounds& bounds) {
    const Status checked = CheckKdfCost(cost, bounds);
    return checked.has_value() ? "accepted" : checked.error().message;
  };
  const KdfBounds small = DefaultKdfBounds(kGib);
  EXPECT_EQ(message({1024 * 1024, 3, 4}, small),
            "the password's hash takes 1024 MiB of memory, more than the 614 MiB that it may take "
            "here");
  EXPECT_EQ(
      message({4 * 1024 * 1024 + 1, 3, 4}, small),
      "password hashing cost refused: memory in KiB is 4194305, accepted are 19456 to 629142");
  EXPECT_EQ(message({1025, 1, 4}, kCheapBounds),
            "password hashing cost refused: memory in KiB is 1025, accepted are 8 to 1024");
}

TEST(CheckKdfCost, AsksForEightKibForEachLaneWhateverTheBoundsSay) {
  EXPECT_OK(CheckKdfCost({32, 1, 4}, kCheapBounds));
  EXPECT_FAILS(CheckKdfCost({31, 1, 4}, kCheapBounds), kUnsupported);
}

TEST(DefaultKdfBounds, TakesAtMostThreeFifthsOfASmallMachine) {
  EXPECT_EQ(DefaultKdfBounds(kGib).memory_kib_max, 1024U * 1024 / 10 * 6);
  EXPECT_EQ(DefaultKdfBounds(64 * kGib).memory_kib_max, 4U * 1024 * 1024);
}

}  // namespace
}  // namespace coffer::crypto

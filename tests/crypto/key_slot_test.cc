#include "core/crypto/key_slot.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/crypto/hex.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::crypto {
namespace {

constexpr KdfPolicy kCheapPolicy{.memory_kib = 64, .iterations = 1, .parallelism = 1};
constexpr KdfBounds kCheapBounds{.memory_kib_min = 64,
                                 .memory_kib_max = 1024,
                                 .iterations_min = 1,
                                 .iterations_max = 8,
                                 .parallelism_max = 4};

Credential Password(std::string_view password) { return Credential{.password = Secret(password)}; }

class KeySlot : public testing::Test {
 protected:
  KeySlot() { place_.vault_id = random_.NewId<VaultId>(); }

  WrappedKey Wrap() {
    auto slot =
        WrapUnlockKey(unlock_key_, credential_, place_, kCheapPolicy, kCheapBounds, random_);
    EXPECT_OK(slot);
    return *slot;
  }

  SeededRandom random_{TestSeed()};
  SecretBytes unlock_key_ = SecretBytes::CopyOf(random_.NewBytes(kKeyBytes));
  Credential credential_ = Password("correct horse");
  SlotPlace place_{.vault_id = {}, .index = 3, .kind = 1};
};

TEST_F(KeySlot, GivesTheUnlockKeyBack) {
  const WrappedKey slot = Wrap();
  EXPECT_EQ(slot.cost, CostOfNewSlot(kCheapPolicy));
  ASSERT_OK_AND_ASSIGN(const SecretBytes opened,
                       UnwrapUnlockKey(slot, credential_, place_, kCheapBounds));
  EXPECT_EQ(ToBytes(opened.view()), ToBytes(unlock_key_.view()));
}

TEST_F(KeySlot, OpensByKeyFileAloneAndWhereBothAreAskedOnlyByBoth) {
  credential_ = Credential{.password = {}, .key_file_hash = Secret("hash of a file")};
  EXPECT_OK(UnwrapUnlockKey(Wrap(), credential_, place_, kCheapBounds));
  credential_ = Credential{.password = Secret("and"), .key_file_hash = Secret("hash of a file")};
  const WrappedKey slot = Wrap();
  EXPECT_OK(UnwrapUnlockKey(slot, credential_, place_, kCheapBounds));
  EXPECT_FAILS(UnwrapUnlockKey(slot, Password("and"), place_, kCheapBounds), kUnauthenticated);
}

TEST_F(KeySlot, NewSlotsNeverRepeatASalt) {
  const WrappedKey first = Wrap();
  const WrappedKey second = Wrap();
  EXPECT_NE(first.salt, second.salt);
  EXPECT_NE(first.sealed_uk, second.sealed_uk);
}

TEST_F(KeySlot, WrongPasswordAndChangedSlotGiveOneConstantText) {
  WrappedKey slot = Wrap();
  const auto wrong = UnwrapUnlockKey(slot, Password("Correct horse"), place_, kCheapBounds);
  ASSERT_FAILS(wrong, kUnauthenticated);
  slot.sealed_uk[0] ^= std::byte{1};
  const auto changed = UnwrapUnlockKey(slot, credential_, place_, kCheapBounds);
  ASSERT_FAILS(changed, kUnauthenticated);
  EXPECT_EQ(wrong.error().message, changed.error().message);
}

// A8: fails closed on each single bit.
TEST_F(KeySlot, RefusesEveryFlippedBit) {
  const WrappedKey genuine = Wrap();
  const auto flip_each = [&](auto part, const char* name) {
    for (std::size_t bit = 0; bit < (genuine.*part).size() * 8; ++bit) {
      WrappedKey changed = genuine;
      (changed.*part)[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      ASSERT_FAILS(UnwrapUnlockKey(changed, credential_, place_, kCheapBounds), kUnauthenticated)
          << name << " bit " << bit;
    }
  };
  flip_each(&WrappedKey::salt, "salt");
  flip_each(&WrappedKey::commitment, "commitment");
  flip_each(&WrappedKey::sealed_uk, "sealed_uk");
}

TEST_F(KeySlot, RefusesEveryChangedCost) {
  const WrappedKey genuine = Wrap();
  for (auto field :
       {&StoredKdfCost::memory_kib, &StoredKdfCost::iterations, &StoredKdfCost::parallelism}) {
    for (unsigned bit = 0; bit < 32; ++bit) {
      WrappedKey changed = genuine;
      changed.cost.*field ^= 1U << bit;
      EXPECT_FALSE(UnwrapUnlockKey(changed, credential_, place_, kCheapBounds).has_value()) << bit;
    }
  }
}

TEST_F(KeySlot, OpensInNoOtherPlace) {
  const WrappedKey slot = Wrap();
  const std::vector<std::function<void(SlotPlace&)>> moves = {
      [](SlotPlace& place) { place.index ^= 1; },
      [](SlotPlace& place) { place.kind ^= 1; },
      [](SlotPlace& place) { place.vault_id.bytes[0] ^= std::byte{1}; },
      [](SlotPlace& place) { place.vault_id.bytes[15] ^= std::byte{128}; },
  };
  for (const auto& move : moves) {
    SlotPlace other = place_;
    move(other);
    EXPECT_FAILS(UnwrapUnlockKey(slot, credential_, other, kCheapBounds), kUnauthenticated);
  }
}

// A9: a slot that claims too little is refused, not hashed, and none is made.
TEST_F(KeySlot, RefusesACheapSlotUnderTheDefaultBounds) {
  const WrappedKey slot = Wrap();
  const KdfBounds bounds = DefaultKdfBounds(std::uint64_t{8} << 30);
  EXPECT_FAILS(UnwrapUnlockKey(slot, credential_, place_, bounds), kUnsupported);
  EXPECT_FAILS(WrapUnlockKey(unlock_key_, credential_, place_, kCheapPolicy, bounds, random_),
               kUnsupported);
}

// A11: a wrapping that opens under this password is not enough, the commitment must be its own.
TEST_F(KeySlot, DoesNotTrustTheWrappingWithoutTheCommitment) {
  WrappedKey slot = Wrap();
  slot.commitment = Wrap().commitment;
  EXPECT_FAILS(UnwrapUnlockKey(slot, credential_, place_, kCheapBounds), kUnauthenticated);
}

}  // namespace
}  // namespace coffer::crypto

// The key header under attack (faults.md A8 to A12): whatever is changed, it fails closed, with few
// and constant words, and before anything costly.
#include "core/vault/key_header.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

constexpr char kHeaderName[] = "keys/fffffffffffffffe";

class KeyHeader : public testing::Test {
 protected:
  void SetUp() override {
    Result<NewKeyHeader> made = MakeKeyHeader(machine_.env, vault_, Password("correct horse"));
    ASSERT_OK(made);
    stored_ = made->stored;
  }
  Result<format::Keyring> Open(ByteView stored, std::string_view password = "correct horse") {
    return OpenKeyHeader(stored, vault_, 1, Password(password), kCheapBounds);
  }

  store::MemoryStore provider_;
  Machine machine_{provider_, 1};
  VaultId vault_ = machine_.random.NewId<VaultId>();
  Bytes stored_;
};

TEST_F(KeyHeader, OpensWithItsPasswordOnly) {
  ASSERT_OK_AND_ASSIGN(const format::Keyring keyring, Open(stored_));
  EXPECT_EQ(keyring.epochs.size(), 1u);
  EXPECT_EQ(keyring.epochs[0].epoch, 1u);
  EXPECT_FALSE(IsZero(keyring.epochs[0].master_key.view()));
  EXPECT_EQ(keyring.slots.size(), 1u);
  for (const std::string_view wrong : {"correct hors", "correct horse ", "Correct horse", "x"}) {
    EXPECT_FAILS(Open(stored_, wrong), kUnauthenticated);
  }
}

TEST_F(KeyHeader, FailsClosedWithEveryBitFlipped) {
  std::set<std::string> texts;
  for (std::size_t bit = 0; bit < stored_.size() * 8; ++bit) {
    Bytes changed = stored_;
    changed[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    const Result<format::Keyring> opened = Open(changed);
    ASSERT_FALSE(opened.has_value()) << "bit " << bit;
    std::string text = opened.error().message;
    // Offsets and numbers may differ; the words may not.
    std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
    texts.insert(text);
  }
  EXPECT_LE(texts.size(), 20u) << testing::PrintToString(texts);
}

TEST_F(KeyHeader, FailsClosedWhenCutOrExtended) {
  for (std::size_t length = 0; length < stored_.size(); ++length) {
    ASSERT_FALSE(Open(ByteView(stored_).first(length)).has_value()) << length;
  }
  Bytes longer = stored_;
  longer.push_back(std::byte{0});
  EXPECT_FAILS(Open(longer), kCorruption);
}

TEST_F(KeyHeader, ChecksTheCostOfEverySlotBeforeHashing) {
  // With a wrong password: if it hashed slot 0 first it would say so.
  for (const format::KeySlot& cost :
       {format::KeySlot{.memory_kib = 0xffffffff}, format::KeySlot{.memory_kib = 4},
        format::KeySlot{.memory_kib = 8, .iterations = 1u << 31},
        format::KeySlot{.memory_kib = 8, .parallelism = 0},
        format::KeySlot{.memory_kib = 8, .parallelism = 255}}) {
    OpenHeader open = TakeApart(stored_, "correct horse");
    SetSlot(open, 15, "other", machine_.random);
    format::KeySlot& slot = open.header.slots[15];
    slot.memory_kib = cost.memory_kib;
    if (cost.iterations != 0) slot.iterations = cost.iterations;
    if (cost.memory_kib == 8 && cost.iterations == 0) slot.parallelism = cost.parallelism;
    const Bytes changed = PutTogether(std::move(open), machine_.random);
    EXPECT_FAILS(Open(changed, "wrong"), kUnsupported);
    EXPECT_FAILS(Open(changed), kUnsupported);
  }
}

TEST_F(KeyHeader, RefusesASlotThatTheProviderAdded) {
  // Opening slot 3 gives the right unlock key, but the MAC does not know the slot.
  OpenHeader open = TakeApart(stored_, "correct horse");
  const auto mac = open.header.mac;
  SetSlot(open, 3, "the provider's", machine_.random);
  open.header.mac = mac;
  const Bytes changed = format::Encode(open.header);
  EXPECT_FAILS(Open(changed, "the provider's"), kCorruption);
  EXPECT_FAILS(Open(changed), kCorruption);
}

TEST_F(KeyHeader, OpensAnySlotWhenItIsUnderTheMac) {
  OpenHeader open = TakeApart(stored_, "correct horse");
  SetSlot(open, 7, "second", machine_.random);
  const Bytes changed = PutTogether(std::move(open), machine_.random);
  EXPECT_OK(Open(changed, "second"));
  EXPECT_OK(Open(changed, "correct horse"));
}

TEST_F(KeyHeader, BelongsToItsVaultAndPlace) {
  VaultId other = vault_;
  other.bytes[0] ^= std::byte{1};
  EXPECT_FAILS(OpenKeyHeader(stored_, other, 1, Password("correct horse"), kCheapBounds),
               kCorruption);
  EXPECT_FAILS(OpenKeyHeader(stored_, vault_, 2, Password("correct horse"), kCheapBounds),
               kCorruption);
}

TEST_F(KeyHeader, TakesTheCostOfANewSlotFromPolicyOnly) {
  const auto header = format::DecodeKeyHeader(stored_);
  ASSERT_OK(header);
  EXPECT_EQ(header->slots[0].memory_kib, kCheapKdf.memory_kib);
  EXPECT_EQ(header->slots[0].iterations, kCheapKdf.iterations);
}

std::vector<std::string> Requests(const Machine& machine) {
  std::vector<std::string> requests;
  for (const StoreRequest& request : machine.wire.requests()) {
    requests.push_back(ToString(request));
  }
  return requests;
}

TEST(KeyHeaderOnTheWire, WrongPasswordAndWrongSlotLookTheSameAndWriteNothing) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  ASSERT_OK(a.Create());
  const auto before = provider.Snapshot();

  Machine wrong_password(provider, 2);
  EXPECT_FAILS(wrong_password.Unlock("wrong"), kUnauthenticated);
  const auto requests = Requests(wrong_password);
  EXPECT_EQ(requests.size(), 3u) << testing::PrintToString(requests);  // marker, LIST, header
  EXPECT_EQ(wrong_password.wire.count(store::StoreOperation::kCreate), 0u);
  EXPECT_EQ(wrong_password.fs.change_count(), 0u);
  EXPECT_EQ(provider.Snapshot(), before);

  // A slot in another place than it was made for.
  auto moved = format::DecodeKeyHeader(ObjectAt(provider, kHeaderName));
  ASSERT_OK(moved);
  std::swap(moved->slots[0], moved->slots[1]);
  const Bytes changed = format::Encode(*moved);
  Plant(provider, kHeaderName, &changed);
  Machine wrong_slot(provider, 3);
  const auto refused = wrong_slot.Unlock();
  EXPECT_FAILS(refused, kUnauthenticated);
  EXPECT_EQ(Requests(wrong_slot), requests);
  EXPECT_EQ(wrong_slot.fs.change_count(), 0u);
}

TEST(KeyHeaderOnTheWire, ChangedHeadersLeaveStoreAndDiskAlone) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  ASSERT_OK(a.Create());
  const Bytes header = ObjectAt(provider, kHeaderName);
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{8}, std::size_t{20}, std::size_t{40}, std::size_t{60},
        std::size_t{100}, header.size() - 60, header.size() - 1}) {
    Bytes changed = header;
    changed[at] ^= std::byte{0x10};
    Plant(provider, kHeaderName, &changed);
    const auto before = provider.Snapshot();
    Machine b(provider, 2);
    EXPECT_FALSE(b.Unlock().has_value()) << at;
    EXPECT_EQ(provider.Snapshot(), before);
    EXPECT_EQ(b.fs.change_count(), 0u) << at;
    const std::uint64_t changes = a.fs.change_count();
    EXPECT_FALSE(a.Unlock().has_value()) << at;  // a machine that knows the vault
    EXPECT_EQ(a.fs.change_count(), changes) << at;
  }
}

}  // namespace
}  // namespace coffer::vault

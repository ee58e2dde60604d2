// Input that claims much and holds little must not make a decoder take memory for the claim, and
// encoders of what runs often must take none, or little.
#include <gtest/gtest.h>

#include "core/format/journal.h"
#include "core/format/keyring.h"
#include "core/format/page.h"
#include "core/format/trust.h"
#include "core/format/wire.h"
#include "tests/format/allocations.h"
#include "tests/format/golden_values.h"
#include "tests/format/samples.h"
#include "tests/format/structures.h"

namespace coffer::format {
namespace {

/// Structures in memory are larger than their bytes; the smallest entry of a delta the most so.
constexpr std::size_t kGrowthMax = 40;
constexpr std::size_t kConstant = 32 * 1024;

TEST(Bomb, CountsThatLieTakeNoMemory) {
  const std::vector<Bytes> lies = {ToBytes(AsBytes("\xff\xff\xff\xff\x0f")),
                                   ToBytes(AsBytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")),
                                   ToBytes(AsBytes("\x80\x80\x40")),
                                   ToBytes(AsBytes("\xff\xff\xff\xff"))};
  for (const Structure& structure : Structures()) {
    const Bytes encoded = structure.encode_sample(4);
    for (std::size_t at = 0; at < std::min<std::size_t>(encoded.size(), 600); ++at) {
      for (const Bytes& lie : lies) {
        Bytes bytes(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(at));
        bytes.insert(bytes.end(), lie.begin(), lie.end());
        bytes.insert(bytes.end(), encoded.begin() + static_cast<std::ptrdiff_t>(at), encoded.end());
        const AllocationWatch watch;
        static_cast<void>(structure.recode(bytes));
        ASSERT_LE(watch.bytes(), bytes.size() * kGrowthMax + kConstant)
            << structure.name << " with a lie at " << at;
      }
    }
  }
}

TEST(Bomb, TheSmallestEntriesTakeBoundedMemory) {
  Writer delta(1 << 20);
  delta.U32(65536);
  delta.Varint(0);
  constexpr std::size_t kEntries = 300000;
  delta.Varint(kEntries);
  for (std::size_t i = 0; i < kEntries; ++i) {
    delta.U8(2);
    delta.Varint(0);
    delta.Varint(1);
  }
  const Bytes bytes = delta.Take();
  const AllocationWatch watch;
  ASSERT_TRUE(DecodeDelta(bytes, PackId{}, 1).has_value());
  EXPECT_LE(watch.bytes(), bytes.size() * kGrowthMax);
}

TEST(Bomb, JournalHeadersAreEncodedWithoutAllocating) {
  Samples samples(1);
  const GroupHeader group = samples.NewGroupHeader();
  const RecordHeader record = samples.NewRecordHeader();
  std::array<std::byte, kGroupHeaderBytes> group_bytes;
  std::array<std::byte, kRecordHeaderBytes> record_bytes;
  const AllocationWatch watch;
  EncodeTo(group, group_bytes);
  EncodeTo(record, record_bytes);
  EXPECT_EQ(watch.count(), 0u);
}

TEST(Bomb, PagesAreEncodedWithoutAllocatingPerPiece) {
  Samples samples(7);
  Page page;
  page.chunk_size = 65536;
  for (unsigned slot = 0; slot < kPageFanOut; ++slot)
    page.chunks.push_back(
        {static_cast<std::uint8_t>(slot), samples.NewPieces(page.chunk_size, PackId{}, 1)});
  const AllocationWatch watch;
  const Bytes encoded = Encode(page, PackId{});
  EXPECT_LE(watch.count(), 24u) << "body, output, and the doublings of a table of packs";
}

TEST(Secrets, KeyringsLeaveNoKeyInOrdinaryMemory) {
  const Bytes key = Seq(0x41, 32);
  Keyring keyring;
  for (std::uint32_t epoch = 1; epoch <= 40; ++epoch)
    keyring.epochs.push_back({epoch, SecretBytes::CopyOf(key), 0});
  keyring.slots = {{3, 0, std::string(200, 'h'), std::string(200, 'l')}};
  const Bytes half(key.begin() + 8, key.begin() + 24);
  const AllocationWatch watch(half);
  const SecretBytes encoded = Encode(keyring);
  auto decoded = DecodeKeyring(encoded.view());
  ASSERT_TRUE(decoded.has_value());
  SecretBytes damaged = encoded.Copy();
  damaged.mutable_view()[70] ^= std::byte{0xff};
  static_cast<void>(DecodeKeyring(damaged.view()));
  EXPECT_GT(watch.count(), 0u);
  EXPECT_FALSE(watch.saw_secret());
}

TEST(Secrets, HostKeysLeaveNoKeyInOrdinaryMemory) {
  const Bytes key = Seq(0x41, 32);
  HostKeyRecord record;
  record.key = SecretBytes::CopyOf(key);
  const AllocationWatch watch(key);
  const SecretBytes encoded = Encode(record);
  ASSERT_TRUE(DecodeHostKeyRecord(encoded.view()).has_value());
  EXPECT_FALSE(watch.saw_secret());
}

TEST(Secrets, TheWatchItselfWouldSee) {
  const Bytes key = Seq(0x41, 32);
  const AllocationWatch watch(key);
  { const Bytes copy = key; }
  EXPECT_TRUE(watch.saw_secret());
}

}  // namespace
}  // namespace coffer::format

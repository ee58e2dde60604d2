// What rot, an attacker or a confused file system does to the files: replay gives a prefix, or says
// that it is damaged; never other data, never a gap.
#include <algorithm>
#include <set>

#include "core/base/log.h"
#include "core/cache/journal_group.h"
#include "tests/cache/journal_world.h"

namespace coffer::cache {
namespace {

struct Found {
  std::vector<Bytes> requests;  // their data
  Journal::Recovery recovery;
};

Result<Found> ReplayOnly(JournalWorld& world, const format::JournalPosition& covered = {}) {
  ASSIGN_OR_RETURN(auto journal, Journal::Open(world.fs, world.clock, world.seeded, world.executor,
                                               JournalWorld::kDirectory, world.key, world.identity,
                                               world.options));
  Found found;
  ASSIGN_OR_RETURN(
      found.recovery, journal->Replay(covered, [&](std::span<const RecordPtr> request) -> Status {
        Bytes data;
        for (const RecordPtr& record : request) {
          const ByteView part =
              ByteView(*record->buffer)
                  .subspan(record->buffer_offset, static_cast<std::size_t>(record->header.length));
          data.insert(data.end(), part.begin(), part.end());
        }
        found.requests.push_back(std::move(data));
        return {};
      }));
  return found;
}

/// Seven requests over two segments: 0 … 4 are durable and vouched for by 5, which comes after a
/// sync; 6 follows.
std::vector<Bytes> WriteSeven(JournalWorld& world) {
  world.options.segment_bytes = 48 << 10;
  world.options.unsynced_bytes_max = 1 << 20;
  std::vector<Bytes> written;
  EXPECT_OK(world.Open());
  const std::uint64_t blocks[] = {1, 9, 2, 1, 3, 1, 2};
  for (int i = 0; i < 7; ++i) {
    if (i == 5) {
      EXPECT_OK(world.Sync());
    }
    const Request request = world.NewWrite(blocks[i]);
    EXPECT_OK(world.Append({request}));
    written.push_back(request.data);
  }
  world.Crash();
  return written;
}

void Overwrite(JournalWorld& world, const std::string& path, std::uint64_t offset, ByteView bytes) {
  const Bytes file = *world.fs.Contents(path);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    world.fs.Damage(path, offset + i, file[offset + i] ^ bytes[i]);
  }
}

void ZeroHeader(JournalWorld& world, const std::string& path) {
  Overwrite(world, path, 0, Bytes(4096, std::byte{0}));
}

TEST(JournalDamage, AnyByteFlippedGivesAPrefixOrIsReported) {
  JournalWorld world;
  const std::vector<Bytes> written = WriteSeven(world);
  const auto image = world.fs.Save();
  std::uint64_t reported = 0;
  for (const std::string& path : world.SegmentFiles()) {
    const std::size_t size = world.fs.Contents(path)->size();
    for (std::size_t at = 0; at < size; at += (at % 4096 < 300 ? 1 : 61)) {
      SCOPED_TRACE(testing::Message() << path << " byte " << at);
      world.fs.Damage(path, at, std::byte(1U << (at % 8)));
      const auto found = ReplayOnly(world);
      if (found.has_value()) {
        ASSERT_LE(found->requests.size(), written.size());
        ASSERT_TRUE(std::equal(found->requests.begin(), found->requests.end(), written.begin()));
        // Only what nothing vouches for goes without a word.
        ASSERT_TRUE(found->recovery.damaged || found->requests.size() >= 5);
        reported += found->recovery.damaged ? 1 : 0;
      } else {
        ASSERT_TRUE(FailsWith(found, ErrorCode::kUnsupported));  // the version's bytes
      }
      world.fs.Damage(path, at, std::byte(1U << (at % 8)));
    }
  }
  EXPECT_GT(reported, 500U);
  ASSERT_OK_AND_ASSIGN(const Found whole, ReplayOnly(world));
  EXPECT_EQ(whole.requests, written);
  EXPECT_FALSE(whole.recovery.damaged);
}

TEST(JournalDamage, NamesTheSegmentThePlaceAndWhatIsLost) {
  JournalWorld world;
  WriteSeven(world);
  world.fs.Damage(world.SegmentFiles()[0], 4096 + 6000);
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world));
  EXPECT_EQ(found.requests.size(), 1U);
  EXPECT_TRUE(found.recovery.damaged);
  const std::string& text = found.recovery.damage;
  EXPECT_NE(text.find("/state/journal/0000.seg (segment 1) at byte "), std::string::npos) << text;
  EXPECT_NE(text.find("records from 2 to 8 "), std::string::npos) << text;
}

TEST(JournalDamage, AHeaderThatIsGoneBeforeOthersIsReported) {
  JournalWorld world;
  WriteSeven(world);
  ZeroHeader(world, world.SegmentFiles()[0]);
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world));
  EXPECT_TRUE(found.requests.empty());
  EXPECT_TRUE(found.recovery.damaged);
}

TEST(JournalDamage, AFileThatIsGoneIsReported) {
  JournalWorld world;
  WriteSeven(world);
  ASSERT_OK(world.fs.Remove(world.SegmentFiles()[0]));
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world));
  EXPECT_TRUE(found.requests.empty());
  EXPECT_TRUE(found.recovery.damaged);
}

TEST(JournalDamage, OfWhatIsCoveredDoesNotMatterAcrossSegments) {
  JournalWorld world;
  const std::vector<Bytes> written = WriteSeven(world);
  ASSERT_OK_AND_ASSIGN(const Found all, ReplayOnly(world));
  world.fs.Damage(world.SegmentFiles()[0], 4096 + 6000);
  // The first five requests take six records; the second segment begins with the fourth record.
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world, {all.recovery.last_stream, 6}));
  EXPECT_FALSE(found.recovery.damaged) << found.recovery.damage;
  ASSERT_EQ(found.requests.size(), 2U);
  EXPECT_TRUE(std::equal(found.requests.begin(), found.requests.end(), written.begin() + 5));
}

TEST(JournalDamage, AReadErrorStopsThere) {
  JournalWorld world;
  WriteSeven(world);
  world.fs.AddFault({.call = FsCall::kRead, .path_contains = "0001", .nth = 2});
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world));
  EXPECT_TRUE(found.recovery.damaged);
  EXPECT_NE(found.recovery.damage.find("0001.seg"), std::string::npos);
  EXPECT_FALSE(found.requests.empty());
}

TEST(JournalDamage, AnotherKeyOpensNothing) {
  JournalWorld world;
  WriteSeven(world);
  world.key.mutable_view()[5] ^= std::byte{1};
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world));
  EXPECT_TRUE(found.requests.empty());
  EXPECT_TRUE(found.recovery.damaged);
  world.key.mutable_view()[5] ^= std::byte{1};
  world.identity.key_epoch = 2;
  ASSERT_OK_AND_ASSIGN(const Found other_epoch, ReplayOnly(world));
  EXPECT_TRUE(other_epoch.requests.empty());
  EXPECT_NE(other_epoch.recovery.damage.find("epoch 1"), std::string::npos);
}

TEST(JournalDamage, AnotherVolumesJournalIsRefused) {
  JournalWorld world;
  WriteSeven(world);
  world.identity.volume = world.seeded.NewId<VolumeId>();
  EXPECT_FAILS(ReplayOnly(world), kCorruption);
}

TEST(JournalDamage, ACopyOfASegmentIsRefused) {
  JournalWorld world;
  WriteSeven(world);
  world.fs.AddFile("/state/journal/0007.seg", *world.fs.Contents(world.SegmentFiles()[0]));
  EXPECT_FAILS(ReplayOnly(world), kCorruption);
}

TEST(JournalDamage, ANewerVersionIsRefused) {
  JournalWorld world;
  WriteSeven(world);
  world.fs.Damage(world.SegmentFiles()[0], 8, std::byte{3});
  EXPECT_FAILS(ReplayOnly(world), kUnsupported);
}

TEST(JournalDamage, OtherFilesAreNobodysBusiness) {
  JournalWorld world;
  const std::vector<Bytes> written = WriteSeven(world);
  for (const char* name : {"x.seg", "00.seg", "0000.seg.damaged.1", "12345678901234567890.seg"}) {
    world.fs.AddFile(Concat("/state/journal/", name), Bytes(5000, std::byte{1}));
  }
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world));
  EXPECT_EQ(found.requests, written);
  EXPECT_FALSE(found.recovery.damaged);
}

TEST(JournalDamage, ANewStreamSetsAsideWhatLiesBeyond) {
  JournalWorld world;
  WriteSeven(world);
  world.fs.Damage(world.SegmentFiles()[0], 4096 + 6000);
  world.fs.AddFile("/state/journal/0009.seg", Bytes(48 << 10, std::byte{1}));
  world.damage_expected = true;
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 1U);
  EXPECT_TRUE(world.fs.Contents("/state/journal/0001.seg.damaged.1").has_value());
  EXPECT_TRUE(world.fs.Contents("/state/journal/0009.seg.damaged.1").has_value());
  ASSERT_OK(world.AppendOne(2));
  ASSERT_OK(world.Sync());
  ASSERT_OK(world.AppendOne(2));
  world.PowerCut(CutMode::kDropAll);
  ASSERT_OK(world.Open());
  EXPECT_GE(world.waiting(), 2U);
}

TEST(JournalDamage, ANumberUsedAgainBringsNoOldRecordsBack) {
  JournalWorld world;
  const auto append = [&](int count) {
    for (int i = 0; i < count; ++i) ASSERT_OK(world.Append({world.NewWrite(1)}));
  };
  ASSERT_OK(world.Open());
  append(4);
  const std::string path = world.SegmentFiles()[0];
  world.Close();
  // As after a power cut that keeps the groups and loses the header: nothing was synced.
  world.PowerCut(CutMode::kKeepAll);
  ZeroHeader(world, path);
  ASSERT_OK(world.Open());
  EXPECT_EQ(world.waiting(), 0U);
  append(2);
  world.Crash();
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world));
  EXPECT_EQ(found.requests.size(), 2U);
  EXPECT_FALSE(found.recovery.damaged);
}

TEST(JournalDamage, AnAuthenticRecordOfAnUnknownKindIsReported) {
  JournalWorld world;
  const std::vector<Bytes> written = WriteSeven(world);
  // Written by somebody who has the key: a later version of coffer.
  const std::string path = world.SegmentFiles()[0];
  Bytes file = *world.fs.Contents(path);
  ASSERT_OK_AND_ASSIGN(const auto first, format::DecodeGroupHeader(ByteView(file).subspan(4096)));
  const std::uint32_t offset = 4096 + first.total_bytes;
  ASSERT_OK_AND_ASSIGN(const auto second,
                       format::DecodeGroupHeader(ByteView(file).subspan(offset)));
  ASSERT_OK_AND_ASSIGN(const Found all, ReplayOnly(world));
  GroupSealer sealer(world.seeded, world.key);
  std::vector<GroupItem> items(1);
  items[0].header = {.kind = static_cast<format::RecordKind>(9), .length = 4096};
  const auto sealed = sealer.Seal({.stream = all.recovery.last_stream,
                                   .segment = 1,
                                   .offset = offset,
                                   .first_seq = 2,
                                   .chain_tag = second.chain_tag},
                                  items);
  Overwrite(world, path, offset, sealed.bytes);
  ASSERT_OK_AND_ASSIGN(const Found found, ReplayOnly(world));
  EXPECT_EQ(found.requests.size(), 1U);
  EXPECT_TRUE(found.recovery.damaged);
}

/// Salts of all groups and segment headers that lie anywhere in the files.
std::multiset<std::string> Salts(const JournalWorld& world) {
  std::multiset<std::string> salts;
  for (const std::string& path : world.SegmentFiles()) {
    const Bytes file = *world.fs.Contents(path);
    if (file.size() < 4096) continue;
    if (const auto prefix = format::DecodeSegmentPrefix(file); prefix.has_value()) {
      salts.insert(ToHex(prefix->salt));
    }
    for (std::size_t at = 4096; at + 80 <= file.size(); at += 4) {
      const auto group = format::DecodeGroupHeader(ByteView(file).subspan(at));
      if (group.has_value()) salts.insert(ToHex(group->salt));
    }
  }
  return salts;
}

TEST(JournalSalts, DifferAlthoughRandomRepeatsItself) {
  RepeatingRandom repeating;
  JournalWorld world;
  world.random = &repeating;
  std::set<std::string> streams;
  for (int run = 0; run < 3; ++run) {
    ASSERT_OK(world.Open());
    streams.insert(world.journal().stream().ToString());
    for (int i = 0; i < 8; ++i) {
      // A failed write leaves a group of the same sequence and tag behind; so does a failed sync.
      if (i == 3) world.fs.AddFault({.call = FsCall::kWrite});
      (void)world.AppendOne(3);
      if (i != 5) continue;
      world.fs.AddFault({.call = FsCall::kSync});
      ASSERT_OK(world.Sync());
    }
    world.Crash();
  }
  EXPECT_EQ(streams.size(), 3U);
  const std::multiset<std::string> salts = Salts(world);
  EXPECT_GE(salts.size(), 25U);
  EXPECT_EQ(std::set<std::string>(salts.begin(), salts.end()).size(), salts.size());
}

}  // namespace
}  // namespace coffer::cache

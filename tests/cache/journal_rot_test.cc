// faults.md 21 and 5: every byte of a small journal damaged in turn, and the files cut at every
// length. Replay gives what came before the damage, all of that and nothing behind it; what is lost
// is named, by addresses, if anybody was promised that it is durable.
#include <algorithm>
#include <map>

#include "core/cache/journal_loss.h"
#include "tests/cache/journal_world.h"

namespace coffer::cache {
namespace {

using format::RecordKind;

/// What a byte of a segment file is part of.
enum class Part {
  kSegmentHeader,  // clear and sealed
  kHeaderPadding,
  kGroupHeader,
  kRecordLength,
  kRecord,  // header, data and tag, sealed
  kPadding  // behind the last group
};

struct Place {
  Part part;
  std::uint64_t seq;  // the first record that cannot be read without it; 0: all can
};

class JournalRot : public testing::Test {
 protected:
  static constexpr std::uint64_t kBlock = 4096;
  static constexpr std::uint64_t kDurable = 5;  // records 1 … 5: a later one vouches for them
  static constexpr std::uint64_t kRecords = 7;

  /// Three segments: 1, (2, 3 in one group), 4 | sync | 5, sync, 6 | 7.
  void SetUp() override {
    world_.options.segment_bytes = 16 << 10;
    world_.options.unsynced_bytes_max = 1 << 20;
    ASSERT_OK(world_.Open());
    Append({Write(10, 1)});
    Append({Zero(20, 3), Write(30, 1)});
    Append({Zero(40, 1)});
    ASSERT_OK(world_.Sync());
    Append({Write(50, 2)});
    ASSERT_OK(world_.Sync());
    Append({Zero(60, 2)});
    Append({Write(70, 1)});
    world_.Crash();
    ASSERT_EQ(world_.SegmentFiles().size(), 3U);
    ASSERT_EQ(written_.size(), kRecords);
  }

  [[nodiscard]] Request Write(std::uint64_t block, std::uint64_t count) {
    return {RecordKind::kWrite, block * kBlock, count * kBlock,
            world_.seeded.NewBytes(count * kBlock)};
  }
  [[nodiscard]] static Request Zero(std::uint64_t block, std::uint64_t count) {
    return {RecordKind::kZero, block * kBlock, count * kBlock, {}};
  }
  void Append(const std::vector<Request>& requests) {
    ASSERT_OK(world_.Append(requests));
    written_.insert(written_.end(), requests.begin(), requests.end());
  }

  struct Found {
    std::vector<Request> requests;
    Journal::Recovery recovery;
  };
  Result<Found> Replay() {
    ASSIGN_OR_RETURN(auto journal, Journal::Open(world_.fs, world_.clock, world_.seeded,
                                                 world_.executor, JournalWorld::kDirectory,
                                                 world_.key, world_.identity, world_.options));
    Found found;
    ASSIGN_OR_RETURN(
        found.recovery, journal->Replay({}, [&](std::span<const RecordPtr> request) -> Status {
          const Record& record = *request.front();
          Request one{record.header.kind, record.header.offset, record.header.length, {}};
          if (record.buffer != nullptr) {
            one.data = ToBytes(ByteView(*record.buffer).subspan(record.buffer_offset, one.length));
          }
          found.requests.push_back(std::move(one));
          return {};
        }));
    return found;
  }

  /// Where each byte of `file` belongs, by docs/FORMAT.md. `first_seq`: of its first record.
  [[nodiscard]] static std::vector<Place> Map(const Bytes& file) {
    std::vector<Place> places(file.size(), {Part::kPadding, 0});
    const auto mark = [&places](std::size_t begin, std::size_t length, Part part,
                                std::uint64_t seq) {
      std::fill_n(places.begin() + static_cast<std::ptrdiff_t>(begin), length, Place{part, seq});
    };
    std::uint64_t first_seq = 0;
    for (std::size_t at = format::kSegmentHeaderBytes; at < file.size();) {
      const auto group = format::DecodeGroupHeader(ByteView(file).subspan(at));
      if (!group.has_value()) break;
      if (first_seq == 0) first_seq = group->first_seq;
      mark(at, format::kGroupHeaderBytes, Part::kGroupHeader, group->first_seq);
      std::size_t record = at + format::kGroupHeaderBytes;
      for (std::uint32_t number = 0; number < group->record_count; ++number) {
        const auto length = LoadLe<std::uint32_t>(file.data() + record);
        mark(record, 4, Part::kRecordLength, group->first_seq + number);
        mark(record + 4, length, Part::kRecord, group->first_seq + number);
        record += 4 + length;
      }
      EXPECT_EQ(record, at + group->total_bytes);
      at = record;
    }
    mark(0, format::kSegmentHeaderBytes, Part::kHeaderPadding, 0);
    mark(0, format::kSegmentPrefixBytes + format::kSegmentHeaderPlainBytes + 16,
         Part::kSegmentHeader, first_seq);
    return places;
  }

  /// That everything before record `seq` is there and nothing from it on.
  testing::AssertionResult HoldsUpTo(const Found& found, std::uint64_t seq) const {
    if (found.requests.size() != seq - 1)
      return testing::AssertionFailure() << found.requests.size() << " requests, not " << seq - 1;
    if (!std::equal(found.requests.begin(), found.requests.end(), written_.begin()))
      return testing::AssertionFailure() << "other requests than those written";
    return testing::AssertionSuccess();
  }
  /// The addresses of the records from `seq` on, joined (these here never touch).
  [[nodiscard]] std::vector<Journal::Range> RangesFrom(std::uint64_t seq) const {
    std::vector<Journal::Range> ranges;
    for (std::uint64_t i = seq; i <= kRecords; ++i)
      ranges.push_back({written_[i - 1].offset, written_[i - 1].length});
    return ranges;
  }

  JournalWorld world_;
  std::vector<Request> written_;
};

TEST_F(JournalRot, F21EveryByteDamagedEndsReplayThereAndNamesWhatIsLost) {
  std::map<Part, int> tried;
  for (const std::string& path : world_.SegmentFiles()) {
    const std::vector<Place> places = Map(*world_.fs.Contents(path));
    for (std::size_t at = 0; at < places.size(); ++at) {
      const auto [part, seq] = places[at];
      const auto flip = static_cast<std::byte>(1 + world_.seeded.Below(255));
      SCOPED_TRACE(testing::Message()
                   << path << " byte " << at << " flipped by " << std::to_integer<int>(flip));
      ++tried[part];
      world_.fs.Damage(path, at, flip);
      const auto found = Replay();
      world_.fs.Damage(path, at, flip);
      if (!found.has_value()) {
        // The bytes of the version: nobody may touch what a newer coffer has written.
        ASSERT_EQ(found.error().code, ErrorCode::kUnsupported);
        ASSERT_EQ(part, Part::kSegmentHeader);
        continue;
      }
      const Journal::Recovery& recovery = found->recovery;
      ASSERT_TRUE(HoldsUpTo(*found, seq == 0 ? kRecords + 1 : seq));
      const bool must_tell = seq != 0 && (seq <= kDurable || part == Part::kSegmentHeader);
      ASSERT_EQ(recovery.damaged, must_tell) << recovery.damage;
      if (!must_tell) {
        ASSERT_TRUE(recovery.lost.empty());
      } else if (part == Part::kRecord) {
        // All but the damaged one can still be read, and are named, though not applied.
        ASSERT_EQ(recovery.lost, RangesFrom(seq + 1));
        ASSERT_EQ(recovery.lost_unknown, 1U);
      } else if (part == Part::kGroupHeader || part == Part::kRecordLength) {
        const std::uint64_t next = seq == 2 ? 4 : seq + 1;  // 3 is in the group of 2
        ASSERT_EQ(recovery.lost, RangesFrom(next));
        ASSERT_EQ(recovery.lost_unknown, next - seq);
      }
    }
  }
  for (const Part part : {Part::kSegmentHeader, Part::kHeaderPadding, Part::kGroupHeader,
                          Part::kRecordLength, Part::kRecord, Part::kPadding}) {
    EXPECT_GT(tried[part], 20) << static_cast<int>(part);
  }
  ASSERT_OK_AND_ASSIGN(const Found whole, Replay());
  EXPECT_TRUE(HoldsUpTo(whole, kRecords + 1));
  EXPECT_FALSE(whole.recovery.damaged);
}

TEST_F(JournalRot, F5AFileCutAtAnyLengthGivesWhatCameBefore) {
  const auto image = world_.fs.Save();
  for (const std::string& path : world_.SegmentFiles()) {
    const std::vector<Place> places = Map(*world_.fs.Contents(path));
    for (std::size_t size = 0; size < places.size(); ++size) {
      SCOPED_TRACE(testing::Message() << path << " of " << size << " bytes");
      const auto cut =
          std::find_if(places.begin() + static_cast<std::ptrdiff_t>(size), places.end(),
                       [](const Place& place) { return place.seq != 0; });
      const std::uint64_t seq = cut == places.end() ? kRecords + 1 : cut->seq;
      if (size > 300 && size % 97 != 0 && places[size].part == places[size - 1].part) continue;
      world_.fs.Load(*image);
      {
        ASSERT_OK_AND_ASSIGN(const auto file,
                             world_.fs.Open(path, FileSystem::OpenMode::kReadWrite));
        ASSERT_OK(file->Truncate(size));
      }
      const auto found = Replay();
      ASSERT_OK(found);
      // Without its first bytes a file is one that was never used.
      const std::uint64_t first = places[0].seq;
      ASSERT_TRUE(HoldsUpTo(*found, size < format::kSegmentHeaderBytes ? first : seq));
      if (seq <= kDurable) {
        ASSERT_TRUE(found->recovery.damaged);
      }
    }
  }
}

TEST_F(JournalRot, F21TheDamageIsToldInWords) {
  const std::string path = world_.SegmentFiles()[0];
  const std::vector<Place> places = Map(*world_.fs.Contents(path));
  const auto third = std::find_if(places.begin(), places.end(), [](const Place& place) {
    return place.seq == 3 && place.part == Part::kRecord;
  });
  world_.fs.Damage(path, static_cast<std::size_t>(third - places.begin()) + 1000);
  ASSERT_OK_AND_ASSIGN(const Found found, Replay());
  const std::string& text = found.recovery.damage;
  EXPECT_NE(text.find("/state/journal/0000.seg (segment 1) at byte "), std::string::npos) << text;
  EXPECT_NE(text.find("records from 3 to 7 were durable and are lost, with them writes to bytes "
                      "163840 to 167936, 204800 to 212992, 245760 to 253952, 286720 to 290816 of "
                      "the volume; where 1 more wrote is not known"),
            std::string::npos)
      << text;
}

TEST_F(JournalRot, F21OfManyRangesSomeAreTold) {
  std::vector<Journal::Range> ranges;
  for (std::uint64_t i = 0; i < 5; ++i) ranges.push_back({i * 2 * kBlock, kBlock});
  EXPECT_EQ(DescribeRanges(ranges, 2), "bytes 0 to 4096, 8192 to 12288 and 3 more of the volume");
  EXPECT_EQ(DescribeRanges(std::span(ranges).first(1), 2), "bytes 0 to 4096 of the volume");
}

}  // namespace
}  // namespace coffer::cache

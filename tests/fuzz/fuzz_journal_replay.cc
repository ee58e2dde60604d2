// Replays journals that somebody has been at.
//
// First byte even: the rest are changes (offset u32, xor u8) to a whole journal of two segments.
// What is found is the beginning of what was written. If one file alone was changed, then it is all
// that was durable, or it is reported as damaged; who changes all that vouches can cut off the end.
// First byte odd: the rest is sealed with the right key, as groups and records of whatever shape
// (a later version, a bug): replay must hold to its limits.
#include <algorithm>
#include <map>
#include <set>

#include "core/base/check.h"
#include "core/cache/journal_group.h"
#include "core/cache/journal_replay.h"
#include "core/cache/journal_segment.h"
#include "core/crypto/sealer.h"
#include "core/format/associated_data.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_executor.h"

namespace {

using namespace coffer;
using namespace coffer::cache;

constexpr const char* kDirectory = "/j";
constexpr std::uint64_t kSegmentBytes = 24 << 10;
constexpr int kWrites = 6;
constexpr int kVouchedFor = 4;  // durable, and followed by another group

struct Silent final : JournalListener {
  void Publish(std::span<const RecordPtr>) override {}
  void Relocate(std::span<const std::pair<RecordPtr, RecordLocation>>) override {}
};

/// Made once; each input starts from the image.
struct World {
  World() : key(32) {
    fs.AddDirectories(kDirectory);
    auto journal = Open();
    CHECK(journal->StartStream({}, 1 << 20, 1, listener).has_value());
    stream = journal->stream();
    for (int i = 0; i < kWrites; ++i) {
      if (i == kVouchedFor) CHECK(journal->Sync().has_value());
      auto buffer = std::make_shared<const Bytes>(random.NewBytes(8192));
      const Journal::Operation operation{
          .kind = format::RecordKind::kWrite, .offset = 4096, .length = 8192, .buffer = buffer};
      CHECK(journal->Append({&operation, 1}).has_value());
      written.push_back(*buffer);
    }
    journal.reset();
    for (const std::string& path : fs.Files()) files[path] = *fs.Contents(path);
    image = fs.Save();
  }

  std::unique_ptr<Journal> Open() {
    Journal::Options options;
    options.segment_bytes = kSegmentBytes;
    options.free_segments_max = 0;
    auto journal = Journal::Open(
        fs, clock, random, executor, kDirectory, key,
        {VaultId::From(Bytes(16, std::byte{1})), VolumeId::From(Bytes(16, std::byte{2})), 1},
        options);
    return journal.has_value() ? std::move(*journal) : nullptr;
  }

  SeededRandom random{1};
  FakeClock clock;
  SimExecutor executor{clock, 1};
  FaultyFileSystem fs;
  SecretBytes key;
  Silent listener;
  StreamId stream;
  std::vector<Bytes> written;
  std::map<std::string, Bytes> files;
  std::shared_ptr<const FaultyFileSystem::Image> image;
};

World& TheWorld() {
  static World world;
  return world;
}

/// Returns how many files were changed.
std::size_t Change(World& world, ByteView input) {
  std::set<std::uint64_t> changed;
  std::vector<std::string> paths;
  for (const auto& [path, content] : world.files) paths.push_back(path);
  for (; input.size() >= 5; input = input.subspan(5)) {
    const auto at = LoadLe<std::uint32_t>(input.data()) % (paths.size() * kSegmentBytes);
    world.fs.Damage(paths[at / kSegmentBytes], at % kSegmentBytes, input[4]);
    changed.insert(at / kSegmentBytes);
  }
  return changed.size();
}

void CheckPrefix(World& world, std::size_t files_changed) {
  const auto journal = world.Open();
  if (journal == nullptr) return;  // refused, with a reason
  std::size_t found = 0;
  const auto recovery = journal->Replay({}, [&](std::span<const RecordPtr> request) -> Status {
    CHECK(request.size() == 1 && found < world.written.size());
    const Record& record = *request.front();
    const ByteView data = ByteView(*record.buffer).subspan(record.buffer_offset, 8192);
    CHECK(std::equal(data.begin(), data.end(), world.written[found++].begin()));
    return {};
  });
  CHECK(recovery.has_value());
  CHECK(recovery->damaged || found >= kVouchedFor || files_changed > 1);
}

/// Takes `count` bytes of the input, zeros when it has ended.
Bytes Take(ByteView* input, std::size_t count) {
  Bytes taken(count, std::byte{0});
  const std::size_t there = std::min(count, input->size());
  std::copy_n(input->begin(), there, taken.begin());
  *input = input->subspan(there);
  return taken;
}

void SealWhatever(World& world, ByteView input) {
  const std::string& path = world.files.begin()->first;
  Bytes file(kSegmentBytes, std::byte{0});
  std::size_t at = format::kSegmentHeaderBytes;
  std::uint64_t seq = 1;
  format::ChainTag tag{};
  while (!input.empty() && at + 200 < file.size()) {
    const Bytes fields = Take(&input, 6);
    format::GroupHeader header{.total_bytes = LoadLe<std::uint16_t>(&fields[0]),
                               .segment = 1,
                               .first_seq = seq,
                               .record_count = std::to_integer<std::uint32_t>(fields[2]) % 9,
                               .not_durable = std::to_integer<std::uint32_t>(fields[3]),
                               .chain_tag = tag};
    const std::size_t group = at;
    std::vector<Bytes> records;
    std::size_t total = format::kGroupHeaderBytes;
    for (std::uint32_t i = 0; i < header.record_count; ++i) {
      Bytes plain = Take(&input, 24);
      const Bytes extra = Take(&input, 1);
      plain.resize(plain.size() + std::to_integer<std::size_t>(extra[0]) % 2 * 4096, std::byte{5});
      total += plain.size() + 20;
      records.push_back(std::move(plain));
    }
    if ((std::to_integer<int>(fields[4]) & 1) == 0) {
      header.total_bytes = static_cast<std::uint32_t>(total);
    }
    if (at + total > file.size()) break;
    const MutableByteView out(file);
    const auto header_bytes = out.subspan(at).first<format::kGroupHeaderBytes>();
    EncodeTo(header, header_bytes);
    const crypto::Sealer sealer(world.key, header.salt, header_bytes);
    at += format::kGroupHeaderBytes;
    for (std::uint32_t i = 0; i < records.size(); ++i) {
      const std::size_t sealed = records[i].size() + crypto::kTagBytes;
      StoreLe(&file[at], static_cast<std::uint32_t>(sealed));
      sealer.Seal(i, format::RecordAad(world.stream, 1, seq++), records[i],
                  out.subspan(at + 4, sealed));
      at += 4 + sealed;
      std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(at - tag.size()), tag.size(),
                  tag.begin());
    }
    CHECK(at - group == total);
  }
  const Bytes& before = world.files.at(path);
  std::copy_n(before.begin(), format::kSegmentHeaderBytes, file.begin());
  CHECK(world.fs.Remove(path).has_value());
  world.fs.AddFile(path, file);
  const auto journal = world.Open();
  CHECK(journal != nullptr);
  std::uint64_t last_seq = 0;
  const auto recovery = journal->Replay({}, [&](std::span<const RecordPtr> request) -> Status {
    for (const RecordPtr& record : request) {
      CHECK(record->seq == ++last_seq);
      CHECK(record->header.continues == (record != request.back()));
      CHECK(record->buffer == nullptr ||
            record->buffer->size() == record->buffer_offset + record->header.length);
    }
    return {};
  });
  CHECK(recovery.has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  World& world = TheWorld();
  world.fs.Load(*world.image);
  const ByteView input = std::as_bytes(std::span(data, size)).subspan(1);
  if (data[0] % 2 == 0) {
    const std::size_t files_changed = Change(world, input);
    CheckPrefix(world, files_changed);
  } else {
    SealWhatever(world, input);
  }
  return 0;
}

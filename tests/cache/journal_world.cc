#include "tests/cache/journal_world.h"

#include <algorithm>

#include "core/base/log.h"

namespace coffer::cache {
namespace {

VaultId TestVault() { return VaultId::From(Bytes(16, std::byte{1})); }
VolumeId TestVolume() { return VolumeId::From(Bytes(16, std::byte{2})); }

/// A request from its records.
Request Joined(std::span<const RecordPtr> records) {
  Request request{.kind = records.front()->header.kind,
                  .offset = records.front()->header.offset,
                  .length = 0,
                  .data = {}};
  for (const RecordPtr& record : records) {
    EXPECT_EQ(record->header.kind, request.kind);
    EXPECT_EQ(record->header.offset, request.offset + request.length);
    EXPECT_EQ(record->header.continues, record != records.back());
    request.length += record->header.length;
    if (request.kind != format::RecordKind::kWrite) continue;
    const ByteView data =
        ByteView(*record->buffer)
            .subspan(record->buffer_offset, static_cast<std::size_t>(record->header.length));
    request.data.insert(request.data.end(), data.begin(), data.end());
  }
  return request;
}

}  // namespace

void RecordingListener::Publish(std::span<const RecordPtr> records) {
  for (const RecordPtr& record : records) {
    EXPECT_EQ(record->seq, next_seq_);
    next_seq_ = record->seq + 1;
    records_.push_back(record);
  }
}

void RecordingListener::Relocate(std::span<const std::pair<RecordPtr, RecordLocation>> moves) {
  for (const auto& [record, location] : moves) record->location = location;
  relocated_ += moves.size();
}

JournalWorld::JournalWorld(std::uint64_t seed)
    : seeded(seed),
      fs(seed + 1),
      executor(clock, seed + 2),
      key(32),
      options{.segment_bytes = 96 << 10, .unsynced_bytes_max = 64 << 10},
      identity{.vault = TestVault(), .volume = TestVolume(), .key_epoch = 1} {
  SetLogLevel(LogLevel::kError);  // the faults are planted
  for (std::size_t i = 0; i < key.size(); ++i) key.mutable_view()[i] = std::byte(i + 7);
  fs.AddDirectories(kDirectory);
}

JournalWorld::~JournalWorld() = default;

std::string JournalWorld::Context() const {
  std::string text;
  for (const std::string& call : fs.RecentCalls()) text += call + "\n";
  return text;
}

Status JournalWorld::Open() {
  journal_.reset();
  auto opened = Journal::Open(fs, clock, *random, executor, kDirectory, key, identity, options);
  if (!opened.has_value()) return Fail(opened.error());
  std::vector<Entry> found;
  auto recovered = (*opened)->Replay(covered_, [&](std::span<const RecordPtr> records) -> Status {
    found.push_back({Joined(records), records.back()->seq});
    return {};
  });
  if (!recovered.has_value()) return Fail(recovered.error());
  recovery_ = *recovered;
  Compare(found);
  if (testing::Test::HasFatalFailure()) return Fail(ErrorCode::kCorruption, "the model differs");
  const std::uint64_t first_seq = std::max(recovery_.last_seq, covered_.seq) + 1;
  listener.Forget();
  listener.Expect(first_seq);
  RETURN_IF_ERROR((*opened)->StartStream({}, kVolumeSize, first_seq, listener));
  journal_ = std::move(*opened);
  durable_ = entries_.size();
  acknowledged_ = entries_.size();
  power_was_cut_ = false;
  damage_expected = false;
  return {};
}

/// Whether `found` from `count` on are failed attempts that came right after the first `count`.
bool JournalWorld::MayFollow(std::size_t count, const std::vector<Entry>& found) const {
  std::vector<Request> maybe;
  for (const Failed& failed : failed_) {
    if (failed.after == committed_ + count) maybe.push_back(failed.request);
  }
  std::vector<Request> extra;
  for (std::size_t i = count; i < found.size(); ++i) extra.push_back(found[i].request);
  return std::search(maybe.begin(), maybe.end(), extra.begin(), extra.end()) != maybe.end() ||
         extra.empty();
}

void JournalWorld::Compare(const std::vector<Entry>& found) {
  std::size_t same = 0;
  while (same < found.size() && committed_ + same < entries_.size() &&
         found[same].request == entries_[committed_ + same].request) {
    ++same;
  }
  // What comes after the common beginning is a failed attempt of that place, or invented.
  ASSERT_TRUE(MayFollow(same, found)) << "found " << found.size() << " requests, of which only "
                                      << same << " of " << waiting() << " are as they were\n"
                                      << Context();
  if (recovery_.damaged) {
    ASSERT_TRUE(damage_expected) << recovery_.damage << "\n" << Context();
  } else {
    const std::size_t least = power_was_cut_ ? durable_ : acknowledged_;
    ASSERT_GE(committed_ + same, least) << "acknowledged " << entries_.size() << "\n" << Context();
  }
  entries_.resize(committed_ + same, Entry{});
  for (std::size_t i = same; i < found.size(); ++i) entries_.push_back(found[i]);
  for (std::size_t i = 0; i < found.size(); ++i) {
    entries_[committed_ + i].last_seq = found[i].last_seq;
  }
  failed_.clear();
}

void JournalWorld::Crash() {
  journal_.reset();
  fs.ClearFaults();
  fs.Crash();
}

void JournalWorld::PowerCut(CutMode mode) {
  journal_.reset();
  fs.PowerCut(mode);
  power_was_cut_ = true;
}

Request JournalWorld::NewWrite(std::uint64_t blocks) {
  return {.kind = format::RecordKind::kWrite,
          .offset = seeded.Below(1000) * 4096,
          .length = blocks * 4096,
          .data = seeded.NewBytes(blocks * 4096)};
}

Request JournalWorld::NewRequest(std::uint64_t blocks) {
  Request request = NewWrite(blocks);
  if (seeded.OneIn(8)) {
    request.kind = format::RecordKind::kZero;
    request.length <<= seeded.Below(10);
    request.data.clear();
  } else if (seeded.OneIn(16)) {
    request.kind = format::RecordKind::kResize;
    request.offset = 0;
    request.data.clear();
  }
  return request;
}

Status JournalWorld::Append(const std::vector<Request>& requests) {
  std::vector<Journal::Operation> operations;
  for (const Request& request : requests) {
    Journal::Operation operation{.kind = request.kind,
                                 .offset = request.offset,
                                 .length = request.length,
                                 .buffer = nullptr};
    if (request.kind == format::RecordKind::kWrite) {
      auto buffer = std::make_shared<Bytes>(100, std::byte{9});
      operation.buffer_offset = buffer->size();
      buffer->insert(buffer->end(), request.data.begin(), request.data.end());
      operation.buffer = std::move(buffer);
    }
    operations.push_back(std::move(operation));
  }
  const std::size_t published_before = listener.records().size();
  const Status status = journal_->Append(operations);
  // What was published counts, also when the rest failed.
  std::vector<RecordPtr> records;
  std::size_t published = 0;
  for (std::size_t i = published_before; i < listener.records().size(); ++i) {
    records.push_back(listener.records()[i]);
    if (records.back()->header.continues) continue;
    EXPECT_EQ(Joined(records), requests[published]);
    entries_.push_back({requests[published++], records.back()->seq});
    records.clear();
  }
  EXPECT_TRUE(records.empty());
  EXPECT_TRUE(published == requests.size() || !status.has_value());
  for (std::size_t i = published; i < requests.size(); ++i) {
    failed_.push_back({entries_.size(), requests[i]});
  }
  acknowledged_ = entries_.size();
  return status;
}

Status JournalWorld::AppendOne(std::uint64_t blocks) { return Append({NewRequest(blocks)}); }

Status JournalWorld::Sync() {
  const std::size_t count = entries_.size();
  const Status status = journal_->Sync();
  if (status.has_value()) durable_ = std::max(durable_, count);
  return status;
}

Status JournalWorld::Commit() {
  RETURN_IF_ERROR(Sync());
  if (entries_.empty() || committed_ == entries_.size()) return {};
  // Replayed requests belong to the stream that they were found in, new ones to this one.
  const std::uint64_t last_seq = entries_.back().last_seq;
  const bool is_new = last_seq > std::max(recovery_.last_seq, covered_.seq);
  covered_ = {is_new ? journal_->stream() : recovery_.last_stream, last_seq};
  committed_ = entries_.size();
  durable_ = std::max(durable_, committed_);
  journal_->Release(last_seq);
  return {};
}

void JournalWorld::CheckReads() {
  for (const RecordPtr& record : listener.records()) {
    if (record->header.kind != format::RecordKind::kWrite) continue;
    // All of it, and a part.
    const auto length = static_cast<std::size_t>(record->header.length);
    for (const std::size_t skip : {std::size_t{0}, length / 3}) {
      Bytes data(length - skip);
      const Status status = journal_->ReadRecord(*record, record->location, skip, data);
      if (record->seq <= covered_.seq) {
        EXPECT_TRUE(status.has_value() || status.error().code == ErrorCode::kNotFound);
        continue;
      }
      ASSERT_OK(status) << Context();
      const ByteView expected =
          ByteView(*record->buffer).subspan(record->buffer_offset + skip, data.size());
      ASSERT_TRUE(std::equal(data.begin(), data.end(), expected.begin(), expected.end()));
    }
  }
}

std::vector<std::string> JournalWorld::SegmentFiles() const {
  std::vector<std::string> files;
  for (const std::string& path : fs.Files()) {
    if (path.starts_with(kDirectory)) files.push_back(path);
  }
  return files;
}

}  // namespace coffer::cache

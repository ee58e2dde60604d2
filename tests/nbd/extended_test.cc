// Clients with extended headers, whose lengths have 64 bits, against a running server. No client of
// Debian 12 speaks them: this one is written from the protocol document, and looks at every field.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/base/log.h"
#include "nbd/jobs.h"
#include "nbd/meta_context.h"
#include "tests/nbd/test_server.h"

namespace coffer::nbd {
namespace {

using namespace testing;  // NOLINT: the client's vocabulary

/// The chunk of a reply that has one alone.
Chunk Only(const std::vector<Chunk>& chunks) {
  EXPECT_EQ(chunks.size(), 1u);
  return chunks.empty() ? Chunk{} : chunks.front();
}

/// Asks with `request`, which has `cookie` and `offset`.
std::vector<Chunk> Call(TestClient& client, const Bytes& request) {
  client.Send(request);
  return client.ReceiveExtended(Get(request, 8, 8), Get(request, 16, 8));
}
/// The error, 0 for success; success has no payload.
std::uint64_t ErrorOf(TestClient& client, const Bytes& request) {
  const Chunk chunk = Only(Call(client, request));
  if (chunk.type == kNone) return 0;
  EXPECT_TRUE(chunk.type == kError || chunk.type == kErrorOffset) << chunk.type;
  EXPECT_GT(Get(AsBytes(chunk.payload), 4, 2), 0u) << "an error without words";
  return Get(AsBytes(chunk.payload), 0, 4);
}

struct Extent {
  std::uint64_t length, flags;
  bool operator==(const Extent&) const = default;
};
/// The runs of the one status chunk of `context`.
std::vector<Extent> Runs(const std::vector<Chunk>& chunks, std::uint64_t context = 1) {
  const std::string payload = Only(chunks).payload;
  std::vector<Extent> runs;
  if (payload.size() < 8 || Only(chunks).type != kStatusExtended) {
    ADD_FAILURE() << "no status";
    return runs;
  }
  EXPECT_EQ(Get(AsBytes(payload), 0, 4), context);
  EXPECT_EQ(Get(AsBytes(payload), 4, 4), (payload.size() - 8) / 16);
  for (std::size_t at = 8; at + 16 <= payload.size(); at += 16) {
    runs.push_back({Get(AsBytes(payload), at, 8), Get(AsBytes(payload), at + 8, 8)});
  }
  return runs;
}

/// In place, and through the workers.
class ExtendedServer : public ServerTest, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    device_.set_in_place(GetParam());
    Serve();
  }
};
INSTANTIATE_TEST_SUITE_P(, ExtendedServer, ::testing::Values(true, false),
                         [](const auto& way) { return way.param ? "InPlace" : "ThroughWorkers"; });

TEST_P(ExtendedServer, EveryCommandIsAnsweredWithExtendedChunks) {
  TestClient client = Extended();
  EXPECT_EQ(ErrorOf(client, ExtendedWrite(8192, std::string(4096, 'd'), 1)), 0u);
  EXPECT_EQ(ErrorOf(client, ExtendedWrite(0, "forced", 2, kPayloadLength | kFua)), 0u);
  EXPECT_EQ(device_.Durable(0, 6), "forced");
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kFlush, 0, 0, 3)), 0u);
  EXPECT_EQ(device_.Durable(8192, 1), "d");
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kTrim, 0, 4096, 4)), 0u);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kWriteZeroes, 512, 512, 5, kNoHole | kFastZero)), 0u);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kCache, 0, kSize, 6)), 0u);
  for (const std::uint64_t length : {65536u, 1u << 20}) {  // in place, and by a worker
    const auto read = Call(client, ExtendedBytes(kRead, 4096, length, 7));
    ASSERT_EQ(read.size(), 3u);
    EXPECT_EQ(read[0].type, kOffsetHole);
    EXPECT_EQ(Get(AsBytes(read[0].payload), 0, 8), 4096u);
    EXPECT_EQ(Get(AsBytes(read[0].payload), 8, 4), 4096u);
    EXPECT_EQ(read[1].type, kOffsetData);
    EXPECT_EQ(Get(AsBytes(read[1].payload), 0, 8), 8192u);
    EXPECT_EQ(read[1].payload.substr(8), std::string(4096, 'd'));
    EXPECT_EQ(Get(AsBytes(read[2].payload), 8, 4), length - 8192);
    const Chunk whole = Only(Call(client, ExtendedBytes(kRead, 4096, length, 8, kDf)));
    EXPECT_EQ(whole.payload.size(), 8 + length);
  }
  EXPECT_EQ(Runs(Call(client, ExtendedBytes(kBlockStatus, 0, 65536, 9))),
            (std::vector<Extent>{{8192, 3}, {4096, 0}, {65536 - 12288, 3}}));
  EXPECT_EQ(Runs(Call(client, ExtendedBytes(kBlockStatus, 8192, 65536, 10, kReqOne))),
            (std::vector<Extent>{{4096, 0}}));
  client.Send(ExtendedBytes(kDisc, 0, 0, 11));
  EXPECT_TRUE(client.AtEnd());
}

// qemu from 8.2 to 10 at least: it agrees on extended headers and never sets PAYLOAD_LEN.
TEST_P(ExtendedServer, QemuWritesWithoutSayingThatThereIsAPayload) {
  TestClient client = Extended();
  EXPECT_EQ(ErrorOf(client, ExtendedWrite(0, "unsaid", 1, 0)), 0u);
  EXPECT_EQ(ErrorOf(client, ExtendedWrite(4096, "forced", 2, kFua)), 0u);
  EXPECT_EQ(device_.Durable(4096, 6), "forced");
  const std::string large(300 * 1024, 'l');  // more than is tried in place
  EXPECT_EQ(ErrorOf(client, ExtendedWrite(8192, large, 3, 0)), 0u);
  EXPECT_EQ(device_.Acknowledged(0, 6), "unsaid");
  EXPECT_EQ(device_.Acknowledged(8192, large.size()), large);
  EXPECT_EQ(Only(Call(client, ExtendedBytes(kRead, 0, 6, 4))).payload.substr(8), "unsaid");
}

TEST_P(ExtendedServer, BlockStatusMayNameItsContexts) {
  TestClient client = Extended();
  EXPECT_EQ(Runs(Call(client, ExtendedStatus(4096, kSize - 4096, {1}, 1))),
            (std::vector<Extent>{{kSize - 4096, 3}}));
  EXPECT_EQ(ErrorOf(client, ExtendedStatus(0, kSize, {2}, 2)), kEinval);
  EXPECT_EQ(ErrorOf(client, ExtendedStatus(0, kSize, {1, 1}, 3)), kEinval);
  EXPECT_EQ(ErrorOf(client, ExtendedStatus(0, kSize + 1, {1}, 4)), kEinval);
  EXPECT_EQ(Runs(Call(client, ExtendedStatus(0, kSize, {1}, 5))),
            (std::vector<Extent>{{kSize, 3}}));
}

TEST_P(ExtendedServer, BadRequestsAreRefusedInWordsAndTheStreamStaysInStep) {
  TestClient client = Extended("v", {});
  EXPECT_EQ(ErrorOf(client, ExtendedWrite(kSize, "beyond", 1)), kEnospc);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kRead, kSize - 1, 2, 2)), kEinval);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kRead, ~0ull, ~0ull, 3)), kEoverflow);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kTrim, 4096, ~0ull - 4095, 4)), kEinval);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kWriteZeroes, 1, ~0ull, 5)), kEnospc);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kCache, 0, 1ull << 44, 6)), kEinval);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kBlockStatus, 0, 512, 7)), kEinval);
  EXPECT_EQ(ErrorOf(client, ExtendedStatus(0, 512, {1}, 8)), kEinval);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kFlush, 0, 1, 9)), 0u);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(99, 0, 0, 10)), kEinval);
  Bytes with_payload = ExtendedBytes(kTrim, 0, 100, 11, kPayloadLength);
  with_payload.resize(with_payload.size() + 100, std::byte{1});
  EXPECT_EQ(ErrorOf(client, with_payload), kEinval);
  EXPECT_EQ(ErrorOf(client, ExtendedWrite(0, "still in step", 12)), 0u);
  EXPECT_EQ(Only(Call(client, ExtendedBytes(kRead, 0, 13, 13))).payload.substr(8), "still in step");
}

TEST_P(ExtendedServer, WhatCannotBeUnderstoodEndsTheConnectionAndNoOther) {
  TestClient other = Extended();
  for (const Bytes& bad :
       {Joined({RequestBytes(kRead, 0, 512, 2), Bytes(4, std::byte{0})}),
        ExtendedBytes(kRead, 0, 512, 2, 0, 0x6e8a278c), ExtendedBytes(kWrite, 0, 1ull << 26, 2),
        ExtendedBytes(kWrite, 0, (32u << 20) + 1, 2, kPayloadLength),
        ExtendedBytes(kBlockStatus, 0, ~0ull, 2, kPayloadLength)}) {
    TestClient client = Extended();
    client.Send(Joined({ExtendedWrite(0, "good", 1), bad, ExtendedWrite(0, "evil", 3)}));
    EXPECT_EQ(Only(client.ReceiveExtended(1, 0)).type, kNone);
    EXPECT_TRUE(client.AtEnd());
    EXPECT_EQ(device_.Acknowledged(0, 4), "good");
  }
  TestClient compact = Ready();
  compact.Send(ExtendedBytes(kRead, 0, 512, 1));
  EXPECT_TRUE(compact.AtEnd());
  EXPECT_EQ(ErrorOf(other, ExtendedBytes(kFlush, 0, 0, 4)), 0u);
}

TEST_P(ExtendedServer, TheDevicesErrorsComeWithTextAndPlace) {
  TestClient client = Extended();
  SetLogLevel(LogLevel::kError);
  device_.set_error(coffer::Error{ErrorCode::kCorruption, "frame 7 is damaged"});
  const Chunk read = Only(Call(client, ExtendedBytes(kRead, 4096, 512, 1)));
  EXPECT_EQ(read.type, kErrorOffset);
  EXPECT_EQ(Get(AsBytes(read.payload), read.payload.size() - 8, 8), 4096u);
  for (const Bytes& request :
       {ExtendedWrite(0, "x", 2), ExtendedBytes(kFlush, 0, 0, 3), ExtendedBytes(kTrim, 0, 512, 4),
        ExtendedBytes(kBlockStatus, 0, 512, 5), ExtendedBytes(kCache, 0, 512, 6)}) {
    EXPECT_EQ(ErrorOf(client, request), kEio);
  }
  SetLogLevel(LogLevel::kInfo);
}

TEST_P(ExtendedServer, WithdrawalRefusesInTheSameKindOfReply) {
  TestClient client = Extended();
  device_.set_in_place(false);
  device_.Hold();
  client.Send(ExtendedWrite(0, "in flight", 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  TestClient idle = Ready();
  std::thread withdrawing([&] { EXPECT_TRUE(server_->Withdraw("v").has_value()); });
  EXPECT_TRUE(idle.AtEnd());
  device_.LetGo();
  EXPECT_EQ(Only(client.ReceiveExtended(1, 0)).type, kNone);
  EXPECT_TRUE(client.AtEnd());
  withdrawing.join();
}

/// 16 TiB that nobody has: it counts what is asked of it.
class WideDevice final : public block::BlockDevice {
 public:
  static constexpr std::uint64_t kSize = std::uint64_t{16} << 40;

  std::uint64_t size() const override { return kSize; }
  bool read_only() const override { return false; }
  std::uint32_t preferred_io_size() const override { return 65536; }
  Status Read(std::uint64_t, MutableByteView out) override {
    read_bytes += out.size();
    std::fill(out.begin(), out.end(), std::byte{0});
    return {};
  }
  Status Write(std::uint64_t, ByteView, block::WriteFlag) override { return {}; }
  Status Flush() override { return {}; }
  Status Trim(std::uint64_t offset, std::uint64_t length, block::WriteFlag) override {
    return Note(offset, length);
  }
  Status WriteZeroes(std::uint64_t offset, std::uint64_t length, block::ZeroFlag) override {
    return Note(offset, length);
  }
  Result<std::vector<block::Extent>> Extents(std::uint64_t offset, std::uint64_t length,
                                             std::size_t) override {
    return std::vector<block::Extent>{{std::min(length, kSize / 2 - offset), true, true}};
  }
  std::optional<Status> TryRead(std::uint64_t, MutableByteView) override { return std::nullopt; }
  std::optional<Status> TryWrite(std::span<const WriteRequest>) override { return std::nullopt; }

  std::atomic<std::uint64_t> read_bytes = 0;
  std::atomic<std::uint64_t> changes = 0;
  std::atomic<std::uint64_t> changed_bytes = 0;

 private:
  Status Note(std::uint64_t offset, std::uint64_t length) {
    ++changes;
    changed_bytes += length;
    return offset + length <= kSize ? Status{} : Fail(ErrorCode::kInvalidArgument, "beyond");
  }
};

class WideServer : public ServerTest {
 protected:
  void SetUp() override {
    Serve();
    ASSERT_EQ(ExportError({"wide", "", &wide_, "", false}), "");
  }
  void TearDown() override {
    server_.reset();  // before its device goes
    ServerTest::TearDown();
  }
  static constexpr std::uint64_t kAll = WideDevice::kSize;
  WideDevice wide_;
};

TEST_F(WideServer, TrimAndZeroOfTheWholeVolumeAreOneCallEach) {
  TestClient client = Extended("wide");
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kTrim, 0, kAll, 1)), 0u);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kWriteZeroes, 1, kAll - 1, 2, kFastZero)), 0u);
  EXPECT_EQ(wide_.changes, 2u);
  EXPECT_EQ(wide_.changed_bytes, 2 * kAll - 1);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kTrim, 1, kAll, 3)), kEinval);
}

TEST_F(WideServer, CachingOf16TiBReadsAsMuchAsOneReadMay) {
  TestClient client = Extended("wide");
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kCache, 0, kAll, 1)), 0u);
  EXPECT_EQ(wide_.read_bytes, 32u << 20);
}

TEST_F(WideServer, BlockStatusTellsARunLongerThan4GiBInOne) {
  TestClient client = Extended("wide");
  EXPECT_EQ(Runs(Call(client, ExtendedBytes(kBlockStatus, 0, kAll, 1))),
            (std::vector<Extent>{{kAll / 2, 3}}));
  EXPECT_EQ(Runs(Call(client, ExtendedBytes(kBlockStatus, 4096, kAll - 4096, 2, kReqOne))),
            (std::vector<Extent>{{kAll / 2 - 4096, 3}}));
}

TEST_F(WideServer, LargeReadsAreRefusedBeforeTheyTakeMemory) {
  TestClient client = Extended("wide");
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kRead, 0, kAll, 1)), kEoverflow);
  EXPECT_EQ(ErrorOf(client, ExtendedBytes(kRead, 0, (1ull << 32) + 512, 2)), kEoverflow);
  EXPECT_EQ(wide_.read_bytes, 0u);
  const Chunk most = Only(Call(client, ExtendedBytes(kRead, kAll - (32u << 20), 32u << 20, 3)));
  EXPECT_EQ(most.type, kOffsetHole);
}

// Looking ahead on a slow store may take long: it may not take the workers from reads and flushes.
TEST_F(ServerTest, SurveysLeaveWorkersToOthers) {
  Serve();
  device_.set_in_place(false);
  TestClient client = Extended();
  TestClient other = Ready();
  device_.Hold();
  constexpr int kSurveys = 20;  // more than there are workers
  Bytes surveys;
  for (std::uint64_t i = 0; i < kSurveys; ++i) {
    surveys = Joined({surveys, ExtendedBytes(i % 2 ? kCache : kBlockStatus, 0, kSize, i)});
  }
  client.Send(surveys);
  EXPECT_TRUE(device_.AwaitInside(JobQueue::kSurveysAtOnce));
  AwaitLoop(other);
  EXPECT_EQ(device_.calls_inside(), JobQueue::kSurveysAtOnce);
  other.Send(RequestBytes(kFlush, 0, 0, 1));
  EXPECT_TRUE(device_.AwaitInside(JobQueue::kSurveysAtOnce + 1));
  device_.LetGo();
  EXPECT_EQ(other.ReceiveError(), 0u);
  for (int i = 0; i < kSurveys; ++i) {  // in any order
    const std::string header = client.Receive(32);
    ASSERT_EQ(header.size(), 32u);
    client.Receive(static_cast<std::size_t>(Get(AsBytes(header), 24, 8)));
  }
}

}  // namespace
}  // namespace coffer::nbd

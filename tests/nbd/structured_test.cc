// Clients with structured replies and metadata contexts against a running server.
#include <gtest/gtest.h>

#include "core/base/log.h"
#include "tests/nbd/test_server.h"

namespace coffer::nbd {
namespace {

using namespace testing;  // NOLINT: the client's vocabulary
using StructuredReply = TestClient::StructuredReply;

/// In place, and through the workers.
class StructuredServer : public ServerTest, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    device_.set_in_place(GetParam());
    Serve();
  }
  /// In the transmission phase of "v" with structured replies and base:allocation.
  TestClient Structured(const std::vector<std::string>& contexts = {"base:allocation"}) {
    TestClient client = Connected();
    EXPECT_EQ(client.Ask(OptionBytes(kStructuredReply)).back().type, kAck);
    EXPECT_EQ(client.Ask(AskForContexts(kSetMetaContext, "v", contexts)).size(),
              contexts.size() + 1);
    EXPECT_EQ(client.Go("v"), kAck);
    return client;
  }
  static StructuredReply Call(TestClient& client, const Bytes& request) {
    client.Send(request);
    return client.ReceiveChunks();
  }
  static void ExpectError(const StructuredReply& reply, std::uint32_t error,
                          std::string_view text) {
    ASSERT_EQ(reply.chunks.size(), 1u);
    const std::string& payload = reply.chunks[0].payload;
    EXPECT_EQ(Get(AsBytes(payload), 0, 4), error);
    EXPECT_NE(payload.find(text, 6), std::string::npos) << payload;
  }
};
INSTANTIATE_TEST_SUITE_P(, StructuredServer, ::testing::Values(true, false),
                         [](const auto& way) { return way.param ? "InPlace" : "ThroughWorkers"; });

TEST_P(StructuredServer, ReadsComeAsDataAndHoles) {
  TestClient client = Structured();
  EXPECT_EQ(Call(client, WriteBytes(8192, std::string(4096, 'd'), 1)).simple_error, 0u);
  for (const std::uint32_t length : {65536u, 1u << 20}) {  // in place, and by a worker
    const StructuredReply reply = Call(client, RequestBytes(kRead, 0, length, 2));
    ASSERT_EQ(reply.chunks.size(), 3u);
    EXPECT_EQ(reply.chunks[0].type, kOffsetHole);
    EXPECT_EQ(reply.chunks[1].type, kOffsetData);
    EXPECT_EQ(Get(AsBytes(reply.chunks[1].payload), 0, 8), 8192u);
    EXPECT_EQ(reply.chunks[1].payload.substr(8), std::string(4096, 'd'));
    EXPECT_EQ(reply.chunks[2].type, kOffsetHole);
    EXPECT_EQ(Get(AsBytes(reply.chunks[2].payload), 0, 8), 12288u);
    EXPECT_EQ(Get(AsBytes(reply.chunks[2].payload), 8, 4), length - 12288);
    const StructuredReply whole = Call(client, RequestBytes(kRead, 0, length, 3, kDf));
    ASSERT_EQ(whole.chunks.size(), 1u);
    EXPECT_EQ(whole.chunks[0].payload.size(), 8u + length);
  }
}

TEST_P(StructuredServer, TheDevicesErrorsComeWithTextAndPlace) {
  TestClient client = Structured();
  SetLogLevel(LogLevel::kError);
  device_.set_error(Error{ErrorCode::kCorruption, "frame 7 is\x1b damaged"});
  const StructuredReply read = Call(client, RequestBytes(kRead, 4096, 512, 1));
  ExpectError(read, kEio, "frame 7 is\\x1b damaged");
  EXPECT_EQ(read.chunks[0].type, kErrorOffset);
  const std::string& payload = read.chunks[0].payload;
  EXPECT_EQ(Get(AsBytes(payload), payload.size() - 8, 8), 4096u);
  for (const Bytes& request :
       {WriteBytes(0, "x", 2), RequestBytes(kFlush, 0, 0, 3), RequestBytes(kTrim, 0, 512, 4),
        RequestBytes(kBlockStatus, 0, 512, 5)}) {
    const StructuredReply reply = Call(client, request);
    ExpectError(reply, kEio, "damaged");
    EXPECT_EQ(reply.chunks[0].type, kError);
  }
  SetLogLevel(LogLevel::kInfo);
  device_.set_error(std::nullopt);
  EXPECT_EQ(Call(client, RequestBytes(kFlush, 0, 0, 6)).simple_error, 0u);
}

TEST_P(StructuredServer, BadRequestsAreRefusedInWordsAndTheStreamStaysInStep) {
  TestClient client = Structured();
  ExpectError(Call(client, RequestBytes(kRead, kSize - 1, 2, 1)), kEinval, "past the end");
  ExpectError(Call(client, RequestBytes(kRead, 0, 0, 1)), kEinval, "length 0");
  ExpectError(Call(client, RequestBytes(kRead, 0, (32u << 20) + 1, 1)), kEinval, "32 MiB");
  ExpectError(Call(client, RequestBytes(kRead, 0, 512, 1, kReqOne)), kEinval, "flag");
  ExpectError(Call(client, WriteBytes(kSize, "beyond", 1)), kEnospc, "past the end");
  ExpectError(Call(client, RequestBytes(kBlockStatus, kSize, 512, 1)), kEinval, "past the end");
  ExpectError(Call(client, RequestBytes(99, 0, 0, 1)), kEinval, "unknown command");
  EXPECT_EQ(Call(client, RequestBytes(kRead, 0, 4096, 2)).chunks.size(), 1u);
}

TEST_P(StructuredServer, BlockStatusTellsTheDevicesExtents) {
  TestClient client = Structured();
  EXPECT_EQ(Call(client, WriteBytes(8192, std::string(4096, 'd'), 1)).simple_error, 0u);
  const StructuredReply all = Call(client, RequestBytes(kBlockStatus, 0, 65536, 2));
  ASSERT_EQ(all.chunks.size(), 1u);
  EXPECT_EQ(all.chunks[0].type, kStatusChunk);
  Bytes expected;
  for (const auto& [number, bytes] : {std::pair(1u, 4),
                                      {8192u, 4},
                                      {3u, 4},
                                      {4096u, 4},
                                      {0u, 4},
                                      {65536u - 12288u, 4},
                                      {3u, 4}}) {
    Put(expected, number, bytes);
  }
  EXPECT_EQ(all.chunks[0].payload, AsText(ByteView(expected)));
  const StructuredReply one = Call(client, RequestBytes(kBlockStatus, 8192, 65536, 3, kReqOne));
  EXPECT_EQ(one.chunks.at(0).payload, std::string("\0\0\0\1\0\0\x10\0\0\0\0\0", 12));
}

TEST_P(StructuredServer, BlockStatusWithoutAContextIsRefused) {
  TestClient client = Structured({});
  ExpectError(Call(client, RequestBytes(kBlockStatus, 0, 512, 1)), kEinval, "no metadata context");
  EXPECT_EQ(Call(client, RequestBytes(kRead, 0, 4096, 2)).chunks.size(), 1u);
}

TEST_P(StructuredServer, AReplyTellsSoManyExtentsAndNoMore) {
  device_.Resize(std::uint64_t{32} << 20);
  for (std::uint64_t at = 0; at < std::uint64_t{32} << 20; at += 8192) {
    ASSERT_TRUE(device_.Write(at, AsBytes("d"), block::WriteFlag::kNone).has_value());
  }
  TestClient client = Structured();
  const StructuredReply reply = Call(client, RequestBytes(kBlockStatus, 0, 32u << 20, 1));
  ASSERT_EQ(reply.chunks.size(), 1u);
  EXPECT_EQ(reply.chunks[0].payload.size(), 4 + 8 * kStatusRunsMax);
}

TEST_P(StructuredServer, AClientGoneWhileItsBlockStatusIsAskedDoesNoHarm) {
  device_.Hold();
  {
    TestClient client = Structured();
    client.Send(RequestBytes(kBlockStatus, 0, 65536, 1));
    EXPECT_TRUE(device_.AwaitInside(1));
  }
  device_.LetGo();
  TestClient next = Structured();
  EXPECT_EQ(Call(next, RequestBytes(kBlockStatus, 0, 65536, 2)).chunks.size(), 1u);
  EXPECT_TRUE(server_->Withdraw("v").has_value());
}

}  // namespace
}  // namespace coffer::nbd

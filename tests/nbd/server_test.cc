// Clients, exports and requests of a running server.
#include "nbd/server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "core/base/log.h"
#include "nbd/jobs.h"
#include "tests/nbd/test_server.h"

namespace coffer::nbd {
namespace {

using namespace testing;  // NOLINT: the client's vocabulary
using DeviceCall = MemoryDevice::Call;
using Reply = TestClient::Reply;

class NbdServer : public ServerTest {};

/// In place, and through the workers.
class NbdServerBothWays : public ServerTest, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    device_.set_in_place(GetParam());
    Serve();
  }
};
INSTANTIATE_TEST_SUITE_P(, NbdServerBothWays, ::testing::Values(true, false),
                         [](const auto& way) { return way.param ? "InPlace" : "ThroughWorkers"; });

TEST_P(NbdServerBothWays, AClientReadsWhatItWrote) {
  TestClient client = Ready();
  const std::string small = "some bytes";
  const std::string large(3 << 20, 'L');
  EXPECT_EQ(client.Write(4096, small), 0u);
  EXPECT_EQ(client.Write(1 << 20, large), 0u);
  EXPECT_EQ(client.Read(4096, 10), small);
  EXPECT_EQ(client.Read(1 << 20, 3 << 20), large);
  EXPECT_EQ(client.Read(0, 16), std::string(16, '\0'));
}

TEST_P(NbdServerBothWays, TrimmedAndZeroedBytesReadAsZeros) {
  TestClient client = Ready();
  EXPECT_EQ(client.Write(0, std::string(16384, 'x')), 0u);
  EXPECT_EQ(client.Call(RequestBytes(kTrim, 4000, 5000, 1)), 0u);  // its whole blocks: one
  EXPECT_EQ(client.Call(RequestBytes(kWriteZeroes, 9000, 100, 1, kNoHole | kFastZero)), 0u);
  const auto x = [](std::size_t count) { return std::string(count, 'x'); };
  const auto zeros = [](std::size_t count) { return std::string(count, '\0'); };
  EXPECT_EQ(client.Read(0, 10'000), x(4096) + zeros(4096) + x(808) + zeros(100) + x(900));
}

TEST_P(NbdServerBothWays, CachingReadsTheWholeRangeAndAnswersNoData) {
  TestClient client = Ready();
  EXPECT_EQ(client.Call(RequestBytes(kCache, 4096, (3 << 20) + 512, 1)), 0u);
  EXPECT_EQ(device_.count(DeviceCall::kRead), 4);
  EXPECT_EQ(client.Call(RequestBytes(kCache, kSize - 512, 1024, 2)), kEinval);
  device_.set_error(Error{ErrorCode::kIoError, "no luck"});
  EXPECT_NE(client.Call(RequestBytes(kCache, 0, 512, 3)), 0u);
}

TEST_P(NbdServerBothWays, AFlushCoversAnsweredWritesOfEveryConnection) {
  TestClient one = Ready();
  TestClient two = Ready();
  EXPECT_EQ(one.Write(0, "first"), 0u);
  EXPECT_EQ(two.Write(8192, "second"), 0u);
  EXPECT_EQ(device_.Durable(0, 5), std::string(5, '\0'));
  EXPECT_EQ(two.Flush(), 0u);
  EXPECT_EQ(device_.Durable(0, 5), "first");
  EXPECT_EQ(device_.Durable(8192, 6), "second");
}

TEST_P(NbdServerBothWays, AForcedWriteIsDurableWhenAnswered) {
  TestClient client = Ready();
  EXPECT_EQ(client.Write(0, "now", kFua), 0u);
  EXPECT_EQ(device_.Durable(0, 3), "now");
  EXPECT_EQ(client.Write(100, "xxxxx"), 0u);
  EXPECT_EQ(client.Call(RequestBytes(kWriteZeroes, 0, 3, 1, kFua)), 0u);
  EXPECT_EQ(device_.Durable(0, 3), std::string(3, '\0'));
  EXPECT_EQ(client.Call(RequestBytes(kTrim, 100, 5, 1, kFua)), 0u);
  EXPECT_EQ(device_.Durable(100, 5), std::string(5, '\0'));
}

TEST_P(NbdServerBothWays, TheDevicesErrorsReachTheClient) {
  TestClient client = Ready();
  const std::pair<ErrorCode, std::uint32_t> cases[] = {
      {ErrorCode::kNoSpace, kEnospc},    {ErrorCode::kIoError, kEio},
      {ErrorCode::kCorruption, kEio},    {ErrorCode::kUnavailable, kEio},
      {ErrorCode::kUnsupported, kEperm}, {ErrorCode::kCancelled, kEshutdown}};
  SetLogLevel(LogLevel::kError);
  for (const auto& [code, error] : cases) {
    device_.set_error(coffer::Error{code, "as the test wants it"});
    EXPECT_EQ(client.Write(0, "x"), error);
    EXPECT_EQ(client.Read(0, 512), "error " + std::to_string(error));
    EXPECT_EQ(client.Flush(), error);
    EXPECT_EQ(client.Call(RequestBytes(kTrim, 0, 512, 1)), error);
    EXPECT_EQ(client.Call(RequestBytes(kWriteZeroes, 0, 512, 1)), error);
  }
  SetLogLevel(LogLevel::kInfo);
  device_.set_error(std::nullopt);
  EXPECT_EQ(client.Read(0, 1), std::string(1, '\0'));
}

TEST_P(NbdServerBothWays, BadRequestsAreRefusedAndTheStreamStaysInStep) {
  TestClient client = Ready();
  EXPECT_EQ(client.Write(kSize, "beyond"), kEnospc);
  EXPECT_EQ(client.Read(kSize - 1, 2), "error 22");
  EXPECT_EQ(client.Read(0, (32u << 20) + 1), "error 22");
  EXPECT_EQ(client.Call(RequestBytes(kBlockStatus, 0, 512, 1)), kEinval);
  EXPECT_EQ(client.Call(RequestBytes(kRead, 0, 0, 1)), kEinval);
  EXPECT_EQ(client.Write(0, "still here"), 0u);
  EXPECT_EQ(client.Read(0, 10), "still here");
}

// Each client its own part of the device, requests of all sizes pipelined, against a byte model.
TEST_P(NbdServerBothWays, ManyClientsPipeliningAtRandomReadTheirOwnBytes) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  constexpr std::uint64_t kPart = kSize / 4;
  const auto run = [&](unsigned part) {
    std::mt19937 random(seed + part);
    const std::uint64_t start = part * kPart;
    std::string model(kPart, '\0');
    TestClient client = Ready();
    for (int round = 0; round < 30; ++round) {
      // Distinct slots, since requests in flight together may take effect in any order.
      constexpr std::size_t kSlots = 16;
      constexpr std::size_t kSlot = kPart / kSlots;
      Bytes requests;
      std::map<std::uint64_t, std::pair<std::size_t, std::uint32_t>> reads;
      for (std::size_t slot = 0; slot < kSlots; ++slot) {
        const std::size_t largest = random() % 4 == 0 ? kSlot : 6000;
        const auto length = static_cast<std::uint32_t>(1 + random() % largest);
        const std::size_t at = slot * kSlot + random() % (kSlot - length + 1);
        if (random() % 2 == 0) {
          const std::string data(length, static_cast<char>('a' + random() % 26));
          requests = Joined({requests, WriteBytes(start + at, data, slot)});
          model.replace(at, length, data);
        } else {
          requests = Joined({requests, RequestBytes(kRead, start + at, length, slot)});
          reads[slot] = {at, length};
        }
      }
      std::thread sending([&] { client.Send(requests); });
      std::set<std::uint64_t> answered;
      for (std::size_t i = 0; i < kSlots; ++i) {
        const auto reply = client.ReceiveReply();
        if (!reply || reply->error != 0 || !answered.insert(reply->cookie).second) {
          ADD_FAILURE() << "reply " << i;
          break;
        }
        if (const auto read = reads.find(reply->cookie); read != reads.end()) {
          const auto [at, length] = read->second;
          EXPECT_TRUE(client.Receive(length) == model.substr(at, length));
        }
      }
      sending.join();
    }
    EXPECT_TRUE(device_.Acknowledged(start, kPart) == model);
  };
  std::vector<std::thread> clients;
  for (unsigned part = 0; part < 4; ++part) clients.emplace_back(run, part);
  for (std::thread& client : clients) client.join();
}

TEST_F(NbdServer, WritesReceivedTogetherAreOneCall) {
  Serve();
  TestClient client = Ready();
  Bytes writes;
  for (std::uint64_t i = 0; i < 10; ++i) {
    writes = Joined({writes, WriteBytes(i * 4096, "write " + std::to_string(i), i)});
  }
  client.Send(writes);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.ReceiveError(), 0u);
  EXPECT_EQ(device_.count(DeviceCall::kTryWrite), 1);
  EXPECT_EQ(device_.count(DeviceCall::kWrite), 0);
  EXPECT_EQ(device_.Acknowledged(9 * 4096, 7), "write 9");
}

TEST_F(NbdServer, ARequestThatWaitsHoldsUpNoOther) {
  Serve();
  TestClient client = Ready();
  TestClient other = Ready();
  device_.Hold();
  client.Send(RequestBytes(kFlush, 0, 0, 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  client.Send(WriteBytes(0, "past it", 2));
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 2}));
  EXPECT_EQ(other.Read(0, 7), "past it");
  device_.LetGo();
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
}

TEST_F(NbdServer, WritesThatWaitForRoomLeaveWorkersToOthers) {
  Serve();
  device_.set_in_place(false);
  TestClient client = Ready();
  TestClient other = Ready();
  device_.Hold();
  constexpr int kWrites = 20;  // more than there are workers
  for (std::uint64_t i = 0; i < kWrites; ++i) {
    client.Send(WriteBytes(i * 4096, "waits", i));
    AwaitLoop(client);  // those that come together would be one job
  }
  EXPECT_TRUE(device_.AwaitInside(JobQueue::kWritesAtOnce));
  AwaitLoop(client);
  EXPECT_EQ(device_.count(DeviceCall::kWrite), JobQueue::kWritesAtOnce);
  other.Send(RequestBytes(kFlush, 0, 0, 1));
  EXPECT_TRUE(device_.AwaitInside(JobQueue::kWritesAtOnce + 1));
  device_.LetGo();
  EXPECT_EQ(other.ReceiveReply(), (Reply{0, 1}));
  for (int i = 0; i < kWrites; ++i) EXPECT_EQ(client.ReceiveReply()->error, 0u);
  EXPECT_EQ(device_.Acknowledged(19 * 4096, 5), "waits");
}

// A journal's pwrite that the disk does not take holds up its own volume's loop.
TEST_F(NbdServer, AWriteInPlaceThatIsHeldUpIsFeltByNoOtherExport) {
  Serve();
  MemoryDevice other_device(kSize);
  ASSERT_EQ(ExportError({"other", "", &other_device, "", false}), "");
  TestClient other = Connected();
  ASSERT_EQ(other.Go("other"), kAck);
  TestClient client = Ready();
  device_.set_slow_in_place(true);
  device_.Hold();
  client.Send(WriteBytes(0, std::string(4096, 'h'), 1));
  ASSERT_TRUE(device_.AwaitInside(1));
  EXPECT_EQ(other.Write(0, "not held"), 0u);
  EXPECT_EQ(other.Read(0, 8), "not held");
  EXPECT_EQ(other.Flush(), 0u);
  EXPECT_EQ(other.Call(RequestBytes(kTrim, 0, 4096, 2)), 0u);
  TestClient late = Connected();
  EXPECT_EQ(late.Ask(OptionBytes(kList)).size(), 3u);
  EXPECT_EQ(late.Go("other"), kAck);
  EXPECT_EQ(server_->client_count("v"), 1);
  MemoryDevice third(4096);
  EXPECT_EQ(ExportError({"third", "", &third, "", false}), "");
  EXPECT_TRUE(server_->Withdraw("third").has_value());
  EXPECT_FALSE(client.HasNews());
  device_.LetGo();
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
}

TEST_F(NbdServer, FlushesThatWaitLeaveWorkersToOtherExports) {
  Serve();
  MemoryDevice other_device(kSize);
  ASSERT_EQ(ExportError({"other", "", &other_device, "", false}), "");
  TestClient other = Connected();
  ASSERT_EQ(other.Go("other"), kAck);
  device_.Hold();
  constexpr int kClients = 24;
  std::vector<TestClient> clients;
  for (std::uint64_t i = 0; i < kClients; ++i) {
    clients.push_back(Ready());
    clients.back().Send(RequestBytes(kFlush, 0, 0, i));
  }
  ASSERT_TRUE(device_.AwaitInside(JobQueue::kFlushesAtOnce));
  AwaitLoop(clients.front());
  EXPECT_EQ(other.Call(RequestBytes(kTrim, 0, 4096, 1)), 0u);
  EXPECT_EQ(other.Call(RequestBytes(kWriteZeroes, 0, 4096, 2)), 0u);
  EXPECT_EQ(clients.front().Read(0, 1), std::string(1, '\0'));  // nor do they stop its own reads
  device_.LetGo();
  for (std::uint64_t i = 0; i < kClients; ++i) {
    EXPECT_EQ(clients[i].ReceiveReply(), (Reply{0, i}));
  }
  EXPECT_EQ(device_.count(DeviceCall::kFlush), JobQueue::kFlushesAtOnce + 1);
}

TEST_F(NbdServer, ABatchWithBarriersIsOneWriteAndOneFlush) {
  Serve();
  TestClient client = Ready();
  device_.Hold();
  client.Send(Joined({WriteBytes(0, std::string(4096, 'a'), 1), RequestBytes(kFlush, 0, 0, 2),
                      WriteBytes(4096, std::string(4096, 'b'), 3, kFua),
                      WriteBytes(8192, std::string(4096, 'c'), 4), RequestBytes(kFlush, 0, 0, 5),
                      WriteBytes(12288, std::string(4096, 'd'), 6, kFua)}));
  ASSERT_TRUE(device_.AwaitInside(1));
  // What is no barrier is answered, and nothing else before the flush.
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 4}));
  AwaitLoop(client);
  EXPECT_FALSE(client.HasNews());
  EXPECT_EQ(device_.Durable(4096, 1), std::string(1, '\0'));
  device_.LetGo();
  std::set<std::uint64_t> answered;
  for (int i = 0; i < 4; ++i) {
    const auto reply = client.ReceiveReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->error, 0u);
    answered.insert(reply->cookie);
  }
  EXPECT_EQ(answered, (std::set<std::uint64_t>{2, 3, 5, 6}));
  EXPECT_EQ(device_.Durable(4096, 1) + device_.Durable(8192, 1) + device_.Durable(12288, 1), "bcd");
  EXPECT_EQ(device_.count(DeviceCall::kTryWrite), 1);
  EXPECT_EQ(device_.count(DeviceCall::kFlush), 1);
  EXPECT_EQ(device_.count(DeviceCall::kWrite), 0);
}

TEST_F(NbdServer, ABatchThatCannotBeDoneInPlaceIsOneJobAndItsBarriersOneFlush) {
  Serve();
  device_.set_in_place(false);
  TestClient client = Ready();
  Bytes batch;
  for (std::uint64_t i = 0; i < 8; ++i) {
    batch = Joined({batch, WriteBytes(i * 4096, std::string(4096, 'a' + static_cast<char>(i)), i,
                                      i % 4 == 3 ? kFua : std::uint16_t{0})});
  }
  device_.Hold();
  client.Send(Joined({batch, WriteBytes(kSize, "beyond", 8)}));
  ASSERT_TRUE(device_.AwaitInside(1));
  EXPECT_EQ(client.ReceiveReply(), (Reply{kEnospc, 8}));
  EXPECT_EQ(device_.calls_inside(), 1);
  device_.LetGo();
  std::set<std::uint64_t> answered;
  for (int i = 0; i < 8; ++i) {
    const auto reply = client.ReceiveReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->error, 0u);
    answered.insert(reply->cookie);
  }
  EXPECT_EQ(answered.size(), 8u);
  EXPECT_EQ(device_.Durable(3 * 4096, 1) + device_.Durable(7 * 4096, 1), "dh");
  EXPECT_EQ(device_.count(DeviceCall::kFlush), 1);
}

TEST_F(NbdServer, AFlushThatFailsFailsEveryBarrierItWasFor) {
  Serve();
  TestClient client = Ready();
  device_.Hold();
  client.Send(
      Joined({WriteBytes(0, std::string(4096, 'a'), 1, kFua), RequestBytes(kFlush, 0, 0, 2)}));
  ASSERT_TRUE(device_.AwaitInside(1));
  device_.set_error(Error{ErrorCode::kIoError, "the disk is broken", ""});
  device_.LetGo();
  EXPECT_EQ(client.ReceiveReply()->error, kEio);
  EXPECT_EQ(client.ReceiveReply()->error, kEio);
}

TEST_F(NbdServer, NoMoreRequestsBeginThanMayBeInFlight) {
  Limits limits;
  limits.requests_in_flight_max = 4;
  Serve(limits);
  device_.set_in_place(false);
  TestClient client = Ready();
  TestClient other = Ready();
  device_.Hold();
  for (std::uint64_t i = 0; i < 10; ++i) client.Send(RequestBytes(kRead, 0, 16, i));
  EXPECT_TRUE(device_.AwaitInside(4));
  AwaitLoop(other);
  EXPECT_EQ(device_.count(DeviceCall::kRead), 4);
  device_.LetGo();
  std::set<std::uint64_t> answered;
  for (int i = 0; i < 10; ++i) {
    const auto reply = client.ReceiveReply();
    ASSERT_TRUE(reply.has_value());
    answered.insert(reply->cookie);
    EXPECT_EQ(client.Receive(16).size(), 16u);
  }
  EXPECT_EQ(answered.size(), 10u);
}

TEST_F(NbdServer, AClientThatTakesNoRepliesIsNotReadFrom) {
  Serve();
  TestClient client = Ready();
  TestClient other = Ready();
  constexpr int kReads = 500;
  Bytes reads;
  for (std::uint64_t i = 0; i < kReads; ++i) {
    reads = Joined({reads, RequestBytes(kRead, 0, 65536, i)});
  }
  client.Send(reads);  // at once: one by one they would fill the socket, and Send would wait
  AwaitLoop(other);
  // 1 MiB of replies and what the socket holds.
  EXPECT_LT(device_.count(DeviceCall::kTryRead), kReads / 4);
  for (int i = 0; i < kReads; ++i) {
    ASSERT_EQ(client.ReceiveReply(), (Reply{0, static_cast<std::uint64_t>(i)}));
    ASSERT_EQ(client.Receive(65536).size(), 65536u);
  }
}

TEST_F(NbdServer, PayloadsInFlightAreLimitedToo) {
  Limits limits;
  limits.bytes_in_flight_max = 1 << 20;
  Serve(limits);
  device_.set_in_place(false);
  TestClient client = Ready();
  TestClient other = Ready();
  device_.Hold();
  Bytes writes;
  for (std::uint64_t i = 0; i < 8; ++i) {
    writes = Joined({writes, WriteBytes(0, std::string(600'000, 'p'), i)});
  }
  std::thread sending([&] { client.Send(writes); });
  EXPECT_TRUE(device_.AwaitInside(2));
  AwaitLoop(other);
  EXPECT_EQ(device_.count(DeviceCall::kWrite), 2);
  device_.LetGo();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(client.ReceiveError(), 0u);
  sending.join();
}

TEST_F(NbdServer, BytesThatComeOneByOneAreARequestAllTheSame) {
  Serve();
  TestClient client = Ready();
  for (const std::byte byte : WriteBytes(10, "slow", 7)) client.Send({&byte, 1});
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 7}));
  EXPECT_EQ(device_.Acknowledged(10, 4), "slow");
}

TEST_F(NbdServer, AClientThatStopsSendingStillGetsItsReplies) {
  Serve();
  device_.set_in_place(false);
  TestClient client = Ready();
  device_.Hold();
  client.Send(WriteBytes(0, "last words", 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  client.CloseWriting();
  device_.LetGo();
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(NbdServer, NothingAfterDisconnectIsDone) {
  Serve();
  TestClient client = Ready();
  client.Send(Joined({WriteBytes(0, "before", 1), RequestBytes(kDisc, 0, 0, 2),
                      WriteBytes(0, "after!", 3), Bytes(1000, std::byte{0xee})}));
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
  EXPECT_TRUE(client.AtEnd());
  EXPECT_EQ(device_.Acknowledged(0, 6), "before");
}

TEST_F(NbdServer, AWrongMagicEndsTheConnectionAfterWhatIsInFlight) {
  Serve();
  device_.set_in_place(false);
  TestClient client = Ready();
  client.Send(Joined({WriteBytes(0, "good", 1), Bytes(28, std::byte{0xee})}));
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
  EXPECT_TRUE(client.AtEnd());
  TestClient next = Ready();
  EXPECT_EQ(next.Read(0, 4), "good");
}

TEST_F(NbdServer, AClientGoneWithRequestsInFlightLeavesNothingBehind) {
  Serve();
  device_.set_in_place(false);
  device_.Hold();
  for (int i = 0; i < 5; ++i) {
    TestClient client = Ready();
    client.Send(Joined({WriteBytes(0, "written", 1), RequestBytes(kRead, 0, 1 << 20, 2)}));
    EXPECT_TRUE(device_.AwaitInside(2 * i < 8 ? 2 * i + 1 : 8));
  }
  device_.LetGo();
  TestClient next = Ready();
  EXPECT_EQ(next.Read(0, 7), "written");
  EXPECT_TRUE(server_->Withdraw("v").has_value());
  EXPECT_EQ(device_.calls_inside(), 0);
}

TEST_F(NbdServer, AClientGoneWithRepliesUnreadDoesNoHarm) {
  Serve();
  for (int i = 0; i < 10; ++i) {
    TestClient client = Ready();
    Bytes reads;
    for (std::uint64_t j = 0; j < 100; ++j) {
      reads = Joined({reads, RequestBytes(kRead, 0, 65536, j)});
    }
    client.Send(reads);
  }
  TestClient next = Ready();
  EXPECT_EQ(next.Read(0, 1), std::string(1, '\0'));
}

TEST_F(NbdServer, AReadOnlyExportRefusesWrites) {
  Serve();
  ASSERT_EQ(ExportError({"ro", "", &device_, "", true}), "");
  TestClient client = Connected();
  EXPECT_EQ(client.Go("ro"), kAck);
  EXPECT_EQ(client.Write(0, std::string(5000, 'w')), kEperm);
  EXPECT_EQ(client.Call(RequestBytes(kTrim, 0, 512, 1)), kEperm);
  EXPECT_EQ(client.Read(0, 2), std::string(2, '\0'));
}

TEST_F(NbdServer, AGrownDeviceIsReachableOverOpenConnections) {
  Serve();
  TestClient client = Ready();
  EXPECT_EQ(client.Write(kSize, "new"), kEnospc);
  device_.Resize(2 * kSize);
  EXPECT_EQ(client.Write(kSize, "new"), 0u);
}

TEST_F(NbdServer, NamesWhoIsConnectedAndWhoHasWritten) {
  Serve();
  TestClient undecided = Connected();
  EXPECT_EQ(undecided.Ask(OptionBytes(kList)).size(), 2u);
  EXPECT_TRUE(server_->Clients("v").empty());
  EXPECT_TRUE(server_->Clients("another").empty());
  TestClient client = Ready();
  EXPECT_EQ(client.Read(0, 1).size(), 1u);
  auto clients = server_->Clients("v");
  ASSERT_EQ(clients.size(), 1u);
  EXPECT_EQ(clients[0].pid, getpid());
  EXPECT_EQ(clients[0].name, ProgramName(getpid()));
  EXPECT_EQ(clients[0].how, "is connected over NBD");
  EXPECT_EQ(client.Write(0, "new"), 0u);
  EXPECT_EQ(server_->Clients("v")[0].how, "is connected over NBD and has written");
  // Whoever has said goodbye is not in the way, even if what it asked for is still being done.
  device_.set_in_place(false);
  device_.Hold();
  client.Send(RequestBytes(kFlush, 0, 0, 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  client.Send(RequestBytes(kDisc, 0, 0, 2));
  TestClient other = Ready();
  AwaitLoop(other);
  EXPECT_EQ(server_->Clients("v").size(), 1u);
  device_.LetGo();
}

TEST_F(NbdServer, NamesTheAddressOfAClientOverTcp) {
  Serve();
  MemoryDevice second(4096);
  ASSERT_EQ(ExportError({"w", "", &second, "tcp:127.0.0.1:0", false}), "");
  const std::string& uri = place_.uri;  // nbd://127.0.0.1:PORT/w
  const std::size_t colon = uri.rfind(':');
  TestClient client =
      TestClient::ToPort(static_cast<std::uint16_t>(std::stoi(uri.substr(colon + 1))));
  EXPECT_EQ(client.Go("w"), kAck);
  const auto clients = server_->Clients("w");
  ASSERT_EQ(clients.size(), 1u);
  EXPECT_EQ(clients[0].pid, 0);
  EXPECT_EQ(clients[0].name.rfind("127.0.0.1:", 0), 0u) << clients[0].name;
  ASSERT_TRUE(server_->Withdraw("w").has_value());  // before its device goes
}

TEST_F(NbdServer, WithdrawAnswersWhatIsInFlightThenCuts) {
  Serve();
  device_.set_in_place(false);
  TestClient client = Ready();
  TestClient idle = Ready();
  device_.Hold();
  client.Send(WriteBytes(0, "in flight", 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  EXPECT_EQ(server_->client_count("v"), 2);
  std::thread withdrawing([&] { EXPECT_TRUE(server_->Withdraw("v").has_value()); });
  EXPECT_TRUE(idle.AtEnd());  // so it has begun
  EXPECT_EQ(Connected().Go("v"), kErrUnknown);
  EXPECT_EQ(server_->client_count("v"), 0);
  EXPECT_EQ(device_.calls_inside(), 1);
  device_.LetGo();
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
  EXPECT_TRUE(client.AtEnd());
  withdrawing.join();
  EXPECT_EQ(device_.calls_inside(), 0);
  EXPECT_EQ(device_.Acknowledged(0, 9), "in flight");
}

TEST_F(NbdServer, WithdrawRefusesWhatHasComeButNotBegun) {
  Limits limits;
  limits.requests_in_flight_max = 1;
  Serve(limits);
  device_.set_in_place(false);
  TestClient client = Ready();
  TestClient idle = Ready();
  device_.Hold();
  client.Send(Joined({WriteBytes(0, "in flight", 1), WriteBytes(100, "too late", 2)}));
  EXPECT_TRUE(device_.AwaitInside(1));
  std::thread withdrawing([&] { EXPECT_TRUE(server_->Withdraw("v").has_value()); });
  EXPECT_TRUE(idle.AtEnd());
  EXPECT_EQ(client.ReceiveReply(), (Reply{kEshutdown, 2}));
  device_.LetGo();
  EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
  EXPECT_TRUE(client.AtEnd());
  withdrawing.join();
  EXPECT_EQ(device_.Acknowledged(100, 8), std::string(8, '\0'));
}

TEST_F(NbdServer, WithdrawWaitsForTheRequestsOfAClientThatIsGone) {
  Serve();
  device_.set_in_place(false);
  TestClient client = Ready();
  TestClient idle = Ready();
  device_.Hold();
  client.Send(RequestBytes(kFlush, 0, 0, 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  client.Close();
  std::thread withdrawing([&] {
    EXPECT_TRUE(server_->Withdraw("v").has_value());
    EXPECT_EQ(device_.calls_inside(), 0);
  });
  EXPECT_TRUE(idle.AtEnd());
  device_.LetGo();
  withdrawing.join();
}

TEST_F(NbdServer, WithdrawDoesNotWaitForAClientThatTakesNoReplies) {
  Limits limits;
  limits.farewell_deadline = std::chrono::milliseconds(20);
  Serve(limits);
  TestClient client = Ready();
  TestClient idle = Ready();
  Bytes reads;
  for (std::uint64_t i = 0; i < 100; ++i) reads = Joined({reads, RequestBytes(kRead, 0, 65536, i)});
  client.Send(reads);
  std::atomic<bool> withdrawn = false;
  std::thread withdrawing([&] {
    EXPECT_TRUE(server_->Withdraw("v").has_value());
    withdrawn = true;
  });
  EXPECT_TRUE(idle.AtEnd());  // so it has begun; the other's deadline may be set after this
  while (!withdrawn) {
    clock_.Advance(limits.farewell_deadline);
    std::this_thread::yield();
  }
  withdrawing.join();
}

TEST_F(NbdServer, AnExportMayComeBackAfterItsWithdrawal) {
  Serve();
  EXPECT_TRUE(server_->Withdraw("v").has_value());
  EXPECT_EQ(server_->Withdraw("v").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(ExportError({"v", "", &device_, "", false}), "");
  EXPECT_EQ(Ready().Write(0, "again"), 0u);
}

TEST_F(NbdServer, TheServerEndsWithClientsOfAllKindsConnected) {
  Serve();
  TestClient negotiating = Connected();
  TestClient ready = Ready();
  TestClient busy = Ready();
  device_.set_in_place(false);
  busy.Send(WriteBytes(0, "ending", 1));
  EXPECT_EQ(busy.ReceiveReply(), (Reply{0, 1}));
  server_.reset();
  EXPECT_TRUE(ready.AtEnd());
  EXPECT_TRUE(busy.AtEnd());
  EXPECT_FALSE(std::filesystem::exists(shared_path()));
}

TEST_F(NbdServer, OneSocketServesSeveralExportsByName) {
  Serve();
  MemoryDevice second(4096);
  ASSERT_EQ(ExportError({"w@monday", "a snapshot", &second, "", true}), "");
  EXPECT_EQ(place_.uri, "nbd+unix:///w@monday?socket=" + shared_path());
  TestClient client = Connected();
  const auto list = client.Ask(OptionBytes(kList));
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].data.substr(4), "va volume");
  EXPECT_EQ(list[1].data.substr(4), "w@mondaya snapshot");
  EXPECT_EQ(client.Go(""), kErrUnknown);
  EXPECT_EQ(client.Go("w@monday"), kAck);
  EXPECT_EQ(client.Read(0, 1), std::string(1, '\0'));
  EXPECT_EQ(server_->client_count("w@monday"), 1);
  EXPECT_EQ(server_->client_count("v"), 0);
  EXPECT_EQ(server_->Export({"v", "", &second, "", false}).error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(ExportError({"", "", &second, "", false}).substr(0, 15), "NBD export name");
  ASSERT_TRUE(server_->Withdraw("w@monday").has_value());  // before its device goes
}

}  // namespace
}  // namespace coffer::nbd

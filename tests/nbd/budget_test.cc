// What clients together may make the server hold, and that none of them keeps others from it.
#include "nbd/budget.h"

#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tests/nbd/test_server.h"

namespace coffer::nbd {
namespace {

using namespace testing;  // NOLINT: the client's vocabulary
using DeviceCall = MemoryDevice::Call;
using Reply = TestClient::Reply;
using std::chrono::hours;
using std::chrono::milliseconds;

constexpr std::size_t kLarge = 1 << 20;  // a request that does not fit twice

Limits LittleMemory() {
  Limits limits;
  limits.bytes_of_connection = 64 << 10;
  limits.bytes_of_export = 256 << 10;
  limits.bytes_in_flight_total = 1 << 20;
  return limits;
}

/// Its header, and the first bytes of its payload.
Bytes BeginOfWrite(std::size_t payload_bytes) {
  const Bytes whole = WriteBytes(0, std::string(kLarge, 'w'), 1);
  return ToBytes(ByteView(whole).first(whole.size() - kLarge + payload_bytes));
}

class NbdBudget : public ServerTest {
 protected:
  /// In the midst of a payload that takes most of the memory.
  TestClient Holder(std::size_t payload_bytes = 100) {
    TestClient client = Ready();
    TestClient other = Ready();
    client.Send(BeginOfWrite(payload_bytes));
    AwaitLoop(other);
    return client;
  }
  /// Waits for memory; `sending` ends when all is sent.
  TestClient Waiter() {
    TestClient client = Ready();
    TestClient other = Ready();
    client.Send(RequestBytes(kRead, 0, 16, 5));  // answered, though what follows is not
    EXPECT_EQ(client.ReceiveReply(), (Reply{0, 5}));
    client.Receive(16);
    client.Send(BeginOfWrite(100));
    AwaitLoop(other);
    return client;
  }
  void FinishWrite(TestClient& client) {
    const std::string rest(kLarge - 100, 'w');
    client.Send(AsBytes(rest));
    EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
  }
};

TEST_F(NbdBudget, PayloadsOfAllClientsAreBounded) {
  Serve(LittleMemory());
  device_.set_in_place(false);
  TestClient other = Ready();
  std::vector<TestClient> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(Ready());
  device_.Hold();
  std::vector<std::thread> sending;
  for (TestClient& client : clients) {
    sending.emplace_back([&client] { client.Send(WriteBytes(0, std::string(kLarge, 'p'), 1)); });
  }
  EXPECT_TRUE(device_.AwaitInside(1));
  AwaitLoop(other);
  EXPECT_EQ(device_.count(DeviceCall::kWrite), 1);
  device_.LetGo();
  for (TestClient& client : clients) EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
  for (std::thread& thread : sending) thread.join();
}

TEST_F(NbdBudget, RepliesOfAllClientsAreBounded) {
  Serve(LittleMemory());
  device_.set_in_place(false);
  TestClient other = Ready();
  std::vector<TestClient> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(Ready());
  device_.Hold();
  for (TestClient& client : clients) client.Send(RequestBytes(kRead, 0, kLarge, 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  AwaitLoop(other);
  EXPECT_EQ(device_.count(DeviceCall::kRead), 1);
  device_.LetGo();
  for (TestClient& client : clients) {
    EXPECT_EQ(client.ReceiveReply(), (Reply{0, 1}));
    EXPECT_EQ(client.Receive(kLarge).size(), kLarge);
  }
}

TEST_F(NbdBudget, OrdinaryRequestsOfOthersGoOnMeanwhile) {
  Serve(LittleMemory());
  TestClient holder = Holder();
  TestClient waiter = Waiter();
  TestClient ordinary = Ready();
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(ordinary.Write(4096, std::string(30'000, 'o')), 0u);
    ASSERT_EQ(ordinary.Read(4096, 40'000).substr(0, 30'000), std::string(30'000, 'o'));
    ASSERT_EQ(ordinary.Flush(), 0u);
  }
  EXPECT_FALSE(waiter.HasNews());
  FinishWrite(holder);
  FinishWrite(waiter);
}

TEST_F(NbdBudget, WhoAnnouncesMuchAndSendsNothingIsCutOffWhenOthersWaitForIt) {
  const Limits limits = LittleMemory();
  Serve(limits);
  TestClient holder = Holder(0);
  TestClient other = Ready();
  clock_.Advance(hours(10));
  AwaitLoop(other);
  EXPECT_FALSE(holder.HasNews());  // nobody waits: it may take its time
  TestClient waiter = Waiter();
  clock_.Advance(limits.stall_deadline - milliseconds(1));
  AwaitLoop(other);
  EXPECT_FALSE(holder.HasNews());
  clock_.Advance(milliseconds(1));
  EXPECT_TRUE(holder.AtEnd());
  FinishWrite(waiter);
}

TEST_F(NbdBudget, WhoTakesNoReplyIsCutOffWhenOthersWaitForIt) {
  const Limits limits = LittleMemory();
  Serve(limits);
  TestClient other = Ready();
  TestClient holder = Ready();
  holder.Send(RequestBytes(kRead, 0, 1'200'000, 1));
  EXPECT_EQ(holder.ReceiveReply(), (Reply{0, 1}));  // and no more of it
  TestClient waiter = Ready();
  waiter.Send(RequestBytes(kRead, 0, kLarge, 2));
  AwaitLoop(other);
  EXPECT_EQ(device_.count(DeviceCall::kRead), 1);
  clock_.Advance(limits.stall_deadline);
  EXPECT_EQ(waiter.ReceiveReply(), (Reply{0, 2}));
  EXPECT_EQ(waiter.Receive(kLarge).size(), kLarge);
  EXPECT_LT(holder.Receive(1'200'000).size(), 1'200'000u);
}

TEST_F(NbdBudget, WhoSendsEnoughKeepsItsTime) {
  Limits limits = LittleMemory();
  limits.stall_bytes = 100'000;
  Serve(limits);
  TestClient holder = Holder();
  TestClient waiter = Waiter();
  TestClient other = Ready();
  const std::string piece(100'000, 'w');
  std::size_t sent = 100;
  for (; sent + piece.size() < kLarge; sent += piece.size()) {
    ASSERT_TRUE(holder.Send(AsBytes(piece)));
    AwaitLoop(other);
    clock_.Advance(limits.stall_deadline - milliseconds(1));
    AwaitLoop(other);
    ASSERT_FALSE(holder.HasNews());
  }
  holder.Send(AsBytes(std::string(kLarge - sent, 'w')));
  EXPECT_EQ(holder.ReceiveReply(), (Reply{0, 1}));
  FinishWrite(waiter);
}

TEST_F(NbdBudget, AnExportWhoseDeviceWaitsKeepsNoOtherFromItsRequests) {
  Serve(LittleMemory());
  device_.set_in_place(false);
  MemoryDevice healthy(kSize);
  healthy.set_in_place(false);
  ASSERT_EQ(ExportError({"healthy", "", &healthy, "", false}), "");
  device_.Hold();
  TestClient waits = Ready();
  waits.Send(WriteBytes(0, std::string(kLarge, 'p'), 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  TestClient client = Connected();
  ASSERT_EQ(client.Go("healthy"), kAck);
  const std::string data(300'000, 'h');  // more than a connection's own
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(client.Write(0, data), 0u);
    ASSERT_EQ(client.Read(0, 300'000), data);
  }
  device_.LetGo();
  EXPECT_EQ(waits.ReceiveReply(), (Reply{0, 1}));
}

TEST_F(NbdBudget, WritesThatWaitKeepNoReadFromItsMemory) {
  Serve(LittleMemory());
  device_.Hold();
  TestClient waits = Ready();
  waits.Send(WriteBytes(0, std::string(kLarge, 'p'), 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  TestClient reader = Ready();
  for (int i = 0; i < 20; ++i) ASSERT_EQ(reader.Read(0, 256 << 10).size(), 256u << 10);
  device_.LetGo();
  EXPECT_EQ(waits.ReceiveReply(), (Reply{0, 1}));
}

TEST_F(NbdBudget, ThoseWhoWaitAreServedInTheirOrderAndWhoLeavesIsPassed) {
  Serve(LittleMemory());
  TestClient holder = Holder();
  TestClient leaves = Waiter();
  TestClient first = Waiter();
  TestClient second = Waiter();
  leaves.Close();
  FinishWrite(holder);
  FinishWrite(first);
  FinishWrite(second);
}

TEST_F(NbdBudget, WithdrawRefusesAReadThatWaitsForMemory) {
  Serve(LittleMemory());
  device_.set_in_place(false);
  TestClient idle = Ready();
  TestClient holder = Ready();
  TestClient waiter = Ready();
  device_.Hold();
  holder.Send(RequestBytes(kRead, 0, kLarge, 1));
  EXPECT_TRUE(device_.AwaitInside(1));
  waiter.Send(RequestBytes(kRead, 0, kLarge, 2));
  AwaitLoop(idle);
  std::thread withdrawing([&] { EXPECT_TRUE(server_->Withdraw("v").has_value()); });
  EXPECT_EQ(waiter.ReceiveReply(), (Reply{kEshutdown, 2}));
  device_.LetGo();
  EXPECT_EQ(holder.ReceiveReply(), (Reply{0, 1}));
  EXPECT_EQ(holder.Receive(kLarge).size(), kLarge);
  withdrawing.join();
}

TEST_F(NbdBudget, AHalfClosedConnectionThatWaitedGetsItsAnswers) {
  Serve(LittleMemory());
  TestClient holder = Holder();
  TestClient waiter = Ready();
  TestClient other = Ready();
  waiter.Send(BeginOfWrite(kLarge / 20));
  AwaitLoop(other);
  std::thread sending([&] {
    waiter.Send(AsBytes(std::string(kLarge - kLarge / 20, 'w')));
    waiter.Send(RequestBytes(kRead, 0, kLarge, 2));
    waiter.CloseWriting();
  });
  FinishWrite(holder);
  for (int i = 0; i < 2; ++i) {
    const auto reply = waiter.ReceiveReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->error, 0u);
    if (reply->cookie == 2) {
      EXPECT_EQ(waiter.Receive(kLarge).size(), kLarge);
    }
  }
  EXPECT_TRUE(waiter.AtEnd());
  sending.join();
}

TEST_F(NbdBudget, ARequestLargerThanAllOfItIsServedAlone) {
  Limits limits = LittleMemory();
  limits.bytes_in_flight_total = 100;
  Serve(limits);
  device_.set_in_place(false);
  TestClient one = Ready();
  const std::string data(2 << 20, 'L');
  EXPECT_EQ(one.Write(0, data), 0u);
  EXPECT_EQ(one.Read(0, 2 << 20), data);
}

// Whatever order it comes to: every request is answered, and every byte is right.
TEST_F(NbdBudget, ManyClientsWithLittleMemoryReadTheirOwnBytes) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Serve(LittleMemory());
  device_.set_in_place(seed % 2 == 0);
  constexpr std::uint64_t kClients = 8;
  constexpr std::uint64_t kPart = kSize / kClients;
  const auto run = [&](unsigned part) {
    std::mt19937 random(seed + part);
    TestClient client = Ready();
    for (int round = 0; round < 20; ++round) {
      const auto length = static_cast<std::uint32_t>(1 + random() % kPart);
      const std::string data(length, static_cast<char>('a' + random() % 26));
      const Bytes requests = Joined({WriteBytes(part * kPart, data, 1),
                                     RequestBytes(kRead, part * kPart + 1, kPart / 2, 2),
                                     RequestBytes(kFlush, 0, 0, 3)});
      std::thread sending([&] { client.Send(requests); });
      for (int i = 0; i < 3; ++i) {
        const auto reply = client.ReceiveReply();
        if (!reply || reply->error != 0) {
          ADD_FAILURE() << "reply " << i << " of round " << round;
          break;
        }
        if (reply->cookie == 2) {
          EXPECT_EQ(client.Receive(kPart / 2).size(), kPart / 2);
        }
      }
      sending.join();
      ASSERT_TRUE(client.Read(part * kPart, length) == data);
    }
  };
  std::vector<std::thread> clients;
  for (unsigned part = 0; part < kClients; ++part) clients.emplace_back(run, part);
  for (std::thread& client : clients) client.join();
}

}  // namespace
}  // namespace coffer::nbd

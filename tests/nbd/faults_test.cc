// Rows 60 to 65 of the catalogue of faults, over sockets with the real server: what a client does
// wrong ends in a refusal or in the end of its connection, and no other client feels it. What has a
// test of its own elsewhere is not repeated: negotiation byte by byte in handshake_test, requests
// in request_parser_test, deadlines and limits of connections in listening_test, in-flight and
// withdrawal in server_test.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <set>
#include <thread>

#include "nbd/handshake.h"
#include "tests/nbd/test_server.h"

namespace coffer::nbd {
namespace {

using namespace testing;  // NOLINT: the client's vocabulary
using Reply = TestClient::Reply;

class Faults : public ServerTest {
 protected:
  void SetUp() override { Serve(); }
  /// Says `bytes` after good client flags; whether the server hangs up, saying no more than
  /// `answer_bytes` before.
  bool EndsNegotiation(const Bytes& bytes, std::size_t answer_bytes = 0) {
    TestClient client = Connected();
    client.Send(Joined({ClientFlags(), bytes}));
    const std::size_t told = client.Receive(kGreeting + answer_bytes + 1).size();
    return told == kGreeting + answer_bytes;
  }
  void ExpectOthersServed() {
    TestClient other = Ready();
    EXPECT_EQ(other.Write(0, "others"), 0u);
    EXPECT_EQ(other.Read(0, 6), "others");
  }
};

TEST_F(Faults, Row60BadMagicEndsThatConnection) {
  Bytes magic = OptionBytes(kList);
  magic[0] = std::byte{'i'};
  EXPECT_TRUE(EndsNegotiation(magic));
  EXPECT_TRUE(EndsNegotiation(RequestBytes(kRead, 0, 512, 1)));
  ExpectOthersServed();
}

TEST_F(Faults, Row60AnUnknownOptionIsAnsweredAndTheTalkGoesOn) {
  TestClient client = Connected();
  for (const std::uint32_t option : {0u, 4u, 12u, 99u, 0xffffffffu}) {
    EXPECT_EQ(client.Ask(OptionBytes(option, std::string(300, 'd'))).at(0).type, kErrUnsup);
  }
  EXPECT_EQ(client.Go("v"), kAck);
}

TEST_F(Faults, Row60AnOptionOf4GiBEndsThatConnection) {
  for (const std::uint32_t option : {kList, kGo, kExportName, kSetMetaContext, 99u}) {
    EXPECT_TRUE(EndsNegotiation(OptionBytes(option, "some of it", 0xffffffff)));
  }
  ExpectOthersServed();
}

TEST_F(Faults, Row60NamesOf4096BytesEmptyOrNotUtf8AreRefused) {
  TestClient client = Connected();
  EXPECT_EQ(client.Go(std::string(4096, 'n')), kErrTooBig);
  EXPECT_EQ(client.Go(std::string(256, 'n')), kErrTooBig);
  EXPECT_EQ(client.Go(""), kErrUnknown);
  EXPECT_EQ(client.Go("\xff\xfe\xc0"), kErrUnknown);
  EXPECT_EQ(client.Go(std::string("v\0", 2)), kErrUnknown);
  EXPECT_EQ(client.Go("v"), kAck);
  for (const std::string& name : {std::string(4096, 'n'), std::string(), std::string("\xff")}) {
    EXPECT_TRUE(EndsNegotiation(OptionBytes(kExportName, name)));
  }
}

TEST_F(Faults, Row60TenThousandOptionsAreTooMany) {
  TestClient client = Connected();
  Bytes options = ClientFlags();
  for (int i = 0; i < 10000; ++i) options = Joined({options, OptionBytes(99)});
  std::thread sending([&] { client.Send(options); });
  std::size_t told = 0;
  while (!client.Receive(1).empty()) ++told;
  sending.join();
  EXPECT_LT(told, std::size_t{kOptionCountMax + 1} * 100);
  ExpectOthersServed();
}

TEST_F(Faults, Row60AnOptionCutShortByAnAbortOrTheEndDoesNoHarm) {
  for (const bool aborts : {false, true}) {
    for (int i = 0; i < 20; ++i) {
      TestClient client = Connected();
      client.Send(Joined({ClientFlags(), OptionBytes(kGo, std::string("\0\0\0\1v", 5), 107)}));
      if (aborts) client.Send(OptionBytes(kAbort));  // the option's data, as far as anyone can tell
      if (i % 2) client.CloseWriting();
      if (i % 4 == 1) {
        EXPECT_EQ(client.Receive(1000).size(), kGreeting);
      }
    }
  }
  TestClient client = Connected();
  EXPECT_EQ(client.Ask(OptionBytes(kAbort, "why")).at(0).type, kAck);
  EXPECT_TRUE(client.AtEnd());
  ExpectOthersServed();
  TestClient last = Ready();
  AwaitLoop(last);
  EXPECT_EQ(server_->client_count("v"), 1);
}

TEST_F(Faults, Row60ExportNameOfAMissingExportHangsUp) {
  EXPECT_TRUE(EndsNegotiation(OptionBytes(kExportName, "nothing")));
  EXPECT_TRUE(EndsNegotiation(OptionBytes(kExportName, "v@monday")));
  ExpectOthersServed();
}

TEST_F(Faults, Row61SlowlorisInHandshakeIsCutOffWhateverItSends) {
  TestClient steady = Ready();
  TestClient slow = Connected();
  EXPECT_EQ(slow.Receive(kGreeting).size(), kGreeting);  // accepted: its time runs from now on
  const Bytes talk = Joined({ClientFlags(), OptionBytes(99, std::string(4000, 'd'))});
  const Limits limits;
  const auto step = limits.handshake_deadline / 20;
  std::size_t at = 0;
  for (int tick = 0; tick < 19; ++tick) {  // a few bytes now and then, for less than the deadline
    ASSERT_TRUE(slow.Send(ByteView(talk).subspan(at, 7)));
    at += 7;
    clock_.Advance(step);
    AwaitLoop(steady);
  }
  EXPECT_FALSE(slow.HasNews());
  clock_.Advance(step);
  EXPECT_TRUE(slow.AtEnd());
  EXPECT_EQ(steady.Write(0, "unaffected"), 0u);
}

TEST_F(Faults, Row61SlowlorisInTransmissionHoldsUpNoOther) {
  TestClient steady = Ready();
  std::vector<TestClient> slow;
  for (int i = 0; i < 50; ++i) slow.push_back(i % 2 ? Ready() : Extended());
  const Bytes compact = WriteBytes(4096, std::string(100, 's'), 1);
  const Bytes extended = ExtendedWrite(4096, std::string(100, 's'), 1);
  for (std::size_t at = 0; at < 128; ++at) {
    for (std::size_t i = 0; i < slow.size(); ++i) {
      ASSERT_TRUE(slow[i].Send(ByteView(i % 2 ? compact : extended).subspan(at, 1)));
    }
    ASSERT_EQ(steady.Write(0, "quick"), 0u);
    ASSERT_EQ(steady.Read(0, 5), "quick");
  }
  EXPECT_EQ(slow[1].ReceiveReply(), (Reply{0, 1}));
  EXPECT_FALSE(slow[0].HasNews());  // four bytes of its header are more
}

TEST_F(Faults, Row61AThousandIdleConnectionsDisturbNobody) {
  rlimit descriptors;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &descriptors), 0);
  ASSERT_GE(descriptors.rlim_max, 2200u) << "the hard limit: ulimit -Hn";
  const rlimit enough{std::max<rlim_t>(descriptors.rlim_cur, 2200), descriptors.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &enough), 0);
  TestClient steady = Ready();
  std::vector<TestClient> idle;
  for (int i = 0; i < 1000; ++i) idle.push_back(Ready());
  EXPECT_EQ(server_->client_count("v"), 1001);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(steady.Write(0, "unaffected"), 0u);
    ASSERT_EQ(steady.Read(0, 10), "unaffected");
  }
  EXPECT_EQ(idle[999].Read(0, 10), "unaffected");
  idle.clear();
  EXPECT_EQ(steady.Flush(), 0u);
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
}

TEST_F(Faults, Row62BadRequestsStayInStepInAPipeline) {
  TestClient client = Ready();
  const Bytes bad[] = {RequestBytes(kRead, ~0ull, 2, 1),
                       RequestBytes(kRead, kSize, 1, 2),
                       RequestBytes(kRead, 0, 0, 3),
                       RequestBytes(kRead, 0, (32u << 20) + 1, 4),
                       RequestBytes(kTrim, ~0ull - 1, 4, 5),
                       RequestBytes(99, 0, 0, 6),
                       RequestBytes(kRead, 0, 512, 7, kNoHole),
                       WriteBytes(0, std::string(5000, 'w'), 8, kFastZero),
                       WriteBytes(kSize - 1, "ww", 9),
                       RequestBytes(kWriteZeroes, kSize, 1, 10),
                       RequestBytes(kCache, kSize - 1, 2, 11)};
  Bytes all;
  std::uint64_t cookie = 100;
  for (const Bytes& request : bad) {
    all = Joined({all, request, WriteBytes(cookie, "!", cookie)});
    ++cookie;
  }
  client.Send(all);
  std::set<std::uint64_t> refused, done;
  for (std::size_t i = 0; i < 2 * std::size(bad); ++i) {
    const auto reply = client.ReceiveReply();
    ASSERT_TRUE(reply.has_value());
    (reply->error == 0 ? done : refused).insert(reply->cookie);
  }
  EXPECT_EQ(refused.size(), std::size(bad));
  EXPECT_LT(*refused.rbegin(), 100u);
  EXPECT_EQ(done.size(), std::size(bad));
  EXPECT_EQ(client.Read(100, static_cast<std::uint32_t>(std::size(bad))),
            std::string(std::size(bad), '!'));
}

// Everything asked before the client stopped sending, also what was still in the sockets.
TEST_F(Faults, Row63AHalfClosedConnectionGetsEveryAnswer) {
  for (const bool in_place : {true, false}) {
    device_.set_in_place(in_place);
    TestClient client = Ready();
    constexpr std::uint64_t kRequests = 400;
    Bytes requests;
    for (std::uint64_t i = 0; i < kRequests; ++i) {
      requests =
          Joined({requests, i % 4 == 3 ? WriteBytes(i, "w", i) : RequestBytes(kRead, 0, 65536, i)});
    }
    std::thread sending([&] {
      client.Send(requests);
      client.CloseWriting();
    });
    std::set<std::uint64_t> answered;
    for (std::uint64_t i = 0; i < kRequests; ++i) {
      const auto reply = client.ReceiveReply();
      ASSERT_TRUE(reply.has_value()) << i;
      EXPECT_EQ(reply->error, 0u);
      answered.insert(reply->cookie);
      if (reply->cookie % 4 != 3) {
        ASSERT_EQ(client.Receive(65536).size(), 65536u);
      }
    }
    sending.join();
    EXPECT_EQ(answered.size(), kRequests);
    EXPECT_TRUE(client.AtEnd());
  }
}

TEST_F(Faults, Row64AFlushBesideWritesOfOthersCoversAllThatWereAnswered) {
  std::atomic<bool> stop = false;
  std::atomic<int> answered[4] = {};
  std::vector<std::thread> writers;
  for (unsigned i = 0; i < 4; ++i) {
    writers.emplace_back([&, i] {
      TestClient client = Ready();
      for (int number = 1; !stop && number < 100'000; ++number) {
        const std::string text = std::to_string(1'000'000 + number);
        if (client.Write(i * 65536, text) != 0) return;
        answered[i] = number;
      }
    });
  }
  TestClient flusher = Ready();
  for (int round = 0; round < 50; ++round) {
    int before[4];
    for (int i = 0; i < 4; ++i) before[i] = answered[i];
    EXPECT_EQ(flusher.Flush(), 0u);
    for (unsigned i = 0; i < 4; ++i) {
      if (before[i] == 0) continue;
      EXPECT_GE(std::stoi(device_.Durable(i * 65536, 7)) - 1'000'000, before[i]);
    }
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
}

TEST_F(Faults, Row65RangesOf4GiBArePassedOnWhole) {
  TestClient client = Ready();
  EXPECT_EQ(client.Call(RequestBytes(kTrim, 0, 0xffffffff, 1)), kEinval);  // beyond this device
  EXPECT_EQ(client.Call(RequestBytes(kWriteZeroes, 0, 0xffffffff, 2, kFastZero)), kEnospc);
  EXPECT_EQ(client.Write(0, std::string(100, 'x')), 0u);
  EXPECT_EQ(client.Call(RequestBytes(kTrim, 0, kSize, 3)), 0u);
  EXPECT_EQ(client.Call(RequestBytes(kWriteZeroes, 1, kSize - 1, 4, kFastZero)), 0u);
  EXPECT_EQ(device_.count(MemoryDevice::Call::kTrim), 1);
  EXPECT_EQ(device_.count(MemoryDevice::Call::kWriteZeroes), 1);
  EXPECT_EQ(device_.count(MemoryDevice::Call::kWrite), 0);
}

// Memory behind replies of holes is limited, not only their few bytes.
TEST_F(Faults, AClientThatReadsHolesAndTakesNoRepliesIsNotReadFrom) {
  for (const std::uint32_t length : {256u << 10, 1u << 20}) {  // in place, and by workers
    const int before =
        device_.count(MemoryDevice::Call::kTryRead) + device_.count(MemoryDevice::Call::kRead);
    TestClient client = Extended();
    TestClient other = Ready();
    Bytes reads;
    for (std::uint64_t i = 0; i < 4096; ++i) {
      Bytes request = ExtendedBytes(kRead, 0, length, i);
      reads.insert(reads.end(), request.begin(), request.end());
    }
    std::size_t sent = 0;
    std::size_t now = 1;
    while (now > 0 && sent < 100 * reads.size()) {  // until it takes no more
      now = client.SendWithoutWaiting(ByteView(reads).subspan(sent % reads.size()));
      sent += now;
      AwaitLoop(other);
    }
    EXPECT_LT(sent, 100 * reads.size());
    EXPECT_EQ(other.Write(0, ""), kEinval);
    EXPECT_EQ(other.Read(0, 1), std::string(1, '\0'));
    const int looked = device_.count(MemoryDevice::Call::kTryRead) +
                       device_.count(MemoryDevice::Call::kRead) - before;
    // Replies of 44 bytes: what the socket took, and what may be unsent: 2 MiB of the memory that
    // was read into in place; 1 MiB of bytes where workers read, which are copied out.
    EXPECT_LT(looked, length > kInPlaceBytesMax ? 40'000 : 12'000);
  }
}

}  // namespace
}  // namespace coffer::nbd

// A listener with TLS, over real sockets: who gets in, what is said before, and that nobody else
// waits for a client that is slow, wrong or gone.
#include <gtest/gtest.h>

#include <charconv>
#include <ctime>
#include <thread>

#include "tests/nbd/test_server.h"
#include "tests/nbd/tls_client.h"
#include "tests/nbd/tls_files.h"

namespace coffer::nbd {
namespace {

using namespace testing;  // NOLINT: the client's vocabulary
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::string& Files() {
  static const TemporaryDirectory directory;
  static const bool written = [] {
    WriteTlsFiles(directory.path());
    return true;
  }();
  EXPECT_TRUE(written);
  return directory.path();
}

/// TestClient's conversation through TLS.
class SecureClient {
 public:
  SecureClient(TestClient socket, TlsClient tls) : raw(std::move(socket)), tls_(std::move(tls)) {}

  /// False: the server did not agree to TLS, or the handshake failed.
  bool Start() {
    const auto answers = raw.Ask(OptionBytes(kStartTls));
    if (answers.empty() || answers.back().type != kAck) return false;
    return Handshake();
  }
  bool Handshake() {
    while (tls_.Handshake() == TlsClient::State::kHandshake) {
      raw.Send(std::exchange(tls_.to_server(), Bytes()));
      if (!Fill()) return false;
    }
    raw.Send(std::exchange(tls_.to_server(), Bytes()));
    return tls_.state() == TlsClient::State::kOpen;
  }
  bool Send(ByteView bytes) {
    tls_.Send(bytes);
    return raw.Send(std::exchange(tls_.to_server(), Bytes()));
  }
  /// Exactly `size` bytes, or fewer at the end of the stream.
  std::string Receive(std::size_t size) {
    while (received_.size() < size) {
      received_ += tls_.Receive();
      if (received_.size() >= size) break;
      if (tls_.at_end() || !Fill()) break;
    }
    size = std::min(size, received_.size());
    std::string front = received_.substr(0, size);
    received_.erase(0, size);
    return front;
  }
  /// The server has ended the conversation in good order: its goodbye came.
  bool AtGoodbye() { return Receive(1).empty() && tls_.at_end(); }

  std::vector<OptionAnswer> Ask(const Bytes& option) {
    Send(option);
    std::vector<OptionAnswer> answers;
    while (answers.empty() || answers.back().type == kServer || answers.back().type == kInfoReply) {
      const std::string header = Receive(20);
      if (header.size() != 20) break;
      answers.push_back({static_cast<std::uint32_t>(Get(AsBytes(header), 8, 4)),
                         static_cast<std::uint32_t>(Get(AsBytes(header), 12, 4)),
                         Receive(static_cast<std::size_t>(Get(AsBytes(header), 16, 4)))});
    }
    return answers;
  }
  std::uint32_t Go(const std::string& name) {
    const auto answers = Ask(AskFor(kGo, name));
    return answers.empty() ? 0 : answers.back().type;
  }
  std::uint32_t Call(const Bytes& request) {
    Send(request);
    const std::string header = Receive(kReply);
    if (header.size() != kReply) return TestClient::kNoReply;
    return static_cast<std::uint32_t>(Get(AsBytes(header), 4, 4));
  }
  std::uint32_t Write(std::uint64_t offset, std::string_view data, std::uint16_t flags = 0) {
    return Call(WriteBytes(offset, data, 1, flags));
  }
  std::string Read(std::uint64_t offset, std::uint32_t length) {
    const std::uint32_t error = Call(RequestBytes(kRead, offset, length, 3));
    return error == 0 ? Receive(length) : "error " + std::to_string(error);
  }

  TestClient raw;
  [[nodiscard]] TlsClient& tls() { return tls_; }

 private:
  bool Fill() {
    const std::string got = raw.ReceiveSome();
    tls_.from_server().insert(tls_.from_server().end(), AsBytes(got).begin(), AsBytes(got).end());
    return !got.empty();
  }

  TlsClient tls_;
  std::string received_;
};

std::string Pattern(std::size_t size, unsigned seed) {
  std::string text(size, '\0');
  for (char& c : text) {
    seed = seed * 1103515245 + 12345;
    c = static_cast<char>(seed >> 16);
  }
  return text;
}

class SecureServer : public ServerTest {
 protected:
  void ServeSecurely(const Limits& limits = {}) {
    clock_.SetWall(std::time(nullptr));
    Serve(limits);
    block::ExportSpec x509{"x", "", &device_, "unix:" + x509_path(), false};
    x509.tls.x509_directory = Files() + "/server";
    ASSERT_EQ(ExportError(x509), "");
    block::ExportSpec psk{"p", "", &device_, "unix:" + psk_path(), false};
    psk.tls.psk_file = Files() + "/keys.psk";
    ASSERT_EQ(ExportError(psk), "");
  }
  std::string x509_path() const { return directory_ / "x509.sock"; }
  std::string psk_path() const { return directory_ / "psk.sock"; }

  SecureClient WithCertificate(const std::string& who = "client") {
    return {TestClient::ToPath(x509_path()), TlsClient::WithX509(Files() + "/" + who)};
  }
  SecureClient WithKey() {
    const std::string text = FileText(Files() + "/keys.psk");
    return {TestClient::ToPath(psk_path()),
            TlsClient::WithPsk("alice", text.substr(6, text.find('\n') - 6))};
  }
  /// Somebody else is served, in the clear and through TLS.
  void ExpectOthersServed() {
    EXPECT_EQ(Ready().Read(7 << 20, 4), std::string(4, '\0'));
    SecureClient other = WithKey();
    ASSERT_TRUE(other.Start());
    EXPECT_EQ(other.Go("p"), kAck);
  }
};

TEST_F(SecureServer, BothKindsLetInAndServe) {
  ServeSecurely();
  for (const bool psk : {false, true}) {
    SecureClient client = psk ? WithKey() : WithCertificate();
    ASSERT_TRUE(client.Start());
    EXPECT_EQ(client.Ask(OptionBytes(kList)).size(), 2u);
    ASSERT_EQ(client.Go(psk ? "p" : ""), kAck);
    const std::string small = Pattern(4096, 1);
    const std::string large = Pattern(3 << 20, 2);
    EXPECT_EQ(client.Write(0, small), 0u);
    EXPECT_EQ(client.Write(1 << 20, large, kFua), 0u);
    EXPECT_EQ(client.Call(RequestBytes(kFlush, 0, 0, 2)), 0u);
    EXPECT_TRUE(client.Read(0, 4096) == small);
    EXPECT_TRUE(client.Read(1 << 20, 3 << 20) == large);
    client.Send(RequestBytes(kDisc, 0, 0, 9));
    EXPECT_TRUE(client.AtGoodbye());
  }
}

TEST_F(SecureServer, NothingIsToldBeforeTls) {
  ServeSecurely();
  for (const std::string& path : {x509_path(), psk_path()}) {
    TestClient client = TestClient::ToPath(path);
    for (const Bytes& option :
         {OptionBytes(kList), AskFor(kInfo, "x"), AskFor(kGo, "x"), OptionBytes(kStructuredReply),
          AskForContexts(kListMetaContext, "x", {}), AskForContexts(kSetMetaContext, "x", {}),
          OptionBytes(12345), OptionBytes(kList, std::string(5000, 'd'))}) {
      const auto answers = client.Ask(option);
      ASSERT_EQ(answers.size(), 1u);
      EXPECT_EQ(answers[0].type, kErrTlsRequired);
      EXPECT_EQ(answers[0].data.find("x"), std::string::npos) << "a name is told";
    }
    EXPECT_EQ(client.Ask(OptionBytes(kAbort)).back().type, kAck);
    EXPECT_TRUE(client.AtEnd());
    EXPECT_TRUE(TestClient::ToPath(path).Ask(OptionBytes(kExportName, "x")).empty());
  }
}

TEST_F(SecureServer, StartTlsWithoutTlsOrTwiceOrWithDataIsRefused) {
  ServeSecurely();
  EXPECT_EQ(Connected().Ask(OptionBytes(kStartTls)).back().type, kErrPolicy);
  SecureClient client = WithKey();
  EXPECT_EQ(client.raw.Ask(OptionBytes(kStartTls, "data")).back().type, kErrInvalid);
  ASSERT_TRUE(client.Start());
  EXPECT_EQ(client.Ask(OptionBytes(kStartTls)).back().type, kErrInvalid);
  EXPECT_EQ(client.Go("p"), kAck);
}

// CVE-2021-3716: somebody in between puts options behind a client's STARTTLS.
TEST_F(SecureServer, WhatCameInTheClearBehindStartTlsEndsTheConnection) {
  ServeSecurely();
  SecureClient client = WithKey();
  client.raw.Ask(OptionBytes(kList));
  client.raw.Send(Joined({OptionBytes(kStartTls), OptionBytes(kStructuredReply)}));
  const std::string answer = client.raw.Receive(20);
  EXPECT_EQ(Get(AsBytes(answer), 12, 4), kAck);
  EXPECT_TRUE(client.raw.AtEnd());
  // And when it comes after the answer it is no handshake.
  SecureClient later = WithKey();
  EXPECT_EQ(later.raw.Ask(OptionBytes(kStartTls)).back().type, kAck);
  later.raw.Send(OptionBytes(kStructuredReply));
  (void)later.raw.Receive(7);  // an alert
  EXPECT_TRUE(later.raw.AtEnd());
  ExpectOthersServed();
}

TEST_F(SecureServer, StrangersStayOutside) {
  ServeSecurely();
  for (const char* who : {"other", "nocert", "posing"}) {
    SecureClient client = WithCertificate(who);
    // A client of TLS 1.3 thinks that it is inside until it hears otherwise.
    EXPECT_TRUE(!client.Start() || client.Go("x") != kAck) << who;
    EXPECT_EQ(device_.count(MemoryDevice::Call::kTryRead), 0);
  }
  SecureClient doubter = WithCertificate("doubter");
  EXPECT_FALSE(doubter.Start());
  const std::string wrong = FileText(Files() + "/wrong.psk");
  SecureClient guesser{TestClient::ToPath(psk_path()),
                       TlsClient::WithPsk("alice", wrong.substr(6, wrong.find('\n') - 6))};
  EXPECT_FALSE(guesser.Start());
  ExpectOthersServed();
}

TEST_F(SecureServer, ASlowHandshakeMeetsTheDeadlineAndNobodyWaits) {
  Limits limits;
  limits.handshake_deadline = seconds(10);
  ServeSecurely(limits);
  SecureClient silent = WithKey();
  EXPECT_EQ(silent.raw.Ask(OptionBytes(kStartTls)).back().type, kAck);
  SecureClient halfway = WithCertificate();
  EXPECT_EQ(halfway.raw.Ask(OptionBytes(kStartTls)).back().type, kAck);
  halfway.tls().Handshake();
  const Bytes hello = std::exchange(halfway.tls().to_server(), Bytes());
  halfway.raw.Send(ByteView(hello).first(hello.size() / 2));
  ExpectOthersServed();
  clock_.Advance(seconds(11));
  ExpectOthersServed();  // wakes the loop, too
  EXPECT_TRUE(silent.raw.AtEnd());
  EXPECT_TRUE(halfway.raw.AtEnd());
}

TEST_F(SecureServer, AClientThatDisappearsInTheHandshakeIsForgotten) {
  ServeSecurely();
  for (int i = 0; i < 40; ++i) {
    SecureClient client = WithCertificate();
    EXPECT_EQ(client.raw.Ask(OptionBytes(kStartTls)).back().type, kAck);
    client.tls().Handshake();
    const Bytes hello = std::exchange(client.tls().to_server(), Bytes());
    client.raw.Send(ByteView(hello).first(i % 2 == 0 ? hello.size() : hello.size() / 3));
    if (i % 4 == 0) (void)client.raw.ReceiveSome();
  }
  // More than may negotiate at once have come and gone.
  SecureClient client = WithCertificate();
  ASSERT_TRUE(client.Start());
  EXPECT_EQ(client.Go("x"), kAck);
  ExpectOthersServed();
}

TEST_F(SecureServer, GarbageInPlaceOfAHandshakeEndsOnlyThatClient) {
  ServeSecurely();
  for (const std::string& garbage :
       {std::string(200, '\0'), std::string(70'000, '\xff'), std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9) + std::string(600, 'a')}) {
    SecureClient client = WithCertificate();
    EXPECT_EQ(client.raw.Ask(OptionBytes(kStartTls)).back().type, kAck);
    client.raw.Send(AsBytes(garbage));
    while (!client.raw.ReceiveSome().empty()) {
    }
  }
  ExpectOthersServed();
}

TEST_F(SecureServer, FourClientsReadAndWriteAtOnce) {
  ServeSecurely();
  std::vector<std::thread> clients;
  for (unsigned i = 0; i < 4; ++i) {
    clients.emplace_back([this, i] {
      SecureClient client = i % 2 == 0 ? WithKey() : WithCertificate();
      ASSERT_TRUE(client.Start());
      ASSERT_EQ(client.Go(""), kAck);
      const std::uint64_t place = std::uint64_t{i} << 21;
      for (unsigned round = 0; round < 8; ++round) {
        const std::string data = Pattern(std::size_t{1} << (21 - round), i * 100 + round);
        EXPECT_EQ(client.Write(place, data), 0u);
        EXPECT_TRUE(client.Read(place, static_cast<std::uint32_t>(data.size())) == data);
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(SecureServer, AClientThatDoesNotReadIsWaitedForWithinBounds) {
  ServeSecurely();
  SecureClient client = WithKey();
  ASSERT_TRUE(client.Start());
  ASSERT_EQ(client.Go("p"), kAck);
  const std::string data = Pattern(1 << 20, 7);
  ASSERT_EQ(client.Write(0, data), 0u);
  Bytes requests;
  for (std::uint64_t i = 0; i < 60; ++i) {
    const Bytes request = RequestBytes(kRead, 0, 1 << 20, i);
    requests.insert(requests.end(), request.begin(), request.end());
  }
  client.Send(requests);  // 60 MiB of answers, and nobody takes them
  ExpectOthersServed();
  for (int i = 0; i < 60; ++i) {
    ASSERT_EQ(client.Receive(kReply).size(), kReply);
    ASSERT_TRUE(client.Receive(1 << 20) == data);
  }
}

TEST_F(SecureServer, RequestsBehindOneAnotherAreServedBeforeTheGoodbye) {
  ServeSecurely();
  SecureClient client = WithKey();
  ASSERT_TRUE(client.Start());
  ASSERT_EQ(client.Go("p"), kAck);
  const std::string data = Pattern(300'000, 9);
  client.tls().Send(WriteBytes(0, data, 1));
  client.tls().Send(RequestBytes(kFlush, 0, 0, 2));
  client.tls().SayGoodbye();
  client.raw.Send(client.tls().to_server());
  EXPECT_EQ(client.Receive(kReply).size(), kReply);
  EXPECT_EQ(client.Receive(kReply).size(), kReply);
  EXPECT_TRUE(client.AtGoodbye());
  EXPECT_TRUE(Ready().Read(0, 300'000) == data);
}

TEST_F(SecureServer, AWithdrawnExportSaysGoodbye) {
  ServeSecurely();
  SecureClient client = WithKey();
  ASSERT_TRUE(client.Start());
  ASSERT_EQ(client.Go("p"), kAck);
  ASSERT_TRUE(server_->Withdraw("p").has_value());
  EXPECT_TRUE(client.AtGoodbye());
}

/// Keys and certificates of one set after another at the same places.
class ChangingKeys : public SecureServer {
 protected:
  void ServeFrom(const std::string& set) {
    clock_.SetWall(std::time(nullptr));
    Serve();
    Take(set);
    block::ExportSpec x509{"x", "", &device_, "unix:" + x509_path(), false};
    x509.tls.x509_directory = directory_ / "server";
    ASSERT_EQ(ExportError(x509), "");
    block::ExportSpec psk{"p", "", &device_, "unix:" + psk_path(), false};
    psk.tls.psk_file = directory_ / "keys.psk";
    ASSERT_EQ(ExportError(psk), "");
  }
  void Take(const std::string& set) {
    constexpr auto kAnew = std::filesystem::copy_options::overwrite_existing |
                           std::filesystem::copy_options::recursive;
    std::filesystem::copy(set + "/server", directory_ / "server", kAnew);
    std::filesystem::copy(set + "/keys.psk", directory_ / "keys.psk", kAnew);
  }
  SecureClient WithCertificateOf(const std::string& set) {
    return {TestClient::ToPath(x509_path()), TlsClient::WithX509(set + "/client")};
  }
  SecureClient WithKeyOf(const std::string& set) {
    const std::string text = FileText(set + "/keys.psk");
    return {TestClient::ToPath(psk_path()),
            TlsClient::WithPsk("alice", text.substr(6, text.find('\n') - 6))};
  }
  void ExpectOnly(const std::string& set, const std::string& other) {
    EXPECT_TRUE(WithCertificateOf(set).Start());
    EXPECT_TRUE(WithKeyOf(set).Start());
    EXPECT_FALSE(WithCertificateOf(other).Start());
    EXPECT_FALSE(WithKeyOf(other).Start());
  }
};

TEST_F(ChangingKeys, ReadAgainTheyAreForNewClientsAndOldOnesStay) {
  const std::string first = Files();
  const std::string second = directory_ / "second";
  std::filesystem::create_directory(second);
  WriteTlsFiles(second);
  ServeFrom(first);
  SecureClient with_certificate = WithCertificateOf(first);
  SecureClient with_key = WithKeyOf(first);
  ASSERT_TRUE(with_certificate.Start());
  ASSERT_TRUE(with_key.Start());
  ASSERT_EQ(with_certificate.Go("x"), kAck);
  ASSERT_EQ(with_key.Go("p"), kAck);
  Take(second);
  ExpectOnly(first, second);  // nobody has said so yet
  server_->RereadFiles();
  ExpectOnly(second, first);
  EXPECT_EQ(with_certificate.Write(0, "still here"), 0u);
  EXPECT_EQ(with_key.Read(0, 10), "still here");
  EXPECT_FALSE(server_->Trouble("x").has_value());
  EXPECT_FALSE(server_->Trouble("p").has_value());
}

TEST_F(ChangingKeys, FilesThatAreNoGoodLeaveThoseInUseThatWere) {
  const std::string set = Files();
  ServeFrom(set);
  for (const std::string name : {"server/server-key.pem", "keys.psk"}) {
    std::filesystem::resize_file(directory_ / name, 20);
  }
  server_->RereadFiles();
  EXPECT_TRUE(WithCertificateOf(set).Start());
  EXPECT_TRUE(WithKeyOf(set).Start());
  const auto x509 = server_->Trouble("x");
  ASSERT_TRUE(x509.has_value());
  EXPECT_NE(x509->message.find("server-key.pem"), std::string::npos) << x509->message;
  const auto psk = server_->Trouble("p");
  ASSERT_TRUE(psk.has_value());
  EXPECT_NE(psk->message.find("keys.psk"), std::string::npos) << psk->message;
  Take(set);
  server_->RereadFiles();
  EXPECT_FALSE(server_->Trouble("x").has_value());
  EXPECT_FALSE(server_->Trouble("p").has_value());
  ASSERT_TRUE(server_->Withdraw("p").has_value());
  server_->RereadFiles();
  EXPECT_TRUE(WithCertificateOf(set).Start());
}

TEST_F(SecureServer, BeyondThisMachineOnlyWithTls) {
  ServeSecurely();
  for (const char* address : {"tcp:0.0.0.0:0", "tcp:[::]:0", "tcp:192.0.2.1:10809"}) {
    EXPECT_NE(ExportError({"t", "", &device_, address, false}).find("without TLS"),
              std::string::npos)
        << address;
  }
  block::ExportSpec spec{"t", "", &device_, "tcp:0.0.0.0:0", false};
  spec.tls.psk_file = Files() + "/keys.psk";
  ASSERT_EQ(ExportError(spec), "");
  const std::string start = "nbds://0.0.0.0:";
  ASSERT_EQ(place_.uri.substr(0, start.size()), start) << place_.uri;
  std::uint16_t port = 0;
  const std::string digits = place_.uri.substr(start.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), port);
  TestClient plain = TestClient::ToPort(port);
  EXPECT_EQ(plain.Go(""), kErrTlsRequired);
  const std::string text = FileText(Files() + "/keys.psk");
  SecureClient client{TestClient::ToPort(port),
                      TlsClient::WithPsk("alice", text.substr(6, text.find('\n') - 6))};
  ASSERT_TRUE(client.Start());
  EXPECT_EQ(client.Go(""), kAck);
}

TEST_F(SecureServer, TheSharedSocketTakesNoTlsAndBadFilesLeaveNoSocket) {
  ServeSecurely();
  block::ExportSpec spec{"t", "", &device_, "", false};
  spec.tls.x509_directory = Files() + "/server";
  EXPECT_NE(ExportError(spec).find("the shared socket has no TLS"), std::string::npos);
  spec.address = "unix:" + directory_ / "none.sock";
  spec.tls.x509_directory = Files() + "/mismatch";
  EXPECT_NE(ExportError(spec).find("server-key.pem"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "none.sock"));
}

TEST_F(SecureServer, UrisSayWhatAClientNeeds) {
  ServeSecurely();
  EXPECT_EQ(place_.uri,
            "nbds+unix:///p?socket=" + psk_path() + "&tls-psk-file=" + Files() + "/keys.psk");
  block::ExportSpec spec{"t", "", &device_, "unix:" + directory_ / "one.sock", false};
  spec.tls.psk_file = Files() + "/wrong.psk";  // one user
  ASSERT_EQ(ExportError(spec), "");
  EXPECT_EQ(place_.uri.substr(0, 20), "nbds+unix://alice@/t");
}

}  // namespace
}  // namespace coffer::nbd

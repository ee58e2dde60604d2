// The server against a socket that says every byte by itself; whatever else it does, the tests of
// the HTTP engine see through curl.
#include "tests/support/scripted_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "core/base/check.h"

namespace coffer {
namespace {

class PlainClient {
 public:
  explicit PlainClient(const ScriptedServer& server) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(server.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    is_connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~PlainClient() { close(fd_); }
  PlainClient(const PlainClient&) = delete;
  PlainClient& operator=(const PlainClient&) = delete;

  void Say(std::string_view text) {
    CHECK(send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  /// So many bytes, or all until the end.
  std::string Hear(std::size_t count = std::string::npos) {
    std::string heard;
    std::array<char, 4096> piece;
    while (heard.size() < count) {
      const ssize_t got = recv(fd_, piece.data(), std::min(piece.size(), count - heard.size()), 0);
      if (got <= 0) break;
      heard.append(piece.data(), static_cast<std::size_t>(got));
    }
    return heard;
  }
  [[nodiscard]] bool is_connected() const { return is_connected_; }

 private:
  const int fd_;
  bool is_connected_ = false;
};

TEST(ScriptedServer, KeepsWhatCameAndAnswersOneRequestAfterTheOther) {
  ScriptedServer server([](const ReceivedRequest& request) {
    return Answer().Text(201, request.method + request.body).With("X-A", "b");
  });
  PlainClient client(server);
  const std::string answer = "HTTP/1.1 201 Scripted\r\nX-A: b\r\nContent-Length: 6\r\n\r\nPUTabc";
  client.Say("PUT /a%20b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(client.Hear(answer.size()), answer);
  client.Say("PUT /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
  EXPECT_EQ(client.Hear(answer.size()), answer);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].target, "/a%20b?c=d");
  EXPECT_EQ(requests[0].Header("hOST"), "x");
  EXPECT_EQ(requests[1].body, "abc");
  EXPECT_EQ(requests[1].connection, 1U);
  EXPECT_EQ(server.connections(), 1U);
}

TEST(ScriptedServer, AsksForABodyThatIsHeldBack) {
  ScriptedServer server([](const ReceivedRequest&) { return Answer().Text(200, "ok"); });
  PlainClient client(server);
  client.Say("PUT / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n");
  const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(client.Hear(go_on.size()), go_on);
  client.Say("a");
  EXPECT_EQ(client.Hear(8), "HTTP/1.1");
}

TEST(ScriptedServer, CutsABodyShort) {
  ScriptedServer server(
      [](const ReceivedRequest&) { return Answer::With(Fault::kCloseMidBody).Text(200, "abcd"); });
  PlainClient client(server);
  client.Say("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.Hear(), "HTTP/1.1 200 Scripted\r\nContent-Length: 4\r\n\r\nab");
}

TEST(ScriptedServer, FramesABodyInChunksOrByItsEnd) {
  ScriptedServer server([](const ReceivedRequest& request) {
    Answer answer = Answer().Text(200, "abc");
    answer.framing = request.target == "/chunks" ? Framing::kChunked : Framing::kUntilClose;
    return answer;
  });
  PlainClient client(server);
  client.Say("GET /chunks HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.Hear(),
            "HTTP/1.1 200 Scripted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            "HTTP/1.1 200 Scripted\r\nConnection: close\r\n\r\nabc");
}

TEST(ScriptedServer, EndsThoughItStallsOrWaitsAtAGate) {
  ScriptedServer server([](const ReceivedRequest& request) {
    Answer answer = Answer::With(Fault::kStallBeforeReply);
    if (request.target == "/gate") answer.before = std::make_shared<Gate>();
    return answer;
  });
  PlainClient stalled(server);
  PlainClient gated(server);
  stalled.Say("GET / HTTP/1.1\r\n\r\n");
  gated.Say("GET /gate HTTP/1.1\r\n\r\n");
  server.AwaitRequests(2);
}

TEST(ScriptedServer, RefusesOnceItListensNoMore) {
  ScriptedServer server([](const ReceivedRequest&) { return Answer(); });
  server.StopListening();
  EXPECT_FALSE(PlainClient(server).is_connected());
}

}  // namespace
}  // namespace coffer

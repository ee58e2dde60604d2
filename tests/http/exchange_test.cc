// What goes out and what comes back when nothing goes wrong.
#include <gtest/gtest.h>

#include "tests/http/http_fixture.h"
#include "tests/support/temporary_directory.h"

namespace coffer::http {
namespace {

Answer Echo(const ReceivedRequest& request) {
  return Answer().Text(200, request.body).With("X-Method", request.method);
}

TEST(HttpEngine, GivesStatusHeadersAndBody) {
  ScriptedServer server([](const ReceivedRequest&) {
    return Answer().Text(418, "teapot").With("X-One", "1").With("ETag", "\"a\"").With("x-one", "2");
  });
  Engine engine;
  ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(Asking(server.url() + "/")));
  EXPECT_EQ(response.status, 418);
  EXPECT_EQ(response.Find("etag"), "\"a\"");
  EXPECT_EQ(response.Find("X-ONE"), "1");
  EXPECT_EQ(AsText(response.body), "teapot");
}

TEST(HttpEngine, SendsWhatItIsGivenAndNothingElse) {
  ScriptedServer server(&Echo);
  Engine engine;
  const std::string target = "/a%2Fb/../c/./d%20e?list-type=2&x=%7E";
  Request request = Asking(server.url() + target);
  request.headers = {{"Range", "bytes=0-4"}, {"x-amz-empty", ""}};
  ASSERT_OK(engine.Perform(request));
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].target, target);
  EXPECT_EQ(requests[0].Header("Range"), "bytes=0-4");
  EXPECT_TRUE(requests[0].Has("x-amz-empty"));
  EXPECT_EQ(requests[0].Header("Host"), "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(requests[0].Header("User-Agent"), "coffer");
  for (const char* name : {"Authorization", "Cookie", "Accept-Encoding", "Expect", "Content-Length",
                           "Content-Type", "Transfer-Encoding"}) {
    EXPECT_FALSE(requests[0].Has(name)) << name;
  }
}

TEST(HttpEngine, KnowsTheMethodsOfStores) {
  ScriptedServer server(&Echo);
  Engine engine;
  for (const char* method : {"GET", "PUT", "POST", "DELETE", "PROPFIND", "MKCOL", "MOVE", "GET"}) {
    for (const std::string_view body : {"", "some"}) {
      Request request = Asking(server.url() + "/", method);
      request.body = AsBytes(body);
      ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(request));
      EXPECT_EQ(response.Find("X-Method"), method);
      EXPECT_EQ(AsText(response.body), body) << method;
    }
  }
}

TEST(HttpEngine, SaysThatAPutHasNoBody) {
  ScriptedServer server(&Echo);
  Engine engine;
  ASSERT_OK(engine.Perform(Asking(server.url() + "/", "PUT")));
  EXPECT_EQ(server.requests().at(0).Header("Content-Length"), "0");
}

TEST(HttpEngine, OfAHeadTakesTheLengthForNoBody) {
  ScriptedServer server([](const ReceivedRequest&) {
    Answer answer;
    answer.length_said = 5'000'000'000;
    return answer;
  });
  Engine engine;
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const Response response,
                         engine.Perform(Asking(server.url() + "/", "HEAD")));
    EXPECT_EQ(response.Find("Content-Length"), "5000000000");
    EXPECT_TRUE(response.body.empty());
  }
  EXPECT_EQ(server.connections(), 1U);
}

TEST(HttpEngine, OfWhatHasNotChangedTakesTheLengthForNoBody) {
  ScriptedServer server([](const ReceivedRequest&) {
    return Answer().Text(304, "").With("Content-Length", "5000000000");
  });
  Engine engine;
  ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(Asking(server.url() + "/")));
  EXPECT_EQ(response.status, 304);
}

TEST(HttpEngine, UploadsAndReadsLargeBodies) {
  ScriptedServer server(&Echo);
  Engine engine;
  const Bytes body = Pattern(3'000'001);
  Request request = Putting(server.url() + "/pack", body);
  request.body_bytes_max = body.size();
  ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(request, With(Priority::kWrite)));
  EXPECT_TRUE(response.body == body);
}

TEST(HttpEngine, TakesBodiesInChunksAndThoseWithoutALength) {
  ScriptedServer server([](const ReceivedRequest& request) {
    Answer answer = Answer().Text(200, std::string(100'000, 'a'));
    answer.framing = request.target == "/chunks" ? Framing::kChunked : Framing::kUntilClose;
    return answer;
  });
  Engine engine;
  for (const char* target : {"/chunks", "/close"}) {
    ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(Asking(server.url() + target)));
    EXPECT_EQ(response.body.size(), 100'000U) << target;
  }
}

TEST(HttpEngine, UsesAConnectionAgain) {
  ScriptedServer server(&Echo);
  Engine engine;
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(engine.Perform(Asking(server.url() + "/", i % 2 == 0 ? "GET" : "PUT")));
  }
  EXPECT_EQ(server.connections(), 1U);
  const HostStatistics host = engine.Statistics(server.url());
  EXPECT_EQ(host.requests, 20U);
  EXPECT_EQ(host.connections, 1U);
}

TEST(HttpEngine, ANewConnectionTakesThePlaceOfOneThatWasClosedMeanwhile) {
  ScriptedServer server([](const ReceivedRequest& request) {
    return Answer::With(Fault::kCloseUnsaid).Text(200, request.body);
  });
  Engine engine;
  const Bytes body = Pattern(1'200'000);
  for (int i = 0; i < 3; ++i) {
    Request request = Putting(server.url() + "/", body);
    request.body_bytes_max = body.size();
    ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(request));
    EXPECT_TRUE(response.body == body);
  }
}

TEST(HttpEngine, AnAnswerBeforeTheBodyIsTakenIsGiven) {
  ScriptedServerOptions options;
  options.on_head = [](const ReceivedRequest&) { return Answer().Text(412, "is there"); };
  ScriptedServer server(&Echo, options);
  Engine engine;
  const Bytes body = Pattern(4'000'000);
  ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(Putting(server.url() + "/", body)));
  EXPECT_EQ(response.status, 412);
  EXPECT_EQ(AsText(response.body), "is there");
}

TEST(HttpEngine, AHostThatDoesNotAskForBodiesIsNotWaitedForAgain) {
  ScriptedServerOptions quiet;
  quiet.says_continue = false;
  const ScriptedServer server(&Echo, quiet);
  HttpOptions options;
  options.continue_max = std::chrono::milliseconds(10);
  Engine engine(options);
  const Bytes body = Pattern(1'100'000);
  Request request = Putting(server.url() + "/", body);
  request.body_bytes_max = body.size();
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(request));
    EXPECT_TRUE(response.body == body);
    EXPECT_EQ(server.requests().back().Has("Expect"), i == 0);
  }
}

TEST(HttpEngine, AsksThroughAUnixSocket) {
  const TemporaryDirectory directory;
  ScriptedServerOptions options;
  options.unix_socket = directory.path() + "/socket";
  ScriptedServer server(&Echo, options);
  Engine engine;
  Request request = Asking("http://rclone/remote:");
  request.unix_socket = options.unix_socket;
  ASSERT_OK(engine.Perform(request));
  EXPECT_EQ(server.requests().at(0).Header("Host"), "rclone");
}

TEST(HttpEngine, RequestsThatCouldSayMoreThanTheySayAreRefused) {
  ScriptedServer server(&Echo);
  Engine engine;
  const std::string url = server.url();
  for (const std::string& bad : std::vector<std::string>{
           url + "/a b", url + "/a\r\nX: y", url + "/\x01", url + "/\xc3\xa4", "ftp://127.0.0.1/",
           "file:///etc/passwd", "/relative", "", "http://", "http://user:secret@127.0.0.1/"}) {
    const auto result = engine.Perform(Asking(bad));
    EXPECT_FAILS(result, kInvalidArgument) << bad;
    EXPECT_EQ(BodyOf(result).find("secret"), std::string::npos);
  }
  for (const Header& bad : {Header{"X", "a\r\nY: b"}, Header{"X", std::string("a\0b", 3)},
                            Header{"X: Y", "a"}, Header{"", "a"}, Header{"X\n", "a"}}) {
    Request request = Asking(url + "/");
    request.headers = {bad};
    EXPECT_FAILS(engine.Perform(request), kInvalidArgument) << bad.name;
  }
  EXPECT_FAILS(engine.Perform(Asking(url, "GET / HTTP/1.1\r\nX:")), kInvalidArgument);
  EXPECT_FAILS(engine.Perform(Asking(url + "/" + std::string(9'000, 'a'))), kInvalidArgument);
  EXPECT_EQ(server.connections(), 0U);
}

TEST(HttpEngine, CountsWhatWasAskedOfEachHost) {
  ScriptedServer one([](const ReceivedRequest& request) {
    if (request.target == "/cut") return Answer::With(Fault::kCloseMidBody).Text(200, "abcd");
    return Answer().Text(500, "12345");
  });
  ScriptedServer other(&Echo);
  Engine engine;
  const Bytes body = Pattern(1000);
  ASSERT_OK(engine.Perform(Putting(one.url() + "/", body)));
  EXPECT_FAILS(engine.Perform(Asking(one.url() + "/cut")), kUnavailable);
  ASSERT_OK(engine.Perform(Asking(other.url() + "/")));
  const HostStatistics host = engine.Statistics(one.url());
  EXPECT_EQ(host.requests, 2U);
  EXPECT_EQ(host.errors, 1U);
  EXPECT_EQ(host.bytes_up, 1000U);
  EXPECT_EQ(host.bytes_down, 5U + 2U);
  std::uint64_t timed = 0;
  for (const std::uint64_t count : host.latency) timed += count;
  EXPECT_EQ(timed, 1U);
  EXPECT_EQ(engine.Statistics(other.url()).requests, 1U);
}

}  // namespace
}  // namespace coffer::http

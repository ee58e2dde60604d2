// What a network, a server or somebody in between does wrong (faults.md rows 28-52).
#include <gtest/gtest.h>

#include <chrono>

#include "tests/http/http_fixture.h"
#include "tests/support/fake_clock.h"

namespace coffer::http {
namespace {

using std::chrono::milliseconds;

/// Gives the same answer to everything, and fine ones to "/fine".
ScriptedServer::Handler Always(Answer answer) {
  return [answer = std::move(answer)](const ReceivedRequest& request) {
    return request.target == "/fine" ? Answer().Text(200, "fine") : answer;
  };
}

/// A stall by a clock that the test moves: no busy machine can make one.
void ExpectStalls(const ScriptedServer& server, const Request& request) {
  FakeClock clock;
  HttpOptions options;
  options.stall_max = milliseconds(40);  // the engine looks at the clock four times in this
  options.continue_max = milliseconds(10);
  const Engine engine(options, &clock);
  auto stalled = engine.Begin(request);
  server.AwaitRequests(1);
  while (stalled.wait_for(milliseconds(1)) != std::future_status::ready) {
    clock.Advance(options.stall_max);
  }
  const auto result = stalled.get();
  EXPECT_FAILS(result, kUnavailable);
  EXPECT_NE(BodyOf(result).find("stalled: not a byte moved"), std::string::npos) << BodyOf(result);
  EXPECT_EQ(BodyOf(engine.Perform(Asking(server.url() + "/fine"))), "fine");
}

void ExpectStalls(Answer answer) {
  const ScriptedServer server(Always(std::move(answer)));
  ExpectStalls(server, Asking(server.url() + "/x"));
}

/// The attempt fails so, once it is known that the engine goes on.
void ExpectFails(const Engine& engine, const ScriptedServer& server, const Request& request,
                 ErrorCode code, const std::string& part_of_message) {
  const auto result = engine.Perform(request);
  EXPECT_TRUE(FailsWith(result, code));
  EXPECT_NE(BodyOf(result).find(part_of_message), std::string::npos) << BodyOf(result);
  EXPECT_NE(BodyOf(result).find("127.0.0.1:" + std::to_string(server.port())), std::string::npos)
      << BodyOf(result);
  if (!result.has_value()) {
    EXPECT_FALSE(result.error().hint.empty());
  }
  EXPECT_EQ(BodyOf(engine.Perform(Asking(server.url() + "/fine"))), "fine");
}

void ExpectFails(Answer answer, ErrorCode code, const std::string& part_of_message,
                 const HttpOptions& options = {}) {
  const ScriptedServer server(Always(std::move(answer)));
  const Engine engine(options);
  ExpectFails(engine, server, Asking(server.url() + "/x"), code, part_of_message);
}

TEST(HttpFaults, ARefusedConnectionSaysSo) {
  ScriptedServer server(Always({}));
  server.StopListening();
  const Engine engine;
  const auto result = engine.Perform(Asking(server.url()));
  EXPECT_FAILS(result, kUnavailable);
  EXPECT_NE(BodyOf(result).find("refused the connection"), std::string::npos) << BodyOf(result);
}

TEST(HttpFaults, ANameThatDoesNotExistSaysSo) {
  const Engine engine;
  const auto result = engine.Perform(Asking("http://no-such-host.invalid/"));
  EXPECT_FAILS(result, kUnavailable);
  EXPECT_NE(BodyOf(result).find("the name of no-such-host.invalid is not found"), std::string::npos)
      << BodyOf(result);
}

TEST(HttpFaults, AResetBeforeTheAnswer) {
  ExpectFails(Answer::With(Fault::kResetBeforeReply), ErrorCode::kUnavailable,
              "broke the connection off before it answered");
}

TEST(HttpFaults, AResetWhileTheBodyIsSent) {
  ScriptedServerOptions options;
  options.on_head = [](const ReceivedRequest& request) -> std::optional<Answer> {
    if (request.method != "PUT") return std::nullopt;
    return Answer::With(Fault::kResetUnread);
  };
  const ScriptedServer server(Always({}), options);
  const Engine engine;
  const Bytes body = Pattern(4'000'000);
  ExpectFails(engine, server, Putting(server.url() + "/", body), ErrorCode::kUnavailable,
              "broke the connection off");
}

TEST(HttpFaults, AResetWithinTheBody) {
  ExpectFails(Answer::With(Fault::kResetMidBody).Text(200, "abcd"), ErrorCode::kUnavailable,
              "broke the connection off within its answer");
}

TEST(HttpFaults, ABodyThatIsCutShort) {
  ExpectFails(Answer::With(Fault::kCloseMidBody).Text(200, "abcd"), ErrorCode::kUnavailable,
              "broke the connection off within its answer");
}

TEST(HttpFaults, AChunkedBodyThatIsCutShort) {
  Answer answer = Answer::With(Fault::kCloseMidBody).Text(200, "abcd");
  answer.framing = Framing::kChunked;
  ExpectFails(answer, ErrorCode::kUnavailable, "broke the connection off within its answer");
}

TEST(HttpFaults, ALengthThatLiesUpwards) {
  Answer answer = Answer::With(Fault::kCloseUnsaid).Text(200, "abcd");
  answer.length_said = 5;
  ExpectFails(answer, ErrorCode::kUnavailable, "broke the connection off within its answer");
}

/// curl does not look at them: the next request on that connection may find them where its own
/// answer should be, which fails it and ends the connection.
TEST(HttpFaults, BytesBeyondTheLengthArePartOfNoAnswer) {
  const ScriptedServer server(Always(Answer::With(Fault::kOverlong).Text(200, "abcd")));
  const Engine engine;
  EXPECT_EQ(BodyOf(engine.Perform(Asking(server.url() + "/x"))), "abcd");
  const auto next = engine.Perform(Asking(server.url() + "/fine"));
  if (next.has_value()) {
    EXPECT_EQ(BodyOf(next), "fine");
  } else {
    EXPECT_FAILS(next, kUnavailable);
    EXPECT_EQ(BodyOf(engine.Perform(Asking(server.url() + "/fine"))), "fine");
  }
}

TEST(HttpFaults, AStallBeforeTheAnswer) { ExpectStalls(Answer::With(Fault::kStallBeforeReply)); }

TEST(HttpFaults, AStallWithinTheHead) { ExpectStalls(Answer::With(Fault::kStallMidHead)); }

TEST(HttpFaults, AStallWithinTheBody) {
  ExpectStalls(Answer::With(Fault::kStallMidBody).Text(200, "abcd"));
}

TEST(HttpFaults, AStallOfAnUpload) {
  ScriptedServerOptions options;
  options.on_head = [](const ReceivedRequest& request) -> std::optional<Answer> {
    if (request.method != "PUT") return std::nullopt;
    return Answer::With(Fault::kStallUnread);
  };
  const ScriptedServer server(Always({}), options);
  const Bytes body = Pattern(12'000'000);  // more than the kernel takes
  ExpectStalls(server, Putting(server.url() + "/", body));
}

TEST(HttpFaults, ASlowDripIsNoStall) {
  Answer answer = Answer().Text(200, "drip");
  for (int i = 0; i < 4; ++i) answer.drips.push_back(std::make_shared<Gate>());
  const ScriptedServer server(Always(answer));
  const Engine engine;
  auto response = engine.Begin(Asking(server.url() + "/x"));
  for (const auto& gate : answer.drips) gate->Open();
  EXPECT_EQ(BodyOf(response.get()), "drip");
}

TEST(HttpFaults, EndlessHeaders) {
  ExpectFails(Answer::With(Fault::kEndlessHeaders), ErrorCode::kUnavailable, "headers");
}

TEST(HttpFaults, HeadersOfMoreBytesThanAllowed) {
  HttpOptions options;
  options.headers_max = 1'000'000;
  ExpectFails(Answer::With(Fault::kEndlessHeaders), ErrorCode::kUnavailable,
              "headers of more than 65536 bytes", options);
}

TEST(HttpFaults, MoreHeadersThanAllowed) {
  HttpOptions options;
  options.headers_max = 20;
  ExpectFails(Answer::With(Fault::kEndlessHeaders), ErrorCode::kUnavailable, "more than 20 headers",
              options);
}

TEST(HttpFaults, AHeaderWithoutAnEnd) {
  ExpectFails(Answer::With(Fault::kEndlessLine), ErrorCode::kUnavailable,
              "sent a header that is too long");
}

TEST(HttpFaults, InterimAnswersWithoutAnEnd) {
  ExpectFails(Answer::With(Fault::kEndlessInterim), ErrorCode::kUnavailable,
              "headers of more than");
}

TEST(HttpFaults, ABodyThatIsAnnouncedTooLongIsNotRead) {
  Answer answer = Answer::With(Fault::kStallMidBody).Text(206, "abcd");
  answer.length_said = (1 << 20) + 1;
  ExpectFails(answer, ErrorCode::kCorruption,
              "answered 206 with 1048577 bytes, where at most 1048576 were expected");
}

TEST(HttpFaults, ABodyThatBecomesTooLongIsNotKept) {
  for (const Framing framing : {Framing::kChunked, Framing::kUntilClose}) {
    Answer answer = Answer::With(Fault::kEndlessBody);
    answer.framing = framing;
    ExpectFails(answer, ErrorCode::kCorruption, "with more than 1048576 bytes");
  }
}

TEST(HttpFaults, ABodyOfJustTheLimitIsTaken) {
  const ScriptedServer server(Always(Answer().Text(200, std::string(1 << 20, 'a'))));
  const Engine engine;
  ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(Asking(server.url() + "/x")));
  EXPECT_EQ(response.body.size(), 1U << 20);
}

TEST(HttpFaults, WhatExplainsAnErrorMayBeLongerThanTheAnswerThatWasExpected) {
  const ScriptedServer server(Always(Answer().Text(404, std::string(100'000, 'a'))));
  const Engine engine;
  Request request = Asking(server.url() + "/x");
  request.body_bytes_max = 16;
  ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(request));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body.size(), 100'000U);
}

TEST(HttpFaults, AnErrorsBodyWithoutAnEndIsNoAnswer) {
  Answer answer = Answer::With(Fault::kEndlessBody).Text(503, "");
  answer.framing = Framing::kChunked;
  const ScriptedServer server(Always(answer));
  const Engine engine;
  Request request = Asking(server.url() + "/x");
  request.body_bytes_max = 16;
  ExpectFails(engine, server, request, ErrorCode::kUnavailable, "answered 503 with more than");
}

TEST(HttpFaults, WhatIsNoHttpSaysSo) {
  ExpectFails(Answer::With(Fault::kRaw).Text(0, "SSH-2.0-OpenSSH_9.2\r\n"), ErrorCode::kUnavailable,
              "does not speak HTTP");
  ExpectFails(Answer::With(Fault::kRaw).Text(0, "HTTP/1.1 abc\r\n\r\n"), ErrorCode::kUnavailable,
              "");
  ExpectFails(Answer::With(Fault::kRaw).Text(0, ""), ErrorCode::kUnavailable, "");
}

TEST(HttpFaults, TheServersWordsAreHarmlessInMessages) {
  const ScriptedServer server(
      Always(Answer::With(Fault::kRaw).Text(0, "HTTP/1.1 2\x1b[31m\r\nA: \x1b]0;x\x07\r\n\r\n")));
  const Engine engine;
  const auto result = engine.Perform(Asking(server.url() + "/x?X-Amz-Signature=feed&sig=beef"));
  ASSERT_FALSE(result.has_value());
  for (const char* part : {"\x1b", "\x07", "feed", "beef"}) {
    EXPECT_EQ(BodyOf(result).find(part), std::string::npos) << BodyOf(result);
  }
}

}  // namespace
}  // namespace coffer::http

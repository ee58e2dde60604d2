// SftpSession against a server in memory, in virtual time on one thread.
#include "core/store/sftp_session.h"

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "tests/store/fake_sftp_server.h"
#include "tests/support/result_macros.h"
#include "tests/support/sim_executor.h"

namespace coffer::store {
namespace {

using sftp::PacketType;
using Fake = FakeSftpServer;

class SftpSessionTest : public testing::Test {
 protected:
  std::shared_ptr<SftpSession> Start() {
    auto session = SftpSession::Start(server.Dialer(), "SFTP server me@host", clock, executor);
    EXPECT_OK(session);
    return session.has_value() ? *session : nullptr;
  }
  static sftp::Request Lstat(const std::string& path) {
    return sftp::OfPath(PacketType::kLstat, path);
  }
  Duration SinceBegin() { return clock.Now() - begin; }

  FakeClock clock;
  SimExecutor executor{clock, 1};
  FakeSftpServer server;
  RequestContext context;
  const MonotonicTime begin = clock.Now();
};

TEST_F(SftpSessionTest, GreetsAndAsksForTheServersLimits) {
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK_AND_ASSIGN(const SftpSession::Terms terms, exchange.AwaitTerms());
  EXPECT_TRUE(terms.offers.hard_link && terms.offers.fsync && terms.offers.stat_vfs);
  EXPECT_EQ(terms.read_bytes, SftpSession::kPayloadBytesMax);
  EXPECT_EQ(server.types, (std::vector<int>{1, 200}));
}

TEST_F(SftpSessionTest, TakesASmallerLimitOfTheServers) {
  server.limit_read = 20'000;
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK_AND_ASSIGN(const SftpSession::Terms terms, exchange.AwaitTerms());
  EXPECT_EQ(terms.read_bytes, 20'000U);
}

TEST_F(SftpSessionTest, WorksWithAServerThatOffersNothing) {
  server.offers.clear();
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK_AND_ASSIGN(const SftpSession::Terms terms, exchange.AwaitTerms());
  EXPECT_FALSE(terms.offers.hard_link || terms.offers.fsync);
  EXPECT_EQ(terms.read_bytes, sftp::kPayloadBytesAlways);
  EXPECT_OK(exchange.Ask(Lstat("/")));
}

TEST_F(SftpSessionTest, MatchesAnswersByTheirIdsInAnyOrder) {
  server.AddFile("/a", "1");
  server.AddFile("/b", "22");
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  SftpSession::Exchange other(*session, context);
  ASSERT_OK(exchange.AwaitTerms());
  server.holds_answers = true;
  ASSERT_OK_AND_ASSIGN(const std::uint32_t a, exchange.Send(Lstat("/a")));
  ASSERT_OK_AND_ASSIGN(const std::uint32_t b, other.Send(Lstat("/b")));
  ASSERT_OK_AND_ASSIGN(const std::uint32_t none, exchange.Send(Lstat("/none")));
  EXPECT_EQ(server.Release(), 3U);
  ASSERT_OK_AND_ASSIGN(const sftp::Reply no, exchange.Await(none));
  EXPECT_EQ(std::get<sftp::StatusReply>(no.body).code, sftp::StatusCode::kNoSuchFile);
  ASSERT_OK_AND_ASSIGN(const sftp::Reply at_b, other.Await(b));
  EXPECT_EQ(std::get<sftp::AttributesReply>(at_b.body).attributes.size, 2U);
  ASSERT_OK_AND_ASSIGN(const sftp::Reply at_a, exchange.Await(a));
  EXPECT_EQ(std::get<sftp::AttributesReply>(at_a.body).attributes.size, 1U);
}

TEST_F(SftpSessionTest, ASilentServerIsLeftAfterThirtySeconds) {
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK(exchange.AwaitTerms());
  server.holds_answers = true;
  const Result<sftp::Reply> reply = exchange.Ask(Lstat("/"));
  EXPECT_FAILS(reply, kUnavailable);
  EXPECT_EQ(SinceBegin(), SftpSession::kSilenceMax);
  EXPECT_TRUE(session->has_ended());
  EXPECT_FAILS(exchange.Ask(Lstat("/")), kUnavailable) << "at once, for the same reason";
  EXPECT_EQ(SinceBegin(), SftpSession::kSilenceMax);
}

TEST_F(SftpSessionTest, SilenceBeforeTheGreetingCountsToo) {
  server.greeting = "";
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  EXPECT_FAILS(exchange.AwaitTerms(), kUnavailable);
  EXPECT_EQ(SinceBegin(), SftpSession::kSilenceMax);
}

TEST_F(SftpSessionTest, ASlowServerThatSaysSomethingIsWaitedFor) {
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK(exchange.AwaitTerms());
  server.holds_answers = true;
  ASSERT_OK_AND_ASSIGN(const std::uint32_t first, exchange.Send(Lstat("/")));
  const auto half = SftpSession::kSilenceMax * 2 / 3;
  const auto answer_first = executor.PostAfter(half, [&] { server.Release(); });
  ASSERT_OK(exchange.Await(first));
  ASSERT_OK_AND_ASSIGN(const std::uint32_t second, exchange.Send(Lstat("/")));
  const auto answer_second = executor.PostAfter(half, [&] { server.Release(); });
  EXPECT_OK(exchange.Await(second));
}

TEST_F(SftpSessionTest, TheContextsDeadlineEndsAWaitAndNothingElse) {
  const auto session = Start();
  server.holds_answers = true;
  RequestContext hasty;
  hasty.deadline = clock.Now() + std::chrono::seconds(2);
  {
    SftpSession::Exchange exchange(*session, hasty);
    EXPECT_FAILS(exchange.Ask(Lstat("/")), kUnavailable);
  }
  EXPECT_EQ(SinceBegin(), std::chrono::seconds(2));
  EXPECT_FALSE(session->has_ended());
  server.holds_answers = false;
  server.Release();
  SftpSession::Exchange exchange(*session, context);
  EXPECT_OK(exchange.Ask(Lstat("/")));
}

TEST_F(SftpSessionTest, AStopEndsAWaitAtOnce) {
  const auto session = Start();
  server.holds_answers = true;
  std::stop_source stop;
  RequestContext stoppable;
  stoppable.cancel = stop.get_token();
  SftpSession::Exchange exchange(*session, stoppable);
  const auto stopper = executor.PostAfter(std::chrono::seconds(3), [&] { stop.request_stop(); });
  EXPECT_FAILS(exchange.Ask(Lstat("/")), kCancelled);
  EXPECT_EQ(SinceBegin(), std::chrono::seconds(3));
  EXPECT_FALSE(session->has_ended());
}

TEST_F(SftpSessionTest, ClosesAHandleThatComesWhenNobodyWantsItAnyMore) {
  server.AddFile("/a", "1");
  const auto session = Start();
  {
    SftpSession::Exchange exchange(*session, context);
    ASSERT_OK(exchange.AwaitTerms());
    server.holds_answers = true;
    ASSERT_OK(exchange.Send(sftp::Open("/a", sftp::kOpenRead)));  // unanswered when it goes
  }
  EXPECT_EQ(server.open_handles, 1U);
  server.holds_answers = false;
  server.Release();
  EXPECT_EQ(server.open_handles, 0U);
  {
    SftpSession::Exchange exchange(*session, context);
    ASSERT_OK(exchange.Send(sftp::Open("/a", sftp::kOpenRead)));  // answered, not picked up
    EXPECT_EQ(server.open_handles, 1U);
  }
  EXPECT_EQ(server.open_handles, 0U);
}

TEST_F(SftpSessionTest, BoundsTheFileDataInFlight) {
  server.AddFile("/a", std::string(1 << 20, 'x'));
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK_AND_ASSIGN(const sftp::Reply opened, exchange.Ask(sftp::Open("/a", sftp::kOpenRead)));
  const std::string handle = std::get<sftp::HandleReply>(opened.body).handle;
  server.holds_answers = true;
  constexpr std::uint32_t kPiece = 128 << 10;
  constexpr std::size_t kPieces = SftpSession::kPayloadInFlightMax / kPiece;
  for (std::size_t i = 0; i < kPieces; ++i) ASSERT_OK(exchange.Send(sftp::Read(handle, 0, kPiece)));
  EXPECT_EQ(server.held(), kPieces);
  const auto answer = executor.PostAfter(std::chrono::seconds(1), [&] {
    EXPECT_EQ(server.held(), kPieces);
    server.Release();
  });
  ASSERT_OK(exchange.Send(sftp::Read(handle, 0, kPiece)));
  EXPECT_EQ(SinceBegin(), std::chrono::seconds(1)) << "it waited for room";
}

/// What ends a session, told by one who waits.
class SftpSessionFaultTest : public SftpSessionTest {
 protected:
  Error FailureAfter(const std::string& said) {
    const auto session = Start();
    SftpSession::Exchange exchange(*session, context);
    EXPECT_OK(exchange.AwaitTerms());
    server.holds_answers = true;
    const auto speaking = executor.PostAfter(std::chrono::seconds(1), [&] { server.Say(said); });
    const Result<sftp::Reply> reply = exchange.Ask(Lstat("/"));
    EXPECT_FALSE(reply.has_value());
    EXPECT_TRUE(session->has_ended());
    EXPECT_EQ(SinceBegin(), std::chrono::seconds(1)) << "without waiting any longer";
    return reply.has_value() ? Error{} : reply.error();
  }
};

TEST_F(SftpSessionFaultTest, GarbageEndsIt) {
  EXPECT_EQ(FailureAfter("HTTP/1.1 400 Bad Request\r\n\r\n").code, ErrorCode::kUnavailable);
}

TEST_F(SftpSessionFaultTest, AnOverlongPacketEndsItBeforeItComes) {
  const Error error = FailureAfter(Fake::Number(sftp::kPacketBytesMax + 1, 4));
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_NE(error.message.find("262145"), std::string::npos) << error.message;
}

TEST_F(SftpSessionFaultTest, AnAnswerToNothingThatWasAskedEndsIt) {
  const Error error = FailureAfter(Fake::WithLength(Fake::Status(4711, 0)));
  EXPECT_NE(error.message.find("what was not asked"), std::string::npos) << error.message;
}

TEST_F(SftpSessionFaultTest, AnAnswerOfTheWrongKindEndsIt) {
  // The LSTAT has the id after that of the question for limits.
  const std::string handle = std::string("\x66", 1) + Fake::Number(2, 4) + Fake::Text("handle");
  const Error error = FailureAfter(Fake::WithLength(handle));
  EXPECT_NE(error.message.find("none to what was asked"), std::string::npos) << error.message;
}

TEST_F(SftpSessionTest, MoreBytesThanWereAskedForEndIt) {
  server.AddFile("/a", "0123456789");
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK_AND_ASSIGN(const sftp::Reply opened, exchange.Ask(sftp::Open("/a", sftp::kOpenRead)));
  const std::string handle = std::get<sftp::HandleReply>(opened.body).handle;
  server.before = [&](int type, std::uint32_t id, const std::string&) {
    return type == 5 ? std::optional(std::string("\x67", 1) + Fake::Number(id, 4) +
                                     Fake::Text("0123456789"))
                     : std::nullopt;
  };
  EXPECT_FAILS(exchange.Ask(sftp::Read(handle, 0, 9)), kUnavailable);
  EXPECT_TRUE(session->has_ended());
}

TEST_F(SftpSessionTest, TheEndOfTheChannelEndsEveryWaitWithItsReason) {
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK(exchange.AwaitTerms());
  server.holds_answers = true;
  ASSERT_OK_AND_ASSIGN(const std::uint32_t id, exchange.Send(Lstat("/")));
  server.HangUp(Error{ErrorCode::kUnauthenticated, "who are you?", "log in"});
  const Result<sftp::Reply> reply = exchange.Await(id);
  EXPECT_FAILS(reply, kUnauthenticated);
  EXPECT_EQ(reply.error().hint, "log in");
}

TEST_F(SftpSessionTest, AShellThatTalksBeforeTheGreetingIsTold) {
  server.greeting = "Welcome to the machine!\n";
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  const auto terms = exchange.AwaitTerms();
  EXPECT_FAILS(terms, kUnavailable);
  EXPECT_NE(terms.error().hint.find("start files"), std::string::npos) << terms.error().hint;
}

TEST_F(SftpSessionTest, AnotherVersionOfTheProtocolIsRefused) {
  server.version = 2;
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  EXPECT_FAILS(exchange.AwaitTerms(), kUnsupported);
}

TEST_F(SftpSessionTest, AServerThatRefusesToTellItsLimitsIsUsedWithSmallOnes) {
  server.before = [](int type, std::uint32_t id, const std::string&) {
    return type == 200 ? std::optional(Fake::Status(id, 8, "no")) : std::nullopt;
  };
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK_AND_ASSIGN(const SftpSession::Terms terms, exchange.AwaitTerms());
  EXPECT_EQ(terms.write_bytes, sftp::kPayloadBytesAlways);
}

TEST_F(SftpSessionTest, AnAnswerInManyPiecesIsOne) {
  const auto session = Start();
  SftpSession::Exchange exchange(*session, context);
  ASSERT_OK(exchange.AwaitTerms());
  server.before = [](int, std::uint32_t, const std::string&) {
    return std::optional<std::string>("");
  };
  ASSERT_OK_AND_ASSIGN(const std::uint32_t id, exchange.Send(Lstat("/")));
  const std::string answer = Fake::WithLength(Fake::Status(id, 2, "No such file"));
  for (const char c : answer) server.Say(std::string(1, c));
  EXPECT_OK(exchange.Await(id));
}

}  // namespace
}  // namespace coffer::store

// WebDavStore through the HTTP engine, over real sockets, against a server that misbehaves.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "core/base/executor.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/http/http_engine.h"
#include "core/store/retrying_store.h"
#include "core/store/webdav_store.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/scripted_server.h"

namespace coffer::store {
namespace {

Answer Listing() {
  return Answer()
      .Text(
          207,
          "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/coffer/packs/</D:href><D:propstat>"
          "<D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>"
          "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>")
      .With("Content-Type", "application/xml");
}

Answer Marker() { return Answer().Text(200, "marker"); }

class WebDavSocketsTest : public testing::Test {
 protected:
  WebDavSocketsTest() {
    auto started = http::HttpEngine::Start({}, clock_, *waits_);
    EXPECT_OK(started);
    http_ = std::move(*started);
    fs_.AddDirectories("/home/ann");
    EXPECT_OK(ReplaceFile(fs_, "/home/ann/password", AsBytes("sesame\n")));
  }

  Result<std::unique_ptr<WebDavStore>> Open(const ScriptedServer& server) {
    ASSIGN_OR_RETURN(const StoreUrl url,
                     ParseStoreUrl(Concat("webdav://ann@127.0.0.1:", server.port(),
                                          "/coffer?credentials_file=/home/ann/password"),
                                   "/", WebDavSchemes()));
    return WebDavStore::Open(Reading(), url, {fs_, *http_, clock_, random_},
                             StoreOpenMode::kExisting);
  }

  SystemClock clock_;
  SystemRandom random_;
  FaultyFileSystem fs_;
  std::unique_ptr<Executor> waits_ = NewThreadExecutor("waits", 1);
  std::unique_ptr<http::HttpEngine> http_;
};

TEST_F(WebDavSocketsTest, ThePasswordGoesToWhoAsksAndNotWhereARedirectLeads) {
  ScriptedServer thief([](const ReceivedRequest&) { return Answer().Text(200, "thanks"); });
  ScriptedServer server([&](const ReceivedRequest& request) {
    if (!request.Has("Authorization")) {
      return Answer().Text(401, "").With("WWW-Authenticate", "Basic realm=\"dav\"");
    }
    if (request.target == "/coffer/vault") return Marker();
    return Answer().Text(307, "").With("Location", thief.url() + request.target);
  });
  ASSERT_OK_AND_ASSIGN(const auto store, Open(server));
  EXPECT_FAILS(store->Create(Writing(), "packs/aa/x", AsBytes("x"), ObjectClass::kData),
               kUnavailable);
  EXPECT_FAILS(store->Get(Reading(), "packs/aa/x", 10), kUnavailable);
  EXPECT_TRUE(thief.requests().empty());
}

TEST_F(WebDavSocketsTest, APasswordThatIsNotTakenIsToldAsSuch) {
  ScriptedServer server([](const ReceivedRequest&) {
    return Answer().Text(401, "").With("WWW-Authenticate", "Basic realm=\"dav\"");
  });
  const auto store = Open(server);
  ASSERT_FAILS(store, kUnauthenticated);
  EXPECT_EQ(store.error().cause, ErrorCause::kCredentials);
}

TEST_F(WebDavSocketsTest, ARangeThatIsCutShortIsReadAgain) {
  std::atomic<int> asked{0};
  ScriptedServer server([&](const ReceivedRequest& request) {
    if (request.target == "/coffer/vault") return Marker();
    Answer answer;
    switch (asked++) {
      case 0:
        answer = Answer::With(Fault::kCloseMidBody);
        break;
      case 1:
        answer = Answer::With(Fault::kResetMidBody);
        break;
      case 2:
        return Answer().Text(200, "0123456789");
      case 3:
        return Answer().Text(206, "2345").With("Content-Range", "bytes 3-6/10");
      default:
        break;
    }
    return std::move(answer).Text(206, "2345").With("Content-Range", "bytes 2-5/10");
  });
  ASSERT_OK_AND_ASSIGN(auto bare, Open(server));
  RetryingStore store(std::move(bare), clock_, *waits_, random_,
                      RetryOptions{.wait_first_max = std::chrono::milliseconds(1)});
  ASSERT_OK_AND_ASSIGN(const Bytes range, store.GetRange(Reading(), "packs/aa/x", 2, 4));
  EXPECT_EQ(AsText(range), "2345");
  EXPECT_GE(asked, 5);
}

TEST_F(WebDavSocketsTest, AListingThatIsAnnouncedTooLongIsNotRead) {
  ScriptedServer server([](const ReceivedRequest& request) {
    if (request.target == "/coffer/vault") return Marker();
    Answer answer = Listing();
    answer.length_said = std::uint64_t{1} << 40;
    return answer;
  });
  ASSERT_OK_AND_ASSIGN(const auto store, Open(server));
  EXPECT_FAILS(store->List(Reading(), "packs/", "", 10), kUnsupported);
}

TEST_F(WebDavSocketsTest, AListingAsksForDepthOneWithABody) {
  ScriptedServer server([](const ReceivedRequest& request) {
    return request.target == "/coffer/vault" ? Marker() : Listing();
  });
  ASSERT_OK_AND_ASSIGN(const auto store, Open(server));
  ASSERT_OK_AND_ASSIGN(const ListPage page, store->List(Reading(), "packs/", "", 10));
  EXPECT_TRUE(page.objects.empty());
  const std::vector<ReceivedRequest> requests = server.requests();
  const auto asked = std::ranges::find(requests, "PROPFIND", &ReceivedRequest::method);
  ASSERT_NE(asked, requests.end());
  EXPECT_EQ(asked->target, "/coffer/packs/");
  EXPECT_EQ(asked->Header("Depth"), "1");
  EXPECT_EQ(asked->body, PropfindBody());
}

}  // namespace
}  // namespace coffer::store

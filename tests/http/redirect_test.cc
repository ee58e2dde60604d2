// Redirects never take credentials elsewhere nor anybody from https to http (faults.md A25), and a
// user's name and password are told to nobody but the host they are for.
#include "core/http/redirect.h"

#include <gtest/gtest.h>

#include "tests/http/http_fixture.h"

namespace coffer::http {
namespace {

Response To(int status, const std::string& location) {
  Response response;
  response.status = status;
  response.headers = {{"Location", location}};
  return response;
}

Request Secretive(const std::string& url, const std::string& method = "GET") {
  Request request = Asking(url, method);
  request.headers = {{"Authorization", "AWS4 secret"},
                     {"x-amz-security-token", "secret"},
                     {"Cookie", "secret"},
                     {"X-Anything", "secret"},
                     {"Range", "bytes=0-3"}};
  return request;
}

TEST(Redirect, ToTheSamePlaceKeepsWhatWasAsked) {
  for (const int status : {301, 302, 303, 307, 308}) {
    ASSERT_OK_AND_ASSIGN(const auto next, AfterRedirect(Secretive("https://host:8443/a/b?c"),
                                                        To(status, "../d?e=f")));
    ASSERT_TRUE(next.has_value());
    EXPECT_EQ(next->url, "https://host:8443/d?e=f");
    EXPECT_EQ(next->headers.size(), 5U);
  }
}

TEST(Redirect, ToAnotherPlaceTakesNothingThatMayBeACredential) {
  const SecretBytes password = SecretBytes::CopyOf(AsBytes("secret"));
  Request request = Secretive("https://host/a");
  request.user = User{"me", &password};
  for (const char* elsewhere :
       {"https://other/a", "https://host:444/a", "//other/a", "https://host.other/a"}) {
    ASSERT_OK_AND_ASSIGN(const auto next, AfterRedirect(request, To(307, elsewhere)));
    ASSERT_TRUE(next.has_value()) << elsewhere;
    ASSERT_EQ(next->headers.size(), 1U);
    EXPECT_EQ(next->headers[0].name, "Range");
    EXPECT_FALSE(next->user.has_value());
  }
}

TEST(Redirect, FromHttpToHttpsOfTheSameHostKeepsThem) {
  ASSERT_OK_AND_ASSIGN(const auto next,
                       AfterRedirect(Secretive("http://HOST/a"), To(301, "https://host/a")));
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->headers.size(), 5U);
}

TEST(Redirect, FromHttpsToHttpIsRefused) {
  const auto next = AfterRedirect(Asking("https://host/a"), To(302, "http://host/a"));
  EXPECT_FAILS(next, kUnavailable);
  EXPECT_NE(next.error().hint.find("login"), std::string::npos);
}

TEST(Redirect, ToWhatIsNoHttpIsRefused) {
  for (const char* elsewhere : {"file:///etc/passwd", "ftp://host/", "gopher://host/",
                                "https://user:pw@host/", "https://", "http://a\nb/"}) {
    EXPECT_FAILS(AfterRedirect(Asking("https://host/a"), To(302, elsewhere)), kUnavailable)
        << elsewhere;
  }
}

TEST(Redirect, OfWhatChangesSomethingStaysAtItsPlaceAndItsMethod) {
  const auto followed = [](int status, const char* location) {
    const auto next = AfterRedirect(Asking("https://host/a", "PUT"), To(status, location));
    return next.has_value() && next->has_value();
  };
  EXPECT_TRUE(followed(307, "/b"));
  EXPECT_TRUE(followed(308, "/b"));
  EXPECT_FALSE(followed(301, "/b"));
  EXPECT_FALSE(followed(303, "/b"));
  EXPECT_FALSE(followed(307, "https://other/b"));
}

TEST(Redirect, OfOtherStatusesOrWithoutAPlaceIsNone) {
  for (const Response& response : {To(200, "/b"), To(304, "/b"), To(404, "/b")}) {
    ASSERT_OK_AND_ASSIGN(const auto next, AfterRedirect(Asking("https://host/a"), response));
    EXPECT_FALSE(next.has_value());
  }
  Response without;
  without.status = 302;
  ASSERT_OK_AND_ASSIGN(const auto next, AfterRedirect(Asking("https://host/a"), without));
  EXPECT_FALSE(next.has_value());
}

/// "/to/PLACE" leads there; anything else says who came.
Answer Lead(const ReceivedRequest& request) {
  if (request.target.starts_with("/to/")) {
    return Answer().Text(302, "moved").With("Location", request.target.substr(4));
  }
  return Answer().Text(200, "arrived");
}

TEST(HttpRedirects, AreNotFollowedUnlessAsked) {
  const ScriptedServer server(&Lead);
  const Engine engine;
  ASSERT_OK_AND_ASSIGN(const Response response,
                       engine.Perform(Asking(server.url() + "/to//there")));
  EXPECT_EQ(response.status, 302);
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST(HttpRedirects, AreFollowedAsOftenAsAsked) {
  const ScriptedServer server(&Lead);
  const Engine engine;
  Request request = Asking(server.url() + "/to//to//to//there");
  request.redirects_max = 2;
  const auto refused = engine.Perform(request);
  EXPECT_FAILS(refused, kUnavailable);
  EXPECT_NE(BodyOf(refused).find("redirects more than 2 times"), std::string::npos);
  request.redirects_max = 3;
  EXPECT_EQ(BodyOf(engine.Perform(request)), "arrived");
}

TEST(HttpRedirects, TakeNoCredentialsToAnotherHost) {
  const ScriptedServer other(&Lead);
  const ScriptedServer server(&Lead);
  const Engine engine;
  const SecretBytes password = SecretBytes::CopyOf(AsBytes("secret"));
  Request request = Secretive(server.url() + "/to/" + other.url() + "/there");
  request.user = User{"me", &password};
  request.redirects_max = 5;
  EXPECT_EQ(BodyOf(engine.Perform(request)), "arrived");
  const auto requests = other.requests();
  for (const auto& [name, value] : requests.at(0).headers) {
    EXPECT_EQ(value.find("secret"), std::string::npos) << name;
    EXPECT_NE(name, "Authorization");
  }
}

// What servers ask for, and what they are told.

std::string AuthorizationOf(const ScriptedServer& server, std::size_t index) {
  const auto requests = server.requests();
  return index < requests.size() ? requests[index].Header("Authorization") : "none came";
}

ScriptedServer::Handler Challenging(const std::string& challenge, const std::string& wanted) {
  return [=](const ReceivedRequest& request) {
    if (request.Header("Authorization").starts_with(wanted)) {
      return Answer().Text(200, "welcome " + std::to_string(request.body.size()));
    }
    return Answer().Text(401, "who are you?").With("WWW-Authenticate", challenge);
  };
}

class HttpUser : public testing::Test {
 protected:
  Request As(const ScriptedServer& server, ByteView body = {}) {
    Request request = Putting(server.url() + "/x", body);
    request.user = User{"me", &password_};
    return request;
  }
  const SecretBytes password_ = SecretBytes::CopyOf(AsBytes("pass:word"));
  const Bytes body_ = Pattern(100'000);
};

TEST_F(HttpUser, AnswersBasicAndSaysSoAtOnceFromThenOn) {
  const ScriptedServer server(
      Challenging("Basic realm=\"a\"", "Basic bWU6cGFzczp3b3Jk"));  // me:pass:word
  const Engine engine;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(BodyOf(engine.Perform(As(server, body_))), "welcome 100000");
  }
  EXPECT_EQ(server.requests().size(), 4U);
  EXPECT_EQ(AuthorizationOf(server, 0), "");
}

TEST_F(HttpUser, AnswersDigestAndRemembersTheNonce) {
  const ScriptedServer server(
      Challenging("Digest realm=\"a\", nonce=\"n1\", qop=\"auth\", algorithm=MD5", "Digest "));
  const Engine engine;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(BodyOf(engine.Perform(As(server, body_))), "welcome 100000");
  }
  EXPECT_EQ(server.requests().size(), 4U);
  const std::string last = AuthorizationOf(server, 3);
  EXPECT_NE(last.find("username=\"me\""), std::string::npos);
  EXPECT_NE(last.find("nc=00000003"), std::string::npos) << last;
  EXPECT_EQ(last.find("pass:word"), std::string::npos);
}

TEST_F(HttpUser, PrefersDigest) {
  const ScriptedServer server([](const ReceivedRequest& request) {
    if (request.Header("Authorization").starts_with("Digest ")) return Answer().Text(200, "in");
    return Answer()
        .Text(401, "")
        .With("WWW-Authenticate", "Basic realm=\"a\"")
        .With("WWW-Authenticate", "Digest realm=\"a\", nonce=\"n\", qop=\"auth\"");
  });
  const Engine engine;
  EXPECT_EQ(BodyOf(engine.Perform(As(server))), "in");
  EXPECT_EQ(server.requests().size(), 2U);
}

TEST_F(HttpUser, ThatIsRefusedGetsTheAnswer) {
  const ScriptedServer server(Challenging("Basic realm=\"a\"", "never"));
  const Engine engine;
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(As(server)));
    EXPECT_EQ(response.status, 401);
    EXPECT_EQ(AsText(response.body), "who are you?");
  }
}

TEST_F(HttpUser, FindsANewSchemeWhenTheServerChangesIt) {
  std::atomic<bool> digest = false;
  const ScriptedServer server([&digest](const ReceivedRequest& request) {
    if (request.Header("Authorization").starts_with(digest ? "Digest " : "Basic ")) {
      return Answer().Text(200, "in");
    }
    return Answer().Text(401, "").With(
        "WWW-Authenticate", digest ? "Digest realm=\"a\", nonce=\"n\"" : "Basic realm=\"a\"");
  });
  const Engine engine;
  EXPECT_EQ(BodyOf(engine.Perform(As(server))), "in");
  digest = true;
  (void)engine.Perform(As(server));  // Basic, once more
  EXPECT_EQ(BodyOf(engine.Perform(As(server))), "in");
}

TEST_F(HttpUser, IsNotToldToAServerOfTheSameNameAtAnotherPort) {
  const ScriptedServer one(Challenging("Basic realm=\"a\"", "Basic "));
  const ScriptedServer other(Challenging("Basic realm=\"a\"", "Basic "));
  const Engine engine;
  EXPECT_EQ(BodyOf(engine.Perform(As(one))), "welcome 0");
  Request nobody = Asking(other.url() + "/x");
  ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(nobody));
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(AuthorizationOf(other, 0), "");
  nobody.url = one.url() + "/x";  // nor is a request without a user told to the same
  ASSERT_OK_AND_ASSIGN(const Response same, engine.Perform(nobody));
  EXPECT_EQ(same.status, 401);
}

TEST_F(HttpUser, AChallengeWithoutAnEndIsEnded) {
  const ScriptedServer server([](const ReceivedRequest&) {
    Answer answer = Answer::With(Fault::kEndlessBody)
                        .Text(401, "")
                        .With("WWW-Authenticate", "Basic realm=\"a\"");
    answer.framing = Framing::kChunked;
    return answer;
  });
  const Engine engine;
  EXPECT_FAILS(engine.Perform(As(server)), kUnavailable);
}

}  // namespace
}  // namespace coffer::http

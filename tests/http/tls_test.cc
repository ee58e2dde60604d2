// Whom the engine trusts, and by which way it goes.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "tests/http/http_fixture.h"
#include "tests/support/temporary_directory.h"

namespace coffer::http {
namespace {

/// Set for its scope; an engine reads the trusted certificates at its start, proxies at any time.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
};

class HttpTls : public testing::Test {
 protected:
  HttpTls() { WriteTestFile(ca_file(), authority_.certificate()); }

  ScriptedServerOptions Secured(const std::vector<std::string>& names = {"localhost"},
                                Validity validity = Validity::kNow) {
    ScriptedServerOptions options;
    options.tls = authority_.Issue(names, validity);
    return options;
  }
  [[nodiscard]] std::string ca_file() const { return directory_.path() + "/ca.pem"; }
  [[nodiscard]] HttpOptions Trusting() const {
    HttpOptions options;
    options.ca_file = ca_file();
    return options;
  }

  static Answer Hello(const ReceivedRequest&) { return Answer().Text(200, "hello"); }

  static void ExpectUntrusted(const Result<Response>& result, const std::string& part) {
    ASSERT_FAILS(result, kUnauthenticated);
    EXPECT_EQ(result.error().cause, ErrorCause::kCredentials);
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().message;
    EXPECT_FALSE(result.error().hint.empty());
  }

  const TestAuthority authority_;
  TemporaryDirectory directory_;
};

TEST_F(HttpTls, ATrustedServerIsAsked) {
  const ScriptedServer server(&Hello, Secured());
  const Engine engine(Trusting());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(BodyOf(engine.Perform(Asking(server.UrlOf("localhost")))), "hello");
  }
  EXPECT_EQ(server.connections(), 1U);
}

TEST_F(HttpTls, AnAddressIsANameToo) {
  const ScriptedServer server(&Hello, Secured({"127.0.0.1"}));
  const Engine engine(Trusting());
  EXPECT_EQ(BodyOf(engine.Perform(Asking(server.url()))), "hello");
}

TEST_F(HttpTls, Http2IsOffered) {
  const ScriptedServer server(&Hello, Secured());
  const Engine engine(Trusting());
  ASSERT_OK(engine.Perform(Asking(server.UrlOf("localhost"))));
  EXPECT_NE(server.offered_protocols().at(0).find("h2"), std::string::npos);
}

TEST_F(HttpTls, LargeUploadsHaveAConnectionToThemselves) {
  const ScriptedServer server(&Hello, Secured());
  const Engine engine(Trusting());
  const Bytes body = Pattern(100'000);
  ASSERT_OK(engine.Perform(Putting(server.UrlOf("localhost"), body), With(Priority::kWrite)));
  EXPECT_EQ(server.offered_protocols().at(0).find("h2"), std::string::npos);
}

TEST_F(HttpTls, AnAuthorityThatIsNotKnownIsRefused) {
  const ScriptedServer server(&Hello, Secured());
  const Engine engine;
  ExpectUntrusted(engine.Perform(Asking(server.UrlOf("localhost"))),
                  "is of an authority that is not trusted here");
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(HttpTls, AnotherNameIsRefused) {
  const ScriptedServer server(&Hello, Secured({"other.example"}));
  const Engine engine(Trusting());
  ExpectUntrusted(engine.Perform(Asking(server.UrlOf("localhost"))),
                  "shows the certificate of another name");
}

TEST_F(HttpTls, ACertificateThatHasExpiredIsRefused) {
  const ScriptedServer server(&Hello, Secured({"localhost"}, Validity::kExpired));
  const Engine engine(Trusting());
  ExpectUntrusted(engine.Perform(Asking(server.UrlOf("localhost"))), "has expired");
}

TEST_F(HttpTls, ACertificateOfTomorrowIsRefused) {
  const ScriptedServer server(&Hello, Secured({"localhost"}, Validity::kNotYet));
  const Engine engine(Trusting());
  ExpectUntrusted(engine.Perform(Asking(server.UrlOf("localhost"))), "is not valid yet");
}

TEST_F(HttpTls, OldVersionsAreRefused) {
  ScriptedServerOptions options = Secured();
  options.tls_version_max = TLS1_1_VERSION;
  const ScriptedServer server(&Hello, options);
  const Engine engine(Trusting());
  const auto result = engine.Perform(Asking(server.UrlOf("localhost")));
  EXPECT_FAILS(result, kUnavailable);
  EXPECT_NE(BodyOf(result).find("no TLS with localhost"), std::string::npos) << BodyOf(result);
}

TEST_F(HttpTls, HttpsToAServerOfHttpSaysWhatToCheck) {
  const ScriptedServer server(&Hello);
  const Engine engine(Trusting());
  const auto result = engine.Perform(Asking("https://localhost:" + std::to_string(server.port())));
  ASSERT_FAILS(result, kUnavailable);
  EXPECT_NE(result.error().hint.find("http or https"), std::string::npos) << BodyOf(result);
}

TEST_F(HttpTls, ARequestMayNameItsOwnAuthority) {
  const ScriptedServer server(&Hello, Secured());
  const Engine engine;
  Request request = Asking(server.UrlOf("localhost"));
  request.ca_file = ca_file();
  EXPECT_EQ(BodyOf(engine.Perform(request)), "hello");
  request.ca_file.clear();  // and no other is let in by the connection that it made
  ExpectUntrusted(engine.Perform(request), "not trusted");
}

TEST_F(HttpTls, AFileThatIsNotThereSaysSo) {
  const ScriptedServer server(&Hello, Secured());
  HttpOptions options;
  options.ca_file = directory_.path() + "/none.pem";
  const Engine engine(options);
  ExpectUntrusted(engine.Perform(Asking(server.UrlOf("localhost"))), "none.pem");
}

TEST_F(HttpTls, TheEnvironmentNamesAuthoritiesAsForCurl) {
  const ScriptedServer server(&Hello, Secured());
  for (const char* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    const Variable variable(name, ca_file());
    const Engine engine;
    EXPECT_EQ(BodyOf(engine.Perform(Asking(server.UrlOf("localhost")))), "hello") << name;
  }
  const Variable variable("CURL_CA_BUNDLE", "/dev/null");
  const Engine engine(Trusting());
  EXPECT_EQ(BodyOf(engine.Perform(Asking(server.UrlOf("localhost")))), "hello");
}

TEST_F(HttpTls, CutOffWithinTheBodyIsNoAnswer) {
  const ScriptedServer server(
      [](const ReceivedRequest& request) {
        Answer answer = Answer::With(Fault::kResetMidBody).Text(200, "half of it");
        answer.framing = request.target == "/close" ? Framing::kUntilClose : Framing::kLength;
        return answer;
      },
      Secured());
  const Engine engine(Trusting());
  EXPECT_FAILS(engine.Perform(Asking(server.UrlOf("localhost") + "/")), kUnavailable);
  EXPECT_FAILS(engine.Perform(Asking(server.UrlOf("localhost") + "/close")), kUnavailable);
}

// Proxies.

TEST(HttpProxy, OfTheEnvironmentIsAsked) {
  const ScriptedServer proxy(
      [](const ReceivedRequest& request) { return Answer().Text(200, request.target); });
  const Variable variable("http_proxy", proxy.url());
  const Engine engine;
  EXPECT_EQ(BodyOf(engine.Perform(Asking("http://store.example/a"))), "http://store.example/a");
}

TEST(HttpProxy, IsPassedByForWhatNoProxyNames) {
  const ScriptedServer proxy([](const ReceivedRequest&) { return Answer().Text(200, "proxy"); });
  const Variable variable("all_proxy", proxy.url());
  const Variable exception("no_proxy", "store.invalid");
  const Engine engine;
  EXPECT_FAILS(engine.Perform(Asking("http://store.invalid/")), kUnavailable);
  EXPECT_EQ(BodyOf(engine.Perform(Asking("http://other.invalid/"))), "proxy");
}

TEST(HttpProxy, IsNeverAskedForTheLoopback) {
  const ScriptedServer proxy([](const ReceivedRequest&) { return Answer().Text(200, "proxy"); });
  const ScriptedServer server([](const ReceivedRequest&) { return Answer().Text(200, "own"); });
  const Variable variable("http_proxy", proxy.url());
  const Engine engine;
  EXPECT_EQ(BodyOf(engine.Perform(Asking(server.url()))), "own");
  EXPECT_EQ(BodyOf(engine.Perform(Asking(server.UrlOf("localhost")))), "own");
}

TEST(HttpProxy, ThatDoesNotLeadToHttpsSaysSo) {
  const ScriptedServer proxy([](const ReceivedRequest&) { return Answer().Text(502, "no"); });
  const Variable variable("https_proxy", proxy.url());
  const Engine engine;
  const auto result = engine.Perform(Asking("https://store.example/"));
  EXPECT_FAILS(result, kUnavailable);
  EXPECT_EQ(proxy.requests().at(0).method, "CONNECT");
  EXPECT_EQ(proxy.requests().at(0).target, "store.example:443");
  EXPECT_NE(BodyOf(result).find("proxy"), std::string::npos) << BodyOf(result);
}

TEST(HttpProxy, ThatIsNotThereNamesNoPassword) {
  const Variable variable("http_proxy", "http://me:secret@proxy.invalid:1/");
  const Engine engine;
  const auto result = engine.Perform(Asking("http://store.example/"));
  ASSERT_FAILS(result, kUnavailable);
  EXPECT_NE(result.error().message.find("the proxy on the way to store.example"), std::string::npos)
      << result.error().message;
  EXPECT_EQ(BodyOf(result).find("secret"), std::string::npos);
}

}  // namespace
}  // namespace coffer::http

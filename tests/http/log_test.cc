// Nothing secret gets into the log, though everything is logged (faults.md A34, A35).
#include <gtest/gtest.h>

#include "core/base/log.h"
#include "tests/http/http_fixture.h"

namespace coffer::http {
namespace {

TEST(HttpLog, HoldsNoSecretAndNothingThatSteersATerminal) {
  const ScriptedServer server([](const ReceivedRequest& request) {
    if (request.target.starts_with("/cut")) return Answer::With(Fault::kResetBeforeReply);
    return Answer()
        .Text(401, "\x1b[31m")
        .With("WWW-Authenticate", "Basic realm=\"\x1b[31m\"")
        .With("X-Amz-Security-Token", "hidden-7");
  });
  const SecretBytes password = SecretBytes::CopyOf(AsBytes("hidden-1"));
  Request request = Asking(server.url() + "/a?X-Amz-Signature=hidden-2&sig=hidden-3&x=y");
  request.headers = {{"Authorization", "AWS4-HMAC-SHA256 Signature=hidden-4"},
                     {"x-amz-security-token", "hidden-5"},
                     {"Cookie", "hidden-6"}};
  Request with_user = request;
  with_user.headers = {};
  with_user.user = User{"me", &password};
  Request cut = request;
  cut.url = server.url() + "/cut?sig=hidden-8";

  SetLogLevel(LogLevel::kDebug);
  testing::internal::CaptureStderr();
  std::string messages;
  {
    const Engine engine;
    for (const Request& one : {request, with_user, cut}) {
      const auto result = engine.Perform(one);
      if (!result.has_value()) messages += TextOf(result.error()) + result.error().hint;
    }
  }
  const std::string log = testing::internal::GetCapturedStderr();
  SetLogLevel(LogLevel::kWarning);
  EXPECT_NE(log.find("/a?"), std::string::npos) << log;
  for (const std::string& text : {log, messages}) {
    EXPECT_EQ(text.find("hidden"), std::string::npos) << text;
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
    EXPECT_EQ(text.find("bWU6"), std::string::npos) << text;  // "me:" in base64
  }
}

}  // namespace
}  // namespace coffer::http

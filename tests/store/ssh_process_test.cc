// What ssh is told and what its words mean; and the program itself where nothing outside this
// machine is needed: a stand-in on PATH, and Debian's sftp-server as a direct child.
#include "core/store/ssh_process.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/executor.h"
#include "core/base/log.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::store {
namespace {

const SshTarget kTarget{"me", "host.example", "2222"};

Error After(const std::string& said) { return ExplainSshEnd(kTarget, {255, said}); }

TEST(SshWords, NameTheTargetAfterAllOptionsAndAskNobody) {
  const std::vector<std::string> words = SshWords("/usr/bin/ssh", kTarget);
  EXPECT_EQ(words.front(), "/usr/bin/ssh");
  for (const char* option : {"-oBatchMode=yes", "-oStrictHostKeyChecking=yes",
                             "-oServerAliveInterval=15", "-oClearAllForwardings=yes"}) {
    EXPECT_NE(std::ranges::find(words, option), words.end()) << option;
  }
  const std::vector<std::string> last(words.end() - 8, words.end());
  EXPECT_EQ(last, (std::vector<std::string>{"-p", "2222", "-l", "me", "-s", "--", "host.example",
                                            "sftp"}));
  const std::vector<std::string> plain = SshWords("ssh", {"", "-oProxyCommand", ""});
  EXPECT_EQ(*(plain.end() - 3), "--") << "a host is no option";
}

TEST(SshEnd, AnUnknownHostIsToldWithTheCommandThatMakesItKnown) {
  const Error error = After(
      "No ED25519 host key is known for [host.example]:2222 and you have requested strict "
      "checking.\r\nHost key verification failed.\r\n");
  EXPECT_EQ(error.code, ErrorCode::kUnauthenticated);
  EXPECT_EQ(error.cause, ErrorCause::kCredentials);
  EXPECT_NE(error.message.find("not known yet"), std::string::npos) << error.message;
  EXPECT_NE(error.hint.find("`ssh -p 2222 me@host.example`"), std::string::npos) << error.hint;
}

TEST(SshEnd, AChangedHostKeyIsToldApartFromAnUnknownOne) {
  const Error error = After(
      "@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n"
      "Offending ED25519 key in /home/me/.ssh/known_hosts:3\r\n"
      "Host key for [host.example]:2222 has changed and you have requested strict checking.\r\n"
      "Host key verification failed.\r\n");
  EXPECT_EQ(error.code, ErrorCode::kUnauthenticated);
  EXPECT_NE(error.message.find("not the one that is known"), std::string::npos) << error.message;
  EXPECT_NE(error.hint.find("ssh-keygen -R '[host.example]:2222'"), std::string::npos)
      << error.hint;
}

TEST(SshEnd, EachReasonHasItsCodeAndAdvice) {
  const struct {
    const char* said;
    ErrorCode code;
    const char* in_message;
    const char* in_hint;
  } kCases[] = {
      {"me@host.example: Permission denied (publickey,password).\r\n", ErrorCode::kUnauthenticated,
       "does not let this user in", "BatchMode"},
      {"ssh: Could not resolve hostname host.example: Name or service not known\r\n",
       ErrorCode::kUnavailable, "no such host", "name"},
      {"ssh: connect to host host.example port 2222: Connection refused\r\n",
       ErrorCode::kUnavailable, "nothing answers", "port"},
      {"ssh: connect to host host.example port 2222: Connection timed out\r\n",
       ErrorCode::kUnavailable, "does not answer", "network"},
      {"subsystem request failed on channel 0\r\n", ErrorCode::kUnsupported, "no SFTP",
       "Subsystem"},
      {"Timeout, server host.example not responding.\r\n", ErrorCode::kUnavailable, "any more", ""},
      {"something else\r\n", ErrorCode::kUnavailable, "something else", ""},
      {"", ErrorCode::kUnavailable, "has ended", ""},
  };
  for (const auto& expected : kCases) {
    const Error error = After(expected.said);
    EXPECT_EQ(error.code, expected.code) << expected.said;
    EXPECT_NE(error.message.find(expected.in_message), std::string::npos) << error.message;
    EXPECT_NE(error.message.find("me@host.example:2222"), std::string::npos) << error.message;
    EXPECT_NE(error.hint.find(expected.in_hint), std::string::npos) << error.hint;
  }
}

TEST(SshEnd, WhatWasSaidIsShortAndHarmlessInAnError) {
  const Error error = After(std::string(3000, 'a') + "\n\x1b[2J\xff evil\n");
  EXPECT_LT(error.message.size(), 600U);
  EXPECT_EQ(error.message.find('\x1b'), std::string::npos);
  EXPECT_NE(error.message.find("evil"), std::string::npos);
}

class SshProcessTest : public testing::Test {
 protected:
  Status Greet(const SftpDialer& dial) {
    auto session = SftpSession::Start(dial, "SFTP server", clock, *executor);
    if (!session.has_value()) return Fail(session.error());
    const RequestContext context;
    SftpSession::Exchange exchange(**session, context);
    const auto terms = exchange.AwaitTerms();
    if (!terms.has_value()) return Fail(terms.error());
    return {};
  }
  /// ssh is a shell script of that text, for this process.
  void PutSsh(const std::string& script) {
    const std::string path = directory.path() + "/ssh";
    FILE* const file = fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr);
    fputs(("#!/bin/sh\n" + script + "\n").c_str(), file);
    fclose(file);
    ASSERT_EQ(chmod(path.c_str(), 0755), 0);
    setenv("PATH", Concat(directory.path(), ":", old_path).c_str(), 1);
  }
  void TearDown() override { setenv("PATH", old_path.c_str(), 1); }

  const std::string old_path = std::getenv("PATH");
  TemporaryDirectory directory;
  SystemClock clock;
  std::unique_ptr<Executor> executor = NewThreadExecutor("waits", 1);
};

TEST_F(SshProcessTest, TalksToAnSftpServerOnItsStandardStreams) {
  PutSsh("exec /usr/lib/openssh/sftp-server");
  EXPECT_OK(Greet([](SftpChannel::Listener& listener) { return StartSsh(kTarget, listener); }));
}

TEST_F(SshProcessTest, ItsWordsOnStderrAreTheReason) {
  PutSsh("echo 'me@host.example: Permission denied (publickey).' >&2; exit 255");
  const Status greeted =
      Greet([](SftpChannel::Listener& listener) { return StartSsh(kTarget, listener); });
  EXPECT_FAILS(greeted, kUnauthenticated);
}

TEST_F(SshProcessTest, SeesNothingOfTheEnvironmentThatIsNotForIt) {
  setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
  setenv("SSH_AUTH_SOCK", "/run/agent", 1);
  PutSsh("echo \"agent $SSH_AUTH_SOCK secret [$AWS_SECRET_ACCESS_KEY]\" >&2; exit 255");
  const Status greeted =
      Greet([](SftpChannel::Listener& listener) { return StartSsh(kTarget, listener); });
  ASSERT_FALSE(greeted.has_value());
  EXPECT_NE(greeted.error().message.find("agent /run/agent secret []"), std::string::npos)
      << greeted.error().message;
}

}  // namespace
}  // namespace coffer::store

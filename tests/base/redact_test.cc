#include "core/base/redact.h"

#include <gtest/gtest.h>

#include "core/base/log.h"

namespace coffer {
namespace {

TEST(Redacted, LeavesPlainTextAlone) {
  for (const char* text :
       {"", "synced 12 bytes", "a@b.c: no", "10:30 http:/x", "file:///mnt/a b",
        "nbd+unix:///photos?socket=/run/user/0/coffer/nbd.sock", "https://host:8080/path/to@me"}) {
    EXPECT_EQ(Redacted(text), text);
  }
}

TEST(Redacted, CutsTheCredentialsOfUrls) {
  EXPECT_EQ(Redacted("at https://me:s3cret@host/dav, failed"), "at https://***@host/dav, failed");
  EXPECT_EQ(Redacted("sftp://me@host:22/x"), "sftp://***@host:22/x");
  EXPECT_EQ(Redacted("two: a://u:p@h b://v:q@i"), "two: a://***@h b://***@i");
  EXPECT_EQ(Redacted("https://me:p@ss@host/"), "https://***@host/");
  EXPECT_EQ(Redacted("https://me:p/w@host/"), "https://***@host/");
}

TEST(Redacted, CutsTheValuesOfQueries) {
  EXPECT_EQ(Redacted("https://b.s3/x?X-Amz-Signature=abc&partNumber=1 gave 403"),
            "https://b.s3/x?X-Amz-Signature=***&partNumber=*** gave 403");
  EXPECT_EQ(Redacted("\"https://a/b?sig=1%2F=\""), "\"https://a/b?sig=***\"");
  EXPECT_EQ(Redacted("https://a?flag"), "https://a?flag");
}

TEST(Redacted, CutsAuthorizationHeaders) {
  EXPECT_EQ(Redacted("sent authorization: Basic abc=="), "sent authorization: ***");
  EXPECT_EQ(Redacted("Authorization: x y\nHost: z"), "Authorization: ***\nHost: z");
}

TEST(Redacted, IsDoneToEveryLineOfTheLog) {
  testing::internal::CaptureStderr();
  LOG(kError, "store https://me:s3cret@host/ is gone");
  const std::string shown = testing::internal::GetCapturedStderr();
  EXPECT_NE(shown.find("https://***@host/"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("s3cret"), std::string::npos);
}

}  // namespace
}  // namespace coffer

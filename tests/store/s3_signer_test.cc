#include "core/store/s3_signer.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace coffer::store {
namespace {

constexpr UnixSeconds kMay2013 = 1369353600;  // 2013-05-24T00:00:00Z

std::string HeaderOf(const NameValues& headers, std::string_view name) {
  for (const auto& header : headers) {
    if (header.first == name) return header.second;
  }
  return "none";
}

std::string SignatureOf(const NameValues& headers) {
  const std::string authorization = HeaderOf(headers, "Authorization");
  const std::string_view mark = "Signature=";
  return authorization.substr(authorization.find(mark) + mark.size());
}

S3Keys ExampleKeys() {
  return {"AKIAIOSFODNN7EXAMPLE",
          SecretBytes::CopyOf(AsBytes("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))};
}

S3Call ExampleCall(const std::string& method, const std::string& path) {
  return {.method = method, .host = "examplebucket.s3.amazonaws.com", .path = path};
}

NameValues SignExample(const S3Call& call) {
  return SignS3(call, ExampleKeys(), {S3Dialect::kAws, "us-east-1"}, kMay2013);
}

// The four examples of "Authenticating Requests: Using the Authorization Header (AWS Signature
// Version 4)", docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.

TEST(S3Signer, SignsTheGetOfAwsExamples) {
  S3Call call = ExampleCall("GET", "/test.txt");
  call.headers = {{"Range", "bytes=0-9"}};
  const NameValues sent = SignExample(call);
  EXPECT_EQ(SignatureOf(sent), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(HeaderOf(sent, "Authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(HeaderOf(sent, "x-amz-date"), "20130524T000000Z");
  EXPECT_EQ(HeaderOf(sent, "x-amz-content-sha256"),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(S3Signer, SignsThePutOfAwsExamples) {
  S3Call call = ExampleCall("PUT", UriEncodePath("/test$file.text"));
  call.headers = {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                  {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  call.body = AsBytes("Welcome to Amazon S3.");
  EXPECT_EQ(SignatureOf(SignExample(call)),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(S3Signer, SignsTheQueriesOfAwsExamples) {
  S3Call lifecycle = ExampleCall("GET", "/");
  lifecycle.query = {{"lifecycle", ""}};
  EXPECT_EQ(SignatureOf(SignExample(lifecycle)),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  S3Call list = ExampleCall("GET", "/");
  list.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(SignatureOf(SignExample(list)),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(S3Signer, SignsTheTokenOfTemporaryKeys) {
  S3Keys keys = ExampleKeys();
  keys.session_token = SecretBytes::CopyOf(AsBytes("token"));
  const NameValues sent =
      SignS3(ExampleCall("GET", "/"), keys, {S3Dialect::kAws, "us-east-1"}, kMay2013);
  EXPECT_EQ(HeaderOf(sent, "x-amz-security-token"), "token");
  EXPECT_NE(HeaderOf(sent, "Authorization").find("x-amz-date;x-amz-security-token,"),
            std::string::npos);
}

TEST(S3Signer, SpeaksGooglesNames) {
  S3Call call = ExampleCall("PUT", "/bucket/name");
  call.headers = {{"x-goog-if-generation-match", "0"}};
  const NameValues sent = SignS3(call, ExampleKeys(), {S3Dialect::kGoogle, "auto"}, kMay2013);
  EXPECT_TRUE(HeaderOf(sent, "Authorization")
                  .starts_with("GOOG4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/auto/"
                               "storage/goog4_request,SignedHeaders=host;x-goog-content-sha256;"
                               "x-goog-date;x-goog-if-generation-match,"));
  EXPECT_TRUE(
      std::ranges::none_of(sent, [](const auto& h) { return h.first.starts_with("x-amz"); }));
}

TEST(S3Signer, EncodesAsS3Wants) {
  EXPECT_EQ(UriEncode("a/b c+~\xc3\xbc"), "a%2Fb%20c%2B~%C3%BC");
  EXPECT_EQ(UriEncodePath("/a/b c=*"), "/a/b%20c%3D%2A");
  EXPECT_EQ(CanonicalQuery({{"prefix", "a/b"}, {"list-type", "2"}, {"delete", ""}}),
            "delete=&list-type=2&prefix=a%2Fb");
}

TEST(S3Signer, KeysDifferByEachPart) {
  EXPECT_TRUE(ExampleKeys().SameAs(ExampleKeys()));
  for (std::string S3Keys::*part : {&S3Keys::access_key}) {
    S3Keys other = ExampleKeys();
    (other.*part) += "x";
    EXPECT_FALSE(ExampleKeys().SameAs(other));
  }
  for (SecretBytes S3Keys::*part : {&S3Keys::secret_key, &S3Keys::session_token}) {
    S3Keys other = ExampleKeys();
    (other.*part) = SecretBytes::CopyOf(AsBytes("x"));
    EXPECT_FALSE(ExampleKeys().SameAs(other));
  }
}

}  // namespace
}  // namespace coffer::store

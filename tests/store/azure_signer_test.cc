#include "core/store/azure_signer.h"

#include <gtest/gtest.h>

#include "core/base/base64.h"

namespace coffer::store {
namespace {

constexpr UnixSeconds kTime = 1'700'000'000;

/// The key of Microsoft's emulators, which is public.
AzureKeys EmulatorKeys() {
  auto key = SecretFromBase64(AsBytes(
      "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="));
  return AzureKeys{.account_key = std::move(*key)};
}

std::string AuthorizationOf(const AzureCall& call) {
  return SignAzure(call, "devstoreaccount1", EmulatorKeys(), kTime).back().second;
}

// Computed with Python's hmac over the text that the service's documentation describes.
TEST(AzureSigner, SignsARequestAsTheServiceDoes) {
  const std::string body = "hello";
  AzureCall put{.method = "PUT",
                .origin = "http://127.0.0.1:10000",
                .path = "/devstoreaccount1/cnt/a%20b/vault",
                .headers = {{"If-None-Match", "*"},
                            {"Content-Type", "application/octet-stream"},
                            {"Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="},
                            {"x-ms-blob-type", "BlockBlob"}},
                .body = AsBytes(body)};
  EXPECT_EQ(AuthorizationOf(put),
            "SharedKey devstoreaccount1:v0sbtmmdKmmRNTQke6RL/+qYIOzBd7lTI923ltqEmBg=");
  put.body = {};  // a length of 0 is signed as none
  EXPECT_EQ(AuthorizationOf(put),
            "SharedKey devstoreaccount1:bZ70FFwXbwVDDBA919BFB7VuOk+OK08qtMb93IjbNaw=");
  const AzureCall list{.method = "GET",
                       .origin = "http://127.0.0.1:10000",
                       .path = "/devstoreaccount1/cnt",
                       .query = {{"restype", "container"}, {"comp", "list"}, {"prefix", "a b/"}}};
  EXPECT_EQ(AuthorizationOf(list),
            "SharedKey devstoreaccount1:D4FhT2lrrrse2rTkPalfBFSskF+JUrSSwyTwE0dYxxY=");
}

TEST(AzureSigner, SignatureCoversEachPartOfTheRequest) {
  const std::string body = "hello";
  const AzureCall call{.method = "PUT",
                       .origin = "https://h",
                       .path = "/cnt/a",
                       .query = {{"comp", "x"}},
                       .headers = {{"x-ms-range", "bytes=0-9"}, {"If-None-Match", "*"}},
                       .body = AsBytes(body)};
  const std::string right = AuthorizationOf(call);
  const auto changed = [&](const auto& change) {
    AzureCall other = call;
    change(other);
    return AuthorizationOf(other);
  };
  EXPECT_NE(changed([](AzureCall& c) { c.method = "GET"; }), right);
  EXPECT_NE(changed([](AzureCall& c) { c.path = "/cnt/b"; }), right);
  EXPECT_NE(changed([](AzureCall& c) { c.query[0].second = "y"; }), right);
  EXPECT_NE(changed([](AzureCall& c) { c.query.clear(); }), right);
  EXPECT_NE(changed([](AzureCall& c) { c.headers[0].second = "bytes=0-8"; }), right);
  EXPECT_NE(changed([](AzureCall& c) { c.headers.pop_back(); }), right);
  EXPECT_NE(changed([](AzureCall& c) { c.body = c.body.first(4); }), right);
  EXPECT_NE(SignAzure(call, "devstoreaccount1", EmulatorKeys(), kTime + 1).back().second, right);
  EXPECT_NE(SignAzure(call, "devstoreaccount2", EmulatorKeys(), kTime).back().second, right);
}

TEST(AzureSigner, SendsASasInTheUrlAndNoSignature) {
  const AzureKeys keys{.sas = SecretBytes::CopyOf(AsBytes("sv=2021-12-02&sig=a%2Fb%3D"))};
  AzureCall call{.method = "GET", .origin = "https://h", .path = "/cnt/a"};
  for (const auto& [name, value] : SignAzure(call, "account", keys, kTime)) {
    EXPECT_NE(name, "Authorization");
    EXPECT_EQ(value.find("sig="), std::string::npos);
  }
  EXPECT_EQ(AzureUrl(call, keys), "https://h/cnt/a?sv=2021-12-02&sig=a%2Fb%3D");
  call.query = {{"prefix", "a b/&"}, {"comp", "list"}};
  EXPECT_EQ(AzureUrl(call, keys),
            "https://h/cnt/a?comp=list&prefix=a%20b%2F%26&sv=2021-12-02&sig=a%2Fb%3D");
  EXPECT_EQ(AzureUrl(call, {}), "https://h/cnt/a?comp=list&prefix=a%20b%2F%26");
}

}  // namespace
}  // namespace coffer::store

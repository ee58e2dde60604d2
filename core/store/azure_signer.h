// What lets a request into Azure's Blob service: SharedKey, an HMAC over the request by the
// account's key (learn.microsoft.com "Authorize with Shared Key"), or a shared access signature
// (SAS), which somebody with the key has made and which is sent along as it is.
//
// Pure and thread-safe. A SAS is a secret as good as a password: what AzureUrl returns is for the
// request alone, never for a message.
#pragma once

#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/secret_bytes.h"
#include "core/store/s3_signer.h"

namespace coffer::store {

/// The version of the service whose rules hold for signatures and answers. Later ones add nothing
/// that is used here, and private clouds lag behind.
inline constexpr std::string_view kAzureVersion = "2021-12-02";

/// One of the two.
struct AzureKeys {
  SecretBytes account_key = {};  // decoded
  SecretBytes sas = {};          // "sv=…&sig=…", without a "?"

  [[nodiscard]] bool is_sas() const { return !sas.empty(); }
  [[nodiscard]] bool SameAs(const AzureKeys& other) const;
};

/// A request as it will be sent.
struct AzureCall {
  std::string method;
  std::string origin;       // "https://account.blob.core.windows.net"
  std::string path;         // encoded, see UriEncodePath
  NameValues query = {};    // not encoded
  NameValues headers = {};  // those beside date, version and signature
  ByteView body = {};
};

/// All headers to send: those of `call`, date, version, and the signature unless a SAS takes its
/// place.
[[nodiscard]] NameValues SignAzure(const AzureCall& call, const std::string& account,
                                   const AzureKeys& keys, UnixSeconds now);

/// Where to send it, with the SAS if there is one.
[[nodiscard]] std::string AzureUrl(const AzureCall& call, const AzureKeys& keys);

}  // namespace coffer::store

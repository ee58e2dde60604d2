#include "core/store/s3_signer.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/http/header_text.h"

namespace coffer::store {
namespace {

/// What the two dialects call things.
struct Names {
  std::string_view algorithm;
  std::string_view key_prefix;
  std::string_view service;
  std::string_view terminator;
  std::string_view date_header;
  std::string_view hash_header;
  std::string_view token_header;
};

constexpr Names kAwsNames = {"AWS4-HMAC-SHA256",    "AWS4",       "s3",
                             "aws4_request",        "x-amz-date", "x-amz-content-sha256",
                             "x-amz-security-token"};
constexpr Names kGoogleNames = {"GOOG4-HMAC-SHA256",    "GOOG4",       "storage",
                                "goog4_request",        "x-goog-date", "x-goog-content-sha256",
                                "x-goog-security-token"};

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

void AppendEncoded(std::string& out, char c) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out.push_back('%');
  out.push_back(kDigits[byte >> 4]);
  out.push_back(kDigits[byte & 15]);
}

std::string LowerCase(std::string text) {
  std::ranges::transform(text, text.begin(), http::LowerCase);
  return text;
}

/// Without blanks at both ends, runs of blanks inside as one.
std::string Trimmed(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c != ' ' && c != '\t') {
      out.push_back(c);
    } else if (!out.empty() && out.back() != ' ') {
      out.push_back(' ');
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

SecretBytes Step(const SecretBytes& key, std::string_view text) {
  crypto::Mac mac = crypto::HmacSha256(key, {AsBytes(text)});
  SecretBytes next = SecretBytes::CopyOf(mac);
  Wipe(mac);
  return next;
}

/// The key of one day, region and service.
SecretBytes SigningKey(const Names& names, const S3Keys& keys, std::string_view day,
                       std::string_view region) {
  SecretBytes key(names.key_prefix.size() + keys.secret_key.size());
  const ByteView prefix = AsBytes(names.key_prefix);
  std::ranges::copy(prefix, key.mutable_view().begin());
  std::ranges::copy(keys.secret_key.view(), key.mutable_view().subspan(prefix.size()).begin());
  for (const std::string_view text : {day, region, names.service, names.terminator}) {
    key = Step(key, text);
  }
  return key;
}

}  // namespace

bool S3Keys::SameAs(const S3Keys& other) const {
  return access_key == other.access_key &&
         ConstantTimeEqual(secret_key.view(), other.secret_key.view()) &&
         ConstantTimeEqual(session_token.view(), other.session_token.view());
}

std::string UriEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out.push_back(c);
    } else {
      AppendEncoded(out, c);
    }
  }
  return out;
}

std::string UriEncodePath(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (IsUnreserved(c) || c == '/') {
      out.push_back(c);
    } else {
      AppendEncoded(out, c);
    }
  }
  return out;
}

std::string CanonicalQuery(NameValues query) {
  for (auto& [name, value] : query) {
    name = UriEncode(name);
    value = UriEncode(value);
  }
  std::ranges::sort(query);
  std::string out;
  for (const auto& [name, value] : query) {
    out.append(out.empty() ? "" : "&").append(name).append("=").append(value);
  }
  return out;
}

NameValues SignS3(const S3Call& call, const S3Keys& keys, const SigningScope& scope,
                  UnixSeconds now) {
  const Names& names = scope.dialect == S3Dialect::kAws ? kAwsNames : kGoogleNames;
  const std::string time = CompactUtc(now) + "Z";
  const std::string day = time.substr(0, 8);
  const std::string body_hash =
      (call.body_hash ? *call.body_hash : crypto::Sha256(call.body)).ToString();

  NameValues sent = call.headers;
  sent.emplace_back(names.date_header, time);
  sent.emplace_back(names.hash_header, body_hash);
  if (!keys.session_token.empty()) {
    sent.emplace_back(names.token_header, AsText(keys.session_token.view()));
  }

  NameValues signed_headers;
  for (const auto& [name, value] : sent) {
    signed_headers.emplace_back(LowerCase(name), Trimmed(value));
  }
  signed_headers.emplace_back("host", call.host);
  std::ranges::sort(signed_headers);
  std::string header_lines;
  std::string header_names;
  for (const auto& [name, value] : signed_headers) {
    header_lines.append(name).append(":").append(value).append("\n");
    header_names.append(header_names.empty() ? "" : ";").append(name);
  }

  const std::string canonical =
      Concat(call.method, "\n", call.path, "\n", CanonicalQuery(call.query), "\n", header_lines,
             "\n", header_names, "\n", body_hash);
  const std::string credential_scope =
      Concat(day, "/", scope.region, "/", names.service, "/", names.terminator);
  const std::string to_sign = Concat(names.algorithm, "\n", time, "\n", credential_scope, "\n",
                                     ToHex(crypto::Sha256(AsBytes(canonical)).bytes));
  const SecretBytes key = SigningKey(names, keys, day, scope.region);
  const std::string signature = ToHex(crypto::HmacSha256(key, {AsBytes(to_sign)}));
  sent.emplace_back("Authorization",
                    Concat(names.algorithm, " Credential=", keys.access_key, "/", credential_scope,
                           ",SignedHeaders=", header_names, ",Signature=", signature));
  return sent;
}

}  // namespace coffer::store

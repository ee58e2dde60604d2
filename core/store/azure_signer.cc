#include "core/store/azure_signer.h"

#include <algorithm>

#include "core/base/base64.h"
#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/http/header_text.h"
#include "core/http/http_date.h"

namespace coffer::store {
namespace {

std::string LowerCase(std::string text) {
  std::ranges::transform(text, text.begin(), http::LowerCase);
  return text;
}

std::string_view Find(const NameValues& headers, std::string_view wanted) {
  for (const auto& [name, value] : headers) {
    if (http::EqualIgnoringCase(name, wanted)) return http::Trimmed(value);
  }
  return {};
}

/// "x-ms-date:…\nx-ms-version:…\n".
std::string OwnHeaders(const NameValues& headers) {
  NameValues own;
  for (const auto& [name, value] : headers) {
    std::string lower = LowerCase(name);
    if (lower.starts_with("x-ms-")) own.emplace_back(std::move(lower), http::Trimmed(value));
  }
  std::ranges::sort(own);
  std::string lines;
  for (const auto& [name, value] : own) lines.append(name).append(":").append(value).append("\n");
  return lines;
}

/// "/account/path\nname:value".
std::string Resource(const AzureCall& call, const std::string& account) {
  NameValues query;
  for (const auto& [name, value] : call.query) query.emplace_back(LowerCase(name), value);
  std::ranges::sort(query);
  std::string text = Concat("/", account, call.path);
  for (const auto& [name, value] : query) {
    text.append("\n").append(name).append(":").append(value);
  }
  return text;
}

std::string TextToSign(const AzureCall& call, const NameValues& headers,
                       const std::string& account) {
  const std::string length = call.body.empty() ? "" : LogText(call.body.size());
  std::string text = call.method;
  for (const std::string_view name :
       {"Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type",
        "Date", "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"}) {
    text.append("\n").append(name == "Content-Length" ? length : Find(headers, name));
  }
  return Concat(text, "\n", OwnHeaders(headers), Resource(call, account));
}

}  // namespace

bool AzureKeys::SameAs(const AzureKeys& other) const {
  return ConstantTimeEqual(account_key.view(), other.account_key.view()) &&
         ConstantTimeEqual(sas.view(), other.sas.view());
}

NameValues SignAzure(const AzureCall& call, const std::string& account, const AzureKeys& keys,
                     UnixSeconds now) {
  NameValues sent = call.headers;
  sent.emplace_back("x-ms-date", http::HttpDate(now));
  sent.emplace_back("x-ms-version", kAzureVersion);
  if (keys.is_sas()) return sent;
  const std::string text = TextToSign(call, sent, account);
  const crypto::Mac mac = crypto::HmacSha256(keys.account_key, {AsBytes(text)});
  sent.emplace_back("Authorization", Concat("SharedKey ", account, ":", ToBase64(mac)));
  return sent;
}

std::string AzureUrl(const AzureCall& call, const AzureKeys& keys) {
  std::string query = CanonicalQuery(call.query);
  if (keys.is_sas()) query.append(query.empty() ? "" : "&").append(AsText(keys.sas.view()));
  return Concat(call.origin, call.path, query.empty() ? "" : "?", query);
}

}  // namespace coffer::store

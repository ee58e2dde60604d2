#include "tests/support/fake_azure.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "core/base/base64.h"
#include "core/base/line_text.h"
#include "core/base/log.h"
#include "core/http/header_text.h"
#include "core/http/http_date.h"
#include "tests/crypto/openssl.h"

namespace coffer {
namespace {

using http::Request;
using http::Response;

constexpr UnixSeconds kSkewMax = 15 * 60;
constexpr std::string_view kDirectory = "a directory";
constexpr std::string_view kMarkerPrefix = "2!";

/// What every answer of the service has.
Response Own(int status, std::string_view body, const std::string& type) {
  Response response = MakeResponse(status, body, type);
  response.headers.push_back({"x-ms-request-id", "5f3a"});
  response.headers.push_back({"x-ms-version", "2021-12-02"});
  return response;
}

}  // namespace

Response AzureError(int status, const std::string& code, const std::string& message) {
  Response response = Own(
      status,
      Concat("\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>", code,
             "</Code><Message>", message, "\nRequestId:5f3a\nTime:2023-11-14</Message></Error>"),
      "application/xml");
  response.headers.push_back({"x-ms-error-code", code});
  return response;
}

/// A request taken apart, as it stands on the wire.
struct FakeAzure::Parsed {
  const Request& request;
  std::string path;                                        // encoded
  std::vector<std::pair<std::string, std::string>> query;  // decoded
  std::string query_text;                                  // as it came
  std::string name;                                        // "" for the container

  [[nodiscard]] std::string Header(std::string_view name_wanted) const {
    for (const http::Header& header : request.headers) {
      if (http::EqualIgnoringCase(header.name, name_wanted)) return header.value;
    }
    return "";
  }
  [[nodiscard]] std::string Query(std::string_view name_wanted) const {
    for (const auto& [found, value] : query) {
      if (found == name_wanted) return value;
    }
    return "";
  }
};

void FakeAzure::AddKey(ByteView key) {
  const MutexLock lock(mutex_);
  keys_.push_back(ToBytes(key));
}

void FakeAzure::AddSas(const std::string& sas, const std::string& rights) {
  const MutexLock lock(mutex_);
  tokens_[sas] = rights;
}

void FakeAzure::DropKeys() {
  const MutexLock lock(mutex_);
  keys_.clear();
  tokens_.clear();
}

void FakeAzure::SetNow(UnixSeconds now) {
  const MutexLock lock(mutex_);
  now_ = now;
}

void FakeAzure::SetContainer(bool there) {
  const MutexLock lock(mutex_);
  has_container_ = there;
  if (!there) blobs_.clear();
}

void FakeAzure::Put(const std::string& name, std::string_view text) {
  const MutexLock lock(mutex_);
  blobs_[name] = {ToBytes(AsBytes(text)), "", "application/octet-stream"};
}

void FakeAzure::PutDirectory(const std::string& name) {
  const MutexLock lock(mutex_);
  blobs_[name] = {{}, "", std::string(kDirectory)};
}

std::optional<FakeAzure::Blob> FakeAzure::Find(const std::string& name) const {
  const MutexLock lock(mutex_);
  const auto found = blobs_.find(name);
  if (found == blobs_.end()) return std::nullopt;
  return found->second;
}

std::vector<Request> FakeAzure::requests() const {
  const MutexLock lock(mutex_);
  return requests_;
}

std::size_t FakeAzure::request_count() const {
  const MutexLock lock(mutex_);
  return requests_.size();
}

Result<Response> FakeAzure::Perform(const RequestContext& /*context*/, const Request& request) {
  {
    const MutexLock lock(mutex_);
    requests_.push_back(request);
    requests_.back().body = {};
  }
  std::optional<Response> response;
  if (answer_instead) response = answer_instead(request);
  if (!response) {
    if (!request.url.starts_with(options_.origin + "/")) {
      return Fail(ErrorCode::kUnavailable, "no such host");
    }
    Parsed parsed{.request = request, .path = {}, .query = {}, .query_text = {}, .name = {}};
    std::string_view rest = std::string_view(request.url).substr(options_.origin.size());
    parsed.path = std::string(TakeUntil(rest, '?'));
    parsed.query_text = std::string(rest);
    while (!rest.empty()) {
      std::string_view pair = TakeUntil(rest, '&');
      const std::string name(TakeUntil(pair, '='));
      parsed.query.emplace_back(Decoded(name), Decoded(pair));
    }
    const std::string base = options_.base_path + "/";
    if (parsed.path.starts_with(base)) parsed.name = Decoded(parsed.path.substr(base.size()));
    response = Answer(parsed);
  }
  if (change_answer) change_answer(request, *response);
  // As the engine does.
  if (response->status < 300 && response->body.size() > request.body_bytes_max) {
    return Fail(ErrorCode::kCorruption, "a body beyond its limit");
  }
  if (request.method == "HEAD") response->body.clear();
  return *std::move(response);
}

bool FakeAzure::IsSigned(const Parsed& parsed) const {
  static constexpr std::array kStandard = {"content-encoding",
                                           "content-language",
                                           "content-length",
                                           "content-md5",
                                           "content-type",
                                           "date",
                                           "if-modified-since",
                                           "if-match",
                                           "if-none-match",
                                           "if-unmodified-since",
                                           "range"};
  std::map<std::string, std::string> headers;
  for (const http::Header& header : parsed.request.headers) {
    headers[Lower(header.name)] = header.value;
  }
  if (!parsed.request.body.empty()) {
    headers["content-length"] = LogText(parsed.request.body.size());
  }
  std::string text = parsed.request.method + "\n";
  for (const char* name : kStandard) text += headers[name] + "\n";
  for (const auto& [name, value] : headers) {
    if (name.starts_with("x-ms-")) text += name + ":" + value + "\n";
  }
  text += "/" + options_.account + parsed.path;
  std::map<std::string, std::string> query;
  for (const auto& [name, value] : parsed.query) query[Lower(name)] = value;
  for (const auto& [name, value] : query) text += "\n" + name + ":" + value;
  const std::string shown = parsed.Header("Authorization");
  return std::ranges::any_of(keys_, [&](const Bytes& key) {
    return shown == Concat("SharedKey ", options_.account, ":",
                           ToBase64(openssl::HmacSha256(key, AsBytes(text))));
  });
}

std::optional<Response> FakeAzure::RefuseSas(const Parsed& parsed, char right) const {
  for (const auto& [sas, rights] : tokens_) {
    if (!parsed.query_text.ends_with(sas)) continue;
    const bool may = rights.find(right) != std::string::npos ||
                     (right == 'c' && rights.find('w') != std::string::npos);
    if (!may) return AzureError(403, "AuthorizationPermissionMismatch");
    const bool overwrites =
        right == 'c' && rights.find('w') == std::string::npos && blobs_.contains(parsed.name);
    if (overwrites) {
      return AzureError(403, options_.is_azurite ? "AuthorizationPermissionMismatch"
                                                 : "UnauthorizedBlobOverwrite");
    }
    return std::nullopt;
  }
  return AzureError(403, "AuthenticationFailed");
}

/// The reason why the request is not one that the service takes.
std::optional<Response> FakeAzure::Refuse(const Parsed& parsed, char right) const {
  const auto date = http::ParseHttpDate(parsed.Header("x-ms-date"));
  if (parsed.Header("x-ms-version").empty() || !date) {
    return AzureError(400, "MissingRequiredHeader");
  }
  const bool by_sas = !parsed.Query("sig").empty();
  if (by_sas == !parsed.Header("Authorization").empty()) {
    return AzureError(401, "NoAuthenticationInformation");
  }
  const bool is_skewed = std::abs(*date - now_) > kSkewMax;
  if (!by_sas && (is_skewed || !IsSigned(parsed))) {
    Response response =
        AzureError(403, options_.is_azurite ? "AuthorizationFailure" : "AuthenticationFailed",
                   "Server failed to authenticate the request.");
    response.headers.push_back({"Date", http::HttpDate(now_)});
    return response;
  }
  if (by_sas) return RefuseSas(parsed, right);
  return std::nullopt;
}

Response FakeAzure::Answer(const Parsed& parsed) {
  const MutexLock lock(mutex_);
  const std::string& method = parsed.request.method;
  const bool lists = method == "GET" && parsed.Query("comp") == "list" &&
                     parsed.Query("restype") == "container" && parsed.path == options_.base_path;
  const char right = lists ? 'l' : method == "PUT" ? 'c' : method == "DELETE" ? 'd' : 'r';
  if (auto refused = Refuse(parsed, right)) return *std::move(refused);
  if (!has_container_) return AzureError(404, "ContainerNotFound");
  if (lists) return AnswerList(parsed);
  if (parsed.name.empty()) return AzureError(400, "InvalidUri");
  if (method == "PUT") return AnswerPut(parsed);
  if (method == "GET" || method == "HEAD") return AnswerGet(parsed);
  if (method != "DELETE") return AzureError(405, "UnsupportedHttpVerb");
  if (blobs_.erase(parsed.name) == 0) return AzureError(404, "BlobNotFound");
  return Own(202, "", "");
}

Response FakeAzure::AnswerPut(const Parsed& parsed) {
  if (parsed.Header("x-ms-blob-type") != "BlockBlob") {
    return AzureError(400, "MissingRequiredHeader");
  }
  const std::string md5 = parsed.Header("Content-MD5");
  if (md5 != Md5InBase64(parsed.request.body)) return AzureError(400, "Md5Mismatch");
  if (parsed.Header("If-None-Match") == "*" && blobs_.contains(parsed.name)) {
    return AzureError(409, "BlobAlreadyExists");
  }
  blobs_[parsed.name] = {ToBytes(parsed.request.body), parsed.Header("x-ms-access-tier"),
                         parsed.Header("Content-Type")};
  Response response = Own(201, "", "");
  response.headers.push_back({"ETag", "\"odd\""});
  return response;
}

Response FakeAzure::AnswerGet(const Parsed& parsed) {
  const auto found = blobs_.find(parsed.name);
  if (found == blobs_.end()) return AzureError(404, "BlobNotFound");
  const std::string_view data = AsText(found->second.data);
  std::string range = parsed.Header("x-ms-range");
  if (range.empty()) range = parsed.Header("Range");
  if (range.empty()) {
    Response response = Own(200, data, found->second.content_type);
    response.headers.push_back({"x-ms-blob-type", "BlockBlob"});
    return response;
  }
  range.erase(0, std::string_view("bytes=").size());
  const std::size_t first = std::strtoull(range.c_str(), nullptr, 10);
  std::size_t last = std::strtoull(range.c_str() + range.find('-') + 1, nullptr, 10);
  const bool is_beyond = first >= data.size();
  if (is_beyond && !options_.is_azurite) return AzureError(416, "InvalidRange");
  last = std::min(last, data.size() - 1);
  Response response =
      Own(206, is_beyond ? "" : data.substr(first, last - first + 1), found->second.content_type);
  response.headers.push_back({"x-ms-blob-type", "BlockBlob"});
  response.headers.push_back(
      {"Content-Range", Concat("bytes ", first, "-", last, "/", data.size())});
  return response;
}

Response FakeAzure::AnswerList(const Parsed& parsed) {
  const std::string prefix = parsed.Query("prefix");
  const std::string marker = parsed.Query("marker");
  std::size_t limit = std::strtoull(parsed.Query("maxresults").c_str(), nullptr, 10);
  limit = std::min(limit, options_.page_max);
  std::string from;
  if (!marker.empty()) {
    const std::string hex = marker.substr(std::min(marker.size(), kMarkerPrefix.size()));
    Bytes bytes(hex.size() / 2);
    if (!marker.starts_with(kMarkerPrefix) || !FromHex(hex, bytes)) {
      return AzureError(400, "InvalidQueryParameterValue");
    }
    from = std::string(AsText(bytes));
  }
  std::string blobs;
  std::string next;
  std::size_t count = 0;
  for (auto blob = blobs_.lower_bound(from); blob != blobs_.end(); ++blob) {
    if (!blob->first.starts_with(prefix)) continue;
    if (count++ == limit) {
      next = Concat(kMarkerPrefix, ToHex(AsBytes(blob->first)));
      break;
    }
    const bool is_directory = blob->second.content_type == kDirectory;
    blobs +=
        Concat("<Blob><Name>", Escaped(blob->first),
               "</Name><Properties><Last-Modified>Tue, 14 Nov 2023 22:13:20 GMT"
               "</Last-Modified>",
               is_directory ? "<ResourceType>directory</ResourceType>" : "", "<Content-Length>",
               blob->second.data.size(), "</Content-Length></Properties></Blob>");
  }
  return Own(200,
             Concat("\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults "
                    "ServiceEndpoint=\"http://h/\" ContainerName=\"c\"><Prefix>",
                    Escaped(prefix), "</Prefix><Blobs>", blobs, "</Blobs><NextMarker>", next,
                    "</NextMarker></EnumerationResults>"),
             "application/xml");
}

}  // namespace coffer

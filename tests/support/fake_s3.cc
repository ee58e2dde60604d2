#include "tests/support/fake_s3.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/base/line_text.h"
#include "core/base/log.h"
#include "core/http/header_text.h"
#include "tests/crypto/openssl.h"
#include "tests/support/fake_http.h"

namespace coffer {
namespace {

using http::Request;
using http::Response;

constexpr UnixSeconds kSkewMax = 15 * 60;

/// "20231114T231320Z" to seconds, by the days of the proleptic calendar.
UnixSeconds TimeOf(const std::string& text) {
  const auto number = [&text](std::size_t from, std::size_t count) {
    return std::atoi(text.substr(from, count).c_str());
  };
  const std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                        std::chrono::month(static_cast<unsigned>(number(4, 2))),
                                        std::chrono::day(static_cast<unsigned>(number(6, 2)))};
  return std::chrono::sys_days(day).time_since_epoch().count() * 86400L + number(9, 2) * 3600L +
         number(11, 2) * 60L + number(13, 2);
}

}  // namespace

Response S3Error(int status, const std::string& code, const std::string& more) {
  return MakeResponse(status,
                      Concat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>", code,
                             "</Code><Message>words of the provider</Message>", more, "</Error>"),
                      "application/xml");
}

/// A request taken apart, as it stands on the wire.
struct FakeS3::Parsed {
  const Request& request;
  std::string host;
  std::string path;                                        // encoded
  std::vector<std::pair<std::string, std::string>> query;  // encoded
  std::string key;                                         // "" for the bucket

  [[nodiscard]] std::string Header(std::string_view name) const {
    for (const http::Header& header : request.headers) {
      if (http::EqualIgnoringCase(header.name, name)) return header.value;
    }
    return "";
  }
  [[nodiscard]] std::string Query(std::string_view name) const {
    for (const auto& [found, value] : query) {
      if (found == name) return Decoded(value);
    }
    return "";
  }
  [[nodiscard]] bool HasQuery(std::string_view name) const {
    return std::ranges::any_of(query, [&](const auto& pair) { return pair.first == name; });
  }
};

void FakeS3::AddKeys(const std::string& access, const std::string& secret,
                     const std::string& token) {
  const MutexLock lock(mutex_);
  keys_[access] = {secret, token};
}

void FakeS3::DropKeys(const std::string& access) {
  const MutexLock lock(mutex_);
  keys_.erase(access);
}

void FakeS3::SetNow(UnixSeconds now) {
  const MutexLock lock(mutex_);
  now_ = now;
}

void FakeS3::SetBucket(bool there) {
  const MutexLock lock(mutex_);
  has_bucket_ = there;
  if (!there) objects_.clear();
}

void FakeS3::Put(const std::string& key, std::string_view text) {
  const MutexLock lock(mutex_);
  objects_[key] = {ToBytes(AsBytes(text)), "", "application/octet-stream"};
}

std::optional<FakeS3::Object> FakeS3::Find(const std::string& key) const {
  const MutexLock lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return std::nullopt;
  return found->second;
}

std::vector<Request> FakeS3::requests() const {
  const MutexLock lock(mutex_);
  return requests_;
}

std::size_t FakeS3::request_count() const {
  const MutexLock lock(mutex_);
  return requests_.size();
}

Result<Response> FakeS3::Perform(const RequestContext& /*context*/, const Request& request) {
  {
    const MutexLock lock(mutex_);
    requests_.push_back(request);
    requests_.back().body = {};
  }
  std::optional<Response> response;
  if (answer_instead) response = answer_instead(request);
  if (!response) {
    if (!request.url.starts_with(options_.origin + "/")) {
      return Fail(ErrorCode::kUnavailable, "no such host: " + request.url);
    }
    Parsed parsed{.request = request, .host = {}, .path = {}, .query = {}, .key = {}};
    parsed.host = options_.origin.substr(options_.origin.find("//") + 2);
    std::string_view rest = std::string_view(request.url).substr(options_.origin.size());
    parsed.path = std::string(TakeUntil(rest, '?'));
    while (!rest.empty()) {
      std::string_view pair = TakeUntil(rest, '&');
      const std::string name(TakeUntil(pair, '='));
      parsed.query.emplace_back(name, pair);
    }
    const std::string base = options_.base_path + "/";
    if (parsed.path.starts_with(base)) parsed.key = Decoded(parsed.path.substr(base.size()));
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

/// The reason why the request is not one that S3 takes.
std::optional<Response> FakeS3::Refuse(const Parsed& parsed) const {
  const bool google = options_.dialect == store::S3Dialect::kGoogle;
  const std::string own = google ? "x-goog-" : "x-amz-";
  const std::string scheme = google ? "GOOG4" : "AWS4";
  const std::string time = parsed.Header(own + "date");
  std::string authorization = parsed.Header("Authorization");
  std::string_view rest = authorization;
  if (TakeUntil(rest, ' ') != scheme + "-HMAC-SHA256") return S3Error(403, "AccessDenied");
  std::map<std::string, std::string> fields;
  while (!rest.empty()) {
    std::string_view field = TakeUntil(rest, ',');
    const std::string name(TakeUntil(field, '='));
    fields[name] = std::string(field);
  }
  std::string_view scope_text = fields["Credential"];
  const std::string access(TakeUntil(scope_text, '/'));
  const std::string scope = Concat(time.substr(0, 8), "/", options_.region, "/",
                                   google ? "storage/goog4" : "s3/aws4", "_request");
  if (scope_text != scope) {
    return S3Error(400, "AuthorizationHeaderMalformed", "<Region>" + options_.region + "</Region>");
  }
  const auto keys = keys_.find(access);
  if (keys == keys_.end()) return S3Error(403, "InvalidAccessKeyId");
  if (parsed.Header(own + "security-token") != keys->second.second) {
    return S3Error(400, "ExpiredToken");
  }
  if (std::abs(TimeOf(time) - now_) > kSkewMax) {
    return S3Error(403, "RequestTimeTooSkewed", "<ServerTime>2023-11-14T23:13:20Z</ServerTime>");
  }
  const std::string body_hash = ToHex(openssl::Sha256(parsed.request.body));
  if (parsed.Header(own + "content-sha256") != body_hash) {
    return S3Error(400, "XAmzContentSHA256Mismatch");
  }

  std::map<std::string, std::string> headers{{"host", parsed.host}};
  for (const http::Header& header : parsed.request.headers) {
    const std::string name = Lower(header.name);
    if (name != "authorization") headers[name] = header.value;
  }
  std::string lines;
  std::string names;
  for (const auto& [name, value] : headers) {
    lines += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  auto query = parsed.query;
  std::ranges::sort(query);
  std::string query_text;
  for (const auto& [name, value] : query) {
    query_text += (query_text.empty() ? "" : "&") + name + "=" + value;
  }
  const std::string canonical = parsed.request.method + "\n" + parsed.path + "\n" + query_text +
                                "\n" + lines + "\n" + names + "\n" + body_hash;
  const std::string to_sign = scheme + "-HMAC-SHA256\n" + time + "\n" + scope + "\n" +
                              ToHex(openssl::Sha256(AsBytes(canonical)));
  Bytes key = ToBytes(AsBytes(scheme + keys->second.first));
  for (std::string_view parts = scope; !parts.empty();) {
    key = openssl::HmacSha256(key, AsBytes(TakeUntil(parts, '/')));
  }
  const bool right = fields["SignedHeaders"] == names &&
                     fields["Signature"] == ToHex(openssl::HmacSha256(key, AsBytes(to_sign)));
  if (!right) return S3Error(403, "SignatureDoesNotMatch");
  const std::string md5 = parsed.Header("Content-MD5");
  if (!md5.empty() && md5 != Md5InBase64(parsed.request.body)) return S3Error(400, "BadDigest");
  return std::nullopt;
}

Response FakeS3::Answer(const Parsed& parsed) {
  const MutexLock lock(mutex_);
  if (auto refused = Refuse(parsed)) return *std::move(refused);
  if (!has_bucket_) return S3Error(404, "NoSuchBucket");
  const std::string& method = parsed.request.method;
  if (method == "PUT" && !parsed.key.empty()) return AnswerPut(parsed);
  if (method == "GET" && parsed.Query("list-type") == "2") return AnswerList(parsed);
  if ((method == "GET" || method == "HEAD") && !parsed.key.empty()) return AnswerGet(parsed);
  if (method == "POST" && parsed.HasQuery("delete")) return AnswerDeleteMany(parsed);
  if (method == "DELETE" && !parsed.key.empty()) {
    objects_.erase(parsed.key);
    return MakeResponse(204, "", "");
  }
  return S3Error(405, "MethodNotAllowed");
}

Response FakeS3::AnswerPut(const Parsed& parsed) {
  const bool google = options_.dialect == store::S3Dialect::kGoogle;
  const std::string condition =
      parsed.Header(google ? "x-goog-if-generation-match" : "If-None-Match");
  if (!condition.empty() && !options_.has_conditions) return S3Error(501, "NotImplemented");
  if (!condition.empty() && objects_.contains(parsed.key)) {
    return S3Error(412, "PreconditionFailed");
  }
  objects_[parsed.key] = {ToBytes(parsed.request.body),
                          parsed.Header(google ? "x-goog-storage-class" : "x-amz-storage-class"),
                          parsed.Header("Content-Type")};
  Response response = MakeResponse(200, "", "");
  response.headers.push_back({"ETag", "\"odd\""});
  return response;
}

Response FakeS3::AnswerGet(const Parsed& parsed) {
  const auto found = objects_.find(parsed.key);
  if (found == objects_.end()) return S3Error(404, "NoSuchKey");
  const std::string_view data = AsText(found->second.data);
  std::string range = parsed.Header("Range");
  if (range.empty()) return MakeResponse(200, data, found->second.content_type);
  range.erase(0, std::string_view("bytes=").size());
  const std::size_t first = std::strtoull(range.c_str(), nullptr, 10);
  std::size_t last = std::strtoull(range.c_str() + range.find('-') + 1, nullptr, 10);
  if (first >= data.size()) return S3Error(416, "InvalidRange");
  last = std::min(last, data.size() - 1);
  Response response =
      MakeResponse(206, data.substr(first, last - first + 1), found->second.content_type);
  response.headers.push_back(
      {"Content-Range", Concat("bytes ", first, "-", last, "/", data.size())});
  return response;
}

Response FakeS3::AnswerList(const Parsed& parsed) {
  const std::string prefix = parsed.Query("prefix");
  const std::size_t limit = std::strtoull(parsed.Query("max-keys").c_str(), nullptr, 10);
  const std::string token = parsed.Query("continuation-token");
  const std::string after = token.empty() ? parsed.Query("start-after") : token;
  std::string contents;
  std::string last;
  std::size_t count = 0;
  bool truncated = false;
  for (auto object = objects_.upper_bound(after); object != objects_.end(); ++object) {
    if (!object->first.starts_with(prefix)) continue;
    if (count == limit) {
      truncated = true;
      break;
    }
    ++count;
    last = object->first;
    contents += "<Contents><Key>" + Escaped(last) +
                "</Key><LastModified>2023-11-14T22:13:20.000Z</LastModified><ETag>\"e\"</ETag>" +
                "<Size>" + LogText(object->second.data.size()) +
                "</Size><StorageClass>STANDARD</StorageClass></Contents>";
  }
  std::string body =
      "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
      "<Name>bucket</Name><Prefix>" +
      Escaped(prefix) + "</Prefix><IsTruncated>" + (truncated ? "true" : "false") +
      "</IsTruncated>";
  if (truncated) body += "<NextContinuationToken>" + Escaped(last) + "</NextContinuationToken>";
  return MakeResponse(200, body + contents + "</ListBucketResult>", "application/xml");
}

Response FakeS3::AnswerDeleteMany(const Parsed& parsed) {
  std::string body = "<DeleteResult>";
  std::string_view rest = AsText(parsed.request.body);
  constexpr std::string_view kOpen = "<Key>";
  for (std::size_t at = rest.find(kOpen); at != std::string_view::npos; at = rest.find(kOpen)) {
    rest.remove_prefix(at + kOpen.size());
    const std::string key(TakeUntil(rest, '<'));
    objects_.erase(key);
    body += "<Deleted><Key>" + key + "</Key></Deleted>";
  }
  return MakeResponse(200, body + "</DeleteResult>", "application/xml");
}

}  // namespace coffer

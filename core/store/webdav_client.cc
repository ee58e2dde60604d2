#include "core/store/webdav_client.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/http/header_text.h"
#include "core/http/http_date.h"
#include "core/store/s3_signer.h"
#include "core/store/secret_file.h"

namespace coffer::store {
namespace {

constexpr std::string_view kEncoded = ": it came compressed, as it was not stored";
constexpr int kRefusedAttemptsMax = 4;
constexpr std::uint64_t kSmallBodyMax = 64 << 10;
/// Some servers count in 63 bits and take more for no range at all.
constexpr std::uint64_t kOffsetMax = std::numeric_limits<std::int64_t>::max() - 1;

bool IsSuccess(int status) { return status >= 200 && status < 300; }

/// "bytes 0-9/100", "bytes 0-9/*".
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::optional<std::uint64_t> size;
};

bool TakeNumber(std::string_view& text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool TakeText(std::string_view& text, std::string_view expected) {
  if (!http::EqualIgnoringCase(text.substr(0, expected.size()), expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  ContentRange range;
  text = http::Trimmed(text);
  if (!TakeText(text, "bytes ") || !TakeNumber(text, range.first) || !TakeText(text, "-") ||
      !TakeNumber(text, range.last) || !TakeText(text, "/")) {
    return std::nullopt;
  }
  if (text == "*") return range;
  std::uint64_t size = 0;
  if (!TakeNumber(text, size) || !text.empty()) return std::nullopt;
  range.size = size;
  return range;
}

/// Why this is not [offset, offset+length) of an object; "" if it is, as far as that reaches.
std::string FaultOfRange(const http::Response& response, std::uint64_t offset,
                         std::uint64_t length) {
  const auto said = response.Find("Content-Range");
  const auto range = said.has_value() ? ParseContentRange(*said) : std::nullopt;
  if (!range.has_value()) return "the answer does not say which bytes it holds";
  std::uint64_t there = length;
  if (range->size.has_value() && *range->size > offset) {
    there = std::min(length, *range->size - offset);
  }
  if (Planted("take-any-range")) return "";
  if (range->first != offset || range->last < range->first ||
      range->last - range->first + 1 != there) {
    return Concat("other bytes came than were asked for (", EscapeForTerminal(*said), ")");
  }
  if (response.body.size() != there) {
    return Concat(response.body.size(), " bytes came instead of ", there);
  }
  return "";
}

std::string RangeHeader(std::uint64_t offset, std::uint64_t length) {
  const bool to_the_end = length > kOffsetMax - offset;
  return Concat("bytes=", offset, "-", to_the_end ? "" : LogText(offset + length - 1));
}

Error NoObject(const HttpAsked& asked) {
  return Error{.code = ErrorCode::kNotFound,
               .message = Concat(asked.what, ": is a collection, and no object")};
}

bool IsTooLong(const Result<http::Response>& response) {
  return !response.has_value() && response.error().code == ErrorCode::kCorruption;
}

/// A body that a proxy or a server has changed on its way is none of ours.
bool IsEncoded(const http::Response& response) {
  const auto encoding = response.Find("Content-Encoding");
  return encoding.has_value() && !http::EqualIgnoringCase(*encoding, "identity");
}

}  // namespace

WebDavClient::WebDavClient(WebDavPlace place, FileSystem& fs, http::HttpClient& http, Clock& clock)
    : place_(std::move(place)), fs_(fs), http_(http), clock_(clock) {}

http::Request WebDavClient::RequestOf(std::string_view method, const std::string& path) const {
  http::Request request;
  request.method = std::string(method);
  request.url = Concat(place_.origin, UriEncodePath(path));
  request.body_bytes_max = kSmallBodyMax;
  request.ca_file = place_.ca_file;
  return request;
}

HttpAsked WebDavClient::Asked(std::string_view deed, const std::string& path) const {
  HttpAsked asked{.deed = deed, .what = Concat("store ", place_.description)};
  const bool below = path.size() > place_.root.size() && path.starts_with(place_.root);
  if (below) asked.what.append(": ").append(path.substr(place_.root.size() + 1));
  asked.credentials_hint =
      place_.user.empty()
          ? "name user and password: webdavs://USER@HOST/PATH?credentials_file=/PATH"
          : Concat("check the user's name, and the password in ", place_.credentials_file,
                   ": it is read again with each attempt. Where a login takes a second factor, it "
                   "must be an app password");
  return asked;
}

tl::unexpected<Error> WebDavClient::FailAs(const http::Response& response,
                                           const HttpAsked& asked) const {
  return Fail(ExplainHttp(response, asked, clock_.WallNow()));
}

Result<WebDavClient::Password> WebDavClient::CurrentPassword() {
  if (place_.credentials_file.empty()) return Password();
  {
    const MutexLock lock(mutex_);
    if (password_ != nullptr) return password_;
  }
  ASSIGN_OR_RETURN(SecretBytes read, ReadSecretFile(fs_, place_.credentials_file));
  auto password = std::make_shared<const SecretBytes>(std::move(read));
  const MutexLock lock(mutex_);
  password_ = password;
  return password;
}

WebDavClient::Password WebDavClient::OtherPassword(const Password& used) {
  if (used == nullptr) return nullptr;
  Result<SecretBytes> read = ReadSecretFile(fs_, place_.credentials_file);
  if (!read.has_value()) {
    LOG(kWarning, read.error().message);
    return nullptr;
  }
  const bool same = ConstantTimeEqual(read->view(), used->view());
  auto password = std::make_shared<const SecretBytes>(std::move(*read));
  const MutexLock lock(mutex_);
  password_ = password;
  return same ? nullptr : password;
}

Result<http::Response> WebDavClient::Send(const RequestContext& context, http::Request& request,
                                          const Password& password) {
  request.user.reset();
  if (password != nullptr) request.user = http::User{place_.user, password.get()};
  ASSIGN_OR_RETURN(http::Response response, http_.Perform(context, request));
  const auto date = response.Find("Date");
  if (date.has_value()) {
    const MutexLock lock(mutex_);
    server_time_ = http::ParseHttpDate(*date);
  }
  return response;
}

Result<http::Response> WebDavClient::Ask(const RequestContext& context, http::Request request,
                                         const HttpAsked& asked) {
  const Result<Password> password = CurrentPassword();
  if (!password.has_value()) return Fail(password.error().Within(asked.what));
  Result<http::Response> response = Send(context, request, *password);
  if (response.has_value() && response->status == 401) {
    const Password other = OtherPassword(*password);
    if (other != nullptr) response = Send(context, request, other);
  }
  if (!response.has_value()) {
    Error error = response.error();
    error.message = Concat(asked.what, ": ", error.message);
    return Fail(std::move(error));
  }
  return response;
}

std::optional<UnixSeconds> WebDavClient::server_time() const {
  const MutexLock lock(mutex_);
  return server_time_;
}

Status WebDavClient::Put(const RequestContext& context, const std::string& path, ByteView data) {
  http::Request request = RequestOf("PUT", path);
  request.headers.push_back({"If-None-Match", "*"});
  request.headers.push_back({"Content-Type", "application/octet-stream"});
  request.body = data;
  const HttpAsked asked = Asked("create", path);
  ASSIGN_OR_RETURN(const http::Response response, Ask(context, std::move(request), asked));
  // 204 says that something was replaced, or just that there is nothing to say: which of the two,
  // and whether the server knows the condition at all, the probe finds out.
  const int status = response.status;
  if (status == 201 || status == 204 || (status == 200 && !IsWebPage(response))) return {};
  if (status == 304) {
    return Fail(ErrorCode::kAlreadyExists, Concat(asked.what, ": exists already (HTTP 304)"));
  }
  if (status == 409) {
    return Fail(ErrorCode::kNotFound,
                Concat(asked.what, ": the collection that it belongs into is missing (HTTP 409)"));
  }
  return FailAs(response, asked);
}

Error WebDavClient::NotRead(const RequestContext& context, const std::string& path,
                            const http::Response& response, const HttpAsked& asked) {
  Error error = ExplainHttp(response, asked, clock_.WallNow());
  const int status = response.status;
  const bool may_be_collection = IsSuccess(status) || (status >= 300 && status < 400) ||
                                 status == 403 || status == 405 || status == 501;
  if (!may_be_collection) return error;
  const Result<Look> look = LookAt(context, path);
  if (look.has_value() && look->entry.is_collection) return NoObject(asked);
  return error;
}

Error WebDavClient::TooLong(const RequestContext& context, const std::string& path,
                            std::uint64_t size_max, const HttpAsked& asked) {
  const Result<Look> look = LookAt(context, path);
  if (!look.has_value()) return look.error();
  if (look->entry.is_collection) return NoObject(asked);
  if (look->entry.size > size_max) {
    return Error{.code = ErrorCode::kCorruption,
                 .message = Concat(asked.what, ": holds ", look->entry.size, " bytes, more than ",
                                   size_max)};
  }
  return Error{.code = ErrorCode::kUnavailable,
               .message = Concat(asked.what, ": more bytes came than it holds")};
}

Result<Bytes> WebDavClient::Get(const RequestContext& context, const std::string& path,
                                std::uint64_t size_max) {
  http::Request request = RequestOf("GET", path);
  request.body_bytes_max = size_max;
  const HttpAsked asked = Asked("read", path);
  Result<http::Response> response = Ask(context, std::move(request), asked);
  if (IsTooLong(response)) return Fail(TooLong(context, path, size_max, asked));
  if (!response.has_value()) return Fail(response.error());
  if (response->status != 200 || IsWebPage(*response)) {
    return Fail(NotRead(context, path, *response, asked));
  }
  if (IsEncoded(*response)) return Fail(ErrorCode::kUnavailable, Concat(asked.what, kEncoded));
  return std::move(response->body);
}

/// A server that lists collections in a page of its own does so whatever range is asked for.
Error WebDavClient::NotThatRange(const RequestContext& context, const std::string& path,
                                 const HttpAsked& asked) {
  const Result<Look> look = LookAt(context, path);
  if (look.has_value() && look->entry.is_collection) return NoObject(asked);
  return Error{
      .code = ErrorCode::kUnavailable,
      .message = Concat(asked.what, ": the server sent more than the part that was asked for")};
}

Result<Bytes> WebDavClient::GetRange(const RequestContext& context, const std::string& path,
                                     std::uint64_t offset, std::uint64_t length) {
  const HttpAsked asked = Asked("read", path);
  if (offset > kOffsetMax) {
    return Fail(ErrorCode::kCorruption, Concat(asked.what, ": ends before byte ", offset));
  }
  http::Request request = RequestOf("GET", path);
  request.headers.push_back({"Range", RangeHeader(offset, length)});
  request.body_bytes_max = length;
  Result<http::Response> response = Ask(context, std::move(request), asked);
  if (IsTooLong(response)) return Fail(NotThatRange(context, path, asked));
  if (!response.has_value()) return Fail(response.error());
  if (response->status == 200 && !IsWebPage(*response)) {
    return Fail(NotThatRange(context, path, asked));
  }
  if (response->status != 206) return Fail(NotRead(context, path, *response, asked));
  if (IsEncoded(*response)) return Fail(ErrorCode::kUnavailable, Concat(asked.what, kEncoded));
  const std::string fault = FaultOfRange(*response, offset, length);
  if (!fault.empty()) return Fail(ErrorCode::kUnavailable, Concat(asked.what, ": ", fault));
  return std::move(response->body);
}

/// Below a file Apache says "bad request". Others may say that for other reasons, and what is there
/// must not be taken for missing.
bool WebDavClient::IsFile(const RequestContext& context, const std::string& path) {
  if (path.size() <= place_.root.size()) return false;
  const Result<Look> look = LookAt(context, path);
  if (look.has_value()) return !look->entry.is_collection;
  return look.error().code == ErrorCode::kNotFound;
}

Result<http::Response> WebDavClient::Propfind(const RequestContext& context,
                                              const std::string& path, std::string_view depth,
                                              const HttpAsked& asked) {
  // With a slash where a collection is expected: some servers redirect without.
  http::Request request = RequestOf("PROPFIND", depth == "0" ? path : Concat(path, "/"));
  request.headers.push_back({"Depth", std::string(depth)});
  request.headers.push_back({"Content-Type", "application/xml; charset=utf-8"});
  request.body = AsBytes(PropfindBody());
  request.body_bytes_max = kMultistatusBytesMax;
  Result<http::Response> response = Ask(context, std::move(request), asked);
  if (!response.has_value() && response.error().code == ErrorCode::kCorruption) {
    return Fail(ErrorCode::kUnsupported,
                Concat(asked.what, ": the server's listing is longer than ",
                       kMultistatusBytesMax >> 20, " MiB"));
  }
  if (!response.has_value()) return Fail(response.error());
  if (response->status == 207) return std::move(*response);
  const std::string above = depth == "0" ? path.substr(0, path.rfind('/')) : path;
  if (response->status == 400 && IsFile(context, above)) {
    return Fail(ErrorCode::kNotFound, Concat(asked.what, ": is not in the store"));
  }
  Error error = ExplainHttp(*response, asked, clock_.WallNow());
  if (place_.read_only && (error.code == ErrorCode::kUnsupported || IsSuccess(response->status) ||
                           response->status == 403 || response->status == 400)) {
    error.code = ErrorCode::kUnsupported;
    error.message = Concat(asked.what, ": this server cannot list (HTTP ", response->status, ")");
    error.hint = "it must answer PROPFIND to everybody: nginx does with dav_ext_methods PROPFIND";
  }
  return Fail(std::move(error));
}

Result<WebDavClient::Look> WebDavClient::LookAt(const RequestContext& context,
                                                const std::string& path) {
  const HttpAsked asked = Asked("look at", path);
  ASSIGN_OR_RETURN(const http::Response response, Propfind(context, path, "0", asked));
  const auto entries = ParseMultistatus(response.body, path);
  if (!entries.has_value()) return Fail(entries.error().Within(asked.what));
  Look look{.entry = {}, .server_time = {}};
  look.entry = *std::ranges::find(*entries, "", &WebDavEntry::name);
  const auto date = response.Find("Date");
  if (date.has_value()) look.server_time = http::ParseHttpDate(*date);
  return look;
}

Result<std::vector<WebDavEntry>> WebDavClient::List(const RequestContext& context,
                                                    const std::string& path) {
  const HttpAsked asked = Asked("list", path);
  ASSIGN_OR_RETURN(const http::Response response, Propfind(context, path, "1", asked));
  auto entries = ParseMultistatus(response.body, path);
  if (!entries.has_value()) return Fail(entries.error().Within(asked.what));
  const auto self = std::ranges::find(*entries, "", &WebDavEntry::name);
  if (!self->is_collection) {
    return Fail(ErrorCode::kNotFound, Concat(asked.what, ": is no collection"));
  }
  std::erase_if(*entries, [](const WebDavEntry& entry) { return entry.name.empty(); });
  return std::move(*entries);
}

Status WebDavClient::MakeCollection(const RequestContext& context, const std::string& path) {
  const HttpAsked asked = Asked("make the collection of", path);
  Status made;
  for (int attempt = 0; attempt < kRefusedAttemptsMax; ++attempt) {
    ASSIGN_OR_RETURN(const http::Response response,
                     Ask(context, RequestOf("MKCOL", Concat(path, "/")), asked));
    const int status = response.status;
    if (status == 201 || (status == 200 && !IsWebPage(response))) return {};
    if (status == 405) {
      return Fail(ErrorCode::kAlreadyExists, Concat(asked.what, ": is there already"));
    }
    if (status == 409) {
      return Fail(ErrorCode::kNotFound, Concat(asked.what, ": what it would lie in is missing"));
    }
    made = FailAs(response, asked);
    if (status != 403) return made;
    // Apache's word where another was faster, too. Who may have deleted it since.
    const Result<Look> look = LookAt(context, path);
    if (look.has_value()) {
      return Fail(ErrorCode::kAlreadyExists, Concat(asked.what, ": is there already"));
    }
    if (look.error().code != ErrorCode::kNotFound) return made;
  }
  return made;
}

Status WebDavClient::Delete(const RequestContext& context, const std::string& path) {
  const HttpAsked asked = Asked("delete", path);
  ASSIGN_OR_RETURN(const http::Response response, Ask(context, RequestOf("DELETE", path), asked));
  // 207 lists what could not be deleted.
  const int status = response.status;
  if (IsSuccess(status) && status != 207 && !IsWebPage(response)) return {};
  return FailAs(response, asked);
}

}  // namespace coffer::store

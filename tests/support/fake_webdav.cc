#include "tests/support/fake_webdav.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <thread>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/secret_bytes.h"
#include "core/store/s3_signer.h"

namespace coffer {
namespace {

using http::Request;
using http::Response;

std::string Decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    int value = 0;
    const auto parsed = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    CHECK(parsed.ptr == text.data() + i + 3);
    decoded.push_back(static_cast<char>(value));
    i += 2;
  }
  return decoded;
}

std::string HeaderOf(const Request& request, std::string_view name) {
  for (const http::Header& header : request.headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

std::string DateText(UnixSeconds time) {
  const std::time_t seconds = time;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const std::size_t length =
      std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), length};
}

/// "bytes=5-9", "bytes=5-"; nullopt for none.
std::optional<std::pair<std::uint64_t, std::uint64_t>> RangeIn(const std::string& header) {
  if (header.empty()) return std::nullopt;
  CHECK(header.starts_with("bytes="));
  std::uint64_t first = 0;
  std::uint64_t last = UINT64_MAX;
  const char* end = header.data() + header.size();
  const auto parsed = std::from_chars(header.data() + 6, end, first);
  CHECK(parsed.ec == std::errc() && *parsed.ptr == '-');
  if (parsed.ptr + 1 != end) {
    const auto rest = std::from_chars(parsed.ptr + 1, end, last);
    CHECK(rest.ec == std::errc() && rest.ptr == end && last >= first);
  }
  return std::make_pair(first, last);
}

Response Whole(int status, Bytes body) {
  Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

}  // namespace

Response PlainAnswer(int status) {
  Response response;
  response.status = status;
  return response;
}

Response WebPage(int status) {
  Response response = Whole(status, ToBytes(AsBytes("<!DOCTYPE html><html>log in here</html>")));
  response.headers.push_back({"Content-Type", "text/html; charset=utf-8"});
  return response;
}

Result<Response> FakeWebDav::Perform(const RequestContext& context, const Request& request) {
  CHECK(request.url.starts_with(options_.origin));
  std::string path = request.url.substr(options_.origin.size());
  CHECK(path.starts_with('/') && path.find("//") == std::string::npos);
  CHECK(request.redirects_max == 0);
  path = Decoded(path);
  if (path.ends_with('/')) path.pop_back();
  std::string password;
  UnixSeconds now = 0;
  {
    const MutexLock lock(mutex_);
    requests_.push_back(Concat(request.method, " ", path.empty() ? "/" : path));
    if (request.method == "PUT") deadline_of_put_ = context.deadline;
    password = password_;
    now = now_;
  }
  if (answer_instead) {
    if (auto answer = answer_instead(request)) return std::move(*answer);
  }
  Response response;
  const bool known =
      options_.user.empty() || (request.user.has_value() && request.user->name == options_.user &&
                                AsText(request.user->password->view()) == password);
  response = known ? Answer(request, path) : PlainAnswer(401);
  response.headers.push_back({"Date", DateText(now)});
  if (change_answer) change_answer(request, response);
  if (response.status / 100 == 2 && response.body.size() > request.body_bytes_max) {
    return Fail(ErrorCode::kCorruption, "the body is longer than was asked for");
  }
  return response;
}

Response FakeWebDav::Answer(const Request& request, const std::string& path) {
  if (request.method == "PUT") return AnswerPut(request, path);
  if (request.method == "MKCOL") return AnswerMkcol(path);
  if (request.method == "GET") return AnswerGet(request, path);
  if (request.method == "DELETE") return AnswerDelete(path);
  CHECK(request.method == "PROPFIND");
  return options_.has_propfind ? AnswerPropfind(request, path) : PlainAnswer(405);
}

bool FakeWebDav::HasParent(const std::string& path) const {
  const auto parent = nodes_.find(path.substr(0, path.rfind('/')));
  return parent != nodes_.end() && parent->second.is_collection;
}

bool FakeWebDav::LiesBelowFile(const std::string& path) const {
  for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0;
       slash = path.rfind('/', slash - 1)) {
    const auto above = nodes_.find(path.substr(0, slash));
    if (above != nodes_.end()) return !above->second.is_collection;
  }
  return false;
}

Response FakeWebDav::AnswerPut(const Request& request, const std::string& path) {
  bool replaces = false;
  {
    const MutexLock lock(mutex_);
    if (!HasParent(path)) return PlainAnswer(options_.status_of_missing_parent);
    const auto there = nodes_.find(path);
    replaces = there != nodes_.end();
    if (replaces && there->second.is_collection) return PlainAnswer(405);
    CHECK(HeaderOf(request, "If-None-Match") == "*");
    if (replaces && options_.has_condition) return PlainAnswer(412);
  }
  if (before_commit) before_commit(request);
  std::this_thread::yield();
  const MutexLock lock(mutex_);
  nodes_[path] = Node{false, ToBytes(request.body), now_};
  return PlainAnswer(replaces ? 204 : 201);
}

Response FakeWebDav::AnswerMkcol(const std::string& path) {
  const MutexLock lock(mutex_);
  if (nodes_.contains(path)) return PlainAnswer(options_.status_of_existing_target);
  if (!HasParent(path)) return PlainAnswer(options_.status_of_missing_parent);
  nodes_[path] = Node{true, {}, now_};
  return PlainAnswer(201);
}

Response FakeWebDav::AnswerGet(const Request& request, const std::string& path) {
  const MutexLock lock(mutex_);
  const auto there = nodes_.find(path);
  if (there == nodes_.end()) return PlainAnswer(404);
  if (there->second.is_collection) {
    return options_.status_of_collection == 200 ? WebPage(200)
                                                : PlainAnswer(options_.status_of_collection);
  }
  const Bytes& data = there->second.data;
  const auto range = RangeIn(HeaderOf(request, "Range"));
  if (!range.has_value()) return Whole(200, data);
  if (range->first >= data.size()) {
    Response response = PlainAnswer(416);
    response.headers.push_back({"Content-Range", Concat("bytes */", data.size())});
    return response;
  }
  const std::uint64_t end = std::min<std::uint64_t>(data.size() - 1, range->second) + 1;
  Response response = Whole(206, Bytes(data.begin() + static_cast<std::ptrdiff_t>(range->first),
                                       data.begin() + static_cast<std::ptrdiff_t>(end)));
  response.headers.push_back(
      {"Content-Range", Concat("bytes ", range->first, "-", end - 1, "/", data.size())});
  return response;
}

Response FakeWebDav::AnswerDelete(const std::string& path) {
  const MutexLock lock(mutex_);
  if (!nodes_.contains(path)) return PlainAnswer(404);
  std::erase_if(nodes_, [&](const auto& node) {
    return node.first == path || node.first.starts_with(path + "/");
  });
  return PlainAnswer(204);
}

Response FakeWebDav::AnswerPropfind(const Request& request, const std::string& path) {
  const MutexLock lock(mutex_);
  const auto there = nodes_.find(path);
  const bool wants_collection = request.url.ends_with('/');
  if (there == nodes_.end()) {
    return PlainAnswer(LiesBelowFile(path) ? options_.status_below_file : 404);
  }
  if (wants_collection && !there->second.is_collection) {
    return PlainAnswer(options_.status_below_file);
  }
  std::string body =
      "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\">\n";
  body.append(ResponseOf(path, there->second));
  const std::string depth = HeaderOf(request, "Depth");
  CHECK(depth == "0" || depth == "1");
  for (const auto& [name, node] : nodes_) {
    const bool is_child =
        name.starts_with(path + "/") && name.find('/', path.size() + 1) == std::string::npos;
    if (depth == "1" && is_child) body.append(ResponseOf(name, node));
  }
  body.append("</D:multistatus>\n");
  Response response = Whole(207, ToBytes(AsBytes(body)));
  response.headers.push_back({"Content-Type", "application/xml; charset=\"utf-8\""});
  return response;
}

std::string FakeWebDav::HrefOf(const std::string& path, bool is_collection) const {
  std::string text = Concat(path, is_collection ? "/" : "");
  if (options_.hrefs == FakeWebDavOptions::Hrefs::kAllEscaped) {
    std::string escaped;
    for (const char c : text) {
      const std::byte value = static_cast<std::byte>(c);
      escaped.append(c == '/' ? "/" : Concat("%", ToHex(ByteView(&value, 1))));
    }
    return escaped;
  }
  text = store::UriEncodePath(text);
  return options_.hrefs == FakeWebDavOptions::Hrefs::kUrls ? Concat(options_.origin, text) : text;
}

std::string FakeWebDav::ResponseOf(const std::string& path, const Node& node) const {
  std::string prop = node.is_collection ? "<D:resourcetype><D:collection/></D:resourcetype>"
                                        : Concat("<D:resourcetype/><D:getcontentlength>",
                                                 node.data.size(), "</D:getcontentlength>");
  prop.append(Concat("<D:getlastmodified>", DateText(node.modified), "</D:getlastmodified>"));
  std::string missing;
  if (node.is_collection) {
    missing =
        "<D:propstat><D:prop><D:getcontentlength/></D:prop>"
        "<D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>";
  }
  return Concat("<D:response><D:href>", HrefOf(path, node.is_collection),
                "</D:href><D:propstat><D:prop>", prop,
                "</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>", missing,
                "</D:response>\n");
}

void FakeWebDav::AddCollection(const std::string& path) {
  const MutexLock lock(mutex_);
  nodes_[path] = Node{true, {}, now_};
}

void FakeWebDav::AddFile(const std::string& path, std::string_view text) {
  const MutexLock lock(mutex_);
  nodes_[path] = Node{false, ToBytes(AsBytes(text)), now_};
}

void FakeWebDav::Remove(const std::string& path) { (void)AnswerDelete(path); }

void FakeWebDav::SetPassword(const std::string& password) {
  const MutexLock lock(mutex_);
  password_ = password;
}

void FakeWebDav::SetNow(UnixSeconds now) {
  const MutexLock lock(mutex_);
  now_ = now;
}

std::optional<std::string> FakeWebDav::TextAt(const std::string& path) const {
  const MutexLock lock(mutex_);
  const auto there = nodes_.find(path);
  if (there == nodes_.end() || there->second.is_collection) return std::nullopt;
  return std::string(AsText(there->second.data));
}

bool FakeWebDav::HasCollection(const std::string& path) const {
  const MutexLock lock(mutex_);
  const auto there = nodes_.find(path);
  return there != nodes_.end() && there->second.is_collection;
}

std::vector<std::string> FakeWebDav::Paths() const {
  const MutexLock lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, node] : nodes_) paths.push_back(path);
  return paths;
}

std::vector<std::string> FakeWebDav::requests() const {
  const MutexLock lock(mutex_);
  return requests_;
}

std::optional<MonotonicTime> FakeWebDav::deadline_of_put() const {
  const MutexLock lock(mutex_);
  return deadline_of_put_;
}

std::vector<std::string> FakeWebDav::TakeRequests() {
  const MutexLock lock(mutex_);
  return std::exchange(requests_, {});
}

}  // namespace coffer

// FakeWebDav: a WebDAV server behind HttpClient, with a tree in memory, as strict as the RFC lets
// one be and with the habits of real ones to choose from.
//
// A PUT looks at its condition when it begins and replaces when its body has come, as Apache's
// mod_dav does: two at once both succeed. MKCOL is atomic.
//
// Faults: `answer_instead` is asked first and may answer; `change_answer` may change what the
// server has answered, and the request counts. `before_commit` is called between a PUT's look and
// its effect. Thread-safe but for these, which are set before.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/request_context.h"
#include "core/http/http_client.h"

namespace coffer {

[[nodiscard]] http::Response PlainAnswer(int status);
[[nodiscard]] http::Response WebPage(int status);

struct FakeWebDavOptions {
  std::string origin = "http://127.0.0.1:8090";
  std::string user;  // "": nobody need log in
  std::string password;
  bool has_condition = true;            // else If-None-Match is ignored
  int status_of_missing_parent = 409;   // of a PUT or MKCOL: nginx 500, rclone 404
  int status_of_existing_target = 405;  // of MKCOL: 403 as Apache says when two race
  int status_of_collection = 404;       // of a GET; 200: a page that lists it
  int status_below_file = 404;          // of a PROPFIND: 400 as Apache says
  bool has_propfind = true;             // else 405
  enum class Hrefs { kPaths, kUrls, kAllEscaped } hrefs = Hrefs::kPaths;
};

class FakeWebDav final : public http::HttpClient {
 public:
  explicit FakeWebDav(FakeWebDavOptions options = {}) : options_(std::move(options)) {
    AddCollection("");
  }

  Result<http::Response> Perform(const RequestContext& context,
                                 const http::Request& request) override;

  /// Paths are absolute and decoded, without a slash at the end.
  void AddCollection(const std::string& path);
  void AddFile(const std::string& path, std::string_view text);
  void Remove(const std::string& path);  // with all below it
  void SetPassword(const std::string& password);
  void SetNow(UnixSeconds now);
  [[nodiscard]] std::optional<std::string> TextAt(const std::string& path) const;
  [[nodiscard]] bool HasCollection(const std::string& path) const;
  [[nodiscard]] std::vector<std::string> Paths() const;     // of all there is
  [[nodiscard]] std::vector<std::string> requests() const;  // "PUT /dav/vault"
  std::vector<std::string> TakeRequests();
  /// Until when the last PUT was of any use.
  [[nodiscard]] std::optional<MonotonicTime> deadline_of_put() const;

  std::function<std::optional<Result<http::Response>>(const http::Request&)> answer_instead;
  std::function<void(const http::Request&, http::Response&)> change_answer;
  std::function<void(const http::Request&)> before_commit;

 private:
  struct Node {
    bool is_collection = false;
    Bytes data;
    UnixSeconds modified = 0;
  };

  http::Response Answer(const http::Request& request, const std::string& path);
  http::Response AnswerPut(const http::Request& request, const std::string& path);
  http::Response AnswerMkcol(const std::string& path);
  http::Response AnswerGet(const http::Request& request, const std::string& path);
  http::Response AnswerDelete(const std::string& path);
  http::Response AnswerPropfind(const http::Request& request, const std::string& path);
  [[nodiscard]] std::string ResponseOf(const std::string& path, const Node& node) const;
  [[nodiscard]] std::string HrefOf(const std::string& path, bool is_collection) const;
  [[nodiscard]] bool HasParent(const std::string& path) const REQUIRES_LOCK(mutex_);
  [[nodiscard]] bool LiesBelowFile(const std::string& path) const REQUIRES_LOCK(mutex_);

  const FakeWebDavOptions options_;
  mutable Mutex mutex_;
  std::map<std::string, Node> nodes_ GUARDED_BY(mutex_);
  std::string password_ GUARDED_BY(mutex_) = options_.password;
  UnixSeconds now_ GUARDED_BY(mutex_) = 1'700'003'600;
  std::vector<std::string> requests_ GUARDED_BY(mutex_);
  std::optional<MonotonicTime> deadline_of_put_ GUARDED_BY(mutex_);
};

}  // namespace coffer

// FakeS3: an S3 server behind HttpClient, with one bucket in memory, for kinds that speak its
// protocol. Stricter than a real one: each request's signature is computed anew with OpenSSL from
// the request as it would stand on the wire, and every header but the User-Agent must be signed.
//
//   FakeS3 server;
//   server.AddKeys("AKIA", "secret");
//   server.answer_instead = [](const http::Request&) { return S3Error(503, "SlowDown"); };
//
// Faults: `answer_instead` is asked first and may answer; `change_answer` may change what the
// server has answered, and the request counts. Thread-safe but for these two, which are set before.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/http/http_client.h"
#include "core/store/s3_signer.h"
#include "tests/support/fake_http.h"

namespace coffer {

/// As S3 reports errors; `more` are elements beside Code and Message.
[[nodiscard]] http::Response S3Error(int status, const std::string& code,
                                     const std::string& more = {});

struct FakeS3Options {
  store::S3Dialect dialect = store::S3Dialect::kAws;
  std::string origin = "http://127.0.0.1:9000";  // before the path
  std::string base_path = "/bucket";             // "" with the bucket in the host
  std::string region = "us-east-1";
  bool has_bucket = true;
  bool has_conditions = true;  // else 501 to them
};

class FakeS3 final : public http::HttpClient {
 public:
  struct Object {
    Bytes data;
    std::string storage_class;
    std::string content_type;
  };
  using Keys = std::map<std::string, std::pair<std::string, std::string>>;  // secret, token

  explicit FakeS3(FakeS3Options options = {}) : options_(std::move(options)) {}

  Result<http::Response> Perform(const RequestContext& context,
                                 const http::Request& request) override;

  void AddKeys(const std::string& access, const std::string& secret, const std::string& token = "");
  void DropKeys(const std::string& access);
  void SetNow(UnixSeconds now);
  void SetBucket(bool there);
  void Put(const std::string& key, std::string_view text);
  [[nodiscard]] std::optional<Object> Find(const std::string& key) const;
  [[nodiscard]] std::vector<http::Request> requests() const;  // without bodies
  [[nodiscard]] std::size_t request_count() const;

  std::function<std::optional<http::Response>(const http::Request&)> answer_instead;
  std::function<void(const http::Request&, http::Response&)> change_answer;

 private:
  struct Parsed;

  http::Response Answer(const Parsed& parsed);
  std::optional<http::Response> Refuse(const Parsed& parsed) const REQUIRES_LOCK(mutex_);
  http::Response AnswerPut(const Parsed& parsed) REQUIRES_LOCK(mutex_);
  http::Response AnswerGet(const Parsed& parsed) REQUIRES_LOCK(mutex_);
  http::Response AnswerList(const Parsed& parsed) REQUIRES_LOCK(mutex_);
  http::Response AnswerDeleteMany(const Parsed& parsed) REQUIRES_LOCK(mutex_);

  const FakeS3Options options_;
  mutable Mutex mutex_;
  std::map<std::string, Object> objects_ GUARDED_BY(mutex_);
  Keys keys_ GUARDED_BY(mutex_);
  std::vector<http::Request> requests_ GUARDED_BY(mutex_);
  UnixSeconds now_ GUARDED_BY(mutex_) = 1'700'003'600;  // as a new FakeClock says
  bool has_bucket_ GUARDED_BY(mutex_) = options_.has_bucket;
};

}  // namespace coffer

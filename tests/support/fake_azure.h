// FakeAzure: Azure's Blob service behind HttpClient, with one container in memory. Stricter than
// the real one: each request's SharedKey signature is computed anew with OpenSSL from the request
// as it would stand on the wire, clocks count, a body must have its Content-MD5, and markers of
// lists are opaque.
//
//   FakeAzure server;
//   server.AddKey(AsBytes("secret"));
//   server.AddSas("sv=2021-12-02&sp=rl&sig=abc", "rl");
//   server.answer_instead = [](const http::Request&) { return AzureError(503, "ServerBusy"); };
//
// Faults: `answer_instead` is asked first and may answer; `change_answer` may change what the
// server has answered, and the request counts. Thread-safe but for these two, which are set before.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/http/http_client.h"
#include "tests/support/fake_http.h"

namespace coffer {

/// As the service reports errors: in a header and in XML.
[[nodiscard]] http::Response AzureError(int status, const std::string& code,
                                        const std::string& message = "words of the provider");

struct FakeAzureOptions {
  std::string origin = "http://127.0.0.1:10000";
  std::string account = "photos";
  std::string base_path = "/photos/backups";  // of the container
  std::size_t page_max = 5000;
  /// Where azurite differs: 206 without a body to a range beyond the end, and other codes for a
  /// wrong key and for a name that is taken where a SAS may create and not write.
  bool is_azurite = false;
};

class FakeAzure final : public http::HttpClient {
 public:
  struct Blob {
    Bytes data;
    std::string tier;
    std::string content_type;
  };

  explicit FakeAzure(FakeAzureOptions options = {}) : options_(std::move(options)) {}

  Result<http::Response> Perform(const RequestContext& context,
                                 const http::Request& request) override;

  void AddKey(ByteView key);
  void AddSas(const std::string& sas, const std::string& rights);
  void DropKeys();
  void SetNow(UnixSeconds now);
  void SetContainer(bool there);
  void Put(const std::string& name, std::string_view text);
  /// As accounts with a hierarchical namespace list them.
  void PutDirectory(const std::string& name);
  [[nodiscard]] std::optional<Blob> Find(const std::string& name) const;
  [[nodiscard]] std::vector<http::Request> requests() const;  // without bodies
  [[nodiscard]] std::size_t request_count() const;

  std::function<std::optional<http::Response>(const http::Request&)> answer_instead;
  std::function<void(const http::Request&, http::Response&)> change_answer;

 private:
  struct Parsed;

  http::Response Answer(const Parsed& parsed);
  std::optional<http::Response> Refuse(const Parsed& parsed, char right) const
      REQUIRES_LOCK(mutex_);
  std::optional<http::Response> RefuseSas(const Parsed& parsed, char right) const
      REQUIRES_LOCK(mutex_);
  [[nodiscard]] bool IsSigned(const Parsed& parsed) const REQUIRES_LOCK(mutex_);
  http::Response AnswerPut(const Parsed& parsed) REQUIRES_LOCK(mutex_);
  http::Response AnswerGet(const Parsed& parsed) REQUIRES_LOCK(mutex_);
  http::Response AnswerList(const Parsed& parsed) REQUIRES_LOCK(mutex_);

  const FakeAzureOptions options_;
  mutable Mutex mutex_;
  std::map<std::string, Blob> blobs_ GUARDED_BY(mutex_);
  std::map<std::string, std::string> tokens_ GUARDED_BY(mutex_);  // SAS to rights
  std::vector<Bytes> keys_ GUARDED_BY(mutex_);
  std::vector<http::Request> requests_ GUARDED_BY(mutex_);
  UnixSeconds now_ GUARDED_BY(mutex_) = 1'700'003'600;  // as a new FakeClock says
  bool has_container_ GUARDED_BY(mutex_) = true;
};

}  // namespace coffer

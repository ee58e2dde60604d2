// The requests of WebDAV that a store needs, each held against what was asked for, and their
// refusals as errors. Paths are decoded and absolute on the server, without a slash at the end.
//
// The password comes from a file that is read when it is first needed, and once more when the
// server does not take it: whoever replaces it need not restart anything. Redirects are never
// followed. Thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/request_context.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/http/http_client.h"
#include "core/store/http_errors.h"
#include "core/store/webdav_list.h"
#include "core/store/webdav_place.h"

namespace coffer::store {

class WebDavClient {
 public:
  /// All outlive it.
  WebDavClient(WebDavPlace place, FileSystem& fs, http::HttpClient& http, Clock& clock);

  [[nodiscard]] const WebDavPlace& place() const { return place_; }

  /// With the condition that nothing is there, which some servers ignore. kAlreadyExists where the
  /// server says so; kNotFound where there may be no collection to put it into.
  Status Put(const RequestContext& context, const std::string& path, ByteView data);
  /// kCorruption if it is longer than `size_max`; kNotFound also for a collection.
  Result<Bytes> Get(const RequestContext& context, const std::string& path, std::uint64_t size_max);
  /// As ObjectStore::GetRange. REQUIRES: length > 0.
  Result<Bytes> GetRange(const RequestContext& context, const std::string& path,
                         std::uint64_t offset, std::uint64_t length);
  /// What is there, by the server's clock too.
  struct Look {
    WebDavEntry entry;
    std::optional<UnixSeconds> server_time;
  };
  Result<Look> LookAt(const RequestContext& context, const std::string& path);
  /// What is in a collection; kNotFound if there is none.
  Result<std::vector<WebDavEntry>> List(const RequestContext& context, const std::string& path);
  /// kAlreadyExists if anything is there; kNotFound if what it would lie in is missing.
  Status MakeCollection(const RequestContext& context, const std::string& path);
  /// Of a collection with all that is in it: the caller knows what is there.
  Status Delete(const RequestContext& context, const std::string& path);

  /// The server's time as its last answer told it.
  [[nodiscard]] std::optional<UnixSeconds> server_time() const;

 private:
  using Password = std::shared_ptr<const SecretBytes>;

  Result<http::Response> Ask(const RequestContext& context, http::Request request,
                             const HttpAsked& asked);
  Result<http::Response> Send(const RequestContext& context, http::Request& request,
                              const Password& password);
  Result<Password> CurrentPassword();
  /// The file's password if it is another than `used` by now, else null.
  Password OtherPassword(const Password& used);

  [[nodiscard]] http::Request RequestOf(std::string_view method, const std::string& path) const;
  [[nodiscard]] HttpAsked Asked(std::string_view deed, const std::string& path) const;
  [[nodiscard]] tl::unexpected<Error> FailAs(const http::Response& response,
                                             const HttpAsked& asked) const;
  Result<http::Response> Propfind(const RequestContext& context, const std::string& path,
                                  std::string_view depth, const HttpAsked& asked);
  bool IsFile(const RequestContext& context, const std::string& path);
  /// The error for an answer to a read that is none; servers answer in many ways where a collection
  /// is.
  Error NotRead(const RequestContext& context, const std::string& path,
                const http::Response& response, const HttpAsked& asked);
  Error TooLong(const RequestContext& context, const std::string& path, std::uint64_t size_max,
                const HttpAsked& asked);
  Error NotThatRange(const RequestContext& context, const std::string& path,
                     const HttpAsked& asked);

  const WebDavPlace place_;
  FileSystem& fs_;
  http::HttpClient& http_;
  Clock& clock_;
  mutable Mutex mutex_;
  Password password_ GUARDED_BY(mutex_);
  std::optional<UnixSeconds> server_time_ GUARDED_BY(mutex_);
};

}  // namespace coffer::store

// The real HttpClient, on libcurl: one thread, "http", has all connections of the process on curl's
// multi interface. It blocks on curl_multi_poll alone; whoever asks waits in Perform, through the
// executor given for waiting.
//
// Connections are used again, HTTP/2 where https servers offer it. Uploads of more than 64 KiB go
// over HTTP/1.1 all the same: on a connection that they share, a read would wait behind what the
// kernel has already taken of them. Which request goes next: request_queue.h.
//
// An attempt that stands still, is too large, is cancelled or out of time is ended together with
// its connection. TLS is 1.2 or later and always verified; there is no way to turn that off.
// Proxies come from the environment as curl has it (http_proxy, https_proxy, all_proxy, no_proxy),
// but none stands before the loopback or a Unix socket.
//
// Thread-safe. Its end cancels what is in flight and waits for who is in Perform.
#pragma once

#include <memory>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/http/http_client.h"
#include "core/http/http_options.h"
#include "core/http/statistics.h"

namespace coffer::http {

class MultiLoop;

class HttpEngine final : public HttpClient {
 public:
  /// kUnavailable if there is no thread or memory to be had. `clock` and `waiting` outlive it.
  static Result<std::unique_ptr<HttpEngine>> Start(const HttpOptions& options, Clock& clock,
                                                   Executor& waiting);
  ~HttpEngine() override;
  HttpEngine(const HttpEngine&) = delete;
  HttpEngine& operator=(const HttpEngine&) = delete;

  Result<Response> Perform(const RequestContext& context, const Request& request) override
      EXCLUDES_LOCK(mutex_);

  [[nodiscard]] HttpStatistics statistics() const { return statistics_.Get(); }

 private:
  HttpEngine(Clock& clock, Executor& waiting);

  bool Enter() EXCLUDES_LOCK(mutex_);
  void Leave() EXCLUDES_LOCK(mutex_);
  Result<Response> PerformAndFollow(const RequestContext& context, const Request& request);
  Result<Response> PerformOnce(const RequestContext& context, const Request& request);

  Clock& clock_;
  Executor& waiting_;
  StatisticsTable statistics_;

  Mutex mutex_;
  CondVar changed_;
  bool is_ending_ GUARDED_BY(mutex_) = false;
  std::size_t callers_ GUARDED_BY(mutex_) = 0;

  std::unique_ptr<MultiLoop> loop_;  // set by Start
};

}  // namespace coffer::http

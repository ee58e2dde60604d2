// The http thread: owns curl's multi handle, everything on it and the queue before it. Others hand
// requests over, or take them back, through an inbox, and wake it.
//
// An exchange: handed over -> queued -> in flight -> settled; withdrawn or stopped, it is settled
// from any of these. Invariant: each exchange that was handed over is settled once.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/executor.h"
#include "core/http/easy_handles.h"
#include "core/http/exchange.h"
#include "core/http/http_options.h"
#include "core/http/request_queue.h"
#include "core/http/statistics.h"
#include "core/http/transfer.h"

namespace coffer::http {

class MultiLoop {
 public:
  static Result<std::unique_ptr<MultiLoop>> Start(const HttpOptions& options, Clock& clock,
                                                  Executor& waiting, StatisticsTable& statistics);
  /// REQUIRES: Stop, if it was started.
  ~MultiLoop();
  MultiLoop(const MultiLoop&) = delete;
  MultiLoop& operator=(const MultiLoop&) = delete;

  /// Will be settled; with kCancelled after Stop. Thread-safe.
  void Submit(std::shared_ptr<Exchange> exchange) EXCLUDES_LOCK(mutex_);
  /// Settles it with `error` soon, unless it is settled already. Thread-safe.
  void Withdraw(std::shared_ptr<Exchange> exchange, Error error) EXCLUDES_LOCK(mutex_);
  /// Settles everything and ends the thread.
  void Stop() EXCLUDES_LOCK(mutex_);

 private:
  struct Inbox {
    std::vector<std::shared_ptr<Exchange>> submitted;
    std::vector<std::pair<std::shared_ptr<Exchange>, Error>> withdrawn;
  };
  struct Entry {
    std::shared_ptr<Exchange> exchange;
    std::unique_ptr<Transfer> transfer;  // once in flight
  };
  using Entries = std::unordered_map<RequestQueue::Id, Entry>;

  MultiLoop(const HttpOptions& options, Clock& clock, Executor& waiting,
            StatisticsTable& statistics);

  Status StartThread();
  void Run() EXCLUDES_LOCK(mutex_);
  /// False once told to stop.
  bool TakeInbox() EXCLUDES_LOCK(mutex_);
  void BeginWhatMay();
  Status Begin(Entry& entry);
  void Harvest();
  void EndOverdue();
  void WaitForEvents() EXCLUDES_LOCK(mutex_);
  void EndAll();
  void End(Entries::iterator entry, Result<Response> result);
  void Report(const Entry& entry, const Result<Response>& result);
  [[nodiscard]] static RequestQueue::Id IdOf(const Exchange& exchange);
  [[nodiscard]] Entries::iterator EntryOf(CURL* easy);

  const HttpOptions options_;
  const TrustSettings trust_;
  Clock& clock_;
  Executor& waiting_;
  StatisticsTable& statistics_;

  Mutex mutex_;
  CondVar changed_;
  Inbox inbox_ GUARDED_BY(mutex_);
  bool is_stopping_ GUARDED_BY(mutex_) = false;

  // Of the http thread alone, once it runs.
  CURLM* multi_ = nullptr;
  EasyHandles handles_;
  HostHabits habits_;
  RequestQueue queue_;
  Entries entries_;

  std::thread thread_;
};

}  // namespace coffer::http

#include "core/http/multi_loop.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <system_error>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/redact.h"

namespace coffer::http {
namespace {

/// While nothing is in flight there is nothing to look after; what is new wakes.
constexpr Duration kIdlePoll = std::chrono::hours(1);
constexpr Duration kBusyPollMax = std::chrono::seconds(1);
constexpr Duration kBusyPollMin = std::chrono::milliseconds(10);

int PollMilliseconds(bool is_busy, Duration stall_max) {
  const Duration poll =
      is_busy ? std::clamp<Duration>(stall_max / 4, kBusyPollMin, kBusyPollMax) : kIdlePoll;
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(poll).count());
}

/// The threads that curl starts to look names up inherit it: signals are for others.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

RequestEnd EndOf(const Result<Response>& result) {
  if (result.has_value()) return RequestEnd::kResponse;
  return result.error().code == ErrorCode::kCancelled ? RequestEnd::kCancelled : RequestEnd::kError;
}

}  // namespace

MultiLoop::MultiLoop(const HttpOptions& options, Clock& clock, Executor& waiting,
                     StatisticsTable& statistics)
    : options_(options),
      trust_(TrustFrom(options.ca_file)),
      clock_(clock),
      waiting_(waiting),
      statistics_(statistics),
      queue_(options.slots) {}

MultiLoop::~MultiLoop() {
  CHECK(!thread_.joinable());
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
  curl_global_cleanup();
}

Result<std::unique_ptr<MultiLoop>> MultiLoop::Start(const HttpOptions& options, Clock& clock,
                                                    Executor& waiting,
                                                    StatisticsTable& statistics) {
  // Counted, and safe beside other threads since 7.84.
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    return Fail(ErrorCode::kUnavailable, "cannot start libcurl: out of memory");
  }
  std::unique_ptr<MultiLoop> loop(new MultiLoop(options, clock, waiting, statistics));
  loop->multi_ = curl_multi_init();
  if (loop->multi_ == nullptr) return Fail(ErrorCode::kUnavailable, "cannot start libcurl");
  curl_multi_setopt(loop->multi_, CURLMOPT_MAXCONNECTS,
                    static_cast<long>(options.idle_connections_max));
  RETURN_IF_ERROR(loop->StartThread());
  return loop;
}

Status MultiLoop::StartThread() {
  const SignalsBlocked blocked;
  try {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "http");
      Run();
    });
  } catch (const std::system_error& error) {
    return Fail(ErrorCode::kUnavailable,
                Concat("cannot start the http thread: ", error.code().message()));
  }
  return {};
}

void MultiLoop::Submit(std::shared_ptr<Exchange> exchange) {
  MutexLock lock(mutex_);
  if (is_stopping_) {
    lock.Unlock();
    return exchange->Settle(Fail(ErrorCode::kCancelled, "no more HTTP requests: the program ends"));
  }
  inbox_.submitted.push_back(std::move(exchange));
  curl_multi_wakeup(multi_);
}

void MultiLoop::Withdraw(std::shared_ptr<Exchange> exchange, Error error) {
  const MutexLock lock(mutex_);
  if (is_stopping_) return;  // it is settled as all are
  inbox_.withdrawn.emplace_back(std::move(exchange), std::move(error));
  curl_multi_wakeup(multi_);
}

void MultiLoop::Stop() {
  {
    const MutexLock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
    curl_multi_wakeup(multi_);
  }
  thread_.join();
}

void MultiLoop::Run() {
  while (TakeInbox()) {
    BeginWhatMay();
    int running = 0;
    curl_multi_perform(multi_, &running);
    Harvest();
    EndOverdue();
    BeginWhatMay();  // curl_multi_poll returns at once for what is new
    WaitForEvents();
  }
  EndAll();
}

RequestQueue::Id MultiLoop::IdOf(const Exchange& exchange) {
  return reinterpret_cast<RequestQueue::Id>(&exchange);
}

bool MultiLoop::TakeInbox() {
  Inbox inbox;
  {
    const MutexLock lock(mutex_);
    std::swap(inbox, inbox_);
    if (is_stopping_) {
      inbox_.submitted = std::move(inbox.submitted);
      return false;
    }
  }
  for (auto& exchange : inbox.submitted) {
    const RequestQueue::Id id = IdOf(*exchange);
    queue_.Push(id, exchange->origin.ToString(), exchange->priority);
    entries_[id].exchange = std::move(exchange);
  }
  for (auto& [exchange, error] : inbox.withdrawn) {
    const auto entry = entries_.find(IdOf(*exchange));
    if (entry != entries_.end()) End(entry, Fail(std::move(error)));
  }
  return true;
}

void MultiLoop::BeginWhatMay() {
  while (const std::optional<RequestQueue::Id> id = queue_.Next()) {
    const auto entry = entries_.find(*id);
    Status begun = Begin(entry->second);
    if (!begun.has_value()) End(entry, Fail(std::move(begun).error()));
  }
}

Status MultiLoop::Begin(Entry& entry) {
  ASSIGN_OR_RETURN(entry.transfer, Transfer::Prepare(options_, trust_, handles_, habits_,
                                                     *entry.exchange, clock_.Now()));
  if (curl_multi_add_handle(multi_, entry.transfer->easy()) == CURLM_OK) return {};
  entry.transfer = nullptr;
  return Fail(ErrorCode::kUnavailable, "out of memory for an HTTP request");
}

void MultiLoop::Harvest() {
  int left = 0;
  while (const CURLMsg* const message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;  // the message goes with the handle
    const auto entry = EntryOf(message->easy_handle);
    End(entry, entry->second.transfer->Finish(code));
  }
}

MultiLoop::Entries::iterator MultiLoop::EntryOf(CURL* easy) {
  char* transfer = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
  const auto found = std::find_if(entries_.begin(), entries_.end(), [transfer](const auto& entry) {
    return static_cast<const void*>(entry.second.transfer.get()) == transfer;
  });
  CHECK(found != entries_.end());
  return found;
}

void MultiLoop::EndOverdue() {
  const MonotonicTime now = clock_.Now();
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto current = entry++;
    if (current->second.transfer == nullptr) continue;
    std::optional<Error> error = current->second.transfer->Overdue(now);
    if (error.has_value()) End(current, Fail(*std::move(error)));
  }
}

void MultiLoop::End(Entries::iterator entry, Result<Response> result) {
  const std::shared_ptr<Exchange> exchange = entry->second.exchange;
  if (entry->second.transfer != nullptr) {
    Report(entry->second, result);
    curl_multi_remove_handle(multi_, entry->second.transfer->easy());
  }
  queue_.Remove(entry->first);
  entries_.erase(entry);
  exchange->Settle(std::move(result));
}

void MultiLoop::Report(const Entry& entry, const Result<Response>& result) {
  const Exchange& exchange = *entry.exchange;
  const StatisticsTable::Ended ended = entry.transfer->Counted(EndOf(result), clock_.Now());
  statistics_.Add(exchange.origin.ToString(), ended);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(ended.duration).count();
  LOG(kDebug, "http: ", exchange.request.method, " ", Redacted(exchange.request.url), ": ",
      result.has_value() ? std::to_string(result->status) : result.error().message, ", ",
      ended.bytes_up, " bytes up, ", ended.bytes_down, " down, ", ms, " ms");
}

void MultiLoop::WaitForEvents() {
  const int timeout = PollMilliseconds(queue_.in_flight() > 0, options_.stall_max);
  if (curl_multi_poll(multi_, nullptr, 0, timeout, nullptr) == CURLM_OK) return;
  // Memory is short. Not to try again at once gives others a chance to free some.
  MutexLock lock(mutex_);
  (void)waiting_.AwaitFor(lock, changed_, kBusyPollMin,
                          [this]() NO_THREAD_SAFETY_ANALYSIS { return is_stopping_; });
}

void MultiLoop::EndAll() {
  const auto stopped = [] {
    return Result<Response>(
        Fail(ErrorCode::kCancelled, "the request was stopped: the program ends"));
  };
  while (!entries_.empty()) End(entries_.begin(), stopped());
  Inbox inbox;
  {
    const MutexLock lock(mutex_);
    std::swap(inbox, inbox_);
  }
  for (const auto& exchange : inbox.submitted) exchange->Settle(stopped());
}

}  // namespace coffer::http

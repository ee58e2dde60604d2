#include "core/http/http_engine.h"

#include <utility>

#include "core/base/log.h"
#include "core/base/request_context.h"
#include "core/http/exchange.h"
#include "core/http/multi_loop.h"
#include "core/http/redirect.h"

namespace coffer::http {
namespace {

Error Cancelled(const std::string& host) {
  return {ErrorCode::kCancelled, Concat("the request to ", host, " was stopped")};
}

Error OutOfTime(const std::string& host) {
  return {ErrorCode::kUnavailable, Concat(host, " did not answer in time"),
          "check this machine's network; what waits is tried again"};
}

/// Until there is an outcome; else what the request is to be ended with.
std::optional<Error> AwaitOutcome(Exchange& exchange, const RequestContext& context, Clock& clock,
                                  Executor& waiting) {
  MutexLock lock(exchange.mutex);
  const auto settled = [&exchange]() NO_THREAD_SAFETY_ANALYSIS {
    return exchange.outcome.has_value() || exchange.stop_requested;
  };
  if (!context.deadline.has_value()) {
    waiting.Await(lock, exchange.changed, settled);
  } else {
    Duration left = *context.deadline - clock.Now();
    while (left > Duration::zero() && !waiting.AwaitFor(lock, exchange.changed, left, settled)) {
      left = *context.deadline - clock.Now();
    }
  }
  if (exchange.outcome.has_value()) return std::nullopt;
  return exchange.stop_requested ? Cancelled(exchange.origin.Name())
                                 : OutOfTime(exchange.origin.Name());
}

}  // namespace

HttpEngine::HttpEngine(Clock& clock, Executor& waiting) : clock_(clock), waiting_(waiting) {}

Result<std::unique_ptr<HttpEngine>> HttpEngine::Start(const HttpOptions& options, Clock& clock,
                                                      Executor& waiting) {
  std::unique_ptr<HttpEngine> engine(new HttpEngine(clock, waiting));
  ASSIGN_OR_RETURN(engine->loop_, MultiLoop::Start(options, clock, waiting, engine->statistics_));
  return engine;
}

HttpEngine::~HttpEngine() {
  if (loop_ == nullptr) return;
  {
    const MutexLock lock(mutex_);
    is_ending_ = true;
  }
  loop_->Stop();
  MutexLock lock(mutex_);
  waiting_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS { return callers_ == 0; });
}

bool HttpEngine::Enter() {
  const MutexLock lock(mutex_);
  if (is_ending_) return false;
  ++callers_;
  return true;
}

void HttpEngine::Leave() {
  const MutexLock lock(mutex_);
  if (--callers_ == 0) changed_.notify_all();
}

Result<Response> HttpEngine::Perform(const RequestContext& context, const Request& request) {
  if (!Enter())
    return Fail(ErrorCode::kCancelled, "no more HTTP requests are made: the program ends");
  Result<Response> response = PerformAndFollow(context, request);
  Leave();
  return response;
}

Result<Response> HttpEngine::PerformAndFollow(const RequestContext& context,
                                              const Request& request) {
  ASSIGN_OR_RETURN(Response response, PerformOnce(context, request));
  if (request.redirects_max == 0) return response;
  ASSIGN_OR_RETURN(std::optional<Request> next, AfterRedirect(request, response));
  for (int followed = 0; next.has_value(); ++followed) {
    if (followed == request.redirects_max) {
      ASSIGN_OR_RETURN(const Origin origin, ParseOrigin(request.url));
      return Fail(ErrorCode::kUnavailable,
                  Concat(origin.Name(), " redirects more than ", followed, " times"),
                  "check the address");
    }
    ASSIGN_OR_RETURN(response, PerformOnce(context, *next));
    ASSIGN_OR_RETURN(next, AfterRedirect(*next, response));
  }
  return response;
}

Result<Response> HttpEngine::PerformOnce(const RequestContext& context, const Request& request) {
  ASSIGN_OR_RETURN(Origin origin, CheckRequest(request));
  if (context.cancel.stop_requested()) return Fail(Cancelled(origin.Name()));
  if (context.deadline.has_value() && *context.deadline <= clock_.Now()) {
    return Fail(OutOfTime(origin.Name()));
  }
  const auto exchange = std::make_shared<Exchange>(request, std::move(origin), context.priority);
  loop_->Submit(exchange);
  const std::stop_callback on_stop(context.cancel, [&exchange] {
    const MutexLock lock(exchange->mutex);
    exchange->stop_requested = true;
    exchange->changed.notify_all();
  });
  std::optional<Error> given_up = AwaitOutcome(*exchange, context, clock_, waiting_);
  if (given_up.has_value()) loop_->Withdraw(exchange, *std::move(given_up));
  // The thread may hold the caller's bytes until it has let go of them, which it does at once.
  MutexLock lock(exchange->mutex);
  waiting_.Await(lock, exchange->changed,
                 [&exchange]() NO_THREAD_SAFETY_ANALYSIS { return exchange->outcome.has_value(); });
  return *std::move(exchange->outcome);
}

}  // namespace coffer::http

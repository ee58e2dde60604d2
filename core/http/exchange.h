// What a caller of Perform and the http thread share of one request. The caller fills in what is
// const, waits for `outcome`, and returns only then: until it is set the thread may look at the
// request and its body.
#pragma once

#include <optional>

#include "core/base/mutex.h"
#include "core/base/request_context.h"
#include "core/http/http_client.h"
#include "core/http/origin.h"

namespace coffer::http {

struct Exchange {
  Exchange(const Request& asked, Origin place, Priority who_waits)
      : request(asked), origin(std::move(place)), priority(who_waits) {}

  const Request& request;
  const Origin origin;
  const Priority priority;

  Mutex mutex;
  CondVar changed;
  bool stop_requested GUARDED_BY(mutex) = false;
  std::optional<Result<Response>> outcome GUARDED_BY(mutex);

  void Settle(Result<Response> result) EXCLUDES_LOCK(mutex) {
    const MutexLock lock(mutex);
    outcome = std::move(result);
    changed.notify_all();
  }
};

}  // namespace coffer::http

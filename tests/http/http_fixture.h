// What the tests of the engine share.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <memory>
#include <string>

#include "core/base/request_context.h"
#include "core/http/http_engine.h"
#include "tests/support/result_macros.h"
#include "tests/support/scripted_server.h"

namespace coffer::http {

inline Request Asking(const std::string& url, const std::string& method = "GET") {
  Request request;
  request.method = method;
  request.url = url;
  return request;
}

inline Request Putting(const std::string& url, ByteView body) {
  Request request = Asking(url, "PUT");
  request.body = body;
  return request;
}

inline RequestContext With(Priority priority) {
  RequestContext context;
  context.priority = priority;
  return context;
}

/// The only values that a test should vary are those it names.
struct Engine {
  explicit Engine(const HttpOptions& options = {}, Clock* other_clock = nullptr)
      : waiting(NewThreadExecutor("waits", 1)) {
    auto started =
        HttpEngine::Start(options, other_clock != nullptr ? *other_clock : clock, *waiting);
    EXPECT_OK(started);
    engine = *std::move(started);
  }
  Result<Response> Perform(const Request& request,
                           const RequestContext& context = With(Priority::kRead)) const {
    return engine->Perform(context, request);
  }
  /// On a thread of its own.
  std::future<Result<Response>> Begin(Request request,
                                      RequestContext context = With(Priority::kRead)) const {
    return std::async(std::launch::async,
                      [this, request = std::move(request), context = std::move(context)] {
                        return Perform(request, context);
                      });
  }
  HostStatistics Statistics(const std::string& origin) const {
    return engine->statistics().hosts[origin];
  }

  SystemClock clock;
  std::unique_ptr<Executor> waiting;
  std::unique_ptr<HttpEngine> engine;
};

inline std::string BodyOf(const Result<Response>& response) {
  return response.has_value() ? std::string(AsText(response->body)) : TextOf(response.error());
}

/// Each place differs from its neighbours.
inline Bytes Pattern(std::size_t size) {
  Bytes bytes(size, std::byte{0});
  for (std::size_t i = 0; i + sizeof(i) <= size; i += sizeof(i)) {
    const std::size_t word = (i + 1) * 0x9e3779b97f4a7c15U;
    std::memcpy(bytes.data() + i, &word, sizeof(word));
  }
  return bytes;
}

}  // namespace coffer::http

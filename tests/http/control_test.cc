// Who goes first, and who goes when told.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stop_token>
#include <thread>

#include "tests/http/http_fixture.h"

namespace coffer::http {
namespace {

/// Uploads wait at a gate; reads are answered.
struct GatedServer {
  std::shared_ptr<Gate> uploads = std::make_shared<Gate>();
  ScriptedServer server{[this](const ReceivedRequest& request) {
    Answer answer = Answer().Text(200, "ok");
    if (request.method == "PUT") answer.before = uploads;
    return answer;
  }};
};

std::vector<std::string> TargetsOf(const ScriptedServer& server) {
  std::vector<std::string> targets;
  for (const ReceivedRequest& request : server.requests()) targets.push_back(request.target);
  return targets;
}

TEST(HttpOrder, AReadOvertakesTheUploadsThatWait) {
  GatedServer gated;
  HttpOptions options;
  options.slots.writes_per_host = 2;
  Engine engine(options);
  const Bytes body = Pattern(100'000);
  std::vector<std::future<Result<Response>>> uploads;
  for (int i = 0; i < 6; ++i) {
    uploads.push_back(
        engine.Begin(Putting(gated.server.url() + "/up", body), With(Priority::kWrite)));
  }
  gated.server.AwaitRequests(2);
  EXPECT_EQ(BodyOf(engine.Perform(Asking(gated.server.url() + "/read"))), "ok");
  EXPECT_EQ(TargetsOf(gated.server), (std::vector<std::string>{"/up", "/up", "/read"}));
  gated.uploads->Open();
  for (auto& upload : uploads) EXPECT_OK(upload.get());
  EXPECT_EQ(gated.server.requests().size(), 7U);
}

TEST(HttpOrder, AHostThatIsFullKeepsNoOtherWaiting) {
  GatedServer gated;
  GatedServer other;
  other.uploads->Open();
  HttpOptions options;
  options.slots.writes_per_host = 1;
  Engine engine(options);
  const Bytes body = Pattern(10);
  auto first = engine.Begin(Putting(gated.server.url() + "/1", body), With(Priority::kWrite));
  auto second = engine.Begin(Putting(gated.server.url() + "/2", body), With(Priority::kWrite));
  gated.server.AwaitRequests(1);
  EXPECT_OK(engine.Perform(Putting(other.server.url() + "/", body), With(Priority::kWrite)));
  gated.uploads->Open();
  EXPECT_OK(first.get());
  EXPECT_OK(second.get());
}

TEST(HttpStop, EndsARequestInFlight) {
  const ScriptedServer server(
      [](const ReceivedRequest&) { return Answer::With(Fault::kStallBeforeReply); });
  Engine engine;
  std::stop_source stop;
  RequestContext context = With(Priority::kWrite);
  context.cancel = stop.get_token();
  const Bytes body = Pattern(1000);
  auto response = engine.Begin(Putting(server.url() + "/", body), context);
  server.AwaitRequests(1);
  stop.request_stop();
  EXPECT_FAILS(response.get(), kCancelled);
  EXPECT_EQ(engine.Statistics(server.url()).errors, 0U);
}

TEST(HttpStop, EndsARequestThatWaitsForItsTurn) {
  GatedServer gated;
  HttpOptions options;
  options.slots.writes_per_host = 1;
  Engine engine(options);
  const Bytes body = Pattern(10);
  auto first = engine.Begin(Putting(gated.server.url() + "/1", body), With(Priority::kWrite));
  gated.server.AwaitRequests(1);
  std::stop_source stop;
  RequestContext context = With(Priority::kWrite);
  context.cancel = stop.get_token();
  auto second = engine.Begin(Putting(gated.server.url() + "/2", body), context);
  stop.request_stop();
  EXPECT_FAILS(second.get(), kCancelled);
  gated.uploads->Open();
  EXPECT_OK(first.get());
  EXPECT_EQ(TargetsOf(gated.server), (std::vector<std::string>{"/1"}));
}

TEST(HttpStop, RequestedBeforehandAsksNothing) {
  const ScriptedServer server([](const ReceivedRequest&) { return Answer(); });
  Engine engine;
  std::stop_source stop;
  stop.request_stop();
  RequestContext context;
  context.cancel = stop.get_token();
  EXPECT_FAILS(engine.Perform(Asking(server.url()), context), kCancelled);
  EXPECT_EQ(server.connections(), 0U);
}

TEST(HttpStop, OfOneRequestLeavesTheOthers) {
  auto gate = std::make_shared<Gate>();
  const ScriptedServer server([gate](const ReceivedRequest&) {
    Answer answer = Answer().Text(200, "ok");
    answer.before = gate;
    return answer;
  });
  Engine engine;
  std::stop_source stop;
  RequestContext context = With(Priority::kRead);
  context.cancel = stop.get_token();
  auto stopped = engine.Begin(Asking(server.url()), context);
  auto kept = engine.Begin(Asking(server.url()));
  server.AwaitRequests(2);
  stop.request_stop();
  EXPECT_FAILS(stopped.get(), kCancelled);
  gate->Open();
  EXPECT_OK(kept.get());
}

TEST(HttpDeadline, EndsARequestInFlight) {
  const ScriptedServer server(
      [](const ReceivedRequest&) { return Answer::With(Fault::kStallMidBody).Text(200, "abcd"); });
  Engine engine;
  RequestContext context = With(Priority::kRead);
  context.deadline = engine.clock.Now() + std::chrono::milliseconds(50);
  const auto result = engine.Perform(Asking(server.url()), context);
  EXPECT_FAILS(result, kUnavailable);
  EXPECT_NE(BodyOf(result).find("did not answer in time"), std::string::npos);
}

TEST(HttpDeadline, ThatHasPassedAsksNothing) {
  const ScriptedServer server([](const ReceivedRequest&) { return Answer(); });
  Engine engine;
  RequestContext context;
  context.deadline = engine.clock.Now();
  EXPECT_FAILS(engine.Perform(Asking(server.url()), context), kUnavailable);
  EXPECT_EQ(server.connections(), 0U);
}

/// Tells how many wait.
class WatchedExecutor final : public Executor {
 public:
  explicit WatchedExecutor(Executor& inner) : inner_(inner) {}
  void Post(Task task) override { inner_.Post(std::move(task)); }
  std::unique_ptr<Timer> PostAfter(Duration delay, Task task) override {
    return inner_.PostAfter(delay, std::move(task));
  }
  void Await(MutexLock& lock, CondVar& changed, const std::function<bool()>& done) override {
    Note();
    inner_.Await(lock, changed, done);
  }
  bool AwaitFor(MutexLock& lock, CondVar& changed, Duration timeout,
                const std::function<bool()>& done) override {
    Note();
    return inner_.AwaitFor(lock, changed, timeout, done);
  }
  [[nodiscard]] int parallelism() const override { return inner_.parallelism(); }

  void AwaitWaits(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waits_ >= count; });
  }

 private:
  void Note() {
    const std::lock_guard lock(mutex_);
    ++waits_;
    changed_.notify_all();
  }

  Executor& inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waits_ = 0;
};

TEST(HttpEnd, CancelsWhatIsInFlightAndWhatWaits) {
  GatedServer gated;
  SystemClock clock;
  const auto threads = NewThreadExecutor("waits", 1);
  WatchedExecutor waiting(*threads);
  HttpOptions options;
  options.slots.writes_per_host = 1;
  ASSERT_OK_AND_ASSIGN(auto engine, HttpEngine::Start(options, clock, waiting));
  const Bytes body = Pattern(10);
  const Request request = Putting(gated.server.url() + "/", body);
  std::vector<std::future<Result<Response>>> uploads;
  for (int i = 0; i < 4; ++i) {
    uploads.push_back(std::async(std::launch::async, [&client = *engine, &request] {
      return client.Perform(With(Priority::kWrite), request);
    }));
  }
  gated.server.AwaitRequests(1);
  waiting.AwaitWaits(4);
  engine = nullptr;
  for (auto& upload : uploads) EXPECT_FAILS(upload.get(), kCancelled);
  EXPECT_EQ(gated.server.requests().size(), 1U);
}

TEST(HttpEngine, ServesManyThreadsAtOnce) {
  const ScriptedServer server([](const ReceivedRequest& request) {
    if (request.target.ends_with('7')) return Answer::With(Fault::kCloseMidBody).Text(200, "cut");
    return Answer().Text(200, request.target + request.body);
  });
  Engine engine;
  constexpr int kThreads = 32;
  constexpr int kRequests = 40;
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kRequests; ++i) {
        const std::string target = "/" + std::to_string(thread) + "/" + std::to_string(i);
        const std::string text(static_cast<std::size_t>(i * 100), 'b');
        Request request = Asking(server.url() + target, i % 3 == 0 ? "PUT" : "GET");
        if (i % 3 == 0) request.body = AsBytes(text);
        std::stop_source stop;
        RequestContext context = With(static_cast<Priority>(i % 3));
        context.cancel = stop.get_token();
        if (i % 10 == 9) stop.request_stop();
        const auto result = engine.Perform(request, context);
        const bool fine = i % 10 == 9 ? FailsWith(result, ErrorCode::kCancelled)
                          : i % 10 == 7
                              ? FailsWith(result, ErrorCode::kUnavailable)
                              : BodyOf(result) == target + (i % 3 == 0 ? text : std::string());
        if (fine) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, kThreads * kRequests);
}

TEST(HttpEngine, ConnectionsToOneHostAreNoMoreThanItsSlots) {
  const ScriptedServer server([](const ReceivedRequest&) { return Answer().Text(200, "ok"); });
  HttpOptions options;
  options.slots.reads_per_host = 3;
  Engine engine(options);
  std::vector<std::future<Result<Response>>> reads;
  for (int i = 0; i < 30; ++i) reads.push_back(engine.Begin(Asking(server.url())));
  for (auto& read : reads) EXPECT_OK(read.get());
  EXPECT_LE(server.connections(), 3U);
}

}  // namespace
}  // namespace coffer::http

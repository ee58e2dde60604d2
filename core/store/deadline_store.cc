#include "core/store/deadline_store.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/log.h"

namespace coffer::store {
namespace {

/// A thread without a call ends after so long.
constexpr auto kIdleThreadEnds = std::chrono::seconds(5);

}  // namespace

/// The threads and what they are to do; lives as long as the last of them. Not an Executor, whose
/// end would wait for them.
struct DeadlineStore::Crew {
  Mutex mutex;
  std::condition_variable_any work;
  std::deque<std::function<void()>> calls GUARDED_BY(mutex);
  std::size_t idle GUARDED_BY(mutex) = 0;
  std::size_t stuck GUARDED_BY(mutex) = 0;  // calls whose caller has gone
  bool closed GUARDED_BY(mutex) = false;

  /// False if there is no thread to be had.
  static bool Start(const std::shared_ptr<Crew>& crew, std::function<void()> call) {
    MutexLock lock(crew->mutex);
    if (crew->idle <= crew->calls.size()) {
      try {
        std::thread([crew] { Live(*crew); }).detach();
      } catch (const std::system_error&) {
        if (crew->idle == 0) return false;
      }
    }
    crew->calls.push_back(std::move(call));
    crew->work.notify_one();
    return true;
  }

  /// The analysis cannot see through the condition variable.
  static void Live(Crew& crew) NO_THREAD_SAFETY_ANALYSIS {
    pthread_setname_np(pthread_self(), "store-call");
    crew.mutex.lock();
    for (;;) {
      ++crew.idle;
      const bool told = crew.work.wait_for(
          crew.mutex, kIdleThreadEnds,
          [&]() NO_THREAD_SAFETY_ANALYSIS { return !crew.calls.empty() || crew.closed; });
      --crew.idle;
      if (crew.calls.empty() && (crew.closed || !told)) break;
      std::function<void()> call = std::move(crew.calls.front());
      crew.calls.pop_front();
      crew.mutex.unlock();
      call();
      call = nullptr;  // what it shares may be the last of it
      crew.mutex.lock();
    }
    crew.mutex.unlock();
  }
};

/// Shared by the caller and the thread.
template <class T>
struct DeadlineStore::Call {
  std::function<T(const RequestContext&)> body;
  std::stop_source stop;    // the caller has gone
  std::optional<T> result;  // this and the next two under the control's mutex
  bool done = false;
  bool abandoned = false;
};

DeadlineStore::DeadlineStore(std::string description, Clock& clock, Executor& executor,
                             std::shared_ptr<CallControl> control, const DeadlineOptions& options)
    : StoreLayer(nullptr),
      description_(std::move(description)),
      clock_(clock),
      executor_(executor),
      control_(std::move(control)),
      options_(options),
      crew_(std::make_shared<Crew>()) {}

DeadlineStore::~DeadlineStore() {
  const MutexLock lock(crew_->mutex);
  crew_->closed = true;
  crew_->work.notify_all();
}

Result<std::unique_ptr<DeadlineStore>> DeadlineStore::Open(const std::string& description,
                                                           Opener open, Clock& clock,
                                                           Executor& executor,
                                                           std::shared_ptr<CallControl> control,
                                                           const DeadlineOptions& options) {
  std::unique_ptr<DeadlineStore> store(
      new DeadlineStore(description, clock, executor, std::move(control), options));
  using Opened = Result<std::unique_ptr<ObjectStore>>;
  ASSIGN_OR_RETURN(
      store->inner_,
      store->Run<Opened>(Reading(), 0,
                         [open = std::move(open)](const RequestContext&) { return open(); }));
  return store;
}

Status DeadlineStore::AwaitCall(const RequestContext& context, MutexLock& lock, const bool& done,
                                MonotonicTime begin, MonotonicTime end) {
  struct Told {
    bool stopped;
    bool hurried;
    bool operator==(const Told&) const = default;
  };
  // The analysis does not know that `lock` holds the control's mutex.
  const auto told = [&]() NO_THREAD_SAFETY_ANALYSIS {
    return Told{control_->cancelled || context.cancel.stop_requested(), control_->hurries > 0};
  };
  for (;;) {
    const Told before = told();
    if (done) return {};
    if (before.stopped) {
      return Fail(ErrorCode::kCancelled, Concat("store ", description_, ": stopped while waiting"));
    }
    const MonotonicTime limit = before.hurried ? std::min(begin + options_.hurried_max, end) : end;
    const Duration left = limit - clock_.Now();
    if (left <= Duration::zero()) break;
    (void)executor_.AwaitFor(lock, control_->changed, left,
                             [&] { return done || told() != before; });
  }
  return Fail(ErrorCode::kUnavailable, Concat("store ", description_, " does not answer"),
              "see whether the disk, share or server that holds it still works");
}

/// False if there is no thread to be had.
bool DeadlineStore::Start(std::function<void()> call) {
  if (!options_.run_call) return Crew::Start(crew_, std::move(call));
  options_.run_call(std::move(call));
  return true;
}

template <class T>
T DeadlineStore::Run(const RequestContext& context, std::uint64_t bytes,
                     std::function<T(const RequestContext&)> body) {
  {
    const MutexLock lock(crew_->mutex);
    if (crew_->stuck >= options_.stuck_max) {
      return Fail(ErrorCode::kUnavailable,
                  Concat("store ", description_, " does not answer: ", crew_->stuck,
                         " requests have not come back"),
                  "see whether the disk, share or server that holds it still works");
    }
  }
  const MonotonicTime begin = clock_.Now();
  MonotonicTime end =
      begin + options_.call_max + std::chrono::seconds(bytes / options_.bytes_per_second_min);
  if (context.deadline) end = std::min(end, *context.deadline);
  auto call = std::make_shared<Call<T>>();
  call->body = std::move(body);
  const RequestContext below = {
      .priority = context.priority, .deadline = end, .cancel = call->stop.get_token()};
  const bool started = Start([call, below, control = control_, crew = crew_] {
    T result = call->body(below);
    call->body = nullptr;
    bool abandoned = false;
    {
      const MutexLock lock(control->mutex);
      abandoned = call->abandoned;
      if (!abandoned) call->result = std::move(result);
      call->done = true;
      control->changed.notify_all();
    }
    if (!abandoned) return;
    const MutexLock lock(crew->mutex);
    --crew->stuck;
  });
  if (!started) {
    return Fail(ErrorCode::kUnavailable,
                Concat("store ", description_, ": no thread is to be had"));
  }
  const std::stop_callback look(context.cancel, [this] { control_->Notify(); });
  Status waited;
  {
    MutexLock lock(control_->mutex);
    waited = AwaitCall(context, lock, call->done, begin, end);
    if (waited.has_value()) return *std::move(call->result);
    call->abandoned = true;
    const MutexLock crew_lock(crew_->mutex);
    ++crew_->stuck;
  }
  call->stop.request_stop();
  return Fail(std::move(waited).error());
}

Status DeadlineStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                             ObjectClass object_class) {
  auto copy = std::make_shared<const Bytes>(data.begin(), data.end());
  return Run<Status>(
      context, data.size(),
      [inner = inner_, name, copy = std::move(copy), object_class](const RequestContext& below) {
        return inner->Create(below, name, *copy, object_class);
      });
}

Result<Bytes> DeadlineStore::Get(const RequestContext& context, const std::string& name,
                                 std::uint64_t size_max) {
  return Run<Result<Bytes>>(context, size_max,
                            [inner = inner_, name, size_max](const RequestContext& below) {
                              return inner->Get(below, name, size_max);
                            });
}

Result<Bytes> DeadlineStore::GetRange(const RequestContext& context, const std::string& name,
                                      std::uint64_t offset, std::uint64_t length) {
  return Run<Result<Bytes>>(context, length,
                            [inner = inner_, name, offset, length](const RequestContext& below) {
                              return inner->GetRange(below, name, offset, length);
                            });
}

Result<ListPage> DeadlineStore::List(const RequestContext& context, const std::string& prefix,
                                     const std::string& start_after, std::size_t limit) {
  return Run<Result<ListPage>>(
      context, 0, [inner = inner_, prefix, start_after, limit](const RequestContext& below) {
        return inner->List(below, prefix, start_after, limit);
      });
}

Status DeadlineStore::Delete(const RequestContext& context, const std::string& name) {
  return Run<Status>(context, 0, [inner = inner_, name](const RequestContext& below) {
    return inner->Delete(below, name);
  });
}

std::vector<Status> DeadlineStore::DeleteMany(const RequestContext& context,
                                              const std::vector<std::string>& names) {
  using Statuses = Result<std::vector<Status>>;
  Statuses deleted =
      Run<Statuses>(context, 0, [inner = inner_, names](const RequestContext& below) -> Statuses {
        return inner->DeleteMany(below, names);
      });
  if (deleted.has_value()) return *std::move(deleted);
  return {names.size(), Status(Fail(std::move(deleted).error()))};
}

}  // namespace coffer::store

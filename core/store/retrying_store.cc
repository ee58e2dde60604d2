#include "core/store/retrying_store.h"

#include <algorithm>
#include <array>

#include "core/base/log.h"

namespace coffer::store {
namespace {

bool MayHelpToRetry(const Error& error) { return error.code == ErrorCode::kUnavailable; }

/// Uniform in [0, bound]. The modulo's bias is far below what a back-off could notice.
Duration RandomUpTo(Random& random, Duration bound) {
  std::array<std::byte, sizeof(std::uint64_t)> drawn{};
  random.Fill(drawn);
  const auto span = static_cast<std::uint64_t>(std::max<Duration::rep>(bound.count(), 0)) + 1;
  return Duration(static_cast<Duration::rep>(LoadLe<std::uint64_t>(drawn.data()) % span));
}

}  // namespace

/// The budget of one request: how often and how long it may be tried.
class RetryingStore::Attempts {
 public:
  Attempts(RetryingStore& store, const RequestContext& context)
      : Attempts(store, context, store.options_.attempts_max) {}
  Attempts(RetryingStore& store, const RequestContext& context, int attempts_max)
      : store_(store),
        context_(context),
        attempts_max_(attempts_max),
        left_(store.options_.total_max),
        bound_(store.options_.wait_first_max) {}

  /// True after an attempt failed in a way that leaves open whether it took effect.
  [[nodiscard]] bool ambiguous() const { return used_ > 0; }

  /// After an attempt that took `time`: waits before the next; the error to give up with if there
  /// is none.
  Status Again(const Error& error, Duration time) {
    ++used_;
    const Duration wait =
        error.retry_after.value_or(Duration::zero()) + RandomUpTo(store_.random_, bound_);
    left_ -= std::min(time, store_.options_.total_max / 2) + wait;
    const bool late = context_.deadline && store_.clock_.Now() + wait >= *context_.deadline;
    if (used_ >= attempts_max_ || left_ < Duration::zero() || late) {
      Error last = error;
      last.message = Concat(error.message, " (tried ", used_, " times)");
      return Fail(std::move(last));
    }
    LOG(kDebug, "store ", store_.description(), ": ", error.message, "; next try in ",
        std::chrono::duration_cast<std::chrono::milliseconds>(wait).count(), " ms");
    bound_ = std::min(bound_ * 2, store_.options_.wait_max);
    return store_.Wait(context_, wait, error);
  }

  template <class Request>
  auto Run(const Request& request) -> decltype(request()) {
    while (true) {
      const MonotonicTime begin = store_.clock_.Now();
      auto result = request();
      if (result.has_value() || !MayHelpToRetry(result.error())) return result;
      RETURN_IF_ERROR(Again(result.error(), store_.clock_.Now() - begin));
    }
  }

 private:
  RetryingStore& store_;
  const RequestContext& context_;
  const int attempts_max_;
  Duration left_;
  Duration bound_;
  int used_ = 0;
};

RetryingStore::RetryingStore(std::unique_ptr<ObjectStore> inner, Clock& clock, Executor& executor,
                             Random& random, const RetryOptions& options,
                             std::shared_ptr<CallControl> control)
    : StoreLayer(std::move(inner)),
      clock_(clock),
      executor_(executor),
      random_(random),
      options_(options),
      control_(std::move(control)) {}

Status RetryingStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                             ObjectClass object_class) {
  Attempts attempts(*this, context);
  Status created = attempts.Run([&] { return inner_->Create(context, name, data, object_class); });
  if (created.has_value() || created.error().code != ErrorCode::kAlreadyExists) return created;
  if (!attempts.ambiguous()) return created;
  return SettleExisting(context, name, data, std::move(created).error(), attempts);
}

Status RetryingStore::SettleExisting(const RequestContext& context, const std::string& name,
                                     ByteView data, Error exists, Attempts& attempts) {
  const Result<Bytes> there = attempts.Run([&] { return inner_->Get(context, name, data.size()); });
  if (there.has_value()) {
    if (std::ranges::equal(*there, data)) return {};
    return Fail(std::move(exists));
  }
  switch (there.error().code) {
    case ErrorCode::kCorruption:  // longer than ours, or no object at all
      return Fail(std::move(exists));
    case ErrorCode::kNotFound:  // it came and went: whether it was ours, nobody can say now
      return Fail(
          ErrorCode::kUnavailable,
          Concat("object ", name, " was there when created again, and gone when read back"));
    default:
      return Fail(there.error());
  }
}

Result<Bytes> RetryingStore::Get(const RequestContext& context, const std::string& name,
                                 std::uint64_t size_max) {
  return Attempts(*this, context).Run([&] { return inner_->Get(context, name, size_max); });
}

Result<Bytes> RetryingStore::GetRange(const RequestContext& context, const std::string& name,
                                      std::uint64_t offset, std::uint64_t length) {
  return Attempts(*this, context, options_.range_attempts_max).Run([&] {
    return inner_->GetRange(context, name, offset, length);
  });
}

Result<ListPage> RetryingStore::List(const RequestContext& context, const std::string& prefix,
                                     const std::string& start_after, std::size_t limit) {
  return Attempts(*this, context).Run([&] {
    return inner_->List(context, prefix, start_after, limit);
  });
}

Status RetryingStore::Delete(const RequestContext& context, const std::string& name) {
  Attempts attempts(*this, context);
  Status deleted = attempts.Run([&] { return inner_->Delete(context, name); });
  const bool gone = !deleted.has_value() && deleted.error().code == ErrorCode::kNotFound;
  if (gone && attempts.ambiguous()) return {};
  return deleted;
}

std::vector<Status> RetryingStore::DeleteMany(const RequestContext& context,
                                              const std::vector<std::string>& names) {
  std::vector<Status> results = inner_->DeleteMany(context, names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (results[i].has_value() || !MayHelpToRetry(results[i].error())) continue;
    // What failed may have happened all the same.
    results[i] = Delete(context, names[i]);
    const bool gone = !results[i].has_value() && results[i].error().code == ErrorCode::kNotFound;
    if (gone) results[i] = {};
  }
  return results;
}

Status RetryingStore::Wait(const RequestContext& context, Duration wait, const Error& error) {
  const std::stop_callback told_to_stop(context.cancel, [this] { control_->Notify(); });
  MutexLock lock(control_->mutex);
  const auto stopped = [&]() NO_THREAD_SAFETY_ANALYSIS {
    return control_->cancelled || context.cancel.stop_requested();
  };
  const auto told = [&]() NO_THREAD_SAFETY_ANALYSIS { return stopped() || control_->hurries > 0; };
  if (!executor_.AwaitFor(lock, control_->changed, wait, told)) return {};
  if (!stopped()) return Fail(error);
  return Fail(ErrorCode::kCancelled, Concat("store ", description(), ": stopped while waiting"));
}

}  // namespace coffer::store

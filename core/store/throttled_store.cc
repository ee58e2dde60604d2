#include "core/store/throttled_store.h"

#include <algorithm>

#include "core/base/log.h"

namespace coffer::store {
namespace {

/// A limit may be lifted while somebody waits for it.
constexpr Duration kLookAgain = std::chrono::seconds(5);

}  // namespace

Status ThrottledStore::AwaitTurn(const RequestContext& context, Bandwidth::Direction direction,
                                 std::uint64_t bytes) {
  const std::stop_callback told_to_stop(context.cancel, [this] { control_->Notify(); });
  for (;;) {
    const Duration wait = bandwidth_.TryTake(direction, bytes);
    if (wait == Duration::zero()) return {};
    if (context.deadline && clock_.Now() + wait > *context.deadline) {
      return Fail(ErrorCode::kUnavailable, Concat("store ", description(),
                                                  ": its turn does not come in time, since the "
                                                  "bandwidth is limited"));
    }
    MutexLock lock(control_->mutex);
    const auto stopped = [&]() NO_THREAD_SAFETY_ANALYSIS {
      return control_->cancelled || context.cancel.stop_requested();
    };
    const auto told = [&]()
                          NO_THREAD_SAFETY_ANALYSIS { return stopped() || control_->hurries > 0; };
    if (!executor_.AwaitFor(lock, control_->changed, std::min(wait, kLookAgain), told)) continue;
    if (!stopped()) return {};
    return Fail(ErrorCode::kCancelled, Concat("store ", description(), ": stopped while waiting"));
  }
}

Status ThrottledStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                              ObjectClass object_class) {
  RETURN_IF_ERROR(AwaitTurn(context, Bandwidth::Direction::kUp, data.size()));
  return inner_->Create(context, name, data, object_class);
}

Result<Bytes> ThrottledStore::Get(const RequestContext& context, const std::string& name,
                                  std::uint64_t size_max) {
  RETURN_IF_ERROR(AwaitTurn(context, Bandwidth::Direction::kDown, 0));
  Result<Bytes> bytes = inner_->Get(context, name, size_max);
  if (bytes.has_value()) bandwidth_.Take(Bandwidth::Direction::kDown, bytes->size());
  return bytes;
}

Result<Bytes> ThrottledStore::GetRange(const RequestContext& context, const std::string& name,
                                       std::uint64_t offset, std::uint64_t length) {
  RETURN_IF_ERROR(AwaitTurn(context, Bandwidth::Direction::kDown, 0));
  Result<Bytes> bytes = inner_->GetRange(context, name, offset, length);
  if (bytes.has_value()) bandwidth_.Take(Bandwidth::Direction::kDown, bytes->size());
  return bytes;
}

}  // namespace coffer::store

#include "core/daemon/store_stack.h"

#include <utility>

#include "core/store/deadline_store.h"
#include "core/store/store_layer.h"
#include "core/store/throttled_store.h"

namespace coffer::daemon {
namespace {

/// Lets requests pass until it is shut: an upload of an hour must not hold up the daemon's end.
class GatedStore final : public store::StoreLayer {
 public:
  GatedStore(std::unique_ptr<store::ObjectStore> inner, const std::atomic<bool>& shut)
      : StoreLayer(std::move(inner)), shut_(shut) {}

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                store::ObjectClass kind) override {
    RETURN_IF_ERROR(CheckOpen());
    return inner_->Create(context, name, data, kind);
  }
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override {
    RETURN_IF_ERROR(CheckOpen());
    return inner_->Get(context, name, size_max);
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override {
    RETURN_IF_ERROR(CheckOpen());
    return inner_->GetRange(context, name, offset, length);
  }
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override {
    RETURN_IF_ERROR(CheckOpen());
    return inner_->List(context, prefix, start_after, limit);
  }
  Status Delete(const RequestContext& context, const std::string& name) override {
    RETURN_IF_ERROR(CheckOpen());
    return inner_->Delete(context, name);
  }
  std::vector<Status> DeleteMany(const RequestContext& context,
                                 const std::vector<std::string>& names) override {
    if (const Status open = CheckOpen(); !open.has_value()) return {names.size(), open};
    return inner_->DeleteMany(context, names);
  }

 private:
  [[nodiscard]] Status CheckOpen() const {
    if (shut_.load()) return Fail(ErrorCode::kCancelled, "cofferd is ending");
    return {};
  }

  const std::atomic<bool>& shut_;
};

}  // namespace

Result<StoreStack> OpenStoreStack(const store::StoreEnvironment& env, store::Bandwidth& bandwidth,
                                  const std::atomic<bool>& shut, const StoreSeams& seams,
                                  std::shared_ptr<store::CallControl> control,
                                  const store::StoreUrl& url, store::StoreOpenMode mode) {
  const auto open = [env, seam = seams.open, url, mode] {
    return seam ? seam(url, mode) : store::OpenStore(env, url, mode);
  };
  store::DeadlineOptions deadlines;
  deadlines.run_call = seams.run_call;
  ASSIGN_OR_RETURN(auto bottom, store::DeadlineStore::Open(url.ToString(), open, env.clock,
                                                           env.waiting, control, deadlines));
  auto counting = std::make_unique<store::CountingStore>(std::move(bottom));
  store::CountingStore* counter = counting.get();
  auto retrying = std::make_unique<store::RetryingStore>(
      std::move(counting), env.clock, env.waiting, env.random, store::RetryOptions{}, control);
  // Above the layer that repeats: a request waits for its turn once.
  auto throttled = std::make_unique<store::ThrottledStore>(std::move(retrying), bandwidth,
                                                           env.clock, env.waiting, control);
  return StoreStack{std::make_unique<GatedStore>(std::move(throttled), shut), counter,
                    std::move(control)};
}

}  // namespace coffer::daemon

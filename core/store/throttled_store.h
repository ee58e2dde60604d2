// ThrottledStore: keeps to a Bandwidth. Waits go through the executor, on the caller's thread,
// which is his vault's own. CallControl ends them: cancelled when the daemon ends; hurried, the
// request goes at once, since whoever closes a volume must not wait. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/store/bandwidth.h"
#include "core/store/call_control.h"
#include "core/store/store_layer.h"

namespace coffer::store {

class ThrottledStore final : public StoreLayer {
 public:
  /// `bandwidth`, clock and executor outlive the store.
  ThrottledStore(std::unique_ptr<ObjectStore> inner, Bandwidth& bandwidth, Clock& clock,
                 Executor& executor, std::shared_ptr<CallControl> control)
      : StoreLayer(std::move(inner)),
        bandwidth_(bandwidth),
        clock_(clock),
        executor_(executor),
        control_(std::move(control)) {}

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override {
    return inner_->List(context, prefix, start_after, limit);
  }
  Status Delete(const RequestContext& context, const std::string& name) override {
    return inner_->Delete(context, name);
  }
  std::vector<Status> DeleteMany(const RequestContext& context,
                                 const std::vector<std::string>& names) override {
    return inner_->DeleteMany(context, names);
  }

 private:
  /// Returns when `bytes` may go.
  Status AwaitTurn(const RequestContext& context, Bandwidth::Direction direction,
                   std::uint64_t bytes);

  Bandwidth& bandwidth_;
  Clock& clock_;
  Executor& executor_;
  const std::shared_ptr<CallControl> control_;
};

}  // namespace coffer::store

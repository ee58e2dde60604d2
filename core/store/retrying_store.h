// RetryingStore: repeats what failed with kUnavailable, a bounded number of times, after waits that
// grow and are drawn at random ("full jitter": many clients of a store that comes back must not
// return in step). Every other error passes through at once. Longer outages are the sync's affair.
//
// A create that failed may have happened, so repeating one needs care: the very same bytes are sent
// again, and "exists already" after such a failure is answered by reading the object back. The same
// bytes: our lost reply, success. Others: somebody else was first. Likewise "not found" answers a
// repeated delete with success.
//
// Thread-safe. Waits go through the executor, on the caller's thread, which is his vault's own
// (daemon/vault_pool.h). CallControl ends them: cancelled when a daemon must stop, hurried when a
// volume is closed and shall not wait.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/random.h"
#include "core/store/call_control.h"
#include "core/store/store_layer.h"

namespace coffer::store {

struct RetryOptions {
  int attempts_max = 6;  // the first one counted
  /// Of a range: that is what readers of a volume wait for, and a file system takes an error for a
  /// broken disk. A network is back some ten seconds after a machine has woken up; a sync tries
  /// again by itself.
  int range_attempts_max = 12;
  Duration wait_first_max = std::chrono::milliseconds(200);  // doubles with each attempt …
  Duration wait_max = std::chrono::seconds(10);              // … up to this
  /// No attempt begins after this long. A single one counts as half of it at most, however long the
  /// machine slept meanwhile: what broke off in its sleep is tried again once it is awake. Nor
  /// before the time that the store asked for (Error::retry_after).
  Duration total_max = std::chrono::seconds(60);
};

class RetryingStore final : public StoreLayer {
 public:
  RetryingStore(std::unique_ptr<ObjectStore> inner, Clock& clock, Executor& executor,
                Random& random, const RetryOptions& options = {},
                std::shared_ptr<CallControl> control = std::make_shared<CallControl>());
  RetryingStore(const RetryingStore&) = delete;
  RetryingStore& operator=(const RetryingStore&) = delete;

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  std::vector<Status> DeleteMany(const RequestContext& context,
                                 const std::vector<std::string>& names) override;

  /// From now on nothing is repeated: waits end with kCancelled.
  void Cancel() { control_->Cancel(); }

 private:
  class Attempts;

  /// Waits up to `wait`; kCancelled when told to stop, `error` when there is no time to try again.
  Status Wait(const RequestContext& context, Duration wait, const Error& error);
  Status SettleExisting(const RequestContext& context, const std::string& name, ByteView data,
                        Error exists, Attempts& attempts);

  Clock& clock_;
  Executor& executor_;
  Random& random_;
  const RetryOptions options_;
  const std::shared_ptr<CallControl> control_;
};

}  // namespace coffer::store

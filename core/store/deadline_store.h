// DeadlineStore: lets a caller go when his time is up, or when he is told to (CallControl), though
// the call of the store below may never return: a FUSE file system that is stopped, an NFS server
// that is gone. No signal ends such a call and no thread can be taken out of it.
//
// So each call runs on a thread of the store's own, which shares with it all that it needs: the
// store below, the name, a copy of the bytes. A thread whose caller has gone touches nothing else,
// and is never waited for. A result that comes too late is dropped; the caller has kUnavailable,
// which leaves open whether it happened, as ever. The call is told to stop (RequestContext), and a
// store that can be told, one over a network, gives its thread back. While `stuck_max` calls have
// not come back, further ones fail at once: a store that hangs costs so many threads and no more.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/store/call_control.h"
#include "core/store/store_layer.h"

namespace coffer::store {

struct DeadlineOptions {
  Duration call_max = std::chrono::seconds(60);
  std::uint64_t bytes_per_second_min = 64 << 10;  // a call of many bytes may take longer by this
  Duration hurried_max = std::chrono::seconds(1);
  std::size_t stuck_max = 16;
  /// Runs a call, now or later, not before it returns. Empty: on a thread of the store's own.
  /// Simulated time has one thread, which a call then takes while its caller waits.
  std::function<void(std::function<void()>)> run_call = {};
};

class DeadlineStore final : public StoreLayer {
 public:
  using Opener = std::function<Result<std::unique_ptr<ObjectStore>>()>;

  /// Opens the store below under the same rule. What `open` refers to must outlive its call, which
  /// may never end; clock and executor outlive the store.
  static Result<std::unique_ptr<DeadlineStore>> Open(const std::string& description, Opener open,
                                                     Clock& clock, Executor& executor,
                                                     std::shared_ptr<CallControl> control,
                                                     const DeadlineOptions& options = {});
  ~DeadlineStore() override;
  DeadlineStore(const DeadlineStore&) = delete;
  DeadlineStore& operator=(const DeadlineStore&) = delete;

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

 private:
  struct Crew;
  template <class T>
  struct Call;

  DeadlineStore(std::string description, Clock& clock, Executor& executor,
                std::shared_ptr<CallControl> control, const DeadlineOptions& options);

  bool Start(std::function<void()> call);
  template <class T>
  T Run(const RequestContext& context, std::uint64_t bytes,
        std::function<T(const RequestContext&)> body);
  /// Returns when the call is done, or as the error says.
  Status AwaitCall(const RequestContext& context, MutexLock& lock, const bool& done,
                   MonotonicTime begin, MonotonicTime end);

  const std::string description_;
  Clock& clock_;
  Executor& executor_;
  const std::shared_ptr<CallControl> control_;
  const DeadlineOptions options_;
  const std::shared_ptr<Crew> crew_;
};

}  // namespace coffer::store

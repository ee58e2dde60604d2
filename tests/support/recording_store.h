// RecordingStore: keeps what a provider would see of each request, for tests of request counts,
// order and alignment (faults.md O7). Thread-safe; requests stand in the order they were answered.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/store/counting_store.h"
#include "core/store/object_store.h"

namespace coffer {

struct StoreRequest {
  store::StoreOperation operation;
  std::string name;                     // of a list, its prefix
  std::uint64_t offset = 0;             // of a range
  std::uint64_t length = 0;             // of a range
  std::uint64_t size = 0;               // bytes sent or received; names of a list
  std::string start_after = {};         // of a list
  std::optional<ErrorCode> error = {};  // what was answered
};

/// "get-range packs/ab/… 4096+262144 -> unavailable"
[[nodiscard]] std::string ToString(const StoreRequest& request);
std::ostream& operator<<(std::ostream& out, const StoreRequest& request);

class RecordingStore final : public store::ObjectStore {
 public:
  explicit RecordingStore(store::ObjectStore& inner) : inner_(inner) {}

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                store::ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  [[nodiscard]] store::StoreCapabilities capabilities() const override {
    return inner_.capabilities();
  }
  [[nodiscard]] std::string identity() const override { return inner_.identity(); }
  [[nodiscard]] std::string description() const override { return inner_.description(); }

  [[nodiscard]] std::vector<StoreRequest> requests() const;
  [[nodiscard]] std::size_t count(store::StoreOperation operation) const;
  void Clear();

 private:
  void Record(StoreRequest request);

  store::ObjectStore& inner_;
  mutable Mutex mutex_;
  std::vector<StoreRequest> requests_ GUARDED_BY(mutex_);
};

}  // namespace coffer

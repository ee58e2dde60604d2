// CountingStore: counts what passes through to another store, for `status`, `info` and for tests
// such as "an idle volume makes no request". Thread-safe; a counter is one relaxed atomic add.
//
// Placed directly above the real store it counts what the provider charges for: each attempt is a
// request. Sent bytes are counted per attempt, received ones when they arrive.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "core/store/store_layer.h"

namespace coffer::store {

enum class StoreOperation { kCreate, kGet, kGetRange, kList, kDelete };
inline constexpr std::size_t kStoreOperationCount = 5;
inline constexpr std::size_t kObjectClassCount = 4;

/// One operation on one class of objects.
struct StoreCount {
  std::uint64_t requests = 0;
  std::uint64_t failures = 0;  // "not found" and "exists already" are answers, not failures
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;

  StoreCount& operator+=(const StoreCount& other);
  StoreCount& operator-=(const StoreCount& other);
  bool operator==(const StoreCount&) const = default;
};

/// All counters at about one moment.
struct StoreCounts {
  std::array<std::array<StoreCount, kObjectClassCount>, kStoreOperationCount> table{};

  [[nodiscard]] const StoreCount& Of(StoreOperation operation, ObjectClass object_class) const;
  [[nodiscard]] StoreCount Of(StoreOperation operation) const;
  [[nodiscard]] StoreCount Total() const;
  /// What happened since `earlier`.
  [[nodiscard]] StoreCounts Since(const StoreCounts& earlier) const;
};

/// The class that a name tells; used where the request does not carry one. Packs hold data and
/// metadata alike, so all of packs/ counts as data there.
[[nodiscard]] ObjectClass ObjectClassOfName(const std::string& name);

class CountingStore final : public StoreLayer {
 public:
  explicit CountingStore(std::unique_ptr<ObjectStore> inner) : StoreLayer(std::move(inner)) {}
  CountingStore(const CountingStore&) = delete;
  CountingStore& operator=(const CountingStore&) = delete;

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

  [[nodiscard]] StoreCounts counts() const;

 private:
  struct Cell {
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> failures{0};
    std::atomic<std::uint64_t> bytes_up{0};
    std::atomic<std::uint64_t> bytes_down{0};
  };
  Cell& cell(StoreOperation operation, ObjectClass object_class);
  template <class T>
  void CountFailure(Cell& cell, const Result<T>& result);

  std::array<std::array<Cell, kObjectClassCount>, kStoreOperationCount> cells_{};
};

}  // namespace coffer::store

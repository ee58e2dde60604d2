#include "core/store/counting_store.h"

namespace coffer::store {

StoreCount& StoreCount::operator+=(const StoreCount& other) {
  requests += other.requests;
  failures += other.failures;
  bytes_up += other.bytes_up;
  bytes_down += other.bytes_down;
  return *this;
}

StoreCount& StoreCount::operator-=(const StoreCount& other) {
  requests -= other.requests;
  failures -= other.failures;
  bytes_up -= other.bytes_up;
  bytes_down -= other.bytes_down;
  return *this;
}

const StoreCount& StoreCounts::Of(StoreOperation operation, ObjectClass object_class) const {
  return table[static_cast<std::size_t>(operation)][static_cast<std::size_t>(object_class)];
}

StoreCount StoreCounts::Of(StoreOperation operation) const {
  StoreCount sum;
  for (const StoreCount& count : table[static_cast<std::size_t>(operation)]) sum += count;
  return sum;
}

StoreCount StoreCounts::Total() const {
  StoreCount sum;
  for (const auto& row : table) {
    for (const StoreCount& count : row) sum += count;
  }
  return sum;
}

StoreCounts StoreCounts::Since(const StoreCounts& earlier) const {
  StoreCounts difference = *this;
  for (std::size_t operation = 0; operation < kStoreOperationCount; ++operation) {
    for (std::size_t c = 0; c < kObjectClassCount; ++c) {
      difference.table[operation][c] -= earlier.table[operation][c];
    }
  }
  return difference;
}

ObjectClass ObjectClassOfName(const std::string& name) {
  if (name.starts_with("heads/")) return ObjectClass::kHead;
  if (name.starts_with("packs/")) return ObjectClass::kData;
  return ObjectClass::kControl;
}

CountingStore::Cell& CountingStore::cell(StoreOperation operation, ObjectClass object_class) {
  Cell& cell = cells_[static_cast<std::size_t>(operation)][static_cast<std::size_t>(object_class)];
  cell.requests.fetch_add(1, std::memory_order_relaxed);
  return cell;
}

template <class T>
void CountingStore::CountFailure(Cell& cell, const Result<T>& result) {
  if (result.has_value()) return;
  const ErrorCode code = result.error().code;
  if (code == ErrorCode::kNotFound || code == ErrorCode::kAlreadyExists) return;
  cell.failures.fetch_add(1, std::memory_order_relaxed);
}

Status CountingStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                             ObjectClass object_class) {
  Cell& counted = cell(StoreOperation::kCreate, object_class);
  counted.bytes_up.fetch_add(data.size(), std::memory_order_relaxed);
  Status created = inner_->Create(context, name, data, object_class);
  CountFailure(counted, created);
  return created;
}

Result<Bytes> CountingStore::Get(const RequestContext& context, const std::string& name,
                                 std::uint64_t size_max) {
  Cell& counted = cell(StoreOperation::kGet, ObjectClassOfName(name));
  Result<Bytes> bytes = inner_->Get(context, name, size_max);
  CountFailure(counted, bytes);
  if (bytes) counted.bytes_down.fetch_add(bytes->size(), std::memory_order_relaxed);
  return bytes;
}

Result<Bytes> CountingStore::GetRange(const RequestContext& context, const std::string& name,
                                      std::uint64_t offset, std::uint64_t length) {
  Cell& counted = cell(StoreOperation::kGetRange, ObjectClassOfName(name));
  Result<Bytes> bytes = inner_->GetRange(context, name, offset, length);
  CountFailure(counted, bytes);
  if (bytes) counted.bytes_down.fetch_add(bytes->size(), std::memory_order_relaxed);
  return bytes;
}

Result<ListPage> CountingStore::List(const RequestContext& context, const std::string& prefix,
                                     const std::string& start_after, std::size_t limit) {
  Cell& counted = cell(StoreOperation::kList, ObjectClassOfName(prefix));
  Result<ListPage> page = inner_->List(context, prefix, start_after, limit);
  CountFailure(counted, page);
  return page;
}

Status CountingStore::Delete(const RequestContext& context, const std::string& name) {
  Cell& counted = cell(StoreOperation::kDelete, ObjectClassOfName(name));
  Status deleted = inner_->Delete(context, name);
  CountFailure(counted, deleted);
  return deleted;
}

std::vector<Status> CountingStore::DeleteMany(const RequestContext& context,
                                              const std::vector<std::string>& names) {
  if (names.empty()) return {};
  Cell& counted = cell(StoreOperation::kDelete, ObjectClassOfName(names.front()));
  std::vector<Status> deleted = inner_->DeleteMany(context, names);
  for (const Status& status : deleted) CountFailure(counted, status);
  return deleted;
}

StoreCounts CountingStore::counts() const {
  StoreCounts counts;
  for (std::size_t operation = 0; operation < kStoreOperationCount; ++operation) {
    for (std::size_t c = 0; c < kObjectClassCount; ++c) {
      const Cell& cell = cells_[operation][c];
      counts.table[operation][c] = StoreCount{cell.requests.load(std::memory_order_relaxed),
                                              cell.failures.load(std::memory_order_relaxed),
                                              cell.bytes_up.load(std::memory_order_relaxed),
                                              cell.bytes_down.load(std::memory_order_relaxed)};
    }
  }
  return counts;
}

}  // namespace coffer::store

#include "tests/support/recording_store.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace coffer {
namespace {

using store::StoreOperation;

const char* NameOf(StoreOperation operation) {
  switch (operation) {
    case StoreOperation::kCreate:
      return "create";
    case StoreOperation::kGet:
      return "get";
    case StoreOperation::kGetRange:
      return "get-range";
    case StoreOperation::kList:
      return "list";
    case StoreOperation::kDelete:
      return "delete";
  }
  return "?";
}

template <class T>
std::optional<ErrorCode> ErrorOf(const Result<T>& result) {
  if (result.has_value()) return std::nullopt;
  return result.error().code;
}

std::uint64_t SizeOf(const Result<Bytes>& bytes) { return bytes.has_value() ? bytes->size() : 0; }

}  // namespace

std::string ToString(const StoreRequest& request) {
  std::string text = Concat(NameOf(request.operation), " ", request.name);
  if (request.operation == StoreOperation::kGetRange) {
    text += Concat(" ", request.offset, "+", request.length);
  }
  if (request.operation == StoreOperation::kList) text += Concat(" after ", request.start_after);
  text += Concat(" (", request.size, ")");
  if (request.error.has_value()) text += Concat(" -> ", ErrorCodeName(*request.error));
  return text;
}

std::ostream& operator<<(std::ostream& out, const StoreRequest& request) {
  return out << ToString(request);
}

Status RecordingStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                              store::ObjectClass object_class) {
  Status created = inner_.Create(context, name, data, object_class);
  Record({.operation = StoreOperation::kCreate,
          .name = name,
          .size = data.size(),
          .error = ErrorOf(created)});
  return created;
}

Result<Bytes> RecordingStore::Get(const RequestContext& context, const std::string& name,
                                  std::uint64_t size_max) {
  Result<Bytes> bytes = inner_.Get(context, name, size_max);
  Record({.operation = StoreOperation::kGet,
          .name = name,
          .size = SizeOf(bytes),
          .error = ErrorOf(bytes)});
  return bytes;
}

Result<Bytes> RecordingStore::GetRange(const RequestContext& context, const std::string& name,
                                       std::uint64_t offset, std::uint64_t length) {
  Result<Bytes> bytes = inner_.GetRange(context, name, offset, length);
  Record({.operation = StoreOperation::kGetRange,
          .name = name,
          .offset = offset,
          .length = length,
          .size = SizeOf(bytes),
          .error = ErrorOf(bytes)});
  return bytes;
}

Result<store::ListPage> RecordingStore::List(const RequestContext& context,
                                             const std::string& prefix,
                                             const std::string& start_after, std::size_t limit) {
  Result<store::ListPage> page = inner_.List(context, prefix, start_after, limit);
  Record({.operation = StoreOperation::kList,
          .name = prefix,
          .size = page.has_value() ? page->objects.size() : 0,
          .start_after = start_after,
          .error = ErrorOf(page)});
  return page;
}

Status RecordingStore::Delete(const RequestContext& context, const std::string& name) {
  Status deleted = inner_.Delete(context, name);
  Record({.operation = StoreOperation::kDelete, .name = name, .error = ErrorOf(deleted)});
  return deleted;
}

std::vector<StoreRequest> RecordingStore::requests() const {
  const MutexLock lock(mutex_);
  return requests_;
}

std::size_t RecordingStore::count(StoreOperation operation) const {
  const MutexLock lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count(requests_, operation, &StoreRequest::operation));
}

void RecordingStore::Clear() {
  const MutexLock lock(mutex_);
  requests_.clear();
}

void RecordingStore::Record(StoreRequest request) {
  const MutexLock lock(mutex_);
  requests_.push_back(std::move(request));
}

}  // namespace coffer

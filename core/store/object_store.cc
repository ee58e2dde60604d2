#include "core/store/object_store.h"

#include <algorithm>

#include "core/base/log.h"

namespace coffer::store {
namespace {

constexpr std::size_t kNameLengthMax = 200;

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '_' ||
         c == '-';
}

}  // namespace

bool IsValidObjectName(const std::string& name) {
  if (name.empty() || name.size() > kNameLengthMax || name.back() == '/') return false;
  bool part_begins = true;
  for (const char c : name) {
    if (!IsNameCharacter(c)) return false;
    if (part_begins && (c == '/' || c == '.')) return false;
    part_begins = c == '/';
  }
  return true;
}

StoreCapabilities BothCan(const StoreCapabilities& a, const StoreCapabilities& b) {
  return {.strength = a.strength == StoreStrength::kWeak ? a.strength : b.strength,
          .read_only = a.read_only || b.read_only,
          .ranges = a.ranges && b.ranges,
          .times = a.times && b.times};
}

std::vector<std::string> ListPage::names() const {
  std::vector<std::string> names;
  for (const ListedObject& object : objects) names.push_back(object.name);
  return names;
}

std::vector<Status> ObjectStore::DeleteMany(const RequestContext& context,
                                            const std::vector<std::string>& names) {
  std::vector<Status> results;
  for (const std::string& name : names) results.push_back(Delete(context, name));
  return results;
}

Status CheckObjectName(const std::string& name) {
  if (IsValidObjectName(name)) return {};
  return Fail(ErrorCode::kInvalidArgument,
              Concat("'", name.substr(0, kNameLengthMax), "' is no valid object name"));
}

Status CheckListLimit(std::size_t limit) {
  if (limit >= 1 && limit <= kListLimitMax) return {};
  return Fail(
      ErrorCode::kInvalidArgument,
      Concat("a listing of ", limit, " names was asked for; 1 to ", kListLimitMax, " work"));
}

Result<std::uint64_t> ClipObjectRange(const std::string& name, std::uint64_t size,
                                      std::uint64_t offset, std::uint64_t length) {
  if (offset < size || (offset == size && length == 0)) return std::min(length, size - offset);
  return Fail(ErrorCode::kCorruption, Concat("object ", name, " ends at byte ", size,
                                             ", before the ", length, " bytes wanted at ", offset));
}

}  // namespace coffer::store

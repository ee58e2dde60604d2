#include "core/store/probe.h"

#include <algorithm>
#include <array>

#include "core/base/log.h"

namespace coffer::store {
namespace {

ProbeReport Weak(std::string reason) {
  return ProbeReport{StoreStrength::kWeak, std::move(reason)};
}

Result<bool> Lists(ObjectStore& store, const std::string& name) {
  ASSIGN_OR_RETURN(const ListPage page, store.List(Writing(), name, "", 1));
  return !page.objects.empty() && page.objects.front().name == name;
}

/// Everything between creating the object and deleting it; nullopt-like empty reason = no fault.
Result<std::string> FaultOfCreate(ObjectStore& store, const std::string& name, ByteView first,
                                  ByteView second) {
  RETURN_IF_ERROR(store.Create(Writing(), name, first, ObjectClass::kControl));
  ASSIGN_OR_RETURN(const bool listed, Lists(store, name));
  if (!listed) return std::string("LIST does not show an object that was just created");

  const Status again = store.Create(Writing(), name, second, ObjectClass::kControl);
  const bool refused = !again.has_value() && again.error().code == ErrorCode::kAlreadyExists;
  if (!again.has_value() && again.error().code == ErrorCode::kUnsupported) {
    return Concat("it has no create-if-absent: ", again.error().message);
  }
  if (!again.has_value() && !refused) return Fail(again.error());

  ASSIGN_OR_RETURN(const Bytes kept,
                   store.Get(Writing(), name, std::max(first.size(), second.size())));
  if (std::ranges::equal(kept, second)) {
    return std::string("it overwrote an object that existed instead of refusing to create it");
  }
  if (!std::ranges::equal(kept, first)) {
    return Fail(ErrorCode::kCorruption, Concat("object ", name, " came back with other bytes"));
  }
  if (!refused) return std::string("it claimed to create an object that existed");
  return std::string();
}

Result<std::string> FaultOfDelete(ObjectStore& store, const std::string& name) {
  RETURN_IF_ERROR(store.Delete(Writing(), name));
  ASSIGN_OR_RETURN(const bool listed, Lists(store, name));
  if (listed) return std::string("LIST still shows an object that was just deleted");
  return std::string();
}

}  // namespace

Result<ProbeReport> ProbeStore(ObjectStore& store, Random& random) {
  std::array<std::byte, 16> id{};
  std::array<std::byte, 32> first{};
  std::array<std::byte, 33> second{};
  random.Fill(id);
  random.Fill(first);
  random.Fill(second);
  const std::string name = Concat("probe/", ToHex(id));

  Result<std::string> fault = FaultOfCreate(store, name, first, second);
  if (!fault.has_value() || !fault->empty()) {
    // The finding counts more than the litter: a failure to delete must not hide it.
    if (const Status deleted = store.Delete(Writing(), name); !deleted.has_value()) {
      LOG(kDebug, "probe object left behind: ", deleted.error().message);
    }
  } else {
    fault = FaultOfDelete(store, name);
  }
  if (!fault.has_value()) {
    return Fail(fault.error().Within(Concat("probe of store ", store.description())));
  }
  if (!fault->empty()) return Weak(std::move(*fault));
  if (store.capabilities().strength == StoreStrength::kWeak) {
    return Weak("it has no way to create an object only if it is absent");
  }
  return ProbeReport{StoreStrength::kStrong, ""};
}

}  // namespace coffer::store

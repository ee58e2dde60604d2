#include "tests/support/faulty_store.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer {

using store::ListPage;
using store::ObjectClass;
using store::StoreOperation;

Status FaultyStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                           ObjectClass object_class) {
  const Verdict verdict = Judge(StoreOperation::kCreate, name);
  if (verdict.Is(StoreFaultKind::kLateApply)) {
    const MutexLock lock(mutex_);
    late_.push_back({requests_ + verdict.fault->late_by, StoreOperation::kCreate, name,
                     ToBytes(data), object_class});
  }
  if (verdict.fail_before) return Fail(*verdict.fail_before);
  if (verdict.Is(StoreFaultKind::kFalseSuccess)) return {};
  RETURN_IF_ERROR(SpendQuota(name, data.size()));
  if (verdict.Is(StoreFaultKind::kConditionIgnored)) (void)inner_.Delete(context, name);
  Status created = inner_.Create(context, name, data, object_class);
  if (verdict.fail_after) return Fail(*verdict.fail_after);
  return created;
}

Result<Bytes> FaultyStore::Get(const RequestContext& context, const std::string& name,
                               std::uint64_t size_max) {
  const Verdict verdict = Judge(StoreOperation::kGet, name);
  if (verdict.fail_before) return Fail(*verdict.fail_before);
  return Distort(verdict, inner_.Get(context, SwappedName(name), size_max));
}

Result<Bytes> FaultyStore::GetRange(const RequestContext& context, const std::string& name,
                                    std::uint64_t offset, std::uint64_t length) {
  const Verdict verdict = Judge(StoreOperation::kGetRange, name);
  if (verdict.fail_before) return Fail(*verdict.fail_before);
  return Distort(verdict, inner_.GetRange(context, SwappedName(name), offset, length));
}

Result<ListPage> FaultyStore::List(const RequestContext& context, const std::string& prefix,
                                   const std::string& start_after, std::size_t limit) {
  const Verdict verdict = Judge(StoreOperation::kList, prefix);
  if (verdict.fail_before) return Fail(*verdict.fail_before);
  if (verdict.fail_after) return Fail(*verdict.fail_after);
  const bool endless = verdict.Is(StoreFaultKind::kEndlessList);
  const std::string after = endless ? "" : start_after;
  std::optional<Result<ListPage>> frozen = FrozenList(prefix, after, limit);
  Result<ListPage> page = frozen ? std::move(*frozen) : inner_.List(context, prefix, after, limit);
  if (page.has_value() && verdict.fault) DistortPage(verdict.fault->kind, *page);
  return page;
}

Status FaultyStore::Delete(const RequestContext& context, const std::string& name) {
  const Verdict verdict = Judge(StoreOperation::kDelete, name);
  if (verdict.Is(StoreFaultKind::kLateApply)) {
    const MutexLock lock(mutex_);
    late_.push_back({requests_ + verdict.fault->late_by,
                     StoreOperation::kDelete,
                     name,
                     {},
                     ObjectClass::kControl});
  }
  if (verdict.fail_before) return Fail(*verdict.fail_before);
  if (verdict.Is(StoreFaultKind::kFalseSuccess)) return {};
  Status deleted = inner_.Delete(context, name);
  if (verdict.fail_after) return Fail(*verdict.fail_after);
  return deleted;
}

store::StoreCapabilities FaultyStore::capabilities() const {
  const MutexLock lock(mutex_);
  store::StoreCapabilities capabilities = inner_.capabilities();
  if (strength_) capabilities.strength = *strength_;
  return capabilities;
}

void FaultyStore::AddFault(StoreFault fault) {
  CHECK(fault.nth > 0 && fault.count > 0);
  const MutexLock lock(mutex_);
  faults_.push_back(std::move(fault));
}

void FaultyStore::FailAll(ErrorCode code) {
  const MutexLock lock(mutex_);
  fail_all_ = code;
}

void FaultyStore::HaltAt(std::uint64_t nth, HaltMoment moment) {
  const MutexLock lock(mutex_);
  halt_at_ = requests_ + nth;
  halt_moment_ = moment;
}

void FaultyStore::Heal() {
  const MutexLock lock(mutex_);
  faults_.clear();
  fail_all_.reset();
  halt_at_.reset();
  halted_ = false;
  latency_executor_ = nullptr;
  quota_.reset();
  frozen_names_.reset();
  swapped_.clear();
  strength_.reset();
}

void FaultyStore::SetLatency(Executor& executor, Duration latency) {
  const MutexLock lock(mutex_);
  latency_executor_ = &executor;
  latency_ = latency;
}

void FaultyStore::SetQuota(std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  quota_ = bytes;
}

void FaultyStore::FreezeLists() {
  std::set<std::string> names;
  std::string last;
  for (bool more = true; more;) {
    const Result<ListPage> page = inner_.List({}, "", last, store::kListLimitMax);
    CHECK(page.has_value());
    for (const store::ListedObject& object : page->objects) names.insert(object.name);
    more = page->more;
    if (more) last = page->objects.back().name;
  }
  const MutexLock lock(mutex_);
  frozen_names_ = std::move(names);
}

void FaultyStore::ThawLists() {
  const MutexLock lock(mutex_);
  frozen_names_.reset();
}

void FaultyStore::SwapObjects(const std::string& a, const std::string& b) {
  const MutexLock lock(mutex_);
  swapped_[a] = b;
  swapped_[b] = a;
}

void FaultyStore::SetStrength(store::StoreStrength strength) {
  const MutexLock lock(mutex_);
  strength_ = strength;
}

void FaultyStore::LandLateRequests() {
  std::vector<LateRequest> due;
  {
    const MutexLock lock(mutex_);
    due.swap(late_);
  }
  for (const LateRequest& request : due) Land(request);
}

std::uint64_t FaultyStore::request_count() const {
  const MutexLock lock(mutex_);
  return requests_;
}

bool FaultyStore::halted() const {
  const MutexLock lock(mutex_);
  return halted_;
}

FaultyStore::Verdict FaultyStore::Judge(StoreOperation operation, const std::string& name) {
  Verdict verdict;
  {
    const MutexLock lock(mutex_);
    ++requests_;
    verdict = JudgeLocked(operation, name);
  }
  Delay();
  LandDue();
  return verdict;
}

FaultyStore::Verdict FaultyStore::JudgeLocked(StoreOperation operation, const std::string& name) {
  if (halted_) return {.fail_before = Error{ErrorCode::kCancelled, "the client has died"}};
  if (halt_at_ && requests_ >= *halt_at_) {
    halted_ = true;
    Error died{ErrorCode::kCancelled, "the client dies here"};
    if (halt_moment_ == HaltMoment::kBefore) return {.fail_before = std::move(died)};
    return {.fail_after = std::move(died)};
  }
  if (fail_all_) return {.fail_before = Error{*fail_all_, "the store fails every request"}};

  Verdict verdict{.fault = NextFaultLocked(operation, name)};
  if (!verdict.fault) return verdict;
  Error error{verdict.fault->code, Concat("planted fault at ", name)};
  error.retry_after = verdict.fault->retry_after;
  const StoreFaultKind kind = verdict.fault->kind;
  if (kind == StoreFaultKind::kFailBefore || kind == StoreFaultKind::kLateApply) {
    verdict.fail_before = std::move(error);
  } else if (kind == StoreFaultKind::kFailAfter) {
    verdict.fail_after = std::move(error);
  }
  return verdict;
}

std::optional<StoreFault> FaultyStore::NextFaultLocked(StoreOperation operation,
                                                       const std::string& name) {
  for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
    if (fault->operation && *fault->operation != operation) continue;
    if (name.find(fault->name_contains) == std::string::npos) continue;
    if (fault->nth > 1) {
      --fault->nth;
      continue;
    }
    StoreFault hit = *fault;
    if (fault->count != StoreFault::kForever && --fault->count == 0) faults_.erase(fault);
    return hit;
  }
  return std::nullopt;
}

void FaultyStore::Delay() {
  Executor* executor = nullptr;
  Duration latency{};
  {
    const MutexLock lock(mutex_);
    executor = latency_executor_;
    latency = latency_;
  }
  if (executor == nullptr) return;
  MutexLock lock(delay_mutex_);
  (void)executor->AwaitFor(lock, never_, latency, [] { return false; });
}

void FaultyStore::LandDue() {
  std::vector<LateRequest> due;
  {
    const MutexLock lock(mutex_);
    const auto first_due = std::stable_partition(
        late_.begin(), late_.end(),
        [now = requests_](const LateRequest& request) { return request.lands_at > now; });
    std::move(first_due, late_.end(), std::back_inserter(due));
    late_.erase(first_due, late_.end());
  }
  for (const LateRequest& request : due) Land(request);
}

void FaultyStore::Land(const LateRequest& request) {
  if (request.operation == StoreOperation::kCreate) {
    (void)inner_.Create({}, request.name, request.data, request.object_class);
  } else {
    (void)inner_.Delete({}, request.name);
  }
}

Status FaultyStore::SpendQuota(const std::string& name, std::uint64_t size) {
  const MutexLock lock(mutex_);
  if (!quota_) return {};
  if (size > *quota_) {
    return Fail(ErrorCode::kNoSpace,
                Concat("the store's quota is used up; ", name, " needs ", size));
  }
  *quota_ -= size;
  return {};
}

std::string FaultyStore::SwappedName(const std::string& name) const {
  const MutexLock lock(mutex_);
  const auto found = swapped_.find(name);
  return found == swapped_.end() ? name : found->second;
}

Result<Bytes> FaultyStore::Distort(const Verdict& verdict, Result<Bytes> body) {
  if (verdict.fail_after) return Fail(*verdict.fail_after);
  if (!body.has_value()) return body;
  if (verdict.Is(StoreFaultKind::kTruncatedBody)) body->resize(body->size() / 2);
  if (verdict.Is(StoreFaultKind::kLongBody)) body->push_back(std::byte{0});
  if (verdict.Is(StoreFaultKind::kCorruptBody) && !body->empty()) {
    const auto bit = static_cast<unsigned>(random_.Below(8));
    (*body)[random_.Below(body->size())] ^= std::byte{1} << bit;
  }
  return body;
}

void FaultyStore::DistortPage(StoreFaultKind kind, ListPage& page) {
  switch (kind) {
    case StoreFaultKind::kShortList:
      page.objects.resize(page.objects.size() / 2);
      page.more = false;
      return;
    case StoreFaultKind::kUnsortedList:
      std::ranges::reverse(page.objects);
      return;
    case StoreFaultKind::kDuplicateList: {
      std::vector<store::ListedObject> twice;
      for (const store::ListedObject& object : page.objects) twice.insert(twice.end(), 2, object);
      page.objects = std::move(twice);
      return;
    }
    case StoreFaultKind::kEndlessList:
      page.more = true;
      return;
    default:
      return;
  }
}

std::optional<Result<ListPage>> FaultyStore::FrozenList(const std::string& prefix,
                                                        const std::string& start_after,
                                                        std::size_t limit) const {
  const MutexLock lock(mutex_);
  if (!frozen_names_) return std::nullopt;
  ListPage page{{}, false};
  for (const std::string& name : *frozen_names_) {
    if (!name.starts_with(prefix) || name <= start_after) continue;
    page.more = page.objects.size() == limit;
    if (page.more) break;
    page.objects.push_back({.name = name});
  }
  return page;
}

}  // namespace coffer

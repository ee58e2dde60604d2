// FaultyStore: a store that lies, delays, loses replies and fails when told (faults.md,
// Instruments). One object is one client's view: give two hosts a FaultyStore each over the same
// MemoryStore to cut one off.
//
//   store.AddFault({.kind = StoreFaultKind::kFailAfter, .operation = StoreOperation::kCreate,
//                   .name_contains = "heads/"});     // the next head is created, its reply lost
//
// Enumeration: run a script once, read request_count(), then for n = 1 … that, HaltAt(n, …): the
// client dies around its nth request, everything after it fails.
//
// Whole-store faults need no method here: MemoryStore::Snapshot and Restore roll back, and an
// edited snapshot swaps, drops or damages objects. Thread-safe.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/store/counting_store.h"
#include "core/store/object_store.h"
#include "tests/support/seeded_random.h"

namespace coffer {

enum class StoreFaultKind {
  kFailBefore,        // nothing happens; answered with `code`
  kFailAfter,         // it happens; answered with `code` (the reply is lost)
  kLateApply,         // answered with `code` now, happens `late_by` requests later
  kFalseSuccess,      // of a create or delete: nothing happens
  kConditionIgnored,  // a create replaces what is there
  kTruncatedBody,     // success, with the first half of the bytes
  kLongBody,          // success, with a byte too many
  kCorruptBody,       // success, with one bit turned
  kShortList,         // without the second half of the names, and "no more"
  kUnsortedList,      // back to front
  kDuplicateList,     // each name twice
  kEndlessList,       // "more" for ever, always with the first names
};

struct StoreFault {
  static constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();

  StoreFaultKind kind = StoreFaultKind::kFailBefore;
  std::optional<store::StoreOperation> operation = std::nullopt;  // any
  std::string name_contains = {};
  std::uint64_t nth = 1;    // the first request that matches from now, or a later one
  std::uint64_t count = 1;  // how many in a row; kForever
  ErrorCode code = ErrorCode::kUnavailable;
  std::uint64_t late_by = 1;
  std::optional<Duration> retry_after = std::nullopt;  // the store asks for it
};

enum class HaltMoment { kBefore, kAfter };  // the nth request takes effect, or doesn't

class FaultyStore final : public store::ObjectStore {
 public:
  explicit FaultyStore(store::ObjectStore& inner, std::uint64_t seed = 1)
      : inner_(inner), random_(seed) {}

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                store::ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  [[nodiscard]] store::StoreCapabilities capabilities() const override;
  [[nodiscard]] std::string identity() const override { return inner_.identity(); }
  [[nodiscard]] std::string description() const override { return inner_.description(); }

  void AddFault(StoreFault fault);
  /// Every request: cut off (kUnavailable), bucket gone (kNotFound), credentials expired
  /// (kUnauthenticated) …
  void FailAll(ErrorCode code);
  /// The client dies around its nth request from now; kCancelled from then on.
  void HaltAt(std::uint64_t nth, HaltMoment moment);
  /// No more faults of any sort from here on. Late requests stay under way.
  void Heal();

  /// Each request first waits this long.
  void SetLatency(Executor& executor, Duration latency);
  /// Creates beyond so many bytes, counted from now, fail with kNoSpace.
  void SetQuota(std::uint64_t bytes);
  /// LIST goes on telling what is there now, until Thaw or Heal (eventual consistency).
  void FreezeLists();
  void ThawLists();
  /// Who asks for one of the two gets the other one's bytes.
  void SwapObjects(const std::string& a, const std::string& b);
  void SetStrength(store::StoreStrength strength);
  /// What is still under way arrives now.
  void LandLateRequests();

  [[nodiscard]] std::uint64_t request_count() const;
  [[nodiscard]] bool halted() const;

 private:
  /// A request given up by its client that still travels.
  struct LateRequest {
    std::uint64_t lands_at;  // request_count
    store::StoreOperation operation;
    std::string name;
    Bytes data;
    store::ObjectClass object_class;
  };
  /// What is to happen to one request.
  struct Verdict {
    std::optional<Error> fail_before = {};
    std::optional<Error> fail_after = {};
    std::optional<StoreFault> fault = {};

    [[nodiscard]] bool Is(StoreFaultKind kind) const { return fault && fault->kind == kind; }
  };

  Verdict Judge(store::StoreOperation operation, const std::string& name);
  Verdict JudgeLocked(store::StoreOperation operation, const std::string& name)
      REQUIRES_LOCK(mutex_);
  std::optional<StoreFault> NextFaultLocked(store::StoreOperation operation,
                                            const std::string& name) REQUIRES_LOCK(mutex_);
  void Delay();
  void LandDue();
  void Land(const LateRequest& request);
  Status SpendQuota(const std::string& name, std::uint64_t size);
  [[nodiscard]] std::string SwappedName(const std::string& name) const;
  Result<Bytes> Distort(const Verdict& verdict, Result<Bytes> body);
  static void DistortPage(StoreFaultKind kind, store::ListPage& page);
  std::optional<Result<store::ListPage>> FrozenList(const std::string& prefix,
                                                    const std::string& start_after,
                                                    std::size_t limit) const;

  store::ObjectStore& inner_;
  SeededRandom random_;

  mutable Mutex mutex_;
  std::uint64_t requests_ GUARDED_BY(mutex_) = 0;
  std::vector<StoreFault> faults_ GUARDED_BY(mutex_);
  std::vector<LateRequest> late_ GUARDED_BY(mutex_);
  std::optional<ErrorCode> fail_all_ GUARDED_BY(mutex_);
  std::optional<std::uint64_t> halt_at_ GUARDED_BY(mutex_);
  HaltMoment halt_moment_ GUARDED_BY(mutex_) = HaltMoment::kBefore;
  bool halted_ GUARDED_BY(mutex_) = false;
  Executor* latency_executor_ GUARDED_BY(mutex_) = nullptr;
  Duration latency_ GUARDED_BY(mutex_) = Duration::zero();
  std::optional<std::uint64_t> quota_ GUARDED_BY(mutex_);
  std::optional<std::set<std::string>> frozen_names_ GUARDED_BY(mutex_);
  std::map<std::string, std::string> swapped_ GUARDED_BY(mutex_);
  std::optional<store::StoreStrength> strength_ GUARDED_BY(mutex_);

  Mutex delay_mutex_;
  CondVar never_;
};

}  // namespace coffer

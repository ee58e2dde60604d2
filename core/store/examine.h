// Tries out a store for a person who wonders whether it will do (`coffer store test`): what coffer
// needs of it, one thing after the other, and how fast it is. With throwaway objects under probe/,
// which it takes away again. Whether a vault may be written there by several machines is decided by
// probe.h, which this asks too.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/store/object_store.h"

namespace coffer::store {

enum class CheckOutcome {
  kOk,
  kWeak,     // it works, but keeps less than its promise: one writer only
  kFailed,   // coffer cannot do without it
  kSkipped,  // another one failed that it needs, or the store is read-only
};

struct StoreCheck {
  std::string what;  // "list", "write" …
  CheckOutcome outcome = CheckOutcome::kSkipped;
  std::string detail = {};       // for people
  std::optional<Error> error{};  // of kFailed
};

struct StoreExamination {
  std::vector<StoreCheck> checks;
  bool holds_vault = false;
  bool read_only = false;
  std::optional<Duration> round_trip = {};         // of a small request, the median of some
  std::optional<double> up_bytes_per_second = {};  // of one pack at a time
  std::optional<double> down_bytes_per_second = {};
  /// The store's clock minus this machine's, in seconds; unknown where LIST tells no times.
  std::optional<std::int64_t> clock_difference = {};

  [[nodiscard]] bool Has(CheckOutcome outcome) const;
};

struct ExamineOptions {
  std::uint64_t pack_bytes = 8 << 20;
};

/// Makes about twenty requests. What fails is in the result; nothing else goes wrong.
StoreExamination ExamineStore(ObjectStore& store, Clock& clock, Random& random,
                              const ExamineOptions& options = {});

}  // namespace coffer::store

// The layers of one vault's store, composed in one place, from the bottom: the store itself, what
// lets callers go that it never answers, what counts its requests, what repeats them, what keeps to
// a bandwidth, and a gate that a daemon about to end shuts.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/store/bandwidth.h"
#include "core/store/call_control.h"
#include "core/store/counting_store.h"
#include "core/store/open_store.h"
#include "core/store/retrying_store.h"

namespace coffer::daemon {

struct StoreStack {
  std::unique_ptr<store::ObjectStore> store;  // owns the others
  store::CountingStore* counter;
  std::shared_ptr<store::CallControl> control;
};

/// What tests put in place of a real store and of threads: one that fails, and simulated time,
/// which has one thread. Everything between is as ever, deadlines and lanes too.
struct StoreSeams {
  /// Opens the store itself; empty: store::OpenStore.
  std::function<Result<std::unique_ptr<store::ObjectStore>>(const store::StoreUrl& url,
                                                            store::StoreOpenMode mode)>
      open;
  std::function<void(std::function<void()>)> run_call;  // store::DeadlineOptions::run_call
  enum class Lane { kFetch, kSync };
  std::function<std::unique_ptr<Executor>(Lane lane)> new_lane;  // empty: NewLane
};

/// While `shut` is true every request to the store fails with kCancelled. All outlive the store,
/// what `env` refers to the process, since a call that never returns may be in it.
Result<StoreStack> OpenStoreStack(const store::StoreEnvironment& env, store::Bandwidth& bandwidth,
                                  const std::atomic<bool>& shut, const StoreSeams& seams,
                                  std::shared_ptr<store::CallControl> control,
                                  const store::StoreUrl& url, store::StoreOpenMode mode);

}  // namespace coffer::daemon

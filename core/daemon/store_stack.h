// The layers of one vault's store, composed in one place, from the bottom: the store itself, what
// counts its requests, what repeats them, and a gate that a daemon about to end shuts.
#pragma once

#include <atomic>
#include <memory>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/store/counting_store.h"
#include "core/store/open_store.h"
#include "core/store/retrying_store.h"

namespace coffer::daemon {

struct StoreStack {
  std::unique_ptr<store::ObjectStore> store;  // owns the others
  store::CountingStore* counter;
  store::RetryingStore* retrying;
};

/// While `shut` is true every request to the store fails with kCancelled. All outlive the store.
Result<StoreStack> OpenStoreStack(FileSystem& fs, Clock& clock, Random& random, Executor& waiting,
                                  const std::atomic<bool>& shut, const store::StoreUrl& url,
                                  store::StoreOpenMode mode);

}  // namespace coffer::daemon

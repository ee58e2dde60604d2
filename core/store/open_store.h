// Opens the store that a URL names. The one place that knows which scheme is which kind.
#pragma once

#include <memory>

#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/store/object_store.h"
#include "core/store/store_url.h"

namespace coffer::store {

enum class StoreOpenMode {
  kExisting,  // must hold a vault
  kForInit,   // may be made, or be empty
  kForTest,   // may be empty; nothing is made
};

/// The bare store, without retries or counters. `fs` and `random` outlive it.
Result<std::unique_ptr<ObjectStore>> OpenStore(FileSystem& fs, Random& random, const StoreUrl& url,
                                               StoreOpenMode mode);

/// Why a store for a new vault could not be opened at `url`; makes and changes nothing. What can
/// only be found out by writing is not.
Status CheckForInit(FileSystem& fs, const StoreUrl& url);

}  // namespace coffer::store

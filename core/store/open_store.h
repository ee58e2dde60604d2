// Opens the store that a URL names. The one place that knows which scheme is which kind.
#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/http/http_client.h"
#include "core/store/object_store.h"
#include "core/store/store_open_mode.h"
#include "core/store/store_url.h"
#include "core/store/variables.h"

namespace coffer::store {

/// By what stores beyond the file system are reached.
struct StoreReach {
  http::HttpClient* http = nullptr;  // none: nor is any kind that is asked over HTTP
  Variables variables = {};          // of the user's environment
  std::string home = {};             // his directory, absolute
};

/// What stores stand on; all of it outlives them.
struct StoreEnvironment {
  FileSystem& fs;
  Clock& clock;
  Random& random;
  Executor& waiting;  // runs nothing: who waits for a store waits through it
  StoreReach reach = {};
};

/// The bare store, without retries or counters.
Result<std::unique_ptr<ObjectStore>> OpenStore(const StoreEnvironment& env, const StoreUrl& url,
                                               StoreOpenMode mode);

/// Why a store for a new vault could not be opened at `url`; makes and changes nothing. What can
/// only be found out by writing is not.
Status CheckForInit(const StoreEnvironment& env, const StoreUrl& url);

}  // namespace coffer::store

// Asks a store whether it keeps the two promises that everything stands on: create-if-absent, and a
// LIST that shows what was created before (design.md section 7). With one throwaway object under
// probe/, in about seven requests. Some WebDAV and S3 look-alikes ignore the condition and
// overwrite.
//
// Run it before a store is first trusted. A pass is evidence, not proof: one client can't see a
// race; but no store known to break the promise passes.
#pragma once

#include <string>

#include "core/base/random.h"
#include "core/base/result.h"
#include "core/store/object_store.h"

namespace coffer::store {

struct ProbeReport {
  StoreStrength strength;
  std::string reason;  // for people; what was seen, when weak
};

/// Fails where the store fails: not reachable, not writable, full.
Result<ProbeReport> ProbeStore(ObjectStore& store, Random& random);

}  // namespace coffer::store

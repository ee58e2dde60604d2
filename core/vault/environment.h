// What a vault and its volumes need from outside. Built once by the daemon (or a test), outlives
// all.
#pragma once

#include <string>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/file_system.h"
#include "core/base/random.h"
#include "core/crypto/kdf.h"

namespace coffer::vault {

struct Environment {
  FileSystem& fs;
  Clock& clock;
  Random& random;
  Executor& sync_executor;   // drives syncs: its tasks may wait for work_executor's
  Executor& work_executor;   // compresses, seals, writes journals: its tasks wait for no store
  Executor& fetch_executor;  // requests to the store, for readers and of packs: wait for it alone
  crypto::KdfPolicy kdf_policy;
  crypto::KdfBounds kdf_bounds;
  std::string state_directory;  // $XDG_STATE_HOME/coffer, exists
  std::string host_name;        // for people
};

}  // namespace coffer::vault

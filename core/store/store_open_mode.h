// What a store is opened for.
#pragma once

namespace coffer::store {

enum class StoreOpenMode {
  kExisting,  // must hold a vault
  kForInit,   // may be made, or be empty
  kForTest,   // may be empty; nothing is made
};

}  // namespace coffer::store

#include "core/store/open_store.h"

#include "core/base/log.h"
#include "core/store/directory_store.h"

namespace coffer::store {

Result<std::unique_ptr<ObjectStore>> OpenStore(FileSystem& fs, Random& random, const StoreUrl& url,
                                               StoreOpenMode mode) {
  if (url.scheme != "file") {
    return Fail(ErrorCode::kUnsupported, Concat("store scheme '", url.scheme, ":' is not known"));
  }
  ASSIGN_OR_RETURN(auto store, mode == StoreOpenMode::kForInit
                                   ? DirectoryStore::OpenForInit(fs, random, url.path)
                                   : DirectoryStore::Open(fs, random, url.path));
  return std::unique_ptr<ObjectStore>(std::move(store));
}

}  // namespace coffer::store

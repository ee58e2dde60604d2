#include "core/store/open_store.h"

#include "core/base/log.h"
#include "core/store/directory_guard.h"
#include "core/store/directory_store.h"

namespace coffer::store {

Result<std::unique_ptr<ObjectStore>> OpenStore(FileSystem& fs, Random& random, const StoreUrl& url,
                                               StoreOpenMode mode) {
  if (url.scheme != "file") {
    return Fail(ErrorCode::kUnsupported, Concat("store scheme '", url.scheme, ":' is not known"));
  }
  if (mode == StoreOpenMode::kForTest) {
    ASSIGN_OR_RETURN(const std::string there, FindStoreDirectory(fs, url.path));
    LOG(kDebug, "trying out the directory ", there);
  }
  ASSIGN_OR_RETURN(auto store, mode != StoreOpenMode::kExisting
                                   ? DirectoryStore::OpenForInit(fs, random, url.path)
                                   : DirectoryStore::Open(fs, random, url.path));
  return std::unique_ptr<ObjectStore>(std::move(store));
}

Status CheckForInit(FileSystem& fs, const StoreUrl& url) {
  if (url.scheme != "file") return {};
  const Result<std::string> there = FindStoreDirectory(fs, url.path);
  if (there.has_value()) {
    ASSIGN_OR_RETURN(const DirectoryContent content, ExamineDirectory(fs, *there));
    if (content != DirectoryContent::kOther) return {};  // of half a vault Open tells
    return Fail(ErrorCode::kAlreadyExists,
                Concat("store at ", url.path, ": the directory is not empty and holds no vault"),
                "give an empty directory, or a name that does not exist yet");
  }
  if (there.error().code != ErrorCode::kNotFound) return Fail(there.error());
  const std::size_t slash = url.path.rfind('/');
  const std::string parent = slash == 0 ? "/" : url.path.substr(0, slash);
  const Result<FileInfo> info = fs.Stat(parent);
  if (info.has_value() || info.error().code != ErrorCode::kNotFound) return {};
  return Fail(ErrorCode::kNotFound, Concat("store at ", url.path, ": ", parent, " does not exist"),
              "only the last directory of a store's path is made; make the others first");
}

}  // namespace coffer::store

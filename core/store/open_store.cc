#include "core/store/open_store.h"

#include "core/base/log.h"
#include "core/store/directory_guard.h"
#include "core/store/directory_store.h"
#include "core/store/sftp_store.h"

namespace coffer::store {
namespace {

using Opened = Result<std::unique_ptr<ObjectStore>>;

template <class Kind>
Opened AsStore(Result<std::unique_ptr<Kind>> opened) {
  if (!opened.has_value()) return Fail(std::move(opened).error());
  return std::unique_ptr<ObjectStore>(*std::move(opened));
}

Opened OpenDirectory(const StoreEnvironment& env, const StoreUrl& url, StoreOpenMode mode) {
  if (mode == StoreOpenMode::kForTest) {
    ASSIGN_OR_RETURN(const std::string there, FindStoreDirectory(env.fs, url.path));
    LOG(kDebug, "trying out the directory ", there);
  }
  return AsStore(mode != StoreOpenMode::kExisting
                     ? DirectoryStore::OpenForInit(env.fs, env.random, url.path)
                     : DirectoryStore::Open(env.fs, env.random, url.path));
}

SftpSeams SeamsOf(const StoreEnvironment& env, const StoreUrl& url) {
  const auto dial = [target = SshTargetOf(url)](SftpChannel::Listener& listener) {
    return StartSsh(target, listener);
  };
  return {dial, env.clock, env.waiting, env.random};
}

Opened OpenSftp(const StoreEnvironment& env, const StoreUrl& url, StoreOpenMode mode) {
  return AsStore(SftpStore::Open(Reading(), url, SeamsOf(env, url), mode));
}

}  // namespace

Opened OpenStore(const StoreEnvironment& env, const StoreUrl& url, StoreOpenMode mode) {
  if (url.scheme == "file") return OpenDirectory(env, url, mode);
  if (url.scheme == "sftp") return OpenSftp(env, url, mode);
  return Fail(ErrorCode::kUnsupported, Concat("store scheme '", url.scheme, ":' is not known"));
}

Status CheckForInit(const StoreEnvironment& env, const StoreUrl& url) {
  if (url.scheme == "file") return CheckDirectoryForInit(env.fs, url.path);
  if (url.scheme == "sftp") return SftpStore::CheckForInit(Reading(), url, SeamsOf(env, url));
  return {};
}

}  // namespace coffer::store

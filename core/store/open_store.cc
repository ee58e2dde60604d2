#include "core/store/open_store.h"

#include <algorithm>
#include <chrono>

#include "core/base/log.h"
#include "core/store/azure_store.h"
#include "core/store/directory_guard.h"
#include "core/store/directory_store.h"
#include "core/store/s3_store.h"
#include "core/store/sftp_store.h"
#include "core/store/webdav_store.h"

namespace coffer::store {
namespace {

using Opened = Result<std::unique_ptr<ObjectStore>>;

/// Of what is asked while a store is opened.
constexpr Duration kAnswerWithin = std::chrono::seconds(60);

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

bool IsBucket(const StoreUrl& url) { return url.scheme == "s3" || url.scheme == "gs"; }

Status CheckHttp(const StoreEnvironment& env, const StoreUrl& url) {
  if (env.reach.http != nullptr) return {};
  return Fail(ErrorCode::kUnsupported, Concat("store ", url.ToString(), ": there is no HTTP here"));
}

RequestContext WhileOpening(const StoreEnvironment& env) {
  RequestContext context = Reading();
  context.deadline = env.clock.Now() + kAnswerWithin;
  return context;
}

Result<std::unique_ptr<S3Store>> NewS3(const StoreEnvironment& env, const StoreUrl& url) {
  RETURN_IF_ERROR(CheckHttp(env, url));
  ASSIGN_OR_RETURN(const S3Settings settings,
                   ResolveS3(env.fs, env.reach.variables, env.reach.home, url));
  auto keys = NewS3Credentials(env.fs, env.reach.variables, settings.keys);
  return std::make_unique<S3Store>(settings, std::move(keys), *env.reach.http, env.clock);
}

Result<std::unique_ptr<AzureStore>> NewAzure(const StoreEnvironment& env, const StoreUrl& url) {
  RETURN_IF_ERROR(CheckHttp(env, url));
  ASSIGN_OR_RETURN(const AzureSettings settings, ResolveAzure(env.reach.home, url));
  auto keys = std::make_unique<AzureCredentials>(env.fs, env.reach.variables, settings.keys);
  return std::make_unique<AzureStore>(settings, std::move(keys), *env.reach.http, env.clock);
}

template <class Kind>
Status CheckBucketForInit(const StoreEnvironment& env, const Result<std::unique_ptr<Kind>>& store) {
  if (!store.has_value()) return Fail(store.error());
  return (*store)->CheckForInit(WhileOpening(env));
}

/// A bucket is never made: it makes no difference whether it holds a vault, but for an init.
template <class Kind>
Opened OpenBucket(const StoreEnvironment& env, Result<std::unique_ptr<Kind>> store,
                  StoreOpenMode mode) {
  if (mode == StoreOpenMode::kForInit) RETURN_IF_ERROR(CheckBucketForInit(env, store));
  return AsStore(std::move(store));
}

bool IsWebDav(const StoreUrl& url) {
  return std::ranges::find(WebDavSchemes(), url.scheme, &SchemeRules::scheme) !=
         WebDavSchemes().end();
}

WebDavSeams WebDavSeamsOf(const StoreEnvironment& env) {
  return {env.fs, *env.reach.http, env.clock, env.random};
}

Opened OpenWebDav(const StoreEnvironment& env, const StoreUrl& url, StoreOpenMode mode) {
  RETURN_IF_ERROR(CheckHttp(env, url));
  return AsStore(WebDavStore::Open(WhileOpening(env), url, WebDavSeamsOf(env), mode));
}

}  // namespace

Opened OpenStore(const StoreEnvironment& env, const StoreUrl& url, StoreOpenMode mode) {
  if (url.scheme == "file") return OpenDirectory(env, url, mode);
  if (url.scheme == "sftp") return OpenSftp(env, url, mode);
  if (IsBucket(url)) return OpenBucket(env, NewS3(env, url), mode);
  if (url.scheme == "az") return OpenBucket(env, NewAzure(env, url), mode);
  if (IsWebDav(url)) return OpenWebDav(env, url, mode);
  return Fail(ErrorCode::kUnsupported, Concat("store scheme '", url.scheme, ":' is not known"));
}

Status CheckForInit(const StoreEnvironment& env, const StoreUrl& url) {
  if (url.scheme == "file") return CheckDirectoryForInit(env.fs, url.path);
  if (url.scheme == "sftp") return SftpStore::CheckForInit(Reading(), url, SeamsOf(env, url));
  if (IsBucket(url)) return CheckBucketForInit(env, NewS3(env, url));
  if (url.scheme == "az") return CheckBucketForInit(env, NewAzure(env, url));
  if (IsWebDav(url)) {
    RETURN_IF_ERROR(CheckHttp(env, url));
    return WebDavStore::CheckForInit(WhileOpening(env), url, WebDavSeamsOf(env));
  }
  return {};
}

}  // namespace coffer::store

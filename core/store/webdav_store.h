// WebDavStore: a store in a collection of a WebDAV server, or, read-only, of a web server that
// answers PROPFIND to everybody.
//
// Objects are files as DirectoryStore has them, in collections that are made when an object needs
// them; the store's own collection is made by OpenForInit alone and never again: one that has gone
// missing or lost its marker `vault` is an error (docs: the mount guard). The marker is looked at
// whenever a collection is to be made, an object is missing, or a listing is empty.
//
// Create is a PUT with "If-None-Match: *". Servers that ignore the condition are found out by the
// probe: *weak*. Those that keep it look before the body has come (Apache's mod_dav), so two
// writers can both pass; names that two writers may want at once (heads, catalog, keys) are
// therefore claimed first, see webdav_claims.h.
//
// A DELETE of a collection takes all that is in it along. So what is to be deleted is looked at
// first: one request more.
//
// Thread-safe.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/store/object_store.h"
#include "core/store/store_open_mode.h"
#include "core/store/webdav_claims.h"
#include "core/store/webdav_client.h"

namespace coffer::store {

/// What a WebDAV store stands on; all outlive it.
struct WebDavSeams {
  FileSystem& fs;  // for the file with the password
  http::HttpClient& http;
  Clock& clock;
  Random& random;
};

class WebDavStore final : public ObjectStore {
 public:
  /// As DirectoryStore's: see StoreOpenMode.
  static Result<std::unique_ptr<WebDavStore>> Open(const RequestContext& context,
                                                   const StoreUrl& url, WebDavSeams seams,
                                                   StoreOpenMode mode);
  /// Why no vault could be made at `url`; changes nothing.
  static Status CheckForInit(const RequestContext& context, const StoreUrl& url, WebDavSeams seams);
  WebDavStore(const WebDavStore&) = delete;
  WebDavStore& operator=(const WebDavStore&) = delete;

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  [[nodiscard]] StoreCapabilities capabilities() const override;
  [[nodiscard]] std::string description() const override { return client_.place().description; }
  [[nodiscard]] std::string identity() const override { return client_.place().identity; }

 private:
  WebDavStore(WebDavPlace place, WebDavSeams seams);

  Result<std::optional<Bytes>> FindMarker(const RequestContext& context, StoreOpenMode mode,
                                          Random& random);
  Status CreateOnce(const RequestContext& context, const std::string& name, ByteView data,
                    ObjectClass object_class);
  /// Makes what is missing of the collections that `directory` ("packs/ab") lies in, and itself.
  Status EnsureCollection(const RequestContext& context, const std::string& directory);
  Status LearnCollections(const RequestContext& context, const std::string& directory);
  Status RefuseWriting(std::string_view deed, const std::string& name) const;

  Status CheckMarker(const RequestContext& context);
  void SetMarker(ByteView bytes);
  /// The error of the guard if it has one, for what is missing.
  Error MissingOr(const RequestContext& context, Error error);
  [[nodiscard]] Error InStore(Error error) const;
  [[nodiscard]] std::string PathOf(const std::string& name) const;

  WebDavClient client_;
  WebDavClaims claims_;
  mutable Mutex mutex_;
  Bytes marker_ GUARDED_BY(mutex_);                       // empty: not guarded yet
  std::set<std::string> collections_ GUARDED_BY(mutex_);  // that are there
  std::set<std::string> learned_ GUARDED_BY(mutex_);      // whose own collections are among those
};

}  // namespace coffer::store

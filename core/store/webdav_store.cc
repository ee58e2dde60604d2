#include "core/store/webdav_store.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/format/chain_name.h"
#include "core/store/directory_guard.h"
#include "core/store/directory_walk.h"
#include "core/store/webdav_tree.h"

namespace coffer::store {
namespace {

constexpr std::uint64_t kMarkerSizeMax = 4096;
constexpr int kCreateAttemptsMax = 2;
constexpr char kLostHint[] =
    "see on the server whether its collection was moved or emptied, and bring it back; nothing was "
    "made in its place";

bool Is(const Status& status, ErrorCode code) {
  return !status.has_value() && status.error().code == code;
}

std::string DirectoryOf(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

/// Packs have names that are random: nobody else wants them.
bool MayBeWantedByTwo(ObjectClass object_class) {
  return object_class == ObjectClass::kHead || object_class == ObjectClass::kControl;
}

RequestContext Until(RequestContext context, MonotonicTime end) {
  if (!context.deadline.has_value() || *context.deadline > end) context.deadline = end;
  return context;
}

}  // namespace

WebDavStore::WebDavStore(WebDavPlace place, WebDavSeams seams)
    : client_(std::move(place), seams.fs, seams.http, seams.clock),
      claims_(client_, seams.clock, PathOf(kScratchDirectory)) {}

Result<std::unique_ptr<WebDavStore>> WebDavStore::Open(const RequestContext& context,
                                                       const StoreUrl& url, WebDavSeams seams,
                                                       StoreOpenMode mode) {
  ASSIGN_OR_RETURN(WebDavPlace place, ResolveWebDav(url));
  if (place.read_only && mode == StoreOpenMode::kForInit) {
    return Fail(ErrorCode::kUnsupported, Concat("store ", place.description, " is read-only"),
                "make the vault over webdavs://, and publish it");
  }
  std::unique_ptr<WebDavStore> store(new WebDavStore(std::move(place), seams));
  auto marker = store->FindMarker(context, mode, seams.random);
  if (!marker.has_value()) return Fail(store->InStore(marker.error()));
  if (marker->has_value()) store->SetMarker(**marker);
  return store;
}

/// Of a vault one request tells; where there is none, more.
Result<std::optional<Bytes>> WebDavStore::FindMarker(const RequestContext& context,
                                                     StoreOpenMode mode, Random& random) {
  const std::string& root = client_.place().root;
  RETURN_IF_ERROR(CheckStorePath(root));
  WebDavTree tree(client_, context);
  ASSIGN_OR_RETURN(std::optional<Bytes> marker, ReadMarker(tree, root));
  if (marker.has_value()) return marker;
  if (mode == StoreOpenMode::kExisting) {
    ASSIGN_OR_RETURN(const StoreDirectory found, FindVaultDirectory(tree, random, root));
    return found.marker;
  }
  if (mode == StoreOpenMode::kForTest) {
    ASSIGN_OR_RETURN(const std::string there, FindStoreDirectory(tree, root));
    LOG(kDebug, "trying out the collection ", there);
  }
  ASSIGN_OR_RETURN(const StoreDirectory found, FindDirectoryForInit(tree, random, root));
  return found.marker;
}

Status WebDavStore::CheckForInit(const RequestContext& context, const StoreUrl& url,
                                 WebDavSeams seams) {
  ASSIGN_OR_RETURN(WebDavPlace place, ResolveWebDav(url));
  WebDavStore store(std::move(place), seams);
  WebDavTree tree(store.client_, context);
  const Status checked = CheckDirectoryForInit(tree, store.client_.place().root);
  if (!checked.has_value()) return Fail(store.InStore(checked.error()));
  return {};
}

Status WebDavStore::RefuseWriting(std::string_view deed, const std::string& name) const {
  if (!client_.place().read_only) return {};
  return Fail(ErrorCode::kUnsupported,
              Concat("store ", description(), " is read-only: cannot ", deed, " ", name));
}

Status WebDavStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                           ObjectClass object_class) {
  RETURN_IF_ERROR(CheckObjectName(name));
  RETURN_IF_ERROR(RefuseWriting("create", name));
  Status created;
  for (int attempt = 0; attempt < kCreateAttemptsMax; ++attempt) {
    created = CreateOnce(context, name, data, object_class);
    if (created.has_value() || Is(created, ErrorCode::kAlreadyExists)) break;
    // Perhaps a collection went away under our hands; servers have different words for that
    // (nginx: 500). Nothing seen before is relied on.
    {
      const MutexLock lock(mutex_);
      collections_.clear();
      learned_.clear();
    }
    if (!Is(created, ErrorCode::kNotFound)) break;
  }
  if (created.has_value()) {
    if (name == format::kMarkerName) SetMarker(data);
    return {};
  }
  Error error = created.error();
  if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kUnavailable;
  return Fail(InStore(std::move(error)));
}

Status WebDavStore::CreateOnce(const RequestContext& context, const std::string& name,
                               ByteView data, ObjectClass object_class) {
  RETURN_IF_ERROR(EnsureCollection(context, DirectoryOf(name)));
  if (!MayBeWantedByTwo(object_class)) return client_.Put(context, PathOf(name), data);

  RETURN_IF_ERROR(EnsureCollection(context, kScratchDirectory));
  const auto claim = claims_.Take(context, name);
  if (!claim.has_value()) {
    if (claim.error().code != ErrorCode::kUnavailable) return Fail(claim.error());
    // Whoever claimed it may have created it already.
    const auto there = client_.LookAt(context, PathOf(name));
    if (!there.has_value() || there->entry.is_collection) return Fail(claim.error());
    return Fail(ErrorCode::kAlreadyExists, Concat(name, " exists already"));
  }
  Status put = client_.Put(Until(context, claim->end()), PathOf(name), data);
  if (put.has_value() || Is(put, ErrorCode::kAlreadyExists)) {
    claims_.Settle(context, *claim);
  } else if (Is(put, ErrorCode::kUnavailable) || Is(put, ErrorCode::kCancelled)) {
    claims_.Keep(*claim);
  } else {
    claims_.GiveUp(context, *claim);
  }
  return put;
}

Status WebDavStore::EnsureCollection(const RequestContext& context, const std::string& directory) {
  if (directory.empty()) return {};
  const auto is_there = [&] {
    const MutexLock lock(mutex_);
    return collections_.contains(directory);
  };
  if (is_there()) return {};
  const std::string parent = DirectoryOf(directory);
  RETURN_IF_ERROR(EnsureCollection(context, parent));
  RETURN_IF_ERROR(LearnCollections(context, parent));
  if (is_there()) return {};
  RETURN_IF_ERROR(CheckMarker(context));
  const Status made = client_.MakeCollection(context, PathOf(directory));
  if (!made.has_value() && !Is(made, ErrorCode::kAlreadyExists)) return made;
  const MutexLock lock(mutex_);
  collections_.insert(directory);
  return {};
}

/// One listing instead of 256 questions: the collections of packs.
Status WebDavStore::LearnCollections(const RequestContext& context, const std::string& directory) {
  {
    const MutexLock lock(mutex_);
    if (learned_.contains(directory)) return {};
  }
  const std::string path = directory.empty() ? client_.place().root : PathOf(directory);
  const auto entries = client_.List(context, path);
  if (!entries.has_value()) return Fail(MissingOr(context, entries.error()));
  const MutexLock lock(mutex_);
  for (const WebDavEntry& entry : *entries) {
    if (!entry.is_collection) continue;
    collections_.insert(directory.empty() ? entry.name : Concat(directory, "/", entry.name));
  }
  learned_.insert(directory);
  return {};
}

Result<Bytes> WebDavStore::Get(const RequestContext& context, const std::string& name,
                               std::uint64_t size_max) {
  RETURN_IF_ERROR(CheckObjectName(name));
  Result<Bytes> bytes = client_.Get(context, PathOf(name), size_max);
  if (!bytes.has_value()) return Fail(MissingOr(context, bytes.error()));
  return bytes;
}

Result<Bytes> WebDavStore::GetRange(const RequestContext& context, const std::string& name,
                                    std::uint64_t offset, std::uint64_t length) {
  RETURN_IF_ERROR(CheckObjectName(name));
  if (length > 0) {
    Result<Bytes> bytes = client_.GetRange(context, PathOf(name), offset, length);
    if (!bytes.has_value()) return Fail(MissingOr(context, bytes.error()));
    return bytes;
  }
  // HTTP has no range of no bytes.
  const auto look = client_.LookAt(context, PathOf(name));
  if (!look.has_value()) return Fail(MissingOr(context, look.error()));
  if (look->entry.is_collection) {
    return Fail(ErrorCode::kNotFound, Concat("store ", description(), ": there is no ", name));
  }
  ASSIGN_OR_RETURN(const std::uint64_t none,
                   ClipObjectRange(name, look->entry.size, offset, length));
  return Bytes(none);
}

Result<ListPage> WebDavStore::List(const RequestContext& context, const std::string& prefix,
                                   const std::string& start_after, std::size_t limit) {
  RETURN_IF_ERROR(CheckListLimit(limit));
  const std::string& root = client_.place().root;
  WebDavTree tree(client_, context);
  const std::string start = DirectoryOf(prefix);
  ListPage page{{}, false};
  const bool sound = prefix.find('/') == std::string::npos || IsValidObjectName(start);
  const Status entered =
      sound ? tree.Enter(start.empty() ? root : Concat(root, "/", start)) : Status();
  if (sound && entered.has_value()) {
    ASSIGN_OR_RETURN(page, ListDirectoryTree(tree, root, prefix, start_after, limit));
  } else if (!entered.has_value() && entered.error().code != ErrorCode::kNotFound) {
    return Fail(entered.error());
  }
  // A store that was emptied must not look like one that holds nothing yet.
  if (page.objects.empty()) RETURN_IF_ERROR(CheckMarker(context));
  return page;
}

Status WebDavStore::Delete(const RequestContext& context, const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  RETURN_IF_ERROR(RefuseWriting("delete", name));
  const auto look = client_.LookAt(context, PathOf(name));
  if (!look.has_value()) return Fail(MissingOr(context, look.error()));
  if (look->entry.is_collection) {
    return Fail(ErrorCode::kNotFound,
                Concat("store ", description(), ": ", name, " is a collection, and no object"));
  }
  RETURN_IF_ERROR(client_.Delete(context, PathOf(name)));
  if (name == format::kMarkerName) SetMarker({});
  return {};
}

StoreCapabilities WebDavStore::capabilities() const {
  return {.read_only = client_.place().read_only};
}

Status WebDavStore::CheckMarker(const RequestContext& context) {
  Bytes expected;
  {
    const MutexLock lock(mutex_);
    if (marker_.empty()) return {};
    expected = marker_;
  }
  const Result<Bytes> marker =
      client_.Get(context, PathOf(std::string(format::kMarkerName)), kMarkerSizeMax);
  if (marker.has_value() && *marker == expected) return {};
  if (!marker.has_value() && marker.error().code != ErrorCode::kNotFound) {
    return Fail(marker.error());
  }
  return Fail(ErrorCode::kUnavailable,
              Concat("store ", description(),
                     marker.has_value() ? " holds another vault than when it was opened"
                                        : " is gone or was emptied: its object 'vault' is missing"),
              kLostHint);
}

void WebDavStore::SetMarker(ByteView bytes) {
  const MutexLock lock(mutex_);
  marker_ = ToBytes(bytes);
}

Error WebDavStore::MissingOr(const RequestContext& context, Error error) {
  if (error.code != ErrorCode::kNotFound) return error;
  const Status guard = CheckMarker(context);
  return guard.has_value() ? error : guard.error();
}

/// In words of a place on a network: the guard speaks of directories and mounts.
Error WebDavStore::InStore(Error error) const {
  const std::string store = Concat("store ", description());
  const std::string at = Concat("store at ", client_.place().root);
  if (error.message.starts_with(at)) error.message.replace(0, at.size(), store);
  if (!error.message.starts_with(store)) error.message = Concat(store, ": ", error.message);
  if (error.hint == kMountHint) error.hint = "check the path in the store's URL";
  return error;
}

std::string WebDavStore::PathOf(const std::string& name) const {
  return Concat(client_.place().root, "/", name);
}

}  // namespace coffer::store

#include "core/base/log.h"
#include "core/format/chain_name.h"
#include "core/format/marker.h"
#include "core/vault/chain.h"
#include "core/vault/key_header.h"
#include "core/vault/person.h"
#include "core/vault/vault.h"

namespace coffer::vault {
namespace {

constexpr char kLostObjectsHint[] =
    "objects of the vault were lost: bring them back from a copy of the store; nothing is made "
    "anew";

tl::unexpected<Error> FailDamagedMarker(Error error) {
  if (error.hint.empty()) {
    error.hint = Concat("bring the object ", format::kMarkerName,
                        " back from a copy of the store; nothing was changed");
  }
  return Fail(std::move(error));
}

struct OfferedHeader {
  format::ChainPoint point;
  OpenedKeyHeader opened;
  std::optional<Error> damage = std::nullopt;  // of the newest: this one is below it
};

Result<OfferedHeader> OpenNewestHeader(store::ObjectStore& store, const VaultId& vault,
                                       const SecretBytes& password,
                                       const crypto::KdfBounds& bounds) {
  const std::string where = store.description();
  ASSIGN_OR_RETURN(const std::optional<ChainObject> header,
                   FetchNewest(store, std::string(format::kKeysPrefix), format::kKeyHeaderBytesMax,
                               {}, [](const ChainObject&) -> Status { return {}; }));
  if (!header.has_value()) {
    return Fail(ErrorCode::kCorruption, Concat("half a vault at ", where, ": no key header"),
                kLostObjectsHint);
  }
  Result<OpenedKeyHeader> opened =
      UnlockKeyHeader(header->bytes, vault, header->point.seq, password, bounds);
  if (!opened.has_value()) {
    return Fail(KeyHeaderError(opened.error(), where, header->point.seq));
  }
  return OfferedHeader{header->point, std::move(*opened)};
}

/// The one before, which a password change has replaced and not deleted yet; `damage` itself where
/// there is none.
Result<OfferedHeader> OpenHeaderBelow(store::ObjectStore& store, const VaultId& vault,
                                      const SecretBytes& password, const crypto::KdfBounds& bounds,
                                      const Error& damage) {
  std::optional<OpenedKeyHeader> opened;
  const auto open = [&](const ChainObject& object) -> Status {
    ASSIGN_OR_RETURN(opened,
                     UnlockKeyHeader(object.bytes, vault, object.point.seq, password, bounds));
    return {};
  };
  const Result<std::optional<WholeBelow>> below =
      FetchWholeBelow(store, std::string(format::kKeysPrefix), format::kKeyHeaderBytesMax, open);
  if (!below.has_value() && below.error().code == ErrorCode::kUnauthenticated) {
    return Fail(below.error().code,
                Concat(damage.message, "; the one before does not open with this password"),
                "try again with the password before the last change; nothing was changed");
  }
  if (!below.has_value()) return Fail(below.error());
  if (!below->has_value()) return Fail(damage);
  return OfferedHeader{(*below)->object.point, std::move(*opened), damage};
}

}  // namespace

Result<VaultId> Vault::Identify(store::ObjectStore& store, const VaultId& expected) {
  const std::string where = store.description();
  const Result<Bytes> bytes =
      store.Get(Reading(), std::string(format::kMarkerName), format::kMarkerBytesMax);
  if (!bytes.has_value()) {
    if (bytes.error().code == ErrorCode::kCorruption) return FailDamagedMarker(bytes.error());
    if (bytes.error().code != ErrorCode::kNotFound) return Fail(bytes.error());
    if (expected.IsNull())
      return Fail(ErrorCode::kNotFound, Concat("there is no vault at ", where));
    return Fail(
        ErrorCode::kNotFound,
        Concat("the vault ", expected.ToString(), " is not at ", where, ": its marker is gone"),
        "mount the disk or share that holds it, or look whether the bucket was emptied; "
        "nothing is made anew");
  }
  const Result<format::Marker> decoded = format::DecodeMarker(*bytes);
  if (!decoded.has_value()) {
    return FailDamagedMarker(DecodingError(decoded.error()).Within(where));
  }
  const format::Marker& marker = *decoded;
  if (!expected.IsNull() && marker.vault != expected) {
    return Fail(
        ErrorCode::kNotFound,
        Concat("the vault ", expected.ToString(), " is not at ", where, ": the vault ",
               marker.vault.ToString(), " is"),
        "mount the disk or share that holds it; coffer add makes the other one known under a name "
        "of its own");
  }
  return marker.vault;
}

Result<std::unique_ptr<Vault>> Vault::Unlock(Environment& env,
                                             std::unique_ptr<store::ObjectStore> store,
                                             const SecretBytes& password,
                                             const UnlockOptions& options) {
  auto vault = std::unique_ptr<Vault>(
      new Vault(env, std::move(store), options.single_writer ? Writers::kSingle : Writers::kMany));
  vault->tolerate_ = options.doubts;
  const std::string where = vault->store_->description();

  ASSIGN_OR_RETURN(const VaultId id, Identify(*vault->store_, options.expected));
  Result<OfferedHeader> header = OpenNewestHeader(*vault->store_, id, password, env.kdf_bounds);
  if (!header.has_value() && header.error().code == ErrorCode::kCorruption &&
      options.doubts == Doubts::kTolerate) {
    header = OpenHeaderBelow(*vault->store_, id, password, env.kdf_bounds, header.error());
  }
  if (!header.has_value()) return Fail(header.error());
  OpenedKeyHeader* const opened = &header->opened;
  vault->keys_ = std::make_unique<const KeyChest>(id, opened->keyring);
  vault->unlocked_point_ = header->point;
  vault->AdoptKeyHeader(header->point.seq, DescribeSlots(opened->header, opened->keyring));

  if (vault->writers_ == Writers::kMany &&
      vault->store_->capabilities().strength == store::StoreStrength::kWeak) {
    return Fail(WeakStoreError(where, "it can't refuse to create an object that exists"));
  }
  RETURN_IF_ERROR(vault->OpenLocalState());
  if (header->damage.has_value()) {
    RETURN_IF_ERROR(vault->Doubt(HeaderRollbackError(header->damage->message)));
  }
  RETURN_IF_ERROR(vault->HoldKeyHeader(header->point, opened->keyring.parent));
  if (options.keys_next) {
    const MutexLock lock(vault->slots_mutex_);
    vault->unlocked_header_ = StandingKeyHeader{header->point, std::move(*opened)};
  }
  RETURN_IF_ERROR(vault->catalog_->Refresh());
  const std::uint64_t header_seq_min = vault->catalog().header_seq_min;
  if (vault->header_seq_ < header_seq_min) {
    RETURN_IF_ERROR(vault->Doubt(
        HeaderRollbackError(Concat(where, ": the catalog refuses key headers before ",
                                   header_seq_min, ", the store offers ", vault->header_seq()))));
  }
  vault->key_change_unfinished_ = vault->header_seq_ > header_seq_min;
  return vault;
}

/// Older than seen is HEADER-ROLLBACK. Between two headers that are not neighbours nothing is read:
/// old ones are deleted when a password changes.
Status Vault::HoldKeyHeader(const format::ChainPoint& offered, const ObjectHash& parent) {
  const std::string what = Concat(store_->description(), ": key header");
  const format::ChainPoint seen = trust_->key_header();
  Status held;
  if (offered.seq < seen.seq) {
    held = Fail(HeaderRollbackError(
        Concat(what, ": this machine has seen ", seen.seq, ", the store offers ", offered.seq)));
  } else if (offered.seq <= seen.seq + 1) {
    held = HoldAgainstSeen(what, seen, offered, parent, nullptr);
  }
  if (held.has_value()) return trust_->NoteKeyHeader(offered);
  RETURN_IF_ERROR(Doubt(held.error()));
  const MutexLock lock(doubts_mutex_);
  header_doubt_ = held.error();
  return {};
}

}  // namespace coffer::vault

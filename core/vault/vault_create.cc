#include <algorithm>

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/format/marker.h"
#include "core/store/probe.h"
#include "core/vault/key_header.h"
#include "core/vault/local_state.h"
#include "core/vault/new_volume.h"
#include "core/vault/person.h"
#include "core/vault/vault.h"

namespace coffer::vault {
namespace {

/// kAlreadyExists for a vault, kCorruption for half a one. Looks for parts in the order in which
/// Create makes them.
Status CheckHoldsNothing(store::ObjectStore& store) {
  const Result<Bytes> marker =
      store.Get(Reading(), std::string(format::kMarkerName), format::kMarkerBytesMax);
  if (marker.has_value() || marker.error().code == ErrorCode::kCorruption) {
    return Fail(ErrorCode::kAlreadyExists,
                Concat("there is a vault at ", store.description(), " already"));
  }
  if (marker.error().code != ErrorCode::kNotFound) return Fail(marker.error());
  for (const std::string_view prefix :
       {format::kKeysPrefix, format::kHeadsPrefix, format::kCatalogPrefix, format::kPacksPrefix}) {
    ASSIGN_OR_RETURN(const store::ListPage page, store.List(Reading(), std::string(prefix), "", 1));
    if (page.objects.empty()) continue;
    return Fail(
        ErrorCode::kCorruption,
        Concat("half a vault at ", store.description(), ": there is ",
               EscapeForTerminal(page.objects.front().name), " but no marker 'vault'"),
        "another init may be under way: wait until it is done, then run coffer init again, which "
        "adds the volume; if none is, it was broken off or the marker was lost: if no vault was "
        "ever in use there, delete what is there and run coffer init again");
  }
  return {};
}

Status ProbeForCreate(store::ObjectStore& store, Random& random, Writers writers) {
  ASSIGN_OR_RETURN(const store::ProbeReport report, store::ProbeStore(store, random));
  if (report.strength == store::StoreStrength::kWeak && writers == Writers::kMany) {
    Error weak = WeakStoreError(store.description(), report.reason);
    weak.hint = "if only one machine ever writes there: coffer init --single-writer";
    return Fail(std::move(weak));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Vault>> Vault::Create(Environment& env,
                                             std::unique_ptr<store::ObjectStore> store,
                                             const SecretBytes& password,
                                             const VolumeSpec& first_volume,
                                             const CreateOptions& options) {
  RETURN_IF_ERROR(CheckVolumeSpec(first_volume));
  auto vault = std::unique_ptr<Vault>(
      new Vault(env, std::move(store), options.single_writer ? Writers::kSingle : Writers::kMany));
  RETURN_IF_ERROR(CheckHoldsNothing(*vault->store_));
  RETURN_IF_ERROR(ProbeForCreate(*vault->store_, env.random, vault->writers_));

  const VaultId id = env.random.NewId<VaultId>();
  ASSIGN_OR_RETURN(const NewKeyHeader header, MakeKeyHeader(env, id, password));
  vault->keys_ = std::make_unique<const KeyChest>(id, header.keyring);
  const VolumeId volume = env.random.NewId<VolumeId>();
  Status made = vault->OpenLocalState();
  if (made.has_value()) {
    made = vault->MakeObjects(header.stored, password, volume, first_volume, options);
  }
  if (made.has_value()) return vault;
  if (vault->TakeBack(header.stored, volume, options)) return Fail(made.error());
  return Fail(made.error().code,
              "it is not known whether the vault was made: " + made.error().message,
              "coffer add " + vault->store_->description() + " tells when the store answers again");
}

Status Vault::MakeObjects(ByteView key_header, const SecretBytes& password, const VolumeId& volume,
                          const VolumeSpec& spec, const CreateOptions& options) {
  RETURN_IF_ERROR(CreateKeyHeader(key_header, password));
  COFFER_FAILPOINT("init-key-header");
  RETURN_IF_ERROR(CreateFirstHead(volume, spec));
  RETURN_IF_ERROR(AddToCatalog(CatalogEntry(env_, volume, spec)));
  RETURN_IF_ERROR(trust_->NoteKeyHeader({header_seq_, crypto::Sha256(key_header)}));
  if (writers_ == Writers::kMany) RETURN_IF_ERROR(trust_->NoteProbed(store_->identity()));
  COFFER_FAILPOINT("init-marker");
  if (options.before_marker) RETURN_IF_ERROR(options.before_marker(*this));
  marker_offered_ = true;
  return CreateMarker();
}

/// What was stored must open with the password before anything is put under its keys.
Status Vault::CreateKeyHeader(ByteView key_header, const SecretBytes& password) {
  const std::string name = format::ChainName(format::kKeysPrefix, 1);
  const Status created = store_->Create(Writing(), name, key_header, store::ObjectClass::kControl);
  if (!created.has_value() && created.error().code == ErrorCode::kAlreadyExists) {
    return Fail(ErrorCode::kConflict,
                Concat("another init of a vault at ", store_->description(), " is under way"),
                "wait until it is done, then run coffer init again: it adds the volume; nothing "
                "was changed");
  }
  RETURN_IF_ERROR(created);
  ASSIGN_OR_RETURN(const Bytes stored, store_->Get(Writing(), name, format::kKeyHeaderBytesMax));
  ASSIGN_OR_RETURN(const OpenedKeyHeader opened,
                   UnlockKeyHeader(stored, id(), 1, password, env_.kdf_bounds));
  AdoptKeyHeader(1, DescribeSlots(opened.header, opened.keyring));
  return {};
}

Status Vault::CreateMarker() {
  const std::string name(format::kMarkerName);
  const Bytes bytes = format::Encode(format::Marker{id(), 0});
  const Status created = store_->Create(Writing(), name, bytes, store::ObjectClass::kControl);
  if (created.has_value()) return {};
  const Result<Bytes> standing = store_->Get(Writing(), name, format::kMarkerBytesMax);
  if (standing.has_value() && *standing == bytes) return {};  // only the reply was lost
  return created;
}

/// Deletes what this Create made, and only that: the key header if its bytes are ours, a head whose
/// name we drew, a catalog that opens under our keys. Nothing when the marker stands or can't be
/// asked for: the vault may be whole then; false. A part that stays makes the next init say "half a
/// vault".
bool Vault::TakeBack(ByteView key_header, const VolumeId& volume, const CreateOptions& options) {
  const Result<Bytes> marker =
      store_->Get(Writing(), std::string(format::kMarkerName), format::kMarkerBytesMax);
  const bool absent = !marker.has_value() && marker.error().code == ErrorCode::kNotFound;
  // Somebody else's marker is no reason to keep our parts among his.
  if (marker_offered_ && !absent) return false;
  if (options.taken_back) options.taken_back(*this);
  if (catalog_ != nullptr && catalog_->HasOwn(1)) {
    (void)store_->Delete(Writing(), format::ChainName(format::kCatalogPrefix, 1));
  }
  (void)store_->Delete(Writing(), format::ChainName(format::HeadPrefix(volume), 1));
  const std::string name = format::ChainName(format::kKeysPrefix, 1);
  const Result<Bytes> stored = store_->Get(Writing(), name, format::kKeyHeaderBytesMax);
  if (stored.has_value() && std::ranges::equal(*stored, key_header))
    (void)store_->Delete(Writing(), name);

  lock_.reset();
  for (const char* file : {"catalog.kept", kTrustFile, kHostKeyFile, kLockFile}) {
    (void)env_.fs.Remove(Concat(directory_, "/", file));
  }
  (void)env_.fs.RemoveDirectory(directory_);
  return true;
}

}  // namespace coffer::vault

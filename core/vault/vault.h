// Vault: everything under one store URL, unlocked: keys, catalog, trust. Volumes stand on it.
//
// Thread-safe. One Vault object per vault and state directory: Create and Unlock take the lock file
// vaults/<id>/lock and keep it. Unlock writes nothing locally, and nothing at all in the store,
// before the key header's MAC has held (faults.md A26).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/format/catalog.h"
#include "core/format/head.h"
#include "core/store/object_store.h"
#include "core/vault/catalog_chain.h"
#include "core/vault/environment.h"
#include "core/vault/host_keys.h"
#include "core/vault/key_chest.h"
#include "core/vault/key_header.h"
#include "core/vault/trust_file.h"

namespace coffer::vault {

struct VolumeSpec {
  std::string name;
  std::uint64_t size = 0;  // bytes, multiple of 4096, at most 16 TiB
  std::uint32_t chunk_size = 64 * 1024;
  format::Durability durability = format::Durability::kLocal;
};

class Vault {
 public:
  struct CreateOptions {
    bool single_writer = false;  // as below
    /// Called before the marker is offered, from which on there is a vault: what fails here makes
    /// none.
    std::function<Status(const Vault&)> before_marker = {};
    /// Called after that when there is none after all, for certain.
    std::function<void(const Vault&)> taken_back = {};
  };
  /// Makes a vault in an empty store (opened for init). Order: probe; local state; key header, read
  /// back and unwrapped; the first volume's head; catalog; trust file; and the marker last, so that
  /// a crash before it leaves no vault but half a one, which is never written into again
  /// (kCorruption). Local state comes before the store since the first head names the host; what a
  /// crash leaves of it belongs to a vault id that nobody will ever meet. An error, unlike a crash,
  /// takes back what was made; where the store does not answer and the marker may stand the message
  /// says so. kAlreadyExists where a marker stands; kNeedsPerson WEAK-STORE.
  static Result<std::unique_ptr<Vault>> Create(Environment& env,
                                               std::unique_ptr<store::ObjectStore> store,
                                               const SecretBytes& password,
                                               const VolumeSpec& first_volume,
                                               const CreateOptions& options);
  static Result<std::unique_ptr<Vault>> Create(Environment& env,
                                               std::unique_ptr<store::ObjectStore> store,
                                               const SecretBytes& password,
                                               const VolumeSpec& first_volume) {
    return Create(env, std::move(store), password, first_volume, CreateOptions{});
  }

  /// The vault that the store's marker names. kNotFound without a marker, and for another vault
  /// than `expected` if that is given.
  static Result<VaultId> Identify(store::ObjectStore& store, const VaultId& expected = {});

  /// What becomes of a key header or catalog that does not follow from what this machine remembers,
  /// and of a trust file that is lost (ROLLBACK, FORK, HEADER-ROLLBACK).
  enum class Doubts {
    kRefuse,    // Unlock fails
    kTolerate,  // for looking on: it is taken, not noted, doubts() tells, and nothing is written
  };
  struct UnlockOptions {
    VaultId expected = {};       // null = any; another vault there is an error that names both
    bool single_writer = false;  // the owner's word that a weak store has one writer
    bool keys_next = false;      // ChangePasswordAfterUnlock is to follow: its key is kept
    Doubts doubts = Doubts::kRefuse;
  };
  /// Five requests (marker; LIST and GET of keys and of the catalog), one more when the catalog has
  /// changed since this machine saw it. kUnauthenticated for a wrong password; kNeedsPerson for
  /// ROLLBACK, FORK, HEADER-ROLLBACK, WEAK-STORE; kUnsupported for a newer format; kNotFound when
  /// there is no vault, or not the expected one; kConflict when another process has it unlocked.
  static Result<std::unique_ptr<Vault>> Unlock(Environment& env,
                                               std::unique_ptr<store::ObjectStore> store,
                                               const SecretBytes& password,
                                               const UnlockOptions& options);
  ~Vault();
  Vault(const Vault&) = delete;
  Vault& operator=(const Vault&) = delete;

  [[nodiscard]] const VaultId& id() const { return keys_->vault(); }
  [[nodiscard]] Environment& env() { return env_; }
  [[nodiscard]] store::ObjectStore& store() { return *store_; }
  [[nodiscard]] const KeyChest& keys() const { return *keys_; }
  [[nodiscard]] const HostKeys& host() const { return *host_; }
  [[nodiscard]] TrustFile& trust() { return *trust_; }
  [[nodiscard]] Writers writers() const { return writers_; }
  /// Of the newest key header that was opened or made here.
  [[nodiscard]] std::uint64_t header_seq() const { return header_seq_; }
  /// Its slots.
  [[nodiscard]] std::vector<KeySlotDescription> key_slots() const;

  /// The newest catalog read or written here.
  [[nodiscard]] format::Catalog catalog() const { return catalog_->current(); }
  /// A change of the catalog failed and may have happened: RefreshCatalog tells.
  [[nodiscard]] bool catalog_in_doubt() const { return catalog_->in_doubt(); }
  /// Reads the newest catalog from the store.
  Status RefreshCatalog() { return catalog_->Refresh(); }
  /// The live volume called `name`; kNotFound. Refreshes once if it isn't known.
  Result<format::CatalogVolume> FindVolume(const std::string& name);
  /// Adds a volume: its first head, then the catalog record that names it. A crash between the two
  /// leaves a head that no catalog names: litter. kAlreadyExists; after kUnavailable the volume may
  /// exist or come to exist.
  Result<VolumeId> CreateVolume(const VolumeSpec& spec);

  /// The first head of a fork: `base`'s map and kind of durability, nothing else of its chain. No
  /// catalog names the fork before NameFork: until then it is litter.
  Status CreateForkHead(const VolumeId& fork, const format::Head& base);
  struct ForkOrigin {
    VolumeId volume;
    std::uint64_t seq;  // of the head that the fork began at
  };
  /// Puts the fork into the catalog; nothing to do if it is there. kAlreadyExists: the name is.
  Status NameFork(const VolumeId& fork, const std::string& name, const ForkOrigin& origin);

  /// Gives a live volume another name. kAlreadyExists where another live volume has it, kNotFound;
  /// after kUnavailable it may have happened, or happen later.
  Status RenameVolume(const VolumeId& volume, const std::string& name);
  enum class Deletion {
    kNotDone,  // nothing has happened, and nothing will
    kUnknown,  // the tombstone may stand: a second call finishes, opening for writing takes back
    kStillListed,  // deleted, but the catalog could not be changed: FinishDeletion
    kDone,
  };
  /// Deletes a volume that is open nowhere: a tombstone head, then the catalog, then what this
  /// machine keeps of it, its journal too. What it has stored waits for GC. The tombstone decides:
  /// from there on the call succeeds. A crash anywhere leaves the volume as it was, or one that
  /// opens nowhere any more and that a second call finishes. kConflict while it is open here or not
  /// released elsewhere; kNotFound. `outcome` is set in any case.
  Status DeleteVolume(const VolumeId& volume, Deletion* outcome = nullptr);
  /// Has the catalog say so of a volume whose tombstone stands.
  Status FinishDeletion(const VolumeId& volume);

  // Keys. Each of these asks the store for the newest key header and opens it with `password`,
  // whatever was unlocked before: kUnauthenticated then, and nothing has changed anywhere.

  /// Whether `password` opens the vault now.
  Status CheckPassword(const SecretBytes& password);
  struct KeyList {
    std::uint64_t header_seq = 0;
    std::vector<KeySlotDescription> slots;
    std::uint8_t opened = 0;  // the slot that the password opens
  };
  Result<KeyList> ListKeys(const SecretBytes& password);
  /// Puts `new_password` into the slot that `password` opens. The new header is made and opened in
  /// memory, created, read back and compared, noted in the trust file; then the catalog refuses
  /// older ones, then they are deleted. A crash before the create leaves the old password, after it
  /// the new one: there is no moment without either. kConflict when another machine was faster.
  /// From the create on the call succeeds; what is left then, PrepareToWrite finishes
  /// (key_change_unfinished). When it is not known which one holds the message says so.
  Status ChangePassword(const SecretBytes& password, const SecretBytes& new_password) {
    return ChangePasswordBy([&] { return OpenNewestKeyHeader(password); }, new_password);
  }
  /// The same, of the password that has just unlocked this object (with keys_next), without hashing
  /// it once more. Once: later ones are kUnauthenticated. A header that another machine has made
  /// meanwhile is kConflict.
  Status ChangePasswordAfterUnlock(const SecretBytes& new_password) {
    return ChangePasswordBy([this] { return TakeUnlockedKeyHeader(); }, new_password);
  }

  /// The newest change of a password failed, and it is not known which one holds.
  [[nodiscard]] bool key_change_in_doubt() const { return key_change_in_doubt_; }
  /// The password is changed, but the catalog does not refuse the old key header yet.
  [[nodiscard]] bool key_change_unfinished() const { return key_change_unfinished_; }

  /// A store is probed before it is trusted with writes: once per machine and store, about seven
  /// requests. Everything here that writes calls it; whoever opens a volume for writing does well
  /// to call it then. kNeedsPerson WEAK-STORE.
  Status PrepareToWrite();
  /// A head or somebody else's word says that key headers below `seq_min` are no longer valid:
  /// looks whether the store has one that is. kNeedsPerson HEADER-ROLLBACK.
  Status RequireKeyHeader(std::uint64_t seq_min);

  // Trust.

  /// What speaks against the store as it is offered, where that is tolerated.
  [[nodiscard]] std::vector<Error> doubts() const;

  /// One chain as this machine remembers it and as the store offers it.
  struct TrustedChain {
    format::ChainPoint remembered;  // sequence 0: nothing
    format::ChainPoint offered;     // sequence 0: the store has none
    std::int64_t created_unix = 0;  // these of what is offered; 0 and empty if unknown
    std::string host_name;
    std::optional<Error> doubt;  // what speaks against it
  };
  struct TrustedVolumeChain {
    VolumeId id;
    std::string name;  // empty: the catalog that is offered does not list it
    TrustedChain heads;
    format::TrustedVolume remembered;
    std::uint64_t epoch = 0;            // of the head that is offered
    std::uint64_t catalog_seq_min = 0;  // likewise
  };
  struct TrustSurvey {
    std::optional<Error> lost;  // why nothing is remembered
    TrustedChain key_header;
    TrustedChain catalog;
    std::vector<TrustedVolumeChain> volumes;
    /// Over everything that is offered: the same only if all of it is.
    ObjectHash offer;
    [[nodiscard]] bool doubtful() const;
  };
  /// Compares everything that is remembered with what the store offers now; what is doubtful is
  /// not noted. Two requests a volume. kCorruption where there is no catalog at all.
  Result<TrustSurvey> SurveyTrust();
  /// From here on this machine remembers what `survey` found in the store, and doubts() is empty.
  /// Whatever was doubted is nobody's head: what this machine has not uploaded goes on top of it
  /// only where its journal itself says so. The trust file as it was is kept; its path is returned.
  /// A catalog that is older than the heads say, since its newest record was lost, gets records up
  /// to there. REQUIRES: no volume of the vault is open. Fails with everything as it was.
  Result<std::string> AcceptTrust(const TrustSurvey& survey);

  // Notes.

  /// Something was mended by itself, which a person should know.
  void AddNote(std::string note);
  /// Those not taken yet.
  [[nodiscard]] std::vector<std::string> TakeNotes();

  /// vaults/<id>/volumes/<volume>, made if missing.
  Result<std::string> VolumeDirectory(const VolumeId& volume);

 private:
  Vault(Environment& env, std::unique_ptr<store::ObjectStore> store, Writers writers);

  /// `doubt` itself, or nothing where doubts are tolerated: then it is kept.
  Status Doubt(const Error& doubt);
  Status RaiseCatalog(const TrustSurvey& survey);
  Result<TrustedChain> SurveyKeyHeader();
  Result<TrustedVolumeChain> SurveyHeads(const VolumeId& volume, const std::string& name);
  struct StandingKeyHeader {
    format::ChainPoint point;
    OpenedKeyHeader opened;
  };
  Status AppendTombstone(const VolumeId& volume, const std::string& directory, Deletion* outcome);
  Status MarkDeleted(const VolumeId& volume);
  Result<StandingKeyHeader> OpenNewestKeyHeader(const SecretBytes& password);
  Result<StandingKeyHeader> TakeUnlockedKeyHeader();
  Status ChangePasswordBy(const std::function<Result<StandingKeyHeader>()>& open,
                          const SecretBytes& new_password);
  Status CreateNextKeyHeader(const format::ChainPoint& point, ByteView bytes);
  Status FinishKeyChange();
  Status DeleteOldKeyHeaders();
  /// Remembers the header `seq` and its slots, unless a newer one is known.
  void AdoptKeyHeader(std::uint64_t seq, std::vector<KeySlotDescription> slots);

  Status OpenLocalState();
  Status HoldKeyHeader(const format::ChainPoint& offered, const ObjectHash& parent);
  Status MakeObjects(ByteView key_header, const SecretBytes& password, const VolumeId& volume,
                     const VolumeSpec& spec, const CreateOptions& options);
  Status CreateKeyHeader(ByteView key_header, const SecretBytes& password);
  Status CreateFirstHead(const VolumeId& volume, const VolumeSpec& spec);
  Status CreateFirstHead(format::Head head);
  Status AddToCatalog(const format::CatalogVolume& volume);
  Status CreateMarker();
  bool TakeBack(ByteView key_header, const VolumeId& volume, const CreateOptions& options);

  Environment& env_;
  const std::unique_ptr<store::ObjectStore> store_;
  const Writers writers_;
  Doubts tolerate_ = Doubts::kRefuse;
  mutable Mutex doubts_mutex_;
  std::vector<Error> doubts_ GUARDED_BY(doubts_mutex_);
  std::optional<Error> header_doubt_ GUARDED_BY(doubts_mutex_);  // the one of them about the keys
  std::atomic<std::uint64_t> header_seq_ = 0;
  bool marker_offered_ = false;  // by Create
  Mutex notes_mutex_;
  std::vector<std::string> notes_ GUARDED_BY(notes_mutex_);
  /// The catalog does not refuse the headers before header_seq_ yet: a change was broken off.
  std::atomic<bool> key_change_unfinished_ = false;
  std::atomic<bool> key_change_in_doubt_ = false;
  mutable Mutex slots_mutex_;  // and over changes of header_seq_
  std::vector<KeySlotDescription> key_slots_ GUARDED_BY(slots_mutex_);
  /// As Unlock opened it, for ChangePasswordAfterUnlock.
  std::optional<StandingKeyHeader> unlocked_header_ GUARDED_BY(slots_mutex_);
  format::ChainPoint unlocked_point_;  // of the key header that Unlock opened
  std::unique_ptr<const KeyChest> keys_;
  std::string directory_;  // vaults/<id>
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<const HostKeys> host_;
  std::unique_ptr<TrustFile> trust_;
  std::unique_ptr<CatalogChain> catalog_;
};

}  // namespace coffer::vault

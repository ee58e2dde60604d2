// Registry: the vaults this machine knows, each in vaults/<vault id>/known under the state
// directory: alias, store, and the volumes as they were last seen, so that names can be found and
// `status` can answer while a vault is locked. Names and sizes stand there in the clear, on this
// machine alone, in a directory that is its user's; no key, no content.
//
// The file: text, one "WORD VALUE" a line, "%XX" for control characters and "%":
//   coffer-known-vault 1
//   alias NAME | store URL | single-writer yes
//   volume ID SIZE WAITING STATE NAME     (STATE: closed, open)
//   made ID CHUNK-SIZE DURABILITY         (of a volume named before)
//   begun DEED ID TEXT                    (a command that was not seen to end: Deed)
// Lines of other words are left alone by older programs. A file that cannot be read is named in the
// log and skipped: `coffer add` writes it anew. Thread-safe; a change is durable when it returns.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/file_system.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/format/catalog.h"

namespace coffer::daemon {

struct KnownVolume {
  VolumeId id;
  std::string name;
  std::uint64_t size_bytes = 0;  // 0: never opened here
  std::uint64_t waiting_bytes = 0;
  /// Set while it is open for writing: found at start, it was not closed and waiting_bytes is
  /// stale.
  bool open = false;
  // As its newest head said when it was last read here; 0 and empty: it never was.
  std::uint32_t chunk_size = 0;
  std::string durability;
  /// It is open here, in whatever way: it stays known by this name, whatever the catalog says; only
  /// in memory, as what the catalog says then, for people.
  bool in_use = false;
  std::string fate = {};
  bool operator==(const KnownVolume&) const = default;
};

/// What a command has begun to change in a vault. Noted before the store is told, gone when it is
/// known how that ended: what is there at rest was broken off, by a crash or a store that did not
/// answer, and `status` shows it.
struct Deed {
  enum class Kind {
    kInit,      // of volume `text`
    kAdd,       // of the vault to what this machine knows
    kRename,    // to `text`
    kResize,    // to `text` bytes
    kPassword,  // of the vault
    kDelete,    // the tombstone may stand
    kDeleted,   // it does; the catalog still lists the volume
  };
  Kind kind = Kind::kInit;
  VolumeId volume;  // null: of none that has an id yet, or of all
  std::string text;
  bool running = false;  // its command is at it; only in memory
  bool operator==(const Deed& other) const {
    return kind == other.kind && volume == other.volume && text == other.text;
  }
};

struct KnownVault {
  VaultId id;
  std::string alias;
  std::string store;
  bool single_writer = false;
  std::vector<KnownVolume> volumes;
  std::vector<Deed> deeds;

  [[nodiscard]] KnownVolume* Find(std::string_view name);
  [[nodiscard]] Deed* FindDeed(Deed::Kind kind, const VolumeId& volume);
  void DropDeeds(Deed::Kind kind, const VolumeId& volume);
  /// The live volumes of `catalog`, without those whose deletion stands; what was known of them is
  /// kept. One that is in use stays as it is, with its fate. A doubtful catalog
  /// takes none away.
  enum class Belief { kFull, kDoubtful };
  void TakeVolumesFrom(const format::Catalog& catalog, Belief belief = Belief::kFull);
  /// All that is known of it is the init that was to make it, and was broken off: where its store
  /// holds no vault, there is none.
  [[nodiscard]] bool MayBeUnmade() const;
  bool operator==(const KnownVault&) const = default;

 private:
  [[nodiscard]] std::vector<KnownVolume> VolumesInUse(const format::Catalog& catalog) const;
};

/// `error` with `alias` where its hint says VAULT (core/vault/person.h).
[[nodiscard]] Error NameVault(Error error, const std::string& alias);

[[nodiscard]] std::string EncodeKnownVault(const KnownVault& vault);
Result<KnownVault> DecodeKnownVault(const VaultId& id, std::string_view text);

class Registry {
 public:
  /// `state_directory` exists.
  static Result<std::unique_ptr<Registry>> Open(FileSystem& fs, std::string state_directory);

  [[nodiscard]] std::vector<KnownVault> vaults() const;  // by alias
  [[nodiscard]] std::optional<KnownVault> Find(const VaultId& id) const;
  /// By alias or by id in hex.
  [[nodiscard]] std::optional<KnownVault> FindByName(const std::string& name) const;
  /// Lets `change` work on the vault's record, a new one where there is none, and returns what came
  /// of it. Changes of one registry happen one after the other; `change` must not call it. On an
  /// error it is as before, on the disk too; where the disk does not tell, deeds show it.
  Result<KnownVault> Change(const VaultId& id, const std::function<void(KnownVault&)>& change);

  /// The vault is known no more; what else this machine keeps of it stays where it is.
  Status Forget(const VaultId& id);
  /// As Change, for what is so whether the disk takes it or not: it holds while this process lives
  /// and is written again with the next change.
  KnownVault Learn(const VaultId& id, const std::function<void(KnownVault&)>& change);

  /// Notes a deed, durably; replaces one like it. An error: it must not be begun.
  Status Begin(const VaultId& id, Deed deed);
  enum class End {
    kKnown,    // it is done, or certainly not
    kUnknown,  // it is shown until somebody knows
  };
  /// `learned` is what is known with its end, and goes to the disk with it: never is one there
  /// without the other. REQUIRES: none with kUnknown.
  void Finish(const VaultId& id, const Deed& deed, End end,
              const std::function<void(KnownVault&)>& learned = {});

  /// `wanted`, or with a number after it if another vault has that alias.
  [[nodiscard]] std::string FreeAlias(const std::string& wanted) const;
  [[nodiscard]] std::string DirectoryOf(const VaultId& id) const;

 private:
  Registry(FileSystem& fs, std::string state_directory)
      : fs_(fs), vaults_directory_(std::move(state_directory) + "/vaults") {}
  Status Load();
  Status Write(const KnownVault& vault);
  void TakeBack(const std::optional<KnownVault>& before, KnownVault after)
      REQUIRES_LOCK(change_mutex_);
  [[nodiscard]] KnownVault Changed(const VaultId& id,
                                   const std::function<void(KnownVault&)>& change) const;

  FileSystem& fs_;
  const std::string vaults_directory_;
  Mutex change_mutex_;  // held over a whole change, its writing included; taken before mutex_
  mutable Mutex mutex_;
  std::map<VaultId, KnownVault> vaults_ GUARDED_BY(mutex_);
  std::set<VaultId> unwritten_ GUARDED_BY(change_mutex_);  // that the disk has not taken yet
};

}  // namespace coffer::daemon

// CatalogChain: the vault's own sealed chain, read and extended. Each record holds the whole state,
// so a change is: take the newest, change it, create the next. Two machines (or threads) that do so
// at once meet at create-if-absent; the later one reads what the other made and applies its change
// to that. Thread-safe; no lock is held during a request.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/format/catalog.h"
#include "core/format/trust.h"
#include "core/store/object_store.h"
#include "core/vault/chain.h"
#include "core/vault/environment.h"
#include "core/vault/host_keys.h"
#include "core/vault/kept_object.h"
#include "core/vault/key_chest.h"
#include "core/vault/trust_file.h"

namespace coffer::vault {

/// How many machines write to the store.
enum class Writers {
  kMany,    // the store must be strong
  kSingle,  // by the owner's word; a list that lags behind is no alarm then
};

class CatalogChain {
 public:
  /// Told of a record that does not follow from what this machine remembers (kNeedsPerson); an
  /// error of its own refuses it, else it is taken and not noted.
  using DoubtSink = std::function<Status(const Error& doubt)>;
  struct Sinks {
    DoubtSink doubt;
    std::function<void(std::string note)> note;  // of what was mended by itself
  };
  /// All outlive the chain. `directory` is the vault's, in the state.
  CatalogChain(Environment& env, store::ObjectStore& store, const KeyChest& keys,
               const HostKeys& host, TrustFile& trust, Writers writers,
               const std::string& directory, Sinks sinks);

  /// The newest record read or written here; sequence 0 before the first.
  [[nodiscard]] format::Catalog current() const;

  /// Reads the newest record, holds it against the trust file and notes it there. kCorruption where
  /// there is none. A newest record that is damaged is put back where this machine wrote it and has
  /// it still, unless doubts are tolerated.
  Status Refresh();

  /// What was doubted has been accepted by a person: it may be gone on from.
  void Accept();

  /// What the store offers, and what speaks against it; believed and noted by nobody. nullopt where
  /// there is none.
  struct Offered {
    format::Catalog catalog;
    format::ChainPoint point;
    std::optional<Error> doubt;
  };
  /// Where the newest record is damaged: the newest that is whole, with that doubt.
  Result<std::optional<Offered>> Look();

  /// Whether the store has a record `seq` that opens under this vault's keys. Notes nothing: for
  /// taking back what was made, perhaps because the disk of the trust file is full.
  [[nodiscard]] bool HasOwn(std::uint64_t seq) const { return FetchLinkAt(seq).has_value(); }

  /// A record was offered and it is not known whether it stands; Refresh finds out.
  [[nodiscard]] bool in_doubt() const { return in_doubt_; }

  enum class Edit { kChanged, kNothingToDo };
  /// Changes the catalog it is given. Called again, with a newer one, when somebody was faster;
  /// what it did before may then be in it already.
  using Editor = std::function<Result<Edit>(format::Catalog& catalog)>;
  /// Appends a record that `edit` makes. When the store does not answer (kUnavailable), the record
  /// may exist or come to exist: the next Update finds it.
  Status Update(const Editor& edit);

 private:
  struct State {
    format::Catalog catalog;
    format::ChainPoint point;
  };
  enum class Outcome { kDone, kOvertaken };

  [[nodiscard]] State Current() const;
  /// Shows `state` unless a newer one is known already.
  void Adopt(State state);
  Result<format::Catalog> Open(std::uint64_t seq, ByteView stored) const;
  [[nodiscard]] Status CheckNotDoubted() const;
  void Keep(const State& state, ByteView bytes);
  Result<bool> PutBack();
  Status Hold(const Offered& newest);
  Status HoldParent(const Offered& newest);
  Result<ChainLink> FetchLinkAt(std::uint64_t seq) const;
  Result<Outcome> Create(const State& next, ByteView bytes);
  Result<Outcome> LookAfterCreate(std::uint64_t seq);
  [[nodiscard]] std::string What() const;

  Environment& env_;
  store::ObjectStore& store_;
  const KeyChest& keys_;
  const HostKeys& host_;
  TrustFile& trust_;
  const Writers writers_;
  const std::string prefix_;
  const Sinks sinks_;
  Mutex kept_mutex_;
  KeptObject kept_ GUARDED_BY(kept_mutex_);  // the newest record of this machine, once it stands
  std::atomic<bool> in_doubt_ = false;

  mutable Mutex mutex_;
  State state_ GUARDED_BY(mutex_);
  std::optional<Error> doubted_ GUARDED_BY(mutex_);  // tolerated, and so nothing may be written
};

}  // namespace coffer::vault

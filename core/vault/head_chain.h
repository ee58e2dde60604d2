// HeadChain: the sealed chain of one volume's heads, as its writer sees it. The next head can be
// created once: that is the fence between two machines (design.md section 7).
//
// States
//   fresh    nothing read yet, or Load failed; Load leaves it
//   loaded   the newest head is known; Append and Load may be called
//   pending  a head is spooled and does not stand for certain: Append failed after spooling it, by
//            kUnavailable or another error; Retry leaves it
//   fenced   another writer's head stands where ours should: final, everything returns FENCED
// Order in Append: seal, spool the exact bytes (durable), create, look (LIST, limit 2), trust file
// (durable), drop the spool.
// Invariants: for one sequence at most one byte string is ever offered to the store while the
// answer to it is unknown; trust.own names a head only once it stands and was looked at; a crash
// anywhere leaves a state that the next Load settles.
//
// Heads may hide behind a list that lags (then Append stays pending until it shows them) but not
// from the trust file: what this machine has seen or written is asked for by name. One thread at a
// time; all calls wait for the store.
#pragma once

#include <optional>
#include <string>

#include "core/format/head.h"
#include "core/format/trust.h"
#include "core/vault/chain.h"
#include "core/vault/head_spool.h"
#include "core/vault/kept_object.h"
#include "core/vault/vault.h"

namespace coffer::vault {

class HeadChain {
 public:
  struct Newest {
    format::Head head;
    format::ChainPoint point;
    bool ours;  // the very head that this machine wrote last, or barriers over it
    std::optional<Error> doubt = std::nullopt;  // from Look
  };

  /// `vault` outlives the chain; `volume_directory` is vault.VolumeDirectory(volume).
  HeadChain(Vault& vault, const VolumeId& volume, const std::string& volume_directory);

  /// Finds the newest head with one LIST and one GET, settles a spooled head left by a crash first
  /// (an own head whose reply was lost counts as written), holds it against the trust file
  /// (kNeedsPerson: ROLLBACK "seen 812, offered 790", FORK; HEADER-ROLLBACK) and records it there
  /// before returning. A head of this machine that it does not remember (a restored snapshot of the
  /// machine, its clone) is not ours. kCorruption when the volume has no head. A newest head that
  /// is damaged is put back where this machine wrote it and has it still; else kNeedsPerson, as
  /// Look shows it.
  ///
  /// A spooled tombstone is never offered again but taken back, with a head like the newest in its
  /// place where that one is ours, so that a create that still travels meets it.
  Result<Newest> Load();

  /// For whoever only reads: the newest head, nothing offered to the store, a spooled head left
  /// where it is. One that does not follow from what this machine remembers is returned with that
  /// `doubt`, is not ours, and is not noted; so is, where the newest is damaged, the newest that is
  /// whole. kNeedsPerson or kCorruption when the volume has none.
  Result<Newest> Look();

  /// Appends `head`; vault, volume, seq, parent, host, time and minima are filled in here, gc_seen
  /// is raised to the chain's. A barrier head in the way is taken over (its gc_seen) and the append
  /// goes on above it; what is returned is then the newest barrier if one stands above.
  /// kNeedsPerson FENCED: another writer. kUnavailable, or any error that leaves pending() true:
  /// nothing is known; call Retry until it says otherwise. Other errors: nothing was offered.
  /// Precondition: Load succeeded, !pending(). REQUIRES: head.epoch not below the newest head's.
  Result<Newest> Append(format::Head head);
  /// Repeats the spooled bytes. Precondition: pending(), or fenced.
  Result<Newest> Retry();
  /// After a failed Append of a head that is to be given up: whether it stands. False: it was
  /// refused, nothing has happened and nothing will. An error: it is not known; the spool keeps it.
  Result<bool> SettleFailed(const Error& failure);
  [[nodiscard]] bool pending() const { return pending_.has_value(); }
  [[nodiscard]] bool fenced() const { return fenced_.has_value(); }
  /// Reads one head of the chain by sequence (for forks of a fenced tail); `ours` if the trust file
  /// names it as the newest of our own.
  Result<Newest> ReadAt(std::uint64_t seq);

 private:
  /// A head and where it stands, or is to stand.
  struct Placed {
    format::Head head;
    format::ChainPoint point;
  };
  struct Pending {
    Placed placed;
    Bytes bytes;
  };
  enum class Standing { kOurs, kBarrier };
  enum class Spooled { kSettled, kOvertaken };

  // Load.
  Result<std::optional<Placed>> FetchNewestHead(const format::ChainPoint& seen);
  Result<Newest> TryLoad();
  Result<Placed> FetchHead();
  Result<Placed> FetchHeadOrPutBack();
  Result<Newest> LookBelow(const Error& damage);
  Status LoadNewest();
  Result<bool> IsSpooled(const Placed& newest);
  Result<Spooled> SettleSpool();
  Status NoteIfStands(const format::ChainPoint& spooled);
  Result<Spooled> TakeBackTombstone();
  Result<Spooled> OfferSpooled();
  Status HoldNewest(const Placed& newest);
  Result<bool> IsOurs(const Placed& newest);
  // Append.
  Status CheckMayFollow() const;
  Status SealAndSpool(format::Head head);
  Result<Newest> Settle();
  Result<Standing> Offer();
  Result<Standing> JudgeStanding();
  Status LookAfterCreate();
  Result<std::optional<Placed>> BarriersAbove(const Placed& ours, std::uint64_t top);
  Status Finish(std::optional<Placed> above);

  Result<Placed> Read(std::uint64_t seq);
  Result<ChainLink> FetchLinkAt(std::uint64_t seq);
  tl::unexpected<Error> Fence(const format::Head& other);
  [[nodiscard]] format::TrustedVolume Trusted() const;
  [[nodiscard]] std::string What() const;

  Vault& vault_;
  const VolumeId volume_;
  const std::string prefix_;
  HeadSpool spool_;
  KeptObject kept_;  // the newest head of this machine, once it stands
  std::optional<Placed> newest_;
  std::optional<Pending> pending_;
  std::optional<Error> fenced_;
};

}  // namespace coffer::vault

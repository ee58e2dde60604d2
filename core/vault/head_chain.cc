#include "core/vault/head_chain.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/vault/head_record.h"
#include "core/vault/person.h"

namespace coffer::vault {
namespace {

/// Barriers in a row that are believed to be GC's: it makes one per volume and list.
constexpr std::uint64_t kBarriersMax = 64;

/// How often Load reads again because another writer was faster than its spooled head.
constexpr int kLoadAttempts = 4;

format::ChainPoint PointOf(const format::Spool& spool) {
  return {spool.seq, crypto::Sha256(spool.sealed_head)};
}

}  // namespace

HeadChain::HeadChain(Vault& vault, const VolumeId& volume, const std::string& volume_directory)
    : vault_(vault),
      volume_(volume),
      prefix_(format::HeadPrefix(volume)),
      spool_(vault.env().fs, volume_directory),
      kept_(vault.env().fs, volume_directory, "head") {}

std::string HeadChain::What() const { return Concat("volume ", volume_.ToString()); }

format::TrustedVolume HeadChain::Trusted() const {
  return vault_.trust().volume(volume_).value_or(format::TrustedVolume{volume_, {}, {}, 0});
}

Result<HeadChain::Placed> HeadChain::Read(std::uint64_t seq) {
  ASSIGN_OR_RETURN(const ChainObject object,
                   FetchChainObject(vault_.store(), prefix_, seq, format::kHeadBytesMax));
  ASSIGN_OR_RETURN(format::Head head, OpenHead(vault_.keys(), volume_, seq, object.bytes));
  return Placed{std::move(head), object.point};
}

Result<ChainLink> HeadChain::FetchLinkAt(std::uint64_t seq) {
  ASSIGN_OR_RETURN(const Placed placed, Read(seq));
  return ChainLink{placed.point.hash, placed.head.parent};
}

Result<HeadChain::Newest> HeadChain::ReadAt(std::uint64_t seq) {
  ASSIGN_OR_RETURN(Placed placed, Read(seq));
  const bool ours = placed.point == Trusted().own;
  return Newest{std::move(placed.head), placed.point, ours};
}

// Append.

Result<HeadChain::Newest> HeadChain::Append(format::Head head) {
  if (fenced_.has_value()) return Fail(*fenced_);
  CHECK(newest_.has_value() && !pending());
  CHECK(head.epoch >= newest_->head.epoch);
  RETURN_IF_ERROR(CheckMayFollow());
  RETURN_IF_ERROR(vault_.PrepareToWrite());
  RETURN_IF_ERROR(SealAndSpool(std::move(head)));
  return Settle();
}

Result<HeadChain::Newest> HeadChain::Retry() {
  if (fenced_.has_value()) return Fail(*fenced_);
  CHECK(pending());
  if (Planted("seal-head-again")) RETURN_IF_ERROR(SealAndSpool(pending_->placed.head));
  return Settle();
}

Result<bool> HeadChain::SettleFailed(const Error& failure) {
  if (!pending()) return false;
  const format::ChainPoint ours = pending_->placed.point;
  const Result<ChainObject> standing =
      FetchChainObject(vault_.store(), prefix_, ours.seq, format::kHeadBytesMax);
  if (standing.has_value() && standing->point == ours) {
    const Status noted = vault_.trust().NoteHead(volume_, ours, pending_->placed.head.epoch, true);
    if (!noted.has_value()) LOG(kWarning, What(), ": ", noted.error().message);
    newest_ = std::move(pending_->placed);
    pending_.reset();
    spool_.Clear();
    return true;
  }
  const bool absent = !standing.has_value() && standing.error().code == ErrorCode::kNotFound;
  if (!standing.has_value() && !absent) return Fail(standing.error());
  // A request that nobody has answered may still travel.
  if (absent && failure.code == ErrorCode::kUnavailable) return Fail(failure);
  RETURN_IF_ERROR(spool_.Drop());
  pending_.reset();
  return false;
}

Status HeadChain::CheckMayFollow() const {
  if (newest_->head.tombstone) {
    return Fail(ErrorCode::kNotFound, Concat(What(), " has been deleted"));
  }
  if (newest_->head.features.read_only_compatible != 0) {
    return Fail(ErrorCode::kUnsupported,
                Concat("NEWER-FORMAT: ", What(), " can be read but not changed by this version"),
                "install a newer coffer");
  }
  return {};
}

Status HeadChain::SealAndSpool(format::Head head) {
  const format::Head& below = newest_->head;
  const format::Catalog catalog = vault_.catalog();
  head.vault = vault_.id();
  head.volume = volume_;
  head.seq = newest_->point.seq + 1;
  head.parent = newest_->point.hash;
  head.barrier = false;  // a caller's copy of a barrier is no barrier any more
  head.host = vault_.host().id;
  head.host_name = vault_.env().host_name.substr(0, format::kHostNameBytesMax);
  head.created_unix = vault_.env().clock.WallNow();
  head.catalog_seq_min = std::max(below.catalog_seq_min, catalog.seq);
  head.header_seq_min =
      std::max({below.header_seq_min, catalog.header_seq_min, vault_.header_seq()});
  head.gc_seen = std::max(head.gc_seen, below.gc_seen);

  Bytes bytes = SealHead(vault_.keys(), head, vault_.env().random);
  if (bytes.size() > format::kHeadBytesMax) {
    return Fail(ErrorCode::kUnsupported,
                Concat(What(), ": its head would have ", bytes.size(), " bytes, more than the ",
                       format::kHeadBytesMax, " that can be read"),
                "delete some of its snapshots");
  }
  const format::ChainPoint point{head.seq, crypto::Sha256(bytes)};
  format::Spool spool{head.seq, std::move(bytes)};
  COFFER_FAILPOINT("head-sealed");
  RETURN_IF_ERROR(spool_.Write(spool));
  COFFER_FAILPOINT("head-spooled");
  pending_ = Pending{{std::move(head), point}, std::move(spool.sealed_head)};
  return {};
}

Result<HeadChain::Newest> HeadChain::Settle() {
  for (std::uint64_t barriers = 0; barriers < kBarriersMax; ++barriers) {
    ASSIGN_OR_RETURN(const Standing standing, Offer());
    if (standing == Standing::kOurs) {
      RETURN_IF_ERROR(LookAfterCreate());
      return Newest{newest_->head, newest_->point, true};
    }
    RETURN_IF_ERROR(SealAndSpool(pending_->placed.head));
  }
  return Fail(ErrorCode::kUnavailable,
              Concat(What(), ": barrier heads keep coming; something is wrong with its GC"));
}

Result<HeadChain::Standing> HeadChain::Offer() {
  const std::uint64_t seq = pending_->placed.point.seq;
  const Status created = vault_.store().Create(Writing(), format::ChainName(prefix_, seq),
                                               pending_->bytes, store::ObjectClass::kHead);
  COFFER_FAILPOINT("head-created");
  if (created.has_value()) return Standing::kOurs;
  if (Planted("exists-is-success") && created.error().code == ErrorCode::kAlreadyExists) {
    return Standing::kOurs;
  }
  if (created.error().code != ErrorCode::kAlreadyExists) {
    return Fail(WithBytesWanted(created.error().Within(Concat(What(), ": head ", seq)),
                                pending_->bytes.size()));
  }
  return JudgeStanding();
}

/// What stands where the pending head should: the same bytes (an earlier create whose reply was
/// lost), a barrier to take over, or another writer's head.
Result<HeadChain::Standing> HeadChain::JudgeStanding() {
  const format::ChainPoint ours = pending_->placed.point;
  ASSIGN_OR_RETURN(const ChainObject object,
                   FetchChainObject(vault_.store(), prefix_, ours.seq, format::kHeadBytesMax));
  if (object.point == ours) return Standing::kOurs;
  if (object.point == newest_->point) return Standing::kBarrier;  // taken over, not yet spooled
  const Result<format::Head> head = OpenHead(vault_.keys(), volume_, ours.seq, object.bytes);
  if (!head.has_value()) {
    // Broken off while it was created, by this machine or by another one: nobody can tell.
    if (head.error().code == ErrorCode::kCorruption) {
      return Fail(DamagedInTheWayError(What(), ours.seq, format::ChainName(prefix_, ours.seq)));
    }
    return Fail(head.error().Within(Concat(What(), ": what stands as head ", ours.seq)));
  }
  if (!IsBarrierOver(*head, newest_->head, newest_->point)) return Fence(*head);
  RETURN_IF_ERROR(vault_.trust().NoteHead(volume_, object.point, head->epoch, /*ours=*/false));
  newest_ = Placed{*head, object.point};
  return Standing::kBarrier;
}

/// Nothing may stand above the pending head but barriers, and its parent must follow: a create that
/// arrived late, under a name that GC had freed, is found out here.
Status HeadChain::LookAfterCreate() {
  const std::uint64_t seq = pending_->placed.point.seq;
  ASSIGN_OR_RETURN(const std::optional<ChainTip> tip, FindChainTip(vault_.store(), prefix_));
  if (tip.has_value() && tip->seq > seq) {
    ASSIGN_OR_RETURN(std::optional<Placed> above, BarriersAbove(pending_->placed, tip->seq));
    return Finish(std::move(above));
  }
  const bool seen = tip.has_value() && tip->seq == seq && tip->parent_listed;
  if (!seen && vault_.writers() == Writers::kMany) {
    return Fail(ErrorCode::kUnavailable,
                Concat(What(), ": LIST of ", vault_.store().description(), " does not show head ",
                       seq, " and its parent yet"));
  }
  return Finish(std::nullopt);
}

Result<std::optional<HeadChain::Placed>> HeadChain::BarriersAbove(const Placed& ours,
                                                                  std::uint64_t top) {
  Placed below = ours;
  while (below.point.seq < top) {
    Result<Placed> next = Read(below.point.seq + 1);
    const bool gone = !next.has_value() && next.error().code == ErrorCode::kNotFound;
    if (gone) next = Read(top);
    if (!next.has_value()) return Fail(next.error());
    const bool barrier = !gone && IsBarrierOver(next->head, below.head, below.point);
    if (!barrier || next->point.seq - ours.point.seq > kBarriersMax) return Fence(next->head);
    below = std::move(*next);
  }
  return std::optional(std::move(below));
}

Status HeadChain::Finish(std::optional<Placed> above) {
  const Placed& ours = pending_->placed;
  TrustFile& trust = vault_.trust();
  COFFER_FAILPOINT("head-looked");
  RETURN_IF_ERROR(trust.NoteHead(volume_, ours.point, ours.head.epoch, /*ours=*/true));
  COFFER_FAILPOINT("head-trusted");
  if (above.has_value()) {
    RETURN_IF_ERROR(trust.NoteHead(volume_, above->point, above->head.epoch, /*ours=*/false));
  }
  const bool tombstone = ours.head.tombstone;
  newest_ = above.has_value() ? std::move(*above) : std::move(pending_->placed);
  pending_.reset();
  if (tombstone) {
    spool_.Clear();
  } else {
    kept_.KeepFile(spool_.path());
  }
  return {};
}

tl::unexpected<Error> HeadChain::Fence(const format::Head& other) {
  const std::string_view deed = other.tombstone ? "deleted the volume with" : "wrote";
  fenced_ = FencedError(
      What(), Concat("host '", EscapeForTerminal(other.host_name), "' ", deed, " head ", other.seq,
                     "; the last that this machine goes on from is ", newest_->point.seq));
  pending_.reset();
  return Fail(*fenced_);
}

// Load.

Result<HeadChain::Newest> HeadChain::Load() {
  if (fenced_.has_value()) return Fail(*fenced_);
  CHECK(!pending());
  Result<Newest> newest = TryLoad();
  if (!newest.has_value()) newest_.reset();  // nothing may be appended to what was not settled
  return newest;
}

Result<HeadChain::Newest> HeadChain::TryLoad() {
  for (int attempt = 0; attempt < kLoadAttempts; ++attempt) {
    RETURN_IF_ERROR(LoadNewest());
    ASSIGN_OR_RETURN(const Spooled spooled, SettleSpool());
    if (spooled == Spooled::kOvertaken) continue;
    ASSIGN_OR_RETURN(const bool ours, IsOurs(*newest_));
    return Newest{newest_->head, newest_->point, ours};
  }
  return Fail(ErrorCode::kUnavailable, Concat(What(), ": others keep writing heads; try again"));
}

Status HeadChain::LoadNewest() {
  Result<Placed> newest = FetchHeadOrPutBack();
  if (!newest.has_value() && newest.error().code == ErrorCode::kCorruption) {
    // Who may write is told what who only reads would see.
    const Result<Newest> below = LookBelow(newest.error());
    if (!below.has_value()) return Fail(below.error());
    return Fail(*below->doubt);
  }
  if (!newest.has_value()) return Fail(newest.error());
  RETURN_IF_ERROR(HoldNewest(*newest));
  RETURN_IF_ERROR(
      vault_.trust().NoteHead(volume_, newest->point, newest->head.epoch, /*ours=*/false));
  newest_ = std::move(*newest);
  return {};
}

Result<HeadChain::Placed> HeadChain::FetchHead() {
  const format::ChainPoint seen = Trusted().seen;
  ASSIGN_OR_RETURN(std::optional<Placed> newest, FetchNewestHead(seen));
  if (newest.has_value()) return *std::move(newest);
  if (seen.seq != 0) return Fail(RollbackError(What(), seen.seq, 0));
  return Fail(ErrorCode::kCorruption, Concat(What(), ": the store has none of its heads"));
}

/// What this machine wrote last, and has still, is put back where it is damaged.
Result<HeadChain::Placed> HeadChain::FetchHeadOrPutBack() {
  Result<Placed> newest = FetchHead();
  const format::ChainPoint seen = Trusted().seen;
  const bool damaged = !newest.has_value() && newest.error().code == ErrorCode::kCorruption;
  const bool older = newest.has_value() ? newest->point.seq < seen.seq
                                        : newest.error().code == ErrorCode::kNeedsPerson;
  if (!damaged && !older) return newest;
  ASSIGN_OR_RETURN(const std::optional<format::Spool> spool, spool_.Read());
  if (spool.has_value() && seen == PointOf(*spool)) kept_.KeepFile(spool_.path());
  const Result<bool> put_back = kept_.PutBack(
      {.store = vault_.store(),
       .prefix = prefix_,
       .size_max = format::kHeadBytesMax,
       .object_class = store::ObjectClass::kHead,
       .open = [this](const ChainObject& object) -> Status {
         RETURN_IF_ERROR(OpenHead(vault_.keys(), volume_, object.point.seq, object.bytes));
         return {};
       }},
      seen);
  if (!put_back.has_value()) {
    if (put_back.error().code == ErrorCode::kUnavailable) return Fail(put_back.error());
    LOG(kWarning, What(), ": its damaged head ", seen.seq,
        " could not be put back: ", put_back.error().message);
    return newest;
  }
  if (!*put_back) return newest;
  vault_.AddNote(Concat("head ", seen.seq,
                        " of the volume was damaged in the store; it was put back as this machine "
                        "wrote it"));
  return FetchHead();
}

/// The newest head that is whole, below one that is not.
Result<HeadChain::Newest> HeadChain::LookBelow(const Error& damage) {
  format::Head head;
  ASSIGN_OR_RETURN(const std::optional<WholeBelow> below,
                   FetchWholeBelow(vault_.store(), prefix_, format::kHeadBytesMax,
                                   [&](const ChainObject& offered) -> Status {
                                     ASSIGN_OR_RETURN(
                                         head, OpenHead(vault_.keys(), volume_, offered.point.seq,
                                                        offered.bytes));
                                     return {};
                                   }));
  if (!below.has_value()) return Fail(damage);
  const std::string unreleased = head.released ? std::string() : head.host_name;
  Error doubt =
      DamagedNewestError(Concat(What(), ": head"), below->damaged, below->object.point.seq,
                         format::ChainName(prefix_, below->damaged), unreleased);
  return Newest{std::move(head), below->object.point, false, std::move(doubt)};
}

Result<HeadChain::Newest> HeadChain::Look() {
  Result<Placed> offered = FetchHead();
  if (!offered.has_value() && offered.error().code == ErrorCode::kCorruption) {
    return LookBelow(offered.error());
  }
  if (!offered.has_value()) return Fail(offered.error());
  Placed newest = std::move(*offered);
  const Status held = HoldNewest(newest);
  if (!held.has_value()) {
    if (held.error().code != ErrorCode::kNeedsPerson) return Fail(held.error());
    return Newest{std::move(newest.head), newest.point, false, held.error()};
  }
  RETURN_IF_ERROR(
      vault_.trust().NoteHead(volume_, newest.point, newest.head.epoch, /*ours=*/false));
  ASSIGN_OR_RETURN(bool ours, IsOurs(newest));
  if (!ours) {
    ASSIGN_OR_RETURN(ours, IsSpooled(newest));
  }
  return Newest{std::move(newest.head), newest.point, ours};
}

/// The head that a crash left spooled: it stands, and only the note of it is missing.
Result<bool> HeadChain::IsSpooled(const Placed& newest) {
  ASSIGN_OR_RETURN(const std::optional<format::Spool> spool, spool_.Read());
  return spool.has_value() && newest.point == PointOf(*spool);
}

Result<std::optional<HeadChain::Placed>> HeadChain::FetchNewestHead(
    const format::ChainPoint& seen) {
  format::Head head;
  ASSIGN_OR_RETURN(const std::optional<ChainObject> object,
                   FetchNewest(vault_.store(), prefix_, format::kHeadBytesMax, seen,
                               [&](const ChainObject& offered) -> Status {
                                 ASSIGN_OR_RETURN(head, OpenHead(vault_.keys(), volume_,
                                                                 offered.point.seq, offered.bytes));
                                 return {};
                               }));
  if (!object.has_value()) return std::optional<Placed>();
  return std::optional(Placed{std::move(head), object->point});
}

Status HeadChain::HoldNewest(const Placed& newest) {
  RETURN_IF_ERROR(HoldAgainstSeen(What(), Trusted().seen, newest.point, newest.head.parent,
                                  [&](std::uint64_t seq) { return FetchLinkAt(seq); }));
  if (newest.head.catalog_seq_min > vault_.catalog().seq) {
    RETURN_IF_ERROR(vault_.RefreshCatalog());
    const std::uint64_t offered = vault_.catalog().seq;
    if (newest.head.catalog_seq_min > offered) {
      return Fail(RollbackError(Concat(vault_.store().description(), ": catalog, by ", What()),
                                newest.head.catalog_seq_min, offered));
    }
  }
  return vault_.RequireKeyHeader(newest.head.header_seq_min);
}

/// A head that a crash left spooled: created again if it is the next one, so that a first create
/// that still travels meets its own bytes; noted as ours if it stands; dropped if another stands in
/// its place (its writes are still in the journal).
Result<HeadChain::Spooled> HeadChain::SettleSpool() {
  ASSIGN_OR_RETURN(std::optional<format::Spool> spool, spool_.Read());
  if (!spool.has_value()) return Spooled::kSettled;
  const format::ChainPoint point = PointOf(*spool);
  Result<format::Head> head = OpenHead(vault_.keys(), volume_, point.seq, spool->sealed_head);
  if (!head.has_value()) {
    // A newer coffer's: it may be under way, and other bytes must not meet it.
    if (head.error().code == ErrorCode::kUnsupported) return Fail(head.error());
    LOG(kWarning, What(), ": spooled head ", point.seq, ": ", head.error().message);
    return Spooled::kSettled;
  }
  if (point.seq == newest_->point.seq + 1 && head->parent == newest_->point.hash) {
    if (head->tombstone) return TakeBackTombstone();
    COFFER_FAILPOINT("head-offered-again");
    pending_ = Pending{{std::move(*head), point}, std::move(spool->sealed_head)};
    return OfferSpooled();
  }
  RETURN_IF_ERROR(NoteIfStands(point));
  if (point == newest_->point && !head->tombstone) {
    kept_.KeepFile(spool_.path());
  } else {
    spool_.Clear();
  }
  return Spooled::kSettled;
}

/// A spooled head whose reply was lost may be the one that stands.
Status HeadChain::NoteIfStands(const format::ChainPoint& spooled) {
  if (spooled.seq > newest_->point.seq || spooled.seq <= Trusted().own.seq) return {};
  const Result<Placed> standing = Read(spooled.seq);
  if (standing.has_value() && standing->point == spooled) {
    return vault_.trust().NoteHead(volume_, spooled, standing->head.epoch, /*ours=*/true);
  }
  if (!standing.has_value() && standing.error().code == ErrorCode::kUnavailable) {
    return Fail(standing.error());
  }
  return {};
}

/// A delete that failed must not happen by itself. Over a head of another machine nothing of ours
/// is put (it would be the tail's base, which that is not): the next commit meets the tombstone if
/// it still arrives.
Result<HeadChain::Spooled> HeadChain::TakeBackTombstone() {
  LOG(kWarning, What(), ": taking a delete back that was broken off");
  ASSIGN_OR_RETURN(const bool ours, IsOurs(*newest_));
  if (!ours) {
    RETURN_IF_ERROR(spool_.Drop());
    return Spooled::kSettled;
  }
  RETURN_IF_ERROR(CheckMayFollow());
  RETURN_IF_ERROR(SealAndSpool(newest_->head));
  return OfferSpooled();
}

Result<HeadChain::Spooled> HeadChain::OfferSpooled() {
  const Result<Newest> settled = Settle();
  if (settled.has_value()) return Spooled::kSettled;
  pending_.reset();  // the file has it still
  if (!fenced_.has_value()) return Fail(settled.error());
  fenced_.reset();  // this writer only begins: what the other one wrote is simply the newest
  return Spooled::kOvertaken;
}

Result<bool> HeadChain::IsOurs(const Placed& newest) {
  const format::ChainPoint own = Trusted().own;
  if (own.seq == 0) return false;
  Placed current = newest;
  for (std::uint64_t steps = 0; steps < kBarriersMax; ++steps) {
    if (current.point == own) return true;
    if (!current.head.barrier || current.point.seq <= own.seq) return false;
    ASSIGN_OR_RETURN(Placed below, Read(current.point.seq - 1));
    if (!IsBarrierOver(current.head, below.head, below.point)) return false;
    current = std::move(below);
  }
  return false;
}

}  // namespace coffer::vault

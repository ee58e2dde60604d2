#include "core/vault/catalog_chain.h"

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/vault/local_state.h"
#include "core/vault/person.h"
#include "core/vault/sealed_record.h"

namespace coffer::vault {
namespace {

/// How often Update is overtaken before it gives up: more machines than that don't share a vault.
constexpr int kUpdateAttempts = 16;

}  // namespace

CatalogChain::CatalogChain(Environment& env, store::ObjectStore& store, const KeyChest& keys,
                           const HostKeys& host, TrustFile& trust, Writers writers,
                           const std::string& directory, Sinks sinks)
    : env_(env),
      store_(store),
      keys_(keys),
      host_(host),
      trust_(trust),
      writers_(writers),
      prefix_(format::kCatalogPrefix),
      sinks_(std::move(sinks)),
      kept_(env.fs, directory, kKeptCatalog) {}

format::Catalog CatalogChain::current() const { return Current().catalog; }

CatalogChain::State CatalogChain::Current() const {
  const MutexLock lock(mutex_);
  return state_;
}

void CatalogChain::Adopt(State state) {
  const MutexLock lock(mutex_);
  if (state.point.seq > state_.point.seq) state_ = std::move(state);
}

std::string CatalogChain::What() const { return Concat(store_.description(), ": catalog"); }

Result<format::Catalog> CatalogChain::Open(std::uint64_t seq, ByteView stored) const {
  const RecordPlace place{format::SealedKind::kCatalog, keys_.vault(), {}, seq};
  const KeyOfEpoch key_of_epoch = [&](std::uint32_t epoch) -> Result<const SecretBytes*> {
    ASSIGN_OR_RETURN(const KeyChest::Epoch* found, keys_.Find(epoch));
    return &found->catalog;
  };
  ASSIGN_OR_RETURN(const Bytes plain, Decoded(OpenRecord(place, stored, key_of_epoch)));
  ASSIGN_OR_RETURN(format::Catalog catalog, Decoded(format::DecodeCatalog(plain)));
  if (catalog.vault != keys_.vault() || catalog.seq != seq) {
    return Fail(ErrorCode::kCorruption, "catalog: it belongs to another place");
  }
  return catalog;
}

Result<ChainLink> CatalogChain::FetchLinkAt(std::uint64_t seq) const {
  ASSIGN_OR_RETURN(const ChainObject object,
                   FetchChainObject(store_, prefix_, seq, format::kCatalogBytesMax));
  ASSIGN_OR_RETURN(const format::Catalog catalog, Open(seq, object.bytes));
  return ChainLink{object.point.hash, catalog.parent};
}

/// The stored parent must be the one named. A damaged or missing parent is no alarm: nothing needs
/// it, and GC deletes old ones.
Status CatalogChain::HoldParent(const Offered& newest) {
  if (newest.point.seq == 1) return {};
  const Result<ChainLink> parent = FetchLinkAt(newest.point.seq - 1);
  if (!parent.has_value() && parent.error().code == ErrorCode::kUnavailable) {
    return Fail(parent.error());
  }
  if (!parent.has_value()) {
    LOG(kWarning, What(), " ", newest.point.seq - 1, ": ", parent.error().message);
    return {};
  }
  if (parent->hash == newest.catalog.parent) return {};
  return Fail(ForkError(What(), Concat(newest.point.seq, " is offered over another ",
                                       newest.point.seq - 1, " than it was made for")));
}

Status CatalogChain::Hold(const Offered& newest) {
  RETURN_IF_ERROR(HoldAgainstSeen(What(), trust_.catalog(), newest.point, newest.catalog.parent,
                                  [&](std::uint64_t seq) { return FetchLinkAt(seq); }));
  if (newest.point == Current().point) return {};
  return HoldParent(newest);
}

Result<std::optional<CatalogChain::Offered>> CatalogChain::Look() {
  Offered offered;
  const auto open = [&](const ChainObject& object) -> Status {
    ASSIGN_OR_RETURN(offered.catalog, Open(object.point.seq, object.bytes));
    return {};
  };
  const Result<std::optional<ChainObject>> found =
      FetchNewest(store_, prefix_, format::kCatalogBytesMax, trust_.catalog(), open);
  if (!found.has_value() && found.error().code == ErrorCode::kCorruption) {
    ASSIGN_OR_RETURN(const std::optional<WholeBelow> below,
                     FetchWholeBelow(store_, prefix_, format::kCatalogBytesMax, open));
    if (!below.has_value()) return Fail(found.error());
    offered.point = below->object.point;
    offered.doubt = DamagedNewestError(What(), below->damaged, offered.point.seq,
                                       format::ChainName(prefix_, below->damaged), "");
    return std::optional(std::move(offered));
  }
  if (!found.has_value()) return Fail(found.error());
  const std::optional<ChainObject>& newest = *found;
  if (!newest.has_value()) return std::optional<Offered>();
  offered.point = newest->point;
  const Status held = Hold(offered);
  if (!held.has_value() && held.error().code != ErrorCode::kNeedsPerson) return Fail(held.error());
  if (!held.has_value()) offered.doubt = held.error();
  return std::optional(std::move(offered));
}

Status CatalogChain::Refresh() {
  ASSIGN_OR_RETURN(std::optional<Offered> newest, Look());
  if (!newest.has_value()) {
    const format::ChainPoint seen = trust_.catalog();
    if (seen.seq != 0) return Fail(RollbackError(What(), seen.seq, 0));
    return Fail(ErrorCode::kCorruption, Concat(What(), " is missing: half a vault"),
                "bring the objects catalog/… back from a copy of the store");
  }
  if (newest->doubt.has_value()) {
    if (const Status refused = sinks_.doubt(*newest->doubt); !refused.has_value()) {
      ASSIGN_OR_RETURN(const bool put_back, PutBack());
      if (put_back) return Refresh();
      return refused;
    }
    const MutexLock lock(mutex_);
    doubted_ = newest->doubt;
  } else {
    RETURN_IF_ERROR(trust_.NoteCatalog(newest->point));
  }
  in_doubt_ = false;
  Adopt({std::move(newest->catalog), newest->point});
  return {};
}

/// Once only, since what it puts back is what was seen: it is no doubt again.
Result<bool> CatalogChain::PutBack() {
  const format::ChainPoint seen = trust_.catalog();
  const MutexLock lock(kept_mutex_);
  const Result<bool> put_back =
      kept_.PutBack({.store = store_,
                     .prefix = prefix_,
                     .size_max = format::kCatalogBytesMax,
                     .object_class = store::ObjectClass::kControl,
                     .open = [this](const ChainObject& object) -> Status {
                       RETURN_IF_ERROR(Open(object.point.seq, object.bytes));
                       return {};
                     }},
                    seen);
  if (!put_back.has_value() && put_back.error().code != ErrorCode::kUnavailable) {
    LOG(kWarning, What(), ": the damaged record ", seen.seq,
        " could not be put back: ", put_back.error().message);
    return false;
  }
  if (put_back.has_value() && *put_back) {
    sinks_.note(Concat("record ", seen.seq,
                       " of the catalog was damaged in the store; it was put back as this machine "
                       "wrote it"));
  }
  return put_back;
}

void CatalogChain::Keep(const State& state, ByteView bytes) {
  const MutexLock lock(kept_mutex_);
  kept_.Keep(state.point.seq, bytes);
}

void CatalogChain::Accept() {
  const MutexLock lock(mutex_);
  doubted_.reset();
}

Status CatalogChain::CheckNotDoubted() const {
  const MutexLock lock(mutex_);
  if (doubted_.has_value()) return Fail(*doubted_);
  return {};
}

Status CatalogChain::Update(const Editor& edit) {
  for (int attempt = 0; attempt < kUpdateAttempts; ++attempt) {
    RETURN_IF_ERROR(CheckNotDoubted());
    const State base = Current();
    State next = base;
    ASSIGN_OR_RETURN(const Edit made, edit(next.catalog));
    if (made == Edit::kNothingToDo) return {};
    if (next.catalog.features.read_only_compatible != 0) {
      return Fail(ErrorCode::kUnsupported,
                  Concat("NEWER-FORMAT: ", What(), " can be read but not changed by this version"),
                  "install a newer coffer");
    }
    next.catalog.vault = keys_.vault();
    next.catalog.seq = base.point.seq + 1;
    next.catalog.parent = base.point.hash;
    next.catalog.host = host_.id;
    next.catalog.host_name = env_.host_name.substr(0, format::kHostNameBytesMax);
    next.catalog.created_unix = env_.clock.WallNow();
    const KeyChest::Epoch& keys = keys_.current();
    const Bytes bytes =
        SealRecord({format::SealedKind::kCatalog, keys_.vault(), {}, next.catalog.seq}, keys.epoch,
                   keys.catalog, format::Encode(next.catalog), env_.random);
    if (bytes.size() > format::kCatalogBytesMax) {
      return Fail(ErrorCode::kUnsupported,
                  Concat(What(), " would have ", bytes.size(), " bytes, more than the ",
                         format::kCatalogBytesMax, " that can be read"));
    }
    next.point = {next.catalog.seq, crypto::Sha256(bytes)};
    ASSIGN_OR_RETURN(const Outcome outcome, Create(next, bytes));
    in_doubt_ = false;
    if (outcome == Outcome::kDone) {
      // It stands: whoever asked is told so, whatever this machine's disk says. The next record
      // that is read or made is noted in its place.
      const Status noted = trust_.NoteCatalog(next.point);
      if (!noted.has_value()) LOG(kWarning, What(), ": ", noted.error().message);
      Keep(next, bytes);
      Adopt(std::move(next));
      return {};
    }
    RETURN_IF_ERROR(Refresh());
  }
  return Fail(ErrorCode::kUnavailable, Concat(What(), ": others keep changing it; try again"));
}

Result<CatalogChain::Outcome> CatalogChain::Create(const State& next, ByteView bytes) {
  const std::string name = format::ChainName(prefix_, next.point.seq);
  in_doubt_ = true;
  const Status created = store_.Create(Writing(), name, bytes, store::ObjectClass::kControl);
  COFFER_FAILPOINT("catalog-created");
  if (!created.has_value()) {
    // A lost reply, somebody else's, or a store that failed after it had done it: the bytes tell.
    const Result<ChainObject> standing =
        FetchChainObject(store_, prefix_, next.point.seq, format::kCatalogBytesMax);
    if (!standing.has_value()) {
      // Refused, and not there: nothing has happened.
      if (created.error().code != ErrorCode::kUnavailable &&
          standing.error().code == ErrorCode::kNotFound) {
        in_doubt_ = false;
      }
      return Fail(created.error().code == ErrorCode::kAlreadyExists
                      ? standing.error().Within(What())
                      : WithBytesWanted(created.error().Within(What()), bytes.size()));
    }
    if (standing->point != next.point) return Outcome::kOvertaken;
  }
  return LookAfterCreate(next.point.seq);
}

/// A writer that slept so long that GC took the names it thinks free must not believe its create.
Result<CatalogChain::Outcome> CatalogChain::LookAfterCreate(std::uint64_t seq) {
  ASSIGN_OR_RETURN(const std::optional<ChainTip> tip, FindChainTip(store_, prefix_));
  if (tip.has_value() && tip->seq > seq) return Outcome::kOvertaken;
  if (tip.has_value() && tip->seq == seq && tip->parent_listed) return Outcome::kDone;
  if (writers_ == Writers::kSingle) return Outcome::kDone;
  return Fail(ErrorCode::kUnavailable,
              Concat(What(), ": LIST does not show the record ", seq, " that was just created"));
}

}  // namespace coffer::vault

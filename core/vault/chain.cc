#include "core/vault/chain.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/vault/chain_list.h"
#include "core/vault/person.h"

namespace coffer::vault {
namespace {

constexpr int kFetchAttempts = 3;

/// How many objects at a chain's end may be damaged before it counts as lost.
constexpr std::uint64_t kDamagedStepsMax = 16;

/// The sequence to read: LIST's, or that of the object seen when LIST lags behind it.
Result<std::optional<std::uint64_t>> ProposeNewest(store::ObjectStore& store,
                                                   const std::string& prefix,
                                                   const format::ChainPoint& seen,
                                                   std::uint64_t size_max) {
  ASSIGN_OR_RETURN(const std::optional<ChainTip> tip, FindChainTip(store, prefix));
  const std::uint64_t listed = tip.has_value() ? tip->seq : 0;
  if (listed < seen.seq) {
    const Result<ChainObject> known = FetchChainObject(store, prefix, seen.seq, size_max);
    if (known.has_value() && known->point == seen) {
      LOG(kWarning, store.description(), ": LIST of ", prefix, " shows ", listed,
          " as the newest, but ", seen.seq, " is there");
      return std::optional(seen.seq);
    }
    if (!known.has_value() && known.error().code != ErrorCode::kNotFound) {
      return Fail(known.error());
    }
  }
  return tip.has_value() ? std::optional(listed) : std::nullopt;
}

Error BrokenDescent(std::string_view what, const format::ChainPoint& seen, std::uint64_t offered,
                    std::string_view why) {
  return ForkError(what, Concat(offered, " is offered and does not follow ", seen.seq,
                                ", which this machine has seen: ", why));
}

/// A broken transfer is likelier than a broken object.
template <class Fetch>
auto FetchSurely(const Fetch& fetch) -> decltype(fetch()) {
  for (int attempt = 1;; ++attempt) {
    auto fetched = fetch();
    const bool damaged = !fetched.has_value() && fetched.error().code == ErrorCode::kCorruption;
    if (!damaged || attempt == kFetchAttempts) return fetched;
  }
}

/// Too far to read every link: at least the object seen must stand where it was seen.
Status VerifyAnchor(std::string_view what, const format::ChainPoint& seen, std::uint64_t offered,
                    const FetchLink& fetch) {
  const Result<ChainLink> link = FetchSurely([&] { return fetch(seen.seq); });
  if (!link.has_value()) {
    const bool may_be_gone = offered - seen.seq >= kChainObjectsKept;
    if (link.error().code == ErrorCode::kNotFound && may_be_gone) return {};
    const bool damaged = link.error().code == ErrorCode::kCorruption;
    if (!damaged && link.error().code != ErrorCode::kNotFound) return Fail(link.error());
    return Fail(
        BrokenDescent(what, seen, offered, damaged ? "that one is damaged" : "that one is gone"));
  }
  if (link->hash != seen.hash) {
    return Fail(BrokenDescent(what, seen, offered, "another one stands in its place"));
  }
  return {};
}

Status VerifyDescent(std::string_view what, const format::ChainPoint& seen, std::uint64_t offered,
                     ObjectHash parent, const FetchLink& fetch) {
  for (std::uint64_t seq = offered - 1; seq > seen.seq; --seq) {
    if (offered - seq > kDescentStepsMax) return VerifyAnchor(what, seen, offered, fetch);
    const Result<ChainLink> link = FetchSurely([&] { return fetch(seq); });
    if (!link.has_value()) {
      const bool damaged = link.error().code == ErrorCode::kCorruption;
      if (!damaged && link.error().code != ErrorCode::kNotFound) return Fail(link.error());
      return Fail(BrokenDescent(what, seen, offered,
                                Concat(seq, " between them is ", damaged ? "damaged" : "gone")));
    }
    if (link->hash != parent) {
      return Fail(BrokenDescent(what, seen, offered, Concat(seq, " between them is another one")));
    }
    parent = link->parent;
  }
  if (parent != seen.hash) {
    return Fail(BrokenDescent(what, seen, offered, "it names another parent"));
  }
  return {};
}

}  // namespace

Result<std::optional<ChainTip>> FindChainTip(store::ObjectStore& store, const std::string& prefix) {
  ASSIGN_OR_RETURN(const std::vector<std::uint64_t> sequences, ListChain(store, prefix, 2));
  if (sequences.empty()) return std::optional<ChainTip>();
  const std::uint64_t newest = *std::max_element(sequences.begin(), sequences.end());
  const bool parent_listed =
      newest == 1 || std::find(sequences.begin(), sequences.end(), newest - 1) != sequences.end();
  return std::optional(ChainTip{newest, parent_listed});
}

Result<ChainObject> FetchChainObject(store::ObjectStore& store, const std::string& prefix,
                                     std::uint64_t seq, std::uint64_t size_max) {
  ASSIGN_OR_RETURN(Bytes bytes, store.Get(Reading(), format::ChainName(prefix, seq), size_max));
  const ObjectHash hash = crypto::Sha256(bytes);
  return ChainObject{{seq, hash}, std::move(bytes)};
}

Result<std::optional<ChainObject>> FetchNewest(
    store::ObjectStore& store, const std::string& prefix, std::uint64_t size_max,
    const format::ChainPoint& seen, const std::function<Status(const ChainObject&)>& open) {
  Error problem{ErrorCode::kCorruption, {}};
  for (int attempt = 0; attempt < kFetchAttempts; ++attempt) {
    ASSIGN_OR_RETURN(const std::optional<std::uint64_t> seq,
                     ProposeNewest(store, prefix, seen, size_max));
    if (!seq.has_value()) return std::optional<ChainObject>();
    const std::string name = format::ChainName(prefix, *seq);
    Result<ChainObject> object = FetchChainObject(store, prefix, *seq, size_max);
    if (!object.has_value() && object.error().code == ErrorCode::kNotFound) {
      // Gone between LIST and GET: a newer one may have replaced it (a key header's old one).
      problem = Error{ErrorCode::kCorruption,
                      Concat(store.description(), ": LIST shows ", name, ", but it is not there")};
      continue;
    }
    const Status opened = object.has_value() ? open(*object) : Fail(object.error());
    if (opened.has_value()) return std::optional(std::move(*object));
    if (opened.error().code != ErrorCode::kCorruption) return Fail(opened.error());
    problem = opened.error().Within(Concat(store.description(), ": ", name));
    if (problem.hint.empty()) {
      problem.hint =
          Concat("bring the object ", name, " back from a copy of the store; nothing was changed");
    }
  }
  return Fail(std::move(problem));
}

Result<std::optional<WholeBelow>> FetchWholeBelow(
    store::ObjectStore& store, const std::string& prefix, std::uint64_t size_max,
    const std::function<Status(const ChainObject&)>& open) {
  ASSIGN_OR_RETURN(const std::optional<ChainTip> tip, FindChainTip(store, prefix));
  if (!tip.has_value()) return std::optional<WholeBelow>();
  for (std::uint64_t steps = 1; steps <= kDamagedStepsMax && steps < tip->seq; ++steps) {
    const std::uint64_t seq = tip->seq - steps;
    Result<ChainObject> whole = FetchSurely([&]() -> Result<ChainObject> {
      ASSIGN_OR_RETURN(ChainObject object, FetchChainObject(store, prefix, seq, size_max));
      RETURN_IF_ERROR(open(object));
      return object;
    });
    if (whole.has_value()) return std::optional(WholeBelow{tip->seq, std::move(*whole)});
    if (whole.error().code == ErrorCode::kNotFound) break;
    if (whole.error().code != ErrorCode::kCorruption) return Fail(whole.error());
  }
  return std::optional<WholeBelow>();
}

Status HoldAgainstSeen(std::string_view what, const format::ChainPoint& seen,
                       const format::ChainPoint& offered, const ObjectHash& parent,
                       const FetchLink& fetch) {
  if (seen.seq == 0) return {};
  if (offered.seq < seen.seq) return Fail(RollbackError(what, seen.seq, offered.seq));
  if (offered.seq == seen.seq) {
    if (offered.hash == seen.hash) return {};
    return Fail(ForkError(
        what, Concat("this machine has seen another ", seen.seq, " than the store offers")));
  }
  return VerifyDescent(what, seen, offered.seq, parent, fetch);
}

}  // namespace coffer::vault

// Reading a chain of objects (keys/, catalog/, heads/<volume>/) from a store that may lie: which
// object is the newest, and whether it follows from what this machine has seen.
//
// LIST only proposes. What it offers is believed once it opens under the vault's keys, and held
// against the trust file: a lower sequence is ROLLBACK, another object at a sequence seen is FORK,
// and so is a newer object that does not descend from the one seen. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/format/trust.h"
#include "core/store/object_store.h"

namespace coffer::vault {

/// What LIST (limit 2) shows of a chain. Its order is not relied on.
struct ChainTip {
  std::uint64_t seq;
  bool parent_listed;  // sequence seq - 1 was shown too; always so for the first object
};
/// nullopt for an empty chain; names that no chain has are passed over (ListChain).
Result<std::optional<ChainTip>> FindChainTip(store::ObjectStore& store, const std::string& prefix);

struct ChainObject {
  format::ChainPoint point;
  Bytes bytes;
};
/// One object of a chain, with the hash of what was read.
Result<ChainObject> FetchChainObject(store::ObjectStore& store, const std::string& prefix,
                                     std::uint64_t seq, std::uint64_t size_max);

/// The newest object by one LIST and one GET; nullopt when there is none. `open` decodes it; after
/// kCorruption it is fetched once more, since a broken transfer is likelier than a broken object.
/// When LIST shows less than `seen`, the object seen is asked for by name: a list may lag behind,
/// and only what can't be had any more has been rolled back.
Result<std::optional<ChainObject>> FetchNewest(
    store::ObjectStore& store, const std::string& prefix, std::uint64_t size_max,
    const format::ChainPoint& seen, const std::function<Status(const ChainObject&)>& open);

/// Where the newest object of a chain is damaged (a power cut of the machine that holds the store
/// may empty it): the newest one below it that `open` takes, if it is among the next few. nullopt
/// if there is none. Only for looking on: it is older than what has been there.
struct WholeBelow {
  std::uint64_t damaged;
  ChainObject object;
};
Result<std::optional<WholeBelow>> FetchWholeBelow(
    store::ObjectStore& store, const std::string& prefix, std::uint64_t size_max,
    const std::function<Status(const ChainObject&)>& open);

/// An authentic link of a chain.
struct ChainLink {
  ObjectHash hash;
  ObjectHash parent;
};
using FetchLink = std::function<Result<ChainLink>(std::uint64_t seq)>;

/// How far down VerifyDescent reads link by link. Above that many steps (another machine has
/// written for an hour) it only asks whether the object seen still stands where it was.
inline constexpr std::uint64_t kDescentStepsMax = 64;
/// Objects of a chain that GC always leaves (design.md section 4).
inline constexpr std::uint64_t kChainObjectsKept = 1000;

/// Whether `offered`, whose parent is `parent`, may follow `seen`: ROLLBACK and FORK if not.
/// Fetches nothing unless `offered` is two or more ahead. Null `seen` trusts on first use.
Status HoldAgainstSeen(std::string_view what, const format::ChainPoint& seen,
                       const format::ChainPoint& offered, const ObjectHash& parent,
                       const FetchLink& fetch);

}  // namespace coffer::vault

#include "core/store/webdav_claims.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/base/planted.h"

namespace coffer::store {
namespace {

bool Is(const Status& status, ErrorCode code) {
  return !status.has_value() && status.error().code == code;
}

}  // namespace

Result<WebDavClaims::Claim> WebDavClaims::Take(const RequestContext& context,
                                               const std::string& name) {
  if (std::optional<Claim> kept = TakeKept(name)) return std::move(*kept);
  for (int generation = 0; generation < kClaimGenerationsMax; ++generation) {
    const MonotonicTime before = clock_.Now();
    const std::string path = PathOf(name, generation);
    const Status made = client_.MakeCollection(context, path);
    if (made.has_value() || Planted("claim-nothing")) {
      return Claim{.name = name, .generation = generation, .made = before};
    }
    if (!Is(made, ErrorCode::kAlreadyExists)) return Fail(made.error());
    ASSIGN_OR_RETURN(const bool dead, IsDead(context, path));
    if (!dead) {
      return Fail(ErrorCode::kUnavailable,
                  Concat(name, " is being created by another writer right now"),
                  "this resolves itself; if no other machine uses the store, it does so within "
                  "two minutes");
    }
  }
  return Fail(ErrorCode::kUnavailable,
              Concat("too many writers have died while they created ", name),
              Concat("remove the collection ", directory_, " while nobody uses the store"));
}

std::optional<WebDavClaims::Claim> WebDavClaims::TakeKept(const std::string& name) {
  const MutexLock lock(mutex_);
  const auto found = kept_.find(name);
  if (found == kept_.end()) return std::nullopt;
  const Claim claim = found->second;
  kept_.erase(found);
  if (clock_.Now() - claim.made > kClaimUse) return std::nullopt;
  return claim;
}

Result<bool> WebDavClaims::IsDead(const RequestContext& context, const std::string& path) {
  const auto look = client_.LookAt(context, path);
  const MutexLock lock(mutex_);
  if (!look.has_value()) {
    seen_.erase(path);
    if (look.error().code == ErrorCode::kNotFound) return false;  // settled just now
    return Fail(look.error());
  }
  const Seen now{.modified = look->entry.modified, .since = clock_.Now()};
  auto [seen, first] = seen_.try_emplace(path, now);
  if (!first && seen->second.modified != now.modified) seen->second = now;
  return now.since - seen->second.since >= kClaimDead;
}

void WebDavClaims::Settle(const RequestContext& context, const Claim& claim) {
  for (int generation = 0; generation <= claim.generation; ++generation) {
    Remove(context, PathOf(claim.name, generation));
  }
}

void WebDavClaims::GiveUp(const RequestContext& context, const Claim& claim) {
  Remove(context, PathOf(claim.name, claim.generation));
}

void WebDavClaims::Keep(const Claim& claim) {
  const MutexLock lock(mutex_);
  kept_.insert_or_assign(claim.name, claim);
}

void WebDavClaims::Remove(const RequestContext& context, const std::string& path) {
  {
    const MutexLock lock(mutex_);
    seen_.erase(path);
  }
  // What stays behind is an empty collection where nobody looks.
  const Status removed = client_.Delete(context, Concat(path, "/"));
  if (!removed.has_value() && removed.error().code != ErrorCode::kNotFound) {
    LOG(kDebug, "a claim stays behind: ", removed.error().message);
  }
}

/// No object name has a '~'.
std::string WebDavClaims::PathOf(const std::string& name, int generation) const {
  std::string flat = name;
  std::ranges::replace(flat, '/', '~');
  return Concat(directory_, "/", flat, ".", generation);
}

}  // namespace coffer::store

// Claims: who may create a name that two writers may want at once.
//
// Constraint: a server that keeps "If-None-Match: *" looks when a PUT begins and replaces when its
// body has come. Of two PUTs at once both are told that they created the name, and the last one's
// bytes stay: measured with Apache's mod_dav, 65 of 200 races. Its LOCK lets two in as well (24 of
// 200). MKCOL is mkdir(2): of 200 races one won each time. So a name is claimed by a collection:
//
//   .coffer-tmp/heads~<volume>~<rev>.0     MKCOL: made, then it is ours; there, then another's
//
// The owner PUTs, with the condition as ever, and deletes the claim. Who claims the name later is
// told by the condition that it is taken. A claim whose owner died is passed over by claiming
// ".1", and so on: never by deleting it, since of two that do so the second deletes the first
// one's new claim. No clocks are compared: a claim counts as dead when this process has seen the
// very same one (by the time that the server gives it) for kClaimDead of its own clock, and an
// owner gives up its PUT long before that.
//
// All writers must come over WebDAV: one that works in the server's directory knows no claims.
// Thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/store/webdav_client.h"

namespace coffer::store {

/// From before a claim was made: a PUT begins, ends, and others take the claim for dead.
inline constexpr Duration kClaimUse = std::chrono::seconds(15);
inline constexpr Duration kClaimEnd = std::chrono::seconds(45);
inline constexpr Duration kClaimDead = std::chrono::seconds(75);
/// So many owners of one name may have died.
inline constexpr int kClaimGenerationsMax = 8;

class WebDavClaims {
 public:
  struct Claim {
    std::string name;
    int generation = 0;
    MonotonicTime made;
    [[nodiscard]] MonotonicTime end() const { return made + kClaimEnd; }
  };

  /// Both outlive it. `directory` is where claims lie: "/dav/backups/.coffer-tmp".
  WebDavClaims(WebDavClient& client, Clock& clock, std::string directory)
      : client_(client), clock_(clock), directory_(std::move(directory)) {}

  /// kUnavailable while another has it; kNotFound where `directory` may be missing.
  Result<Claim> Take(const RequestContext& context, const std::string& name);
  /// The name exists: nobody needs claims of it any more.
  void Settle(const RequestContext& context, const Claim& claim);
  /// It is certain that nothing was created.
  void GiveUp(const RequestContext& context, const Claim& claim);
  /// It is not: the next Take may go on with this claim.
  void Keep(const Claim& claim);

 private:
  struct Seen {
    std::optional<UnixSeconds> modified;
    MonotonicTime since;
  };

  std::optional<Claim> TakeKept(const std::string& name);
  /// Whether the claim that is there belongs to nobody any more.
  Result<bool> IsDead(const RequestContext& context, const std::string& path);
  [[nodiscard]] std::string PathOf(const std::string& name, int generation) const;
  void Remove(const RequestContext& context, const std::string& path);

  WebDavClient& client_;
  Clock& clock_;
  const std::string directory_;
  Mutex mutex_;
  std::map<std::string, Claim> kept_ GUARDED_BY(mutex_);  // by name
  std::map<std::string, Seen> seen_ GUARDED_BY(mutex_);   // others', by path
};

}  // namespace coffer::store

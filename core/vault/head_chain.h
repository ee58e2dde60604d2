// HeadChain: the sealed chain of one volume's heads, as its writer sees it. The next head can be
// created once: that is the fence between two machines (design.md section 7).
//
// States: fresh -> loaded (newest head known) -> pending (a head is spooled and its create had no
// clear answer) -> loaded; fenced (another writer's head stands where ours should): final. Order in
// Append: seal, spool the exact bytes and fsync them, create, look (LIST limit 2), fsync trust. One
// thread at a time.
#pragma once

#include "core/format/head.h"
#include "core/format/trust.h"
#include "core/vault/vault.h"

namespace coffer::vault {

class HeadChain {
 public:
  struct Newest {
    format::Head head;
    format::ChainPoint point;
    bool ours;  // the very head that this machine wrote last
  };

  HeadChain(Vault& vault, const VolumeId& volume, std::string volume_directory);

  /// Finds the newest head with one LIST and one GET, settles a spooled head left by a crash first
  /// (an own head whose reply was lost counts as written), holds it against the trust file
  /// (kNeedsPerson: ROLLBACK "seen 812, offered 790", FORK) and records it there before returning.
  Result<Newest> Load();

  /// Appends `head`; seq, parent, host, time, minima are filled in here. A barrier head in the way
  /// is taken over (its gc_seen) and the append goes on above it. kNeedsPerson FENCED: another
  /// writer. kUnavailable: nothing is known; call Retry until it says otherwise.
  Result<Newest> Append(format::Head head);
  /// Repeats the spooled bytes. Precondition: pending().
  Result<Newest> Retry();
  [[nodiscard]] bool pending() const;
  /// Reads one head of the chain by sequence (for forks of a fenced tail).
  Result<Newest> ReadAt(std::uint64_t seq);

 private:
  // … (implementer's)
};

}  // namespace coffer::vault

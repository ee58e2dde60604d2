// Replay: which records of the segments found on disk count, and are they all?
//
// Segments follow each other by number. Each holds the sequences from its header's first to where
// the header of a later one begins: a later header cuts whatever earlier segments hold from there
// on (the torn tail of a crashed run, writes whose sync failed and that were written again). Within
// that, replay follows the chain: sequence, tag of the record before, authenticated with both. The
// first thing that does not follow ends it; nothing is ever skipped.
//
// Why that is right after any crash, with sectors of 512 bytes written or not in any combination:
// - What was made durable is there. A segment's header, groups and name become durable together,
//   before anything in it is called so; a header that cuts durable records is never written.
// - What is found was written, in that place. A group's key hangs on its whole header and the tag
//   before it, a record's tag on stream, segment and sequence. In one stream a pair of segment and
//   sequence is sealed once: after a failed write the journal goes on in another segment. Stale
//   bytes of a recycled file belong to another segment or another stream, also when a lost header
//   made a later run use its number again.
// - A header lost while its groups stay: the segment does not exist, the chain ends before it.
//   A header that stays while its groups are lost: it cuts only what was not durable, or nothing.
// - A killed process loses nothing: a new segment's header is written before what goes into it is
//   acknowledged, and where it cuts acknowledged records (a failed sync) it is written last, after
//   the copies of these.
// - Recycling: see journal_segment.h. Remaining segments follow each other, oldest first.
//
// End or damage? A record that is missing is damage if something vouches that it was durable once:
// a later group that was sealed when it was (GroupHeader::not_durable), or the first segment of a
// later stream, which is made after everything before it was made durable. Without a witness it is
// a write that was never promised.
//
// Reads in pieces of 1 MiB; holds one request at a time. One thread, once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/cache/journal.h"
#include "core/cache/journal_loss.h"
#include "core/cache/journal_segment.h"

namespace coffer::cache {

class Replayer {
 public:
  using Sink = std::function<Status(std::span<const RecordPtr> request)>;

  /// `segments` by ascending number. Sets their last_seq and end.
  Replayer(const SecretBytes& journal_key, std::span<const std::shared_ptr<Segment>> segments,
           const format::JournalPosition& covered, const Sink& sink);

  /// Fails if the sink does. Damage is no failure.
  Result<Journal::Recovery> Run();

  // After Run.
  /// Of the last whole request: what the next record follows.
  [[nodiscard]] const format::ChainTag& chain_tag() const { return chain_tag_; }
  /// Up to where records are covered, as far as this journal can tell.
  [[nodiscard]] std::uint64_t covered_seq() const { return covered_seq_; }
  /// Index of the first segment that is out of reach: beyond the break.
  [[nodiscard]] std::size_t unreachable_from() const { return unreachable_from_; }

 private:
  class Reader;
  /// Where and why it does not go on.
  struct Break {
    std::size_t segment;   // index
    std::uint32_t offset;  // in it
    std::string reason;
    bool damaged = false;     // whoever may vouch
    std::uint32_t group = 0;  // offset of the group that it is in, if it is in one
  };
  struct Witness {
    std::uint64_t last_seq = 0;  // the last record that was there once
  };

  [[nodiscard]] std::uint64_t CutOf(std::size_t index) const { return cuts_[index]; }
  [[nodiscard]] std::size_t FirstNeeded() const;
  Result<Break> FollowChain(std::size_t first);
  /// Reads groups until the cut (nullopt) or until they end.
  Result<std::optional<Break>> ReadSegment(std::size_t index);
  Result<std::optional<Break>> ReadGroup(std::size_t index, Reader& reader, std::uint32_t* offset);
  Status Take(const Segment& segment, const RecordPtr& record, ByteView sealed,
              std::uint32_t end_offset);
  /// The chain's place moves on behind the record that was just read.
  void Follow(ByteView sealed);
  [[nodiscard]] std::optional<Witness> FindWitness(const Break& at, std::uint64_t missing);
  void ScanGroups(const Segment& segment, std::uint32_t from, std::uint64_t missing,
                  std::optional<Witness>* witness);
  /// The group at `offset`, whatever came before it, if a record of it opens. Those from `missing`
  /// on go into `loss_`.
  [[nodiscard]] std::optional<format::GroupHeader> AuthenticGroup(const Segment& segment,
                                                                  Reader& reader,
                                                                  std::uint64_t offset,
                                                                  std::uint64_t missing);
  void Conclude(const Break& at);
  [[nodiscard]] std::string DescribeLoss(std::uint64_t missing,
                                         const std::optional<Witness>& witness);

  const SecretBytes& journal_key_;
  const std::span<const std::shared_ptr<Segment>> segments_;
  const Sink& sink_;
  std::uint64_t covered_seq_ = 0;
  bool cover_known_ = false;
  std::vector<std::uint64_t> cuts_;
  std::size_t unreachable_from_ = 0;

  // The place in the chain.
  std::uint64_t next_seq_ = 0;
  format::ChainTag next_tag_{};     // tag of record next_seq_ - 1
  std::vector<RecordPtr> request_;  // so far
  std::uint64_t whole_seq_ = 0;     // last record of the last whole request
  format::ChainTag chain_tag_{};    // its tag
  std::uint32_t whole_end_ = 0;     // its end in its segment
  JournalLoss loss_;
  Journal::Recovery recovery_;
};

}  // namespace coffer::cache

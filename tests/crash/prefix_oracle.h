// PrefixOracle: what a volume may hold after a crash (promises L1 to L3 of the design; faults.md
// O1). Every block written carries its address and the number of its request, so that each block
// says which requests it can have seen; a volume is right if one number fits all blocks.
//
//   PrefixOracle oracle(size);
//   n = oracle.Begin(write);  … the request, with oracle.Content(n, block) …  oracle.Done(n);
//   oracle.Barrier();         // a FLUSH was acknowledged: all that is Done stays for ever
//   … crash, open again …
//   oracle.CheckAfterCrash(volume, Loss::kPower)  // and goes on from what is there
//
// Not thread-safe: one request at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/block/block_device.h"

namespace coffer::crash {

/// What the crash may have taken.
enum class Loss {
  kProcess,  // nothing that was acknowledged
  kPower,    // what was acknowledged after the last barrier
};

/// A write-class request, in blocks of 4096 bytes.
struct Change {
  enum class Kind { kWrite, kZero, kResize };
  Kind kind;
  std::uint64_t first = 0;
  std::uint64_t count = 0;  // of kResize: the volume's new size
};

class PrefixOracle {
 public:
  explicit PrefixOracle(std::uint64_t blocks) : size_(blocks), base_stamps_(blocks) {}

  /// A request goes out. Returns its number, 1 and up.
  std::uint64_t Begin(const Change& change);
  /// It was acknowledged.
  void Done(std::uint64_t number);
  /// It failed, and what runs goes on: it may have happened, whole, or not at all. A few at most.
  void Failed(std::uint64_t number);
  /// Everything acknowledged until now is durable.
  void Barrier() { durable_ = done_; }
  /// Everything up to `number` is.
  void Durable(std::uint64_t number) { durable_ = std::max(durable_, number); }
  /// Everything up to `number` is committed.
  void Committed(std::uint64_t number) { committed_ = std::max(committed_, number); }

  /// The bytes that request `number` writes to `block`: never zeros, different for every pair; one
  /// in two compresses well.
  [[nodiscard]] static Bytes Content(std::uint64_t number, std::uint64_t block);

  /// Empty if `device` holds the requests up to one of those that the loss allows; then that is
  /// what there is from now on, and durable. Else what is wrong, with the requests in question.
  std::string CheckAfterCrash(block::BlockDevice& device, Loss loss);
  /// As above for a volume that another machine opens from the store alone (L4, O2): everything
  /// committed must be there. Changes nothing.
  [[nodiscard]] std::string CheckRemote(block::BlockDevice& device) const;
  /// Without a crash: everything acknowledged must be there. Changes nothing.
  [[nodiscard]] std::string Check(block::BlockDevice& device) const;

  [[nodiscard]] std::uint64_t size() const { return size_; }  // after all requests, blocks
  [[nodiscard]] std::uint64_t issued() const { return base_ + history_.size(); }
  [[nodiscard]] std::uint64_t acknowledged() const { return done_; }

 private:
  /// Who wrote a block last; 0: nobody, zeros.
  using Stamps = std::vector<std::uint64_t>;
  struct Request {
    Change change;
    bool lost = false;       // a crash has taken it, rightly, or it failed and did nothing
    bool uncertain = false;  // it failed: there or not
  };

  [[nodiscard]] static Result<Stamps> ReadStamps(block::BlockDevice& device);
  void Apply(std::uint64_t number, Stamps* stamps) const;
  struct Matched {
    std::uint64_t number;
    std::vector<std::uint64_t> absent;  // of the uncertain requests up to it
  };
  /// The first request from `least` on after which the volume looks like `found`.
  [[nodiscard]] std::optional<Matched> Match(const Stamps& found, std::uint64_t least) const;
  [[nodiscard]] std::optional<Matched> MatchFrom(std::uint64_t number, Stamps stamps,
                                                 const Stamps& found, std::uint64_t least) const;
  [[nodiscard]] std::string Describe(const Stamps& found, std::uint64_t least) const;

  std::uint64_t size_;
  Stamps base_stamps_;
  std::uint64_t base_ = 0;        // requests that are part of `base_stamps_`, all committed
  std::vector<Request> history_;  // requests base_ + 1 …
  std::uint64_t done_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t committed_ = 0;
};

}  // namespace coffer::crash

#include "tests/crash/prefix_oracle.h"

#include <algorithm>
#include <cstring>

#include "core/base/log.h"
#include "tests/support/seeded_random.h"

namespace coffer::crash {
namespace {

using block::kBlockSize;

constexpr char kMagic[8] = {'c', 'o', 'f', 'f', 'e', 'r', 'b', 'k'};
constexpr std::uint64_t kReadBlocks = 64;

struct Stamp {
  char magic[8];
  std::uint64_t number;
  std::uint64_t block;
};

}  // namespace

Bytes PrefixOracle::Content(std::uint64_t number, std::uint64_t block) {
  Bytes bytes(kBlockSize, std::byte{0x5A});
  if ((number + block) % 2 == 0) SeededRandom(number * 1'000'003 + block).Fill(bytes);
  Stamp stamp{{}, number, block};
  std::memcpy(stamp.magic, kMagic, sizeof kMagic);
  // At both ends and in the middle: a torn block shows.
  for (const std::size_t at : {std::size_t{0}, bytes.size() / 2, bytes.size() - sizeof stamp})
    std::memcpy(bytes.data() + at, &stamp, sizeof stamp);
  return bytes;
}

std::uint64_t PrefixOracle::Begin(const Change& change) {
  history_.push_back({change});
  if (change.kind == Change::Kind::kResize) size_ = change.count;
  return issued();
}

void PrefixOracle::Done(std::uint64_t number) { done_ = std::max(done_, number); }

void PrefixOracle::Failed(std::uint64_t number) { history_[number - base_ - 1].uncertain = true; }

void PrefixOracle::Apply(std::uint64_t number, Stamps* stamps) const {
  const Request& request = history_[number - base_ - 1];
  if (request.lost) return;
  const Change& change = request.change;
  if (change.kind == Change::Kind::kResize) {
    stamps->resize(change.count, 0);
    return;
  }
  const std::uint64_t value = change.kind == Change::Kind::kWrite ? number : 0;
  std::fill_n(stamps->begin() + static_cast<std::ptrdiff_t>(change.first), change.count, value);
}

std::optional<PrefixOracle::Matched> PrefixOracle::Match(const Stamps& found,
                                                         std::uint64_t least) const {
  return MatchFrom(base_, base_stamps_, found, least);
}

std::optional<PrefixOracle::Matched> PrefixOracle::MatchFrom(std::uint64_t number, Stamps stamps,
                                                             const Stamps& found,
                                                             std::uint64_t least) const {
  for (;; ++number) {
    if (number >= least && stamps == found) return Matched{number, {}};
    if (number == issued()) return std::nullopt;
    if (history_[number - base_].uncertain && !history_[number - base_].lost) {
      if (auto without = MatchFrom(number + 1, stamps, found, least)) {
        without->absent.push_back(number + 1);
        return without;
      }
    }
    Apply(number + 1, &stamps);
  }
}

Result<PrefixOracle::Stamps> PrefixOracle::ReadStamps(block::BlockDevice& device) {
  Stamps stamps(device.size() / kBlockSize);
  Bytes buffer(kReadBlocks * kBlockSize);
  for (std::uint64_t first = 0; first < stamps.size(); first += kReadBlocks) {
    const std::uint64_t count = std::min(kReadBlocks, stamps.size() - first);
    const MutableByteView bytes = MutableByteView(buffer).first(count * kBlockSize);
    RETURN_IF_ERROR(device.Read(first * kBlockSize, bytes));
    for (std::uint64_t i = 0; i < count; ++i) {
      const ByteView block = bytes.subspan(i * kBlockSize, kBlockSize);
      if (IsZero(block)) continue;
      Stamp stamp;
      std::memcpy(&stamp, block.data(), sizeof stamp);
      if (std::memcmp(stamp.magic, kMagic, sizeof kMagic) != 0 || stamp.block != first + i ||
          stamp.number == 0 || !std::ranges::equal(block, Content(stamp.number, stamp.block))) {
        return Fail(ErrorCode::kCorruption,
                    Concat("block ", first + i, " holds what nobody has written there: stamp ",
                           stamp.number, " of block ", stamp.block));
      }
      stamps[first + i] = stamp.number;
    }
  }
  return stamps;
}

std::string PrefixOracle::Describe(const Stamps& found, std::uint64_t least) const {
  const std::uint64_t newest = found.empty() ? 0 : *std::max_element(found.begin(), found.end());
  std::string text =
      Concat("no state from request ", least, " to ", issued(), " is what is there; newest stamp ",
             newest, ", ", found.size(), " blocks; requests");
  for (std::uint64_t number = std::max(least, base_ + 1); number <= issued(); ++number) {
    const Request& request = history_[number - base_ - 1];
    static constexpr const char* kNames[] = {"write", "zero", "resize"};
    text += Concat(" ", number, ":", kNames[static_cast<int>(request.change.kind)], "(",
                   request.change.first, "+", request.change.count,
                   request.lost ? ", lost before)" : ")");
  }
  // Where it differs from the state that is nearest.
  Stamps stamps = base_stamps_;
  std::size_t nearest_count = found.size() + 1;
  std::string nearest;
  for (std::uint64_t number = base_;; ++number) {
    if (number >= least && stamps.size() == found.size()) {
      std::string differences;
      std::size_t count = 0;
      for (std::size_t block = 0; block < found.size(); ++block) {
        if (found[block] == stamps[block]) continue;
        ++count;
        differences += Concat(" ", block, ":", found[block], "(not ", stamps[block], ")");
      }
      if (count < nearest_count) {
        nearest_count = count;
        nearest = Concat("; nearest is ", number, " but for blocks", differences);
      }
    }
    if (number == issued()) break;
    Apply(number + 1, &stamps);
  }
  return text + nearest;
}

std::string PrefixOracle::CheckAfterCrash(block::BlockDevice& device, Loss loss) {
  const Result<Stamps> found = ReadStamps(device);
  if (!found.has_value()) return found.error().message;
  const std::uint64_t least = loss == Loss::kProcess ? done_ : std::max(durable_, committed_);
  // Later states may look the same: the first is as good, what follows is compared alike.
  const auto match = Match(*found, least);
  if (!match.has_value()) return Describe(*found, least);
  for (std::uint64_t number = match->number + 1; number <= issued(); ++number)
    history_[number - base_ - 1].lost = true;
  for (const std::uint64_t number : match->absent) history_[number - base_ - 1].lost = true;
  for (Request& request : history_) request.uncertain = false;
  size_ = found->size();
  // What has been seen after a crash must not go in the next one.
  done_ = durable_ = match->number;
  while (base_ < committed_) {
    Apply(base_ + 1, &base_stamps_);
    history_.erase(history_.begin());
    ++base_;
  }
  return {};
}

std::string PrefixOracle::CheckRemote(block::BlockDevice& device) const {
  const Result<Stamps> found = ReadStamps(device);
  if (!found.has_value()) return found.error().message;
  return Match(*found, committed_).has_value() ? std::string() : Describe(*found, committed_);
}

std::string PrefixOracle::Check(block::BlockDevice& device) const {
  const Result<Stamps> found = ReadStamps(device);
  if (!found.has_value()) return found.error().message;
  return Match(*found, issued()).has_value() ? std::string() : Describe(*found, issued());
}

}  // namespace coffer::crash

// Random operations on one file against a model, for as long as wanted: what a file system's own
// exercisers (fsx, ltp) do, for a file whose size is fixed.
//
//   exercise_file FILE [--seconds N] [--threads N] [--seed N]
//
// Each thread has a part of the file to itself, in bytes, so that neighbours share a block; it
// reads, writes, punches holes, zeroes, seeks holes and data, syncs, and opens the file again, with
// and without O_DIRECT. What is read must be what was written; where a hole is told, zeros must be.
// At the end the whole file is read through a new descriptor. Prints what was done; exits 1 with
// the operations that touched the place at the first difference.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/byte_model.h"
#include "tests/support/seeded_random.h"

namespace coffer {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kLengthMax = 512u << 10;
constexpr std::size_t kHistory = 20'000;

enum class Kind : std::uint8_t { kRead, kWrite, kWriteDsync, kPunch, kZero, kSync, kSeek, kReopen };
constexpr std::array kKindNames = {"read", "write", "write O_DSYNC", "punch",
                                   "zero", "fsync", "seek",          "reopen"};

struct Operation {
  Kind kind;
  bool direct;
  std::uint64_t offset, length;
};

std::atomic<bool> failed{false};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "exercise_file: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

/// One thread's part of the file, [start, end).
class Exerciser {
 public:
  Exerciser(std::string path, std::uint64_t start, std::uint64_t end, std::uint64_t seed)
      : path_(std::move(path)), start_(start), end_(end), random_(seed), model_(end - start) {
    void* memory = nullptr;
    if (posix_memalign(&memory, kBlock, kLengthMax) != 0) Die("posix_memalign");
    buffer_.reset(static_cast<std::byte*>(memory));
    Open(false);
    for (std::uint64_t at = start_; at < end_;) {
      const std::uint64_t length = std::min(kLengthMax, end_ - at);
      ReadInto(at, length);
      model_.Write(at - start_, {buffer_.get(), length});
      at += length;
    }
  }
  ~Exerciser() { ::close(descriptor_); }
  Exerciser(const Exerciser&) = delete;
  Exerciser& operator=(const Exerciser&) = delete;

  void Run(const std::atomic<bool>& stop) {
    while (!stop && !failed) Step();
  }
  /// The whole part, through a new descriptor.
  void CompareAll() {
    Open(false);
    for (std::uint64_t at = start_; at < end_ && !failed; at += kLengthMax)
      Compare(at, std::min(kLengthMax, end_ - at));
  }
  [[nodiscard]] std::uint64_t count(Kind kind) const {
    return counts_[static_cast<std::size_t>(kind)];
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  void Step() {
    const std::uint64_t dice = random_.Below(1000);
    if (dice < 350) return Do(Kind::kRead);
    if (dice < 700) return Do(Kind::kWrite);
    if (dice < 720) return Do(Kind::kWriteDsync);
    if (dice < 800) return Do(Kind::kPunch);
    if (dice < 880) return Do(Kind::kZero);
    if (dice < 960) return Do(Kind::kSeek);
    if (dice < 990) return Do(Kind::kSync);
    return Do(Kind::kReopen);
  }

  void Do(Kind kind) {
    const auto [offset, length] = Range();
    history_.push_back({kind, direct_, offset, length});
    if (history_.size() > kHistory) history_.pop_front();
    ++counts_[static_cast<std::size_t>(kind)];
    switch (kind) {
      case Kind::kRead:
        return Compare(offset, length);
      case Kind::kWrite:
      case Kind::kWriteDsync:
        return Write(offset, length, kind == Kind::kWriteDsync ? RWF_DSYNC : 0);
      case Kind::kPunch:
        return Clear(offset, length, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
      case Kind::kZero:
        return Clear(offset, length, FALLOC_FL_ZERO_RANGE);
      case Kind::kSync:
        if ((random_.OneIn(2) ? ::fsync(descriptor_) : ::fdatasync(descriptor_)) != 0) Die("fsync");
        return;
      case Kind::kSeek:
        return Seek(offset);
      case Kind::kReopen:
        return Open(random_.OneIn(3));
    }
  }

  /// Mostly small; with O_DIRECT whole blocks, and no block of a neighbour's.
  std::pair<std::uint64_t, std::uint64_t> Range() {
    const std::uint64_t longest = random_.OneIn(8) ? kLengthMax : 4 * kBlock;
    const bool whole_blocks = direct_ || random_.OneIn(2);
    if (!whole_blocks) {
      const std::uint64_t length = 1 + random_.Below(std::min(longest, end_ - start_));
      return {start_ + random_.Below(end_ - start_ - length + 1), length};
    }
    const std::uint64_t first = (start_ + kBlock - 1) / kBlock;
    const std::uint64_t blocks = end_ / kBlock - first;
    const std::uint64_t count = 1 + random_.Below(std::min(longest / kBlock, blocks));
    return {(first + random_.Below(blocks - count + 1)) * kBlock, count * kBlock};
  }

  void Open(bool direct) {
    if (descriptor_ >= 0 && ::close(descriptor_) != 0) Die("close");
    direct_ = direct;
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC | (direct ? O_DIRECT : 0));
    if (descriptor_ < 0) Die("open");
  }

  void ReadInto(std::uint64_t offset, std::uint64_t length) {
    const ssize_t got = ::pread(descriptor_, buffer_.get(), length, static_cast<off_t>(offset));
    if (got != static_cast<ssize_t>(length)) Die("pread");
  }

  void Compare(std::uint64_t offset, std::uint64_t length) {
    ReadInto(offset, length);
    if (const auto at = model_.FirstDifference(offset - start_, {buffer_.get(), length}))
      Report("a byte differs", start_ + *at, buffer_.get()[start_ + *at - offset]);
  }

  void Write(std::uint64_t offset, std::uint64_t length, int flags) {
    random_.Fill({buffer_.get(), length});
    const iovec part{buffer_.get(), length};
    if (::pwritev2(descriptor_, &part, 1, static_cast<off_t>(offset), flags) !=
        static_cast<ssize_t>(length))
      Die("pwritev2");
    model_.Write(offset - start_, {buffer_.get(), length});
  }

  void Clear(std::uint64_t offset, std::uint64_t length, int mode) {
    if (::fallocate(descriptor_, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) != 0)
      Die("fallocate");
    model_.Zero(offset - start_, length);
  }

  /// lseek(2): where a hole is told there are zeros. What lies beyond this part is others'.
  void Seek(std::uint64_t offset) {
    const off_t data = ::lseek(descriptor_, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno != ENXIO) Die("SEEK_DATA");
    const std::uint64_t zeros_end =
        data < 0 ? end_ : std::min(end_, static_cast<std::uint64_t>(data));
    for (std::uint64_t at = offset; at < zeros_end; ++at) {
      if (model_.view()[at - start_] != std::byte{0})
        return Report("SEEK_DATA passed data", at, std::byte{0});
    }
    const off_t hole = ::lseek(descriptor_, static_cast<off_t>(offset), SEEK_HOLE);
    if (hole < 0) Die("SEEK_HOLE");
    const auto at = static_cast<std::uint64_t>(hole);
    if (at < offset) return Report("SEEK_HOLE went back", at, std::byte{0});
    if (at < end_ && model_.view()[at - start_] != std::byte{0})
      return Report("SEEK_HOLE names data", at, std::byte{0});
  }

  void Report(const char* what, std::uint64_t at, std::byte found) {
    if (failed.exchange(true)) return;
    std::fprintf(stderr, "exercise_file: %s at byte %lu: %02x, expected %02x%s; part %lu to %lu\n",
                 what, at, static_cast<unsigned>(found),
                 static_cast<unsigned>(model_.view()[at - start_]), direct_ ? " (O_DIRECT)" : "",
                 start_, end_);
    const std::uint64_t block = at / kBlock * kBlock;
    for (const Operation& operation : history_) {
      if (operation.offset >= block + kBlock || operation.offset + operation.length <= block)
        continue;
      std::fprintf(stderr, "  %s%s %lu+%lu\n", kKindNames[static_cast<std::size_t>(operation.kind)],
                   operation.direct ? " O_DIRECT" : "", operation.offset, operation.length);
    }
  }

  const std::string path_;
  const std::uint64_t start_, end_;
  SeededRandom random_;
  ByteModel model_;
  std::unique_ptr<std::byte, Free> buffer_;
  int descriptor_ = -1;
  bool direct_ = false;
  std::deque<Operation> history_;
  std::array<std::uint64_t, kKindNames.size()> counts_{};
};

int Main(const std::string& path, int seconds, std::uint64_t threads, std::uint64_t seed) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) Die(path);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::unique_ptr<Exerciser>> parts;
  const auto cut = [&](std::uint64_t i) {
    return i == threads ? size : size / threads * i + i * 7;
  };
  for (std::uint64_t i = 0; i < threads; ++i)
    parts.push_back(std::make_unique<Exerciser>(path, cut(i), cut(i + 1), seed + i));
  std::atomic<bool> stop{false};
  std::vector<std::thread> running;
  running.reserve(threads);
  for (auto& part : parts) running.emplace_back([&part, &stop] { part->Run(stop); });
  for (int i = 0; i < seconds * 10 && !failed; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  stop = true;
  for (std::thread& thread : running) thread.join();
  for (auto& part : parts)
    if (!failed) part->CompareAll();
  std::uint64_t total = 0;
  for (std::size_t kind = 0; kind < kKindNames.size(); ++kind) {
    std::uint64_t count = 0;
    for (const auto& part : parts) count += part->count(static_cast<Kind>(kind));
    total += count;
    std::printf("%s\t%lu\n", kKindNames[kind], count);
  }
  if (failed) {
    std::fprintf(stderr, "FAILED (seed %lu)\n", seed);
    return 1;
  }
  if (total == 0) Die("nothing was done");
  std::printf("%lu operations by %lu threads in %d s on %lu MiB: 0 differences\n", total, threads,
              seconds, size >> 20);
  return 0;
}

}  // namespace
}  // namespace coffer

int main(int argc, char** argv) {
  std::string path;
  int seconds = 600;
  std::uint64_t threads = 4;
  std::uint64_t seed = coffer::TestSeed();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--seconds" && i + 1 < argc) {
      seconds = std::atoi(argv[++i]);
    } else if (word == "--threads" && i + 1 < argc) {
      threads = std::strtoull(argv[++i], nullptr, 10);
    } else if (word == "--seed" && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (path.empty() && word[0] != '-') {
      path = word;
    } else {
      path.clear();
      break;
    }
  }
  if (path.empty() || threads == 0) {
    std::fprintf(stderr, "usage: exercise_file FILE [--seconds N] [--threads N] [--seed N]\n");
    return 2;
  }
  return coffer::Main(path, seconds, threads, seed);
}

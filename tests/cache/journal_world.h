// A journal on a faulty file system, and a model of what it must give back: every request that was
// acknowledged, in order, which of them are durable, which attempts failed and may or may not be
// found.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/cache/journal.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_executor.h"

namespace coffer::cache {

struct Request {
  format::RecordKind kind = format::RecordKind::kWrite;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  Bytes data;
  bool operator==(const Request&) const = default;
};

/// Keeps what was published; checks the order.
class RecordingListener final : public JournalListener {
 public:
  void Publish(std::span<const RecordPtr> records) override;
  void Relocate(std::span<const std::pair<RecordPtr, RecordLocation>> moves) override;

  void Expect(std::uint64_t first_seq) { next_seq_ = first_seq; }
  [[nodiscard]] const std::vector<RecordPtr>& records() const { return records_; }
  [[nodiscard]] std::size_t relocated() const { return relocated_; }
  void Forget() { records_.clear(); }

 private:
  std::uint64_t next_seq_ = 1;
  std::vector<RecordPtr> records_;
  std::size_t relocated_ = 0;
};

class JournalWorld {
 public:
  static constexpr const char* kDirectory = "/state/journal";
  static constexpr std::uint64_t kVolumeSize = std::uint64_t{1} << 30;

  explicit JournalWorld(std::uint64_t seed = 1);
  ~JournalWorld();

  /// Opens, replays, holds what comes against the model, starts a stream. An error is that of the
  /// file system; what is wrong is a test failure.
  Status Open();
  void Close() { journal_.reset(); }
  /// The process ends and starts again.
  void Crash();
  void PowerCut(CutMode mode);

  Status Append(const std::vector<Request>& requests);
  Status AppendOne(std::uint64_t blocks);  // random data
  Status Sync();
  /// Everything until now is in a head: the journal may let it go.
  Status Commit();
  /// Reads every record back that is still there.
  void CheckReads();
  void RunTasks() { executor.scheduler().RunUntilIdle(); }

  [[nodiscard]] Request NewRequest(std::uint64_t blocks);  // of any kind
  [[nodiscard]] Request NewWrite(std::uint64_t blocks);
  [[nodiscard]] Journal& journal() { return *journal_; }
  [[nodiscard]] bool open() const { return journal_ != nullptr; }
  [[nodiscard]] const Journal::Recovery& recovery() const { return recovery_; }
  /// Acknowledged and not committed.
  [[nodiscard]] std::size_t waiting() const { return entries_.size() - committed_; }
  [[nodiscard]] std::size_t durable() const { return durable_; }
  [[nodiscard]] std::vector<std::string> SegmentFiles() const;

  SeededRandom seeded;
  FaultyFileSystem fs;
  FakeClock clock;
  SimExecutor executor;
  Random* random = &seeded;
  SecretBytes key;
  Journal::Options options;
  Journal::Identity identity;
  RecordingListener listener;
  /// The next Open may find less than what was durable, if it says so.
  bool damage_expected = false;

 private:
  struct Entry {
    Request request;
    std::uint64_t last_seq;
  };
  struct Failed {
    std::size_t after;  // entries acknowledged before it
    Request request;
  };

  void Compare(const std::vector<Entry>& found);
  [[nodiscard]] bool MayFollow(std::size_t count, const std::vector<Entry>& found) const;
  [[nodiscard]] std::string Context() const;

  std::unique_ptr<Journal> journal_;
  Journal::Recovery recovery_;
  std::vector<Entry> entries_;  // acknowledged
  std::vector<Failed> failed_;
  std::size_t committed_ = 0;  // of the entries
  std::size_t durable_ = 0;
  std::size_t acknowledged_ = 0;  // what a killed process must leave
  bool power_was_cut_ = false;
  format::JournalPosition covered_;
};

}  // namespace coffer::cache

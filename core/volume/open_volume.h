// OpenVolume: the one Volume there is. Its parts, bottom to top: lock file, head chain, live map,
// journal, write gate, syncer.
#pragma once

#include <atomic>
#include <memory>

#include "core/cache/journal.h"
#include "core/vault/head_chain.h"
#include "core/volume/damage.h"
#include "core/volume/live_map.h"
#include "core/volume/read_ahead.h"
#include "core/volume/syncer.h"
#include "core/volume/tail_forks.h"
#include "core/volume/volume.h"
#include "core/volume/write_gate.h"

namespace coffer::volume {

class OpenVolume final : public Volume {
 public:
  /// Volume::Open.
  static Result<std::unique_ptr<OpenVolume>> Open(VaultResources& resources, const VolumeId& id,
                                                  const OpenOptions& options);
  ~OpenVolume() override;

  [[nodiscard]] std::uint64_t size() const override;
  [[nodiscard]] bool read_only() const override { return read_only_; }
  [[nodiscard]] std::uint32_t preferred_io_size() const override { return chunk_size_; }
  Status Read(std::uint64_t offset, MutableByteView out) override;
  Status Write(std::uint64_t offset, ByteView data, block::WriteFlag flag) override;
  Status Flush() override;
  Status Trim(std::uint64_t offset, std::uint64_t length, block::WriteFlag flag) override;
  Status WriteZeroes(std::uint64_t offset, std::uint64_t length, block::ZeroFlag flag) override;
  Result<std::vector<block::Extent>> Extents(std::uint64_t offset, std::uint64_t length,
                                             std::size_t count_max) override;
  std::optional<Status> TryRead(std::uint64_t offset, MutableByteView out) override;
  std::optional<Status> TryWrite(std::span<const WriteRequest> requests) override;

  Status Resize(std::uint64_t size, Tail tail) override;
  Status Sync(const SyncProgress& progress) override;
  void SetFlushes(Flushes flushes) override;
  void RefuseWaits() override;
  void SetUploads(Uploads uploads) override;
  void Retune(const Settings& settings) override;
  Status Close(CloseMode mode, const SyncProgress& progress) override;
  [[nodiscard]] VolumeStatus status() const override;

  /// Writes one request of another volume's journal, as it was. Nobody else may be writing.
  Status Replay(std::span<const cache::RecordPtr> request);

 private:
  /// How often what is to be at hand is looked for again before somebody waits for it.
  static constexpr int kWarmAttemptsMax = 8;

  OpenVolume(VaultResources& resources, const OpenOptions& options)
      : resources_(resources),
        settings_(options.settings),
        tuned_(options.settings),
        read_only_(options.read_only),
        gate_(resources.vault().env().sync_executor) {}

  Status Start(const VolumeId& id, const OpenOptions& options);
  Status LoadDeltas(const format::MapRoot& root);
  Result<format::Delta> ReadDelta(const format::FrameRef& frame);
  Status MakeJournalDirectory();
  Result<bool> JournalKnows(const vault::HeadChain::Newest& newest);
  Result<bool> TailIsLost(const vault::HeadChain::Newest& newest);
  Status ForkTails(bool tail_is_lost, TailForks::Baseless baseless, const Error& fenced);
  Status ForkJournal(const Error& fenced);
  Status ReplayJournal(const vault::HeadChain::Newest& newest, const OpenOptions& options);

  [[nodiscard]] Status CheckRange(std::uint64_t offset, std::uint64_t length) const;
  [[nodiscard]] Status CheckWritable(std::uint64_t offset, std::uint64_t length) const;
  [[nodiscard]] static Status CheckRangeOf(std::uint64_t size, std::uint64_t offset,
                                           std::uint64_t length);
  void FetchAhead(std::uint64_t offset, std::uint64_t length);
  /// What no generation holds of a range.
  Status ReadCommitted(const Look& look, std::uint64_t offset, MutableByteView out);
  Status ReadCommittedAgain(std::uint64_t offset, std::uint64_t length);
  void FillNeeds(VolumeStatus* status) const;
  Status ReadAgain(std::uint64_t offset, MutableByteView out, Error first_error);
  Status WritePartial(std::uint64_t offset, ByteView data);
  Status AppendPartial(std::uint64_t offset, ByteView data);
  Status Zero(std::uint64_t offset, std::uint64_t length);
  Status ZeroBlocks(std::uint64_t start, std::uint64_t end);
  Status Append(std::span<const cache::Journal::Operation> operations);
  /// Of writes; as Journal::TryAppend.
  std::optional<Status> TryAppend(std::span<const cache::Journal::Operation> operations);
  void NoteRequest(std::uint64_t bytes);
  [[nodiscard]] bool HasRoom(std::uint64_t bytes) const;
  [[nodiscard]] Settings Tuned() const;
  void MeasureDisk();
  Status AppendWithRoom(std::uint64_t bytes, const std::function<Status()>& append);
  Status AppendShared(const cache::Journal::Operation& operation);
  Status MakeDurable();
  Status ReadOnce(std::uint64_t offset, MutableByteView out);
  Result<std::vector<block::Extent>> ExtentsOnce(std::uint64_t offset, std::uint64_t length,
                                                 std::size_t count_max);
  /// Asks again while the store is away: an error would be taken for a broken disk.
  template <class Ask>
  auto WithStore(const Ask& ask) -> decltype(ask());
  Status AwaitStore(Duration pause, std::optional<Duration>& left, const Error& away);

  VaultResources& resources_;
  const Settings settings_;  // as it was opened
  mutable Mutex tuned_mutex_;
  Settings tuned_ GUARDED_BY(tuned_mutex_);  // as they are now
  const bool read_only_;
  bool closed_ = false;
  std::atomic<std::uint64_t> journal_bytes_max_{0};  // settings_, or what the disk allows
  std::uint64_t segment_bytes_ = 0;
  std::uint64_t piece_bytes_ = 0;  // larger writes are several requests
  std::atomic<int> writers_waiting_{0};
  std::atomic<bool> disk_full_{false};  // when a writer looked last
  std::optional<Error> doubt_;  // what speaks against the head that is shown; only when read-only
  std::atomic<bool> tail_forked_ = false;  // at Close: nothing is left in the journal
  VolumeId id_;
  std::string directory_;  // its own, in the state directory
  std::uint32_t chunk_size_ = 0;
  std::uint64_t head_seq_ = 0;
  std::size_t deltas_lost_ = 0;  // of the head at open, up to the last that cannot be read
  std::atomic<format::Durability> durability_{format::Durability::kLocal};
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<vault::HeadChain> chain_;
  std::unique_ptr<TailForks> tails_;
  std::unique_ptr<Reserve> reserve_;
  std::unique_ptr<LiveMap> live_;
  std::unique_ptr<pack::DedupIndex> own_dedup_;  // dedup = volume
  mutable Mutex journal_gone_mutex_;             // status() looks at it while Close lets go of it
  std::unique_ptr<cache::Journal> journal_;
  WriteGate gate_;
  mutable Mutex away_mutex_;
  CondVar away_changed_;
  bool refusing_ GUARDED_BY(away_mutex_) = false;  // waits for the store
  int readers_waiting_ GUARDED_BY(away_mutex_) = 0;
  Error away_ GUARDED_BY(away_mutex_){ErrorCode::kUnavailable, {}, {}};  // that they met last
  std::unique_ptr<Damage> damage_;    // its look again uses what is above
  std::unique_ptr<Syncer> syncer_;    // null when read-only
  std::unique_ptr<ReadAhead> ahead_;  // last: its tasks use the others
};

}  // namespace coffer::volume

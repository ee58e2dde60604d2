// Volume: one open volume, a BlockDevice. It owns the way of a write (journal, dirty maps), of a
// read (dirty maps, decoded frames, store) and of a sync (generations, packs, delta, head).
//
// States: open -> failed-read-only (the journal failed: writes and flushes give its error, reads go
// on)
//         open -> fenced (another writer's head: writes go on into the journal, syncs give FENCED;
//         Close, or the next Open, makes what is in the journal a volume of its own)
//         any  -> closed (Close; every call fails afterwards).
// Thread-safe. Blocking calls wait through the sync executor's Await.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/block/block_device.h"
#include "core/cache/frame_cache.h"
#include "core/vault/vault.h"
#include "core/volume/settings.h"
#include "core/volume/status.h"
#include "core/volume/vault_resources.h"

namespace coffer::volume {

/// Bytes of the journal read again so far, and at most in all.
using ReplayProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

/// Whether what is written is uploaded by itself.
enum class Uploads {
  kGoOn,
  kPaused,  // only what somebody waits for: Sync, Close, and a FLUSH that means the store
};

struct OpenOptions {
  bool read_only = false;
  bool take_over = false;  // go on from a head that another machine has not released
  /// Go on with what precedes the damage of a damaged journal; the damaged files are kept aside.
  bool accept_damage = false;
  Settings settings = {};
  Uploads uploads = Uploads::kGoOn;
  ReplayProgress replay_progress = {};
};

/// Bytes of dirty data committed so far and in all, of what the sync is to cover.
using SyncProgress = std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>;

enum class CloseMode {
  kUpload,          // commit everything, fold, release the head
  kLeaveInJournal,  // make the journal durable and go; the next open on this machine goes on
};

class Volume : public block::BlockDevice {
 public:
  /// Opens `id` for reading and, unless told otherwise, writing: newest head, journal replay, a new
  /// stream. `resources` outlives the volume. kConflict: the head is another machine's and not
  /// released (take_over), or the volume is open already; kNeedsPerson as in vault::HeadChain,
  /// FENCED once when what this machine had not uploaded has just become a volume of its own, and
  /// DAMAGED-JOURNAL (accept_damage).
  static Result<std::unique_ptr<Volume>> Open(VaultResources& resources, const VolumeId& id,
                                              const OpenOptions& options);

  enum class Tail {
    kKeep,     // a smaller size is refused
    kDiscard,  // what lies beyond the new end is gone, also after growing back
  };
  /// Changes the size, in order with the writes: those before it and inside stay, none lies beyond.
  /// On success the new size is durable here and its upload has begun. kInvalidArgument for a size
  /// that cannot be, and for a smaller one unless its tail may go.
  virtual Status Resize(std::uint64_t size, Tail tail) = 0;
  /// Returns when a head covers every write acknowledged before the call. Fails at the first error
  /// that the sync meets (the data stay in the journal and the volume goes on trying by itself).
  virtual Status Sync(const SyncProgress& progress) = 0;
  /// Whether a FLUSH waits for the store, where that is what durable means; kHere: from now on for
  /// the journal alone, also one that waits. While a volume is being unmounted, whoever closes it
  /// is told what is not uploaded, and a store that is away must not hold up the kernel.
  enum class Flushes { kAsDurable, kHere };
  virtual void SetFlushes(Flushes flushes) = 0;
  /// Writers that wait for room, and whoever waits for the store, fail with kCancelled from now on:
  /// comes before Close, so that everybody leaves.
  virtual void RefuseWaits() = 0;
  /// A commit that is under way ends. While paused, writers at the journal's quota wait.
  virtual void SetUploads(Uploads uploads) = 0;
  /// From now on goes by `settings`, as far as an open volume can (settings.h). A durability that
  /// they leave open stays as it is. Writers that wait already wait as they began.
  virtual void Retune(const Settings& settings) = 0;
  /// No call but status() may be in flight or follow: it tells what is left in the journal. On
  /// failure of kUpload the volume is closed all the same, its data in the journal, or in a volume
  /// of its own that a FENCED error names.
  virtual Status Close(CloseMode mode, const SyncProgress& progress) = 0;
  [[nodiscard]] virtual VolumeStatus status() const = 0;
};

}  // namespace coffer::volume

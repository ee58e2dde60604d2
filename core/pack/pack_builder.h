// PackBuilder: collects compressed frames and turns them into one sealed pack object.
//
// States: collecting data -> arranged (data frames have their places, metadata may follow) ->
// sealed. Data frames come in runs of chunk order; arranging shuffles the runs, so that the order
// of frames says nothing, while a sequential read still finds its neighbours. The pack's id, and
// with it the key, is known only after sealing: until then references carry the null pack id, which
// page and delta encodings write as "this pack". One thread at a time.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/base/executor.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/format/frame_ref.h"
#include "core/pack/frame_codec.h"

namespace coffer::pack {

/// A frame of a sealed pack, as its table has it.
struct PlacedFrame {
  format::FrameType type = format::FrameType::kData;
  std::uint8_t level = 0;  // of a page
  ContentId id;            // content id or page id; null of a delta
  format::FrameRef ref;
};

struct SealedPack {
  PackId id;
  std::uint32_t key_epoch = 0;
  Bytes object;
  bool has_data = false;
  bool has_metadata = false;
  std::vector<PlacedFrame> frames;
};

class PackBuilder {
 public:
  PackBuilder(const VaultId& vault, const vault::KeyChest::Epoch& keys, Random& random)
      : vault_(vault), keys_(keys), random_(random) {}

  /// Adds a data frame; returns its ticket for Ref. `run` groups frames that stay together.
  std::size_t AddData(CompressedFrame frame, std::uint64_t run);
  /// Fixes the places of all data frames; no more may be added.
  void Arrange();
  /// Adds a page or delta behind the data; arranges first if need be. Returns its place.
  format::FrameRef AddMetadata(CompressedFrame frame);
  /// Where a data frame lies, pack id null. REQUIRES: arranged.
  [[nodiscard]] format::FrameRef Ref(std::size_t ticket) const;

  /// Seals everything, then opens every frame again and compares with its check id: a fault of
  /// memory, compressor or cipher stops here (kCorruption), before anything relies on the pack.
  /// The opening is spread over `work`.
  Result<SealedPack> Seal(Executor& work);

  /// Sealed bytes so far, before table and padding.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t frame_count() const { return frames_.size(); }
  [[nodiscard]] bool empty() const { return frames_.empty(); }
  /// True if a frame of `stored_bytes` (unsealed) would pass the limits of one pack.
  [[nodiscard]] bool IsFullFor(std::size_t stored_bytes, std::size_t target_bytes) const;

 private:
  struct Slot {
    CompressedFrame frame;
    std::uint64_t run = 0;
    std::uint32_t number = 0;  // from 1
    std::uint32_t offset = 0;
  };

  void Place(Slot& slot);
  [[nodiscard]] format::FrameRef RefOf(const Slot& slot) const;
  [[nodiscard]] PackId MakeId() const;
  [[nodiscard]] format::FrameContext ContextOf(const Slot& slot, const PackId& id) const;
  Status Verify(const SealedPack& pack, Executor& work) const;
  Status Verify(const SealedPack& pack, std::span<Slot* const> slots) const;

  const VaultId vault_;
  const vault::KeyChest::Epoch& keys_;
  Random& random_;
  std::vector<std::unique_ptr<Slot>> frames_;  // by ticket; metadata after data
  std::vector<Slot*> order_;                   // by place
  bool arranged_ = false;
  std::size_t bytes_ = format::kPackFramesOffset;
  std::uint32_t next_offset_ = format::kPackFramesOffset;
};

}  // namespace coffer::pack

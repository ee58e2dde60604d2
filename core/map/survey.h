// Survey: what one state of a block map is made of, in numbers: for `info` and `delete`. It reads
// every page once, leaves some at a time, and no data. Frames that several chunks share count once.
// Memory: some 100 bytes for each pack and a bit for each frame, so 30 MB for a full 1 TB. One
// thread drives it.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/format/head.h"
#include "core/map/block_map.h"
#include "core/pack/sealed_frames.h"

namespace coffer::map {

struct SurveyNumbers {
  std::uint64_t chunks = 0;          // that are not holes
  std::uint64_t patched_chunks = 0;  // of more than one frame
  std::uint64_t data_bytes = 0;      // of the volume that some frame shows at

  std::uint64_t piece_bytes = 0;  // of the frames that chunks name, each as often as it is named

  std::uint64_t frames = 0;              // of data
  std::uint64_t frame_plain_bytes = 0;   // less than piece_bytes where dedup found the same again
  std::uint64_t frame_stored_bytes = 0;  // compressed, with tags

  std::uint64_t pages = 0;
  std::uint64_t page_stored_bytes = 0;
  std::uint64_t deltas = 0;
  std::uint64_t delta_stored_bytes = 0;

  /// What cannot be read is not in the other numbers: pages, with what lies below them, and deltas,
  /// instead of whose changes what they changed is counted.
  std::uint64_t lost_pages = 0;
  std::uint64_t lost_deltas = 0;
  std::uint64_t lost_bytes_max = 0;  // of the volume, below those pages
  std::string lost_why;              // the first of them

  std::uint64_t packs = 0;
  /// Of those packs whole, with what nothing here refers to any more and padding; a pack is taken
  /// to end behind the last frame that is referred to, so this is the least that it can be.
  std::uint64_t pack_bytes = 0;

  /// Frames, pages and deltas: what has to be kept for this state.
  [[nodiscard]] std::uint64_t stored_bytes() const {
    return frame_stored_bytes + page_stored_bytes + delta_stored_bytes;
  }
};

class Survey {
 public:
  /// Chunks looked at so far, of the volume's.
  using Progress = std::function<void(std::uint64_t done_chunks, std::uint64_t total_chunks)>;

  /// All outlive the survey.
  Survey(PageCache& pages, pack::FrameReader& reader, pack::SealedFrames& frames)
      : pages_(pages), reader_(reader), frames_(frames) {}

  /// Surveys `root`, as a volume of that chunk size shows it. At most once. What is lost or damaged
  /// is counted as such, and all else goes on.
  Status Take(const format::MapRoot& root, std::uint32_t chunk_size, const Progress& progress);
  [[nodiscard]] const SurveyNumbers& numbers() const { return numbers_; }

 private:
  struct PackUse {
    std::vector<bool> frames;      // by number: seen
    std::uint64_t end_offset = 0;  // behind the last of them
  };
  struct Leaf {
    format::PageRef ref;
    std::uint64_t index;
  };

  Status LoadDeltas(const format::MapRoot& root);
  Status WalkInterior(const format::PageRef& ref, std::uint8_t level, std::uint64_t index);
  Status TakeLeaves();
  Result<format::Delta> ReadDelta(const format::FrameRef& frame);
  Status LosePage(const Error& why, std::uint8_t level, std::uint64_t index);
  Result<PagePtr> FetchLeaf(const Leaf& leaf);
  void Report(std::uint64_t chunk) const;
  void TakeLeaf(const format::Page& page);
  void TakeOverlayBetween(std::uint64_t first, std::uint64_t end);
  void TakeChunk(const format::Pieces& pieces);
  void TakePage(const format::PageRef& ref);
  bool SeeFrame(const format::FrameRef& frame);
  void FinishPacks();

  PageCache& pages_;
  pack::FrameReader& reader_;
  pack::SealedFrames& frames_;
  std::uint32_t chunk_size_ = 0;
  std::uint64_t chunk_count_ = 0;
  Progress progress_;
  Overlay overlay_;
  std::vector<Leaf> leaves_;      // still to be fetched, ascending
  std::uint64_t next_chunk_ = 0;  // everything before it is counted
  std::unordered_map<PackId, PackUse, IdHash> packs_;
  SurveyNumbers numbers_;
};

}  // namespace coffer::map

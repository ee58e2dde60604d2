// Upper bounds that every decoder checks before it allocates (docs/FORMAT.md, "Limits").
#pragma once

#include <cstddef>
#include <cstdint>

namespace coffer::format {

inline constexpr std::uint16_t kFormatVersion = 1;

inline constexpr std::uint32_t kBlockBytes = 4096;
inline constexpr std::uint32_t kChunkBytesMin = 16 * 1024;
inline constexpr std::uint32_t kChunkBytesMax = 256 * 1024;
inline constexpr std::uint64_t kVolumeBytesMax = std::uint64_t{16} << 40;

inline constexpr std::size_t kMarkerBytesMax = 4096;
inline constexpr std::size_t kKeyHeaderBytesMax = 1 << 20;
inline constexpr std::size_t kCatalogBytesMax = 64 << 20;
inline constexpr std::size_t kHeadBytesMax = 64 << 20;
inline constexpr std::size_t kPackBytesMax = 40
                                             << 20;  // 16 MiB of frames, one 16 MiB frame, padding
inline constexpr std::size_t kPageBytesMax = 4 << 20;
inline constexpr std::size_t kDeltaBytesMax = 16 << 20;
inline constexpr std::size_t kTrustBytesMax = 16 << 20;

/// No reader believes a longer journal segment (64 MiB is what is written).
inline constexpr std::size_t kJournalSegmentBytesMax = 64 << 20;

inline constexpr std::size_t kKeySlots = 16;
inline constexpr std::size_t kKeyEpochsMax = 4096;
inline constexpr std::size_t kVolumesMax = 65536;
inline constexpr std::size_t kNameBytesMax = 63;
inline constexpr std::size_t kHostNameBytesMax = 255;
inline constexpr std::size_t kLabelBytesMax = 255;
inline constexpr std::size_t kSnapshotsMax = 200000;
/// Folded at 32; beside damage there are some that stay, and more while folds fail.
inline constexpr std::size_t kDeltasMax = 128;
inline constexpr std::size_t kFramesPerPackMax = 65000;
inline constexpr std::size_t kPiecesPerChunkMax = 64;
inline constexpr std::size_t kPageFanOut = 256;
inline constexpr std::uint8_t kPageLevelMax = 3;  // 2^30 chunks need leaves and three levels above
inline constexpr std::size_t kDeltaEntriesMax = 1 << 20;
inline constexpr std::size_t kCondemnedListsMax = 4096;
inline constexpr std::size_t kCondemnedPacksMax = 1 << 20;  // over all lists
inline constexpr std::size_t kExtensionsMax = 64;

/// Feature bits that this version can read (docs/FORMAT.md, "Versions and features").
inline constexpr std::uint64_t kKnownIncompatibleFeatures = 0;

/// Chunk sizes are the powers of two from 16 to 256 KiB.
[[nodiscard]] constexpr bool IsValidChunkSize(std::uint64_t bytes) {
  return bytes >= kChunkBytesMin && bytes <= kChunkBytesMax && (bytes & (bytes - 1)) == 0;
}
/// Sizes of volumes are whole blocks, from one block to 16 TiB.
[[nodiscard]] constexpr bool IsValidVolumeSize(std::uint64_t bytes) {
  return bytes != 0 && bytes <= kVolumeBytesMax && bytes % kBlockBytes == 0;
}

}  // namespace coffer::format

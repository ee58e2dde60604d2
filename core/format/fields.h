// Encodings of the parts that several structures share. Only for this folder.
#pragma once

#include <algorithm>
#include <vector>

#include "core/format/extension.h"
#include "core/format/frame_ref.h"
#include "core/format/trust.h"
#include "core/format/wire.h"

namespace coffer::format {

void WriteFeatures(Writer& out, const Features& features);
[[nodiscard]] Features ReadFeatures(Reader& in);  // unknown incompatible bits are newer

inline constexpr std::size_t kExtensionBytesMin = 3;
void WriteExtensions(Writer& out, const Extensions& extensions);
[[nodiscard]] Extensions ReadExtensions(Reader& in);

void WriteChainPoint(Writer& out, const ChainPoint& point);
[[nodiscard]] ChainPoint ReadChainPoint(Reader& in);

/// Codec numbers share a byte with the kind of piece, so they end at 15.
inline constexpr std::uint8_t kCodecMax = 15;

/// Whether frame, offset and stored length can be those of a frame of `plain_length` bytes.
[[nodiscard]] bool IsPossibleLocation(const FrameRef& ref);

/// A location with its pack in full, as heads have it.
inline constexpr std::size_t kFullFrameRefBytesMin = 32 + 4 + 4 + 1;
void WriteFullFrameRef(Writer& out, const FrameRef& ref);
[[nodiscard]] FrameRef ReadFullFrameRef(Reader& in, std::uint32_t plain_length_max);

/// Whether `values` holds one twice. Their order in the structure is the writer's own.
template <class Value>
[[nodiscard]] bool HasDuplicates(std::vector<Value> values) {
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end()) != values.end();
}

}  // namespace coffer::format

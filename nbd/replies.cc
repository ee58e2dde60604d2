#include "nbd/replies.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/base/check.h"
#include "nbd/wire.h"

namespace coffer::nbd {
namespace {

constexpr std::size_t kHolePayloadBytes = kOffsetBytes + sizeof(std::uint32_t);
// LayOutRead writes a hole's chunk and the next run's header into the place of the hole's zeros.
static_assert(ChunkHeaderBytes(ReplyStyle::kExtended) + kHolePayloadBytes +
                  ReadHeaderBytes(ReplyStyle::kExtended) <=
              kHoleBytesMin);

struct Run {
  std::size_t end;
  bool hole;
};

// The run of data or zeros that begins at `begin`. Borders lie on blocks of the export, for data is
// zeroed and allocated by blocks.
Run NextRun(ByteView data, std::uint64_t offset, std::size_t begin) {
  const auto block_end = [&](std::size_t at) {
    const std::size_t rest =
        kHoleBytesMin - static_cast<std::size_t>((offset + at) % kHoleBytesMin);
    return std::min(data.size(), at + rest);
  };
  const auto zeros_end = [&](std::size_t at) {
    while (at < data.size() && IsZero(data.subspan(at, block_end(at) - at))) at = block_end(at);
    return at;
  };
  std::size_t at = begin;
  while (at < data.size()) {
    const std::size_t zeros = zeros_end(at);
    if (zeros - at >= kHoleBytesMin) {
      return at == begin ? Run{zeros, true} : Run{at, false};
    }
    at = zeros < data.size() ? block_end(zeros) : zeros;
  }
  return {data.size(), false};
}

void StoreChunkHeader(std::byte* out, const ReplyTo& to, std::uint16_t flags, ChunkType type,
                      std::size_t payload_bytes) {
  const bool extended = to.style == ReplyStyle::kExtended;
  StoreBe(out, extended ? kExtendedReplyMagic : kStructuredReplyMagic);
  StoreBe(out + 4, flags);
  StoreBe(out + 6, static_cast<std::uint16_t>(type));
  StoreBe(out + 8, to.cookie);
  if (extended) {
    StoreBe(out + 16, to.offset);
    StoreBe(out + 24, std::uint64_t{payload_bytes});
  } else {
    StoreBe(out + 16, static_cast<std::uint32_t>(payload_bytes));
  }
}

std::byte* Grow(Bytes& out, std::size_t size) {
  out.resize(out.size() + size);
  return out.data() + out.size() - size;
}

// A longer text is cut between two characters of UTF-8.
std::string_view Cut(std::string_view text) {
  if (text.size() <= kErrorTextBytesMax) return text;
  std::size_t end = kErrorTextBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0u) == 0x80u) --end;
  return text.substr(0, end);
}

}  // namespace

std::size_t LayOutRead(MutableByteView reply, const ReplyTo& to, Fragments fragments) {
  std::byte* const start = reply.data();
  if (to.style == ReplyStyle::kSimple) {
    StoreReplyHeader(start, to.cookie, ReplyError::kNone);
    return reply.size();
  }
  const std::size_t header = ChunkHeaderBytes(to.style);
  const ByteView data = reply.subspan(header + kOffsetBytes);
  std::size_t written = 0;
  for (std::size_t at = 0; at < data.size();) {
    Run run = NextRun(data, to.offset, at);
    if (fragments == Fragments::kForbidden && run.end < data.size()) run = {data.size(), false};
    const std::size_t length = run.end - at;
    const std::uint16_t flags = run.end == data.size() ? kChunkDone : std::uint16_t{0};
    std::byte* const out = start + written;
    std::byte* const payload = out + header;
    if (run.hole) {
      StoreChunkHeader(out, to, flags, ChunkType::kOffsetHole, kHolePayloadBytes);
      StoreBe(payload + kOffsetBytes, static_cast<std::uint32_t>(length));
      written += header + kHolePayloadBytes;
    } else {
      // Where a hole came before, downwards: what is laid out is less than what it stands for.
      std::byte* const place = payload + kOffsetBytes;
      if (place != data.data() + at) std::memmove(place, data.data() + at, length);
      StoreChunkHeader(out, to, flags, ChunkType::kOffsetData, kOffsetBytes + length);
      written += header + kOffsetBytes + length;
    }
    StoreBe(payload, to.offset + at);
    at = run.end;
  }
  CHECK(written <= reply.size());
  return written;
}

void StoreDone(std::byte* out, const ReplyTo& to) {
  if (to.style == ReplyStyle::kExtended) {
    StoreChunkHeader(out, to, kChunkDone, ChunkType::kNone, 0);
  } else {
    StoreReplyHeader(out, to.cookie, ReplyError::kNone);
  }
}

void AppendError(Bytes& out, const ReplyTo& to, ReplyError error, std::string_view text,
                 ErrorPlace at) {
  if (to.style == ReplyStyle::kSimple) {
    StoreReplyHeader(Grow(out, kReplyHeaderBytes), to.cookie, error);
    return;
  }
  const std::string_view shown = Cut(text);
  const std::size_t payload = 4 + 2 + shown.size() + (at.known ? kOffsetBytes : 0);
  const std::size_t header = ChunkHeaderBytes(to.style);
  std::byte* place = Grow(out, header + payload);
  StoreChunkHeader(place, to, kChunkDone, at.known ? ChunkType::kErrorOffset : ChunkType::kError,
                   payload);
  place += header;
  StoreBe(place, static_cast<std::uint32_t>(error));
  StoreBe(place + 4, static_cast<std::uint16_t>(shown.size()));
  if (!shown.empty()) std::memcpy(place + 6, shown.data(), shown.size());
  if (at.known) StoreBe(place + 6 + shown.size(), at.offset);
}

void AppendStatusChunk(Bytes& out, const ReplyTo& to, std::uint32_t context_id,
                       std::span<const StatusRun> runs, LastChunk last) {
  const bool extended = to.style == ReplyStyle::kExtended;
  const std::size_t fixed = extended ? 8 : 4;
  const std::size_t each = extended ? 16 : 8;
  const std::size_t payload = fixed + each * runs.size();
  const std::size_t header = ChunkHeaderBytes(to.style);
  std::byte* place = Grow(out, header + payload);
  StoreChunkHeader(place, to, last == LastChunk::kYes ? kChunkDone : std::uint16_t{0},
                   extended ? ChunkType::kBlockStatusExtended : ChunkType::kBlockStatus, payload);
  place += header;
  StoreBe(place, context_id);
  if (extended) StoreBe(place + 4, static_cast<std::uint32_t>(runs.size()));
  place += fixed;
  for (const StatusRun& run : runs) {
    if (extended) {
      StoreBe(place, run.length);
      StoreBe(place + 8, std::uint64_t{run.flags});
    } else {
      CHECK(run.length <= std::numeric_limits<std::uint32_t>::max());
      StoreBe(place, static_cast<std::uint32_t>(run.length));
      StoreBe(place + 4, run.flags);
    }
    place += each;
  }
}

}  // namespace coffer::nbd

#include "nbd/replies.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "nbd/wire.h"

namespace coffer::nbd {
namespace {

constexpr std::size_t kHoleChunkBytes = kChunkHeaderBytes + kOffsetBytes + sizeof(std::uint32_t);
// LayOutRead writes a hole's chunk and the next run's header into the place of the hole's zeros.
static_assert(kHoleChunkBytes + kChunkHeaderBytes + kOffsetBytes <= kHoleBytesMin);

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

void StoreChunkHeader(std::byte* out, std::uint16_t flags, ChunkType type, std::uint64_t cookie,
                      std::size_t payload_bytes) {
  StoreBe(out, kStructuredReplyMagic);
  StoreBe(out + 4, flags);
  StoreBe(out + 6, static_cast<std::uint16_t>(type));
  StoreBe(out + 8, cookie);
  StoreBe(out + 16, static_cast<std::uint32_t>(payload_bytes));
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

std::size_t LayOutRead(MutableByteView reply, ReplyStyle style, std::uint64_t cookie,
                       std::uint64_t offset, Fragments fragments) {
  std::byte* const start = reply.data();
  if (style == ReplyStyle::kSimple) {
    StoreReplyHeader(start, cookie, ReplyError::kNone);
    return reply.size();
  }
  const ByteView data = reply.subspan(ReadHeaderBytes(style));
  std::size_t written = 0;
  for (std::size_t at = 0; at < data.size();) {
    Run run = NextRun(data, offset, at);
    if (fragments == Fragments::kForbidden && run.end < data.size()) run = {data.size(), false};
    const std::size_t length = run.end - at;
    const std::uint16_t flags = run.end == data.size() ? kChunkDone : std::uint16_t{0};
    std::byte* const out = start + written;
    if (run.hole) {
      StoreChunkHeader(out, flags, ChunkType::kOffsetHole, cookie,
                       kHoleChunkBytes - kChunkHeaderBytes);
      StoreBe(out + kChunkHeaderBytes, offset + at);
      StoreBe(out + kChunkHeaderBytes + kOffsetBytes, static_cast<std::uint32_t>(length));
      written += kHoleChunkBytes;
    } else {
      // Where a hole came before, downwards: what is laid out is less than what it stands for.
      std::byte* const to = out + ReadHeaderBytes(style);
      if (to != data.data() + at) std::memmove(to, data.data() + at, length);
      StoreChunkHeader(out, flags, ChunkType::kOffsetData, cookie, kOffsetBytes + length);
      StoreBe(out + kChunkHeaderBytes, offset + at);
      written += kChunkHeaderBytes + kOffsetBytes + length;
    }
    at = run.end;
  }
  CHECK(written <= reply.size());
  return written;
}

void AppendErrorChunk(Bytes& out, std::uint64_t cookie, ReplyError error, std::string_view text,
                      ErrorPlace at) {
  const std::string_view shown = Cut(text);
  const std::size_t payload = 4 + 2 + shown.size() + (at.known ? kOffsetBytes : 0);
  std::byte* to = Grow(out, kChunkHeaderBytes + payload);
  StoreChunkHeader(to, kChunkDone, at.known ? ChunkType::kErrorOffset : ChunkType::kError, cookie,
                   payload);
  to += kChunkHeaderBytes;
  StoreBe(to, static_cast<std::uint32_t>(error));
  StoreBe(to + 4, static_cast<std::uint16_t>(shown.size()));
  if (!shown.empty()) std::memcpy(to + 6, shown.data(), shown.size());
  if (at.known) StoreBe(to + 6 + shown.size(), at.offset);
}

void AppendStatusChunk(Bytes& out, std::uint64_t cookie, std::uint32_t context_id,
                       std::span<const StatusRun> runs, LastChunk last) {
  const std::size_t payload = 4 + 8 * runs.size();
  std::byte* to = Grow(out, kChunkHeaderBytes + payload);
  StoreChunkHeader(to, last == LastChunk::kYes ? kChunkDone : std::uint16_t{0},
                   ChunkType::kBlockStatus, cookie, payload);
  StoreBe(to + kChunkHeaderBytes, context_id);
  to += kChunkHeaderBytes + 4;
  for (const StatusRun& run : runs) {
    StoreBe(to, run.length);
    StoreBe(to + 4, run.flags);
    to += 8;
  }
}

}  // namespace coffer::nbd

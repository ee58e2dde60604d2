// Replies of the transmission phase as bytes: simple ones, and those that come in chunks, behind
// structured or extended headers ("Structured reply chunk message", "Extended reply chunk message",
// "Structured reply types"). Pure; any thread.
//
// Which is used when: a client that asked for neither gets simple replies only. One with structured
// replies gets chunks for what has a payload (reads, block status) and for errors, which then carry
// a text; a bare success stays a simple reply, the shorter of the two that are allowed. One with
// extended headers gets extended chunks for everything.
//
// Holes in reads are found by looking at the bytes just read, not by asking the device: that costs
// next to nothing where there is data (the first word of a block tells), needs neither disk nor
// wait, so that hot reads stay in place, and cannot contradict what was read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/bytes.h"
#include "nbd/protocol.h"

namespace coffer::nbd {

enum class ReplyStyle { kSimple, kStructured, kExtended };

/// Whom a reply answers, and how: what each of its headers repeats.
struct ReplyTo {
  ReplyStyle style;
  std::uint64_t cookie;
  std::uint64_t offset;  // of the request
};

/// Whether a read may be answered in several chunks (without NBD_CMD_FLAG_DF).
enum class Fragments { kAllowed, kForbidden };

[[nodiscard]] constexpr Fragments FragmentsOf(std::uint16_t command_flags) {
  return command_flags & kCommandDontFragment ? Fragments::kForbidden : Fragments::kAllowed;
}

[[nodiscard]] constexpr std::size_t ChunkHeaderBytes(ReplyStyle style) {
  return style == ReplyStyle::kExtended ? kExtendedChunkHeaderBytes : kChunkHeaderBytes;
}

/// Bytes of header that stand before a read's data.
[[nodiscard]] constexpr std::size_t ReadHeaderBytes(ReplyStyle style) {
  return style == ReplyStyle::kSimple ? kReplyHeaderBytes : ChunkHeaderBytes(style) + kOffsetBytes;
}

/// Size of a bare success: AppendDone's.
[[nodiscard]] constexpr std::size_t DoneBytes(ReplyStyle style) {
  return style == ReplyStyle::kExtended ? kExtendedChunkHeaderBytes : kReplyHeaderBytes;
}

/// Shorter runs of zeros inside a read are sent as data: a chunk costs the client more than they.
inline constexpr std::size_t kHoleBytesMin = 4096;
/// A message in an error chunk is cut to this.
inline constexpr std::size_t kErrorTextBytesMax = 512;

/// Turns `reply`, ReadHeaderBytes() of room and then the data read at the request's offset, into
/// the reply as it is sent; returns its size, never more than reply's: holes take less than what
/// they stand for.
[[nodiscard]] std::size_t LayOutRead(MutableByteView reply, const ReplyTo& to, Fragments fragments);

/// A whole reply that says that the request succeeded, and no more, into DoneBytes() at `out`.
void StoreDone(std::byte* out, const ReplyTo& to);

/// A whole error reply; in a chunk it has words. `at`: where in the export the error is, of a read.
struct ErrorPlace {
  bool known;
  std::uint64_t offset;
};
void AppendError(Bytes& out, const ReplyTo& to, ReplyError error, std::string_view text,
                 ErrorPlace at);

/// One run of a metadata context, as BLOCK_STATUS tells it.
struct StatusRun {
  std::uint64_t length;  // without extended headers, of 32 bits
  std::uint32_t flags;
};
enum class LastChunk { kNo, kYes };
/// REQUIRES: runs is not empty; the style has chunks.
void AppendStatusChunk(Bytes& out, const ReplyTo& to, std::uint32_t context_id,
                       std::span<const StatusRun> runs, LastChunk last);

}  // namespace coffer::nbd

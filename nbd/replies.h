// Replies of the transmission phase as bytes: simple ones, and structured ones, which come in
// chunks ("Structured reply chunk message", "Structured reply types"). Pure; any thread.
//
// Which is used when: a client that did not ask for structured replies gets simple ones only. One
// that did gets chunks for what has a payload (reads, block status) and for errors, which then
// carry a text; a bare success stays a simple reply, the shorter of the two that are allowed.
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

enum class ReplyStyle { kSimple, kStructured };

/// Whether a read may be answered in several chunks (without NBD_CMD_FLAG_DF).
enum class Fragments { kAllowed, kForbidden };

[[nodiscard]] constexpr Fragments FragmentsOf(std::uint16_t command_flags) {
  return command_flags & kCommandDontFragment ? Fragments::kForbidden : Fragments::kAllowed;
}

/// Bytes of header that stand before a read's data.
[[nodiscard]] constexpr std::size_t ReadHeaderBytes(ReplyStyle style) {
  return style == ReplyStyle::kSimple ? kReplyHeaderBytes : kChunkHeaderBytes + kOffsetBytes;
}

/// Shorter runs of zeros inside a read are sent as data: a chunk costs the client more than they.
inline constexpr std::size_t kHoleBytesMin = 4096;
/// A message in an error chunk is cut to this.
inline constexpr std::size_t kErrorTextBytesMax = 512;

/// Turns `reply`, ReadHeaderBytes() of room and then the data read at `offset`, into the reply as
/// it is sent; returns its size, never more than reply's: holes take less than what they stand for.
[[nodiscard]] std::size_t LayOutRead(MutableByteView reply, ReplyStyle style, std::uint64_t cookie,
                                     std::uint64_t offset, Fragments fragments);

/// A whole error reply in one chunk. `at`: where in the export the error is, of a read.
struct ErrorPlace {
  bool known;
  std::uint64_t offset;
};
void AppendErrorChunk(Bytes& out, std::uint64_t cookie, ReplyError error, std::string_view text,
                      ErrorPlace at);

/// One run of a metadata context, as BLOCK_STATUS tells it.
struct StatusRun {
  std::uint32_t length;
  std::uint32_t flags;
};
enum class LastChunk { kNo, kYes };
/// REQUIRES: runs is not empty.
void AppendStatusChunk(Bytes& out, std::uint64_t cookie, std::uint32_t context_id,
                       std::span<const StatusRun> runs, LastChunk last);

}  // namespace coffer::nbd

// The numbers of the NBD protocol, and nothing else:
// https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md; for extended headers, the
// same document on the branch extension-ext-header. Section names of that document stand above each
// group. All integers on the wire are big-endian.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coffer::nbd {

// "Newstyle negotiation" / "Fixed newstyle negotiation".
inline constexpr std::uint64_t kInitMagic = 0x4e42444d41474943;    // "NBDMAGIC"
inline constexpr std::uint64_t kOptionMagic = 0x49484156454f5054;  // "IHAVEOPT"
inline constexpr std::uint64_t kOptionReplyMagic = 0x0003e889045565a9;
inline constexpr std::size_t kGreetingBytes = 18;
inline constexpr std::size_t kClientFlagsBytes = 4;
inline constexpr std::size_t kOptionHeaderBytes = 16;
inline constexpr std::size_t kOptionReplyHeaderBytes = 20;
inline constexpr std::size_t kExportNameZeroes = 124;  // after size and flags, unless NO_ZEROES

// "Handshake flags" and "Client flags".
inline constexpr std::uint16_t kFlagFixedNewstyle = 1 << 0;
inline constexpr std::uint16_t kFlagNoZeroes = 1 << 1;
inline constexpr std::uint32_t kClientFixedNewstyle = 1 << 0;
inline constexpr std::uint32_t kClientNoZeroes = 1 << 1;

// "Transmission flags".
inline constexpr std::uint16_t kHasFlags = 1 << 0;
inline constexpr std::uint16_t kReadOnly = 1 << 1;
inline constexpr std::uint16_t kSendFlush = 1 << 2;
inline constexpr std::uint16_t kSendFua = 1 << 3;
inline constexpr std::uint16_t kSendTrim = 1 << 5;
inline constexpr std::uint16_t kSendWriteZeroes = 1 << 6;
inline constexpr std::uint16_t kSendDf = 1 << 7;
inline constexpr std::uint16_t kCanMultiConn = 1 << 8;
inline constexpr std::uint16_t kSendCache = 1 << 10;
inline constexpr std::uint16_t kSendFastZero = 1 << 11;
inline constexpr std::uint16_t kBlockStatusPayload = 1 << 12;

// "Option types".
enum class Option : std::uint32_t {
  kExportName = 1,
  kAbort = 2,
  kList = 3,
  kStartTls = 5,
  kInfo = 6,
  kGo = 7,
  kStructuredReply = 8,
  kListMetaContext = 9,
  kSetMetaContext = 10,
  kExtendedHeaders = 11,
};

// "Option reply types".
enum class OptionReply : std::uint32_t {
  kAck = 1,
  kServer = 2,
  kInfo = 3,
  kMetaContext = 4,
  kErrorUnsupported = 0x80000001,
  kErrorPolicy = 0x80000002,
  kErrorInvalid = 0x80000003,
  kErrorTlsRequired = 0x80000005,
  kErrorUnknown = 0x80000006,
  kErrorShutdown = 0x80000007,
  kErrorTooBig = 0x80000009,
  kErrorExtendedHeaders = 0x8000000a,
};

// "NBD_OPT_INFO and NBD_OPT_GO": information types.
enum class Info : std::uint16_t {
  kExport = 0,
  kName = 1,
  kDescription = 2,
  kBlockSize = 3,
};

// "Request message" and "Simple reply message".
inline constexpr std::uint32_t kRequestMagic = 0x25609513;
inline constexpr std::uint32_t kExtendedRequestMagic = 0x21e41c71;
inline constexpr std::uint32_t kSimpleReplyMagic = 0x67446698;
inline constexpr std::size_t kRequestHeaderBytes = 28;
inline constexpr std::size_t kExtendedRequestHeaderBytes = 32;
inline constexpr std::size_t kReplyHeaderBytes = 16;

// "Request types".
enum class Command : std::uint16_t {
  kRead = 0,
  kWrite = 1,
  kDisconnect = 2,
  kFlush = 3,
  kTrim = 4,
  kCache = 5,
  kWriteZeroes = 6,
  kBlockStatus = 7,
  kResize = 8,
};

/// Changes what the device holds.
[[nodiscard]] constexpr bool IsWriteClass(Command command) {
  return command == Command::kWrite || command == Command::kTrim ||
         command == Command::kWriteZeroes;
}

// "Command flags".
inline constexpr std::uint16_t kCommandFua = 1 << 0;
inline constexpr std::uint16_t kCommandNoHole = 1 << 1;
inline constexpr std::uint16_t kCommandDontFragment = 1 << 2;
inline constexpr std::uint16_t kCommandRequireOne = 1 << 3;
inline constexpr std::uint16_t kCommandFastZero = 1 << 4;
inline constexpr std::uint16_t kCommandPayloadLength = 1 << 5;

// "Error values".
enum class ReplyError : std::uint32_t {
  kNone = 0,
  kPerm = 1,
  kIo = 5,
  kNoMem = 12,
  kInval = 22,
  kNoSpc = 28,
  kOverflow = 75,
  kShutdown = 108,
};

// "Structured reply chunk message", "Extended reply chunk message", "Structured and extended header
// reply flags" and "Structured reply types".
inline constexpr std::uint32_t kStructuredReplyMagic = 0x668e33ef;
inline constexpr std::uint32_t kExtendedReplyMagic = 0x6e8a278c;
inline constexpr std::size_t kChunkHeaderBytes = 20;
inline constexpr std::size_t kExtendedChunkHeaderBytes = 32;
inline constexpr std::size_t kOffsetBytes = 8;  // before a read's data and after an error's text
inline constexpr std::uint16_t kChunkDone = 1 << 0;
enum class ChunkType : std::uint16_t {
  kNone = 0,
  kOffsetData = 1,
  kOffsetHole = 2,
  kBlockStatus = 5,
  kBlockStatusExtended = 6,
  kError = 0x8001,
  kErrorOffset = 0x8002,
};

// "Metadata querying": states of base:allocation.
inline constexpr std::uint32_t kStateHole = 1 << 0;
inline constexpr std::uint32_t kStateZero = 1 << 1;

// "Block size constraints": what coffer announces, and "Size limits and alignment": 32 MiB is what
// every client may assume.
inline constexpr std::uint32_t kMinimumBlockBytes = 1;
inline constexpr std::uint32_t kMaximumPayloadBytes = 32u << 20;

}  // namespace coffer::nbd

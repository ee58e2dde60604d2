// What an NBD client sends and how it reads the answers, written from the protocol document and not
// from the server's code: the tests' own half of the conversation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"

namespace coffer::nbd::testing {

inline void Put(Bytes& out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
}
inline void Put(Bytes& out, std::string_view text) {
  out.insert(out.end(), AsBytes(text).begin(), AsBytes(text).end());
}
inline std::uint64_t Get(ByteView in, std::size_t at, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value = value << 8 | static_cast<std::uint64_t>(in[at + static_cast<std::size_t>(i)]);
  }
  return value;
}

inline Bytes Joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

inline constexpr std::uint32_t kExportName = 1, kAbort = 2, kList = 3, kStartTls = 5, kInfo = 6,
                               kGo = 7, kStructuredReply = 8, kListMetaContext = 9,
                               kSetMetaContext = 10, kExtendedHeaders = 11;
inline constexpr std::uint32_t kAck = 1, kServer = 2, kInfoReply = 3, kMetaContextReply = 4;
inline constexpr std::uint32_t kErrUnsup = 0x80000001, kErrPolicy = 0x80000002,
                               kErrInvalid = 0x80000003, kErrTlsRequired = 0x80000005,
                               kErrUnknown = 0x80000006, kErrTooBig = 0x80000009,
                               kErrExtendedHeaders = 0x8000000a;
inline constexpr std::uint16_t kRead = 0, kWrite = 1, kDisc = 2, kFlush = 3, kTrim = 4, kCache = 5,
                               kWriteZeroes = 6, kBlockStatus = 7;
inline constexpr std::uint16_t kFua = 1, kNoHole = 2, kDf = 4, kReqOne = 8, kFastZero = 16,
                               kPayloadLength = 32;
inline constexpr std::uint16_t kNone = 0, kOffsetData = 1, kOffsetHole = 2, kStatusChunk = 5,
                               kStatusExtended = 6, kError = 0x8001, kErrorOffset = 0x8002;
inline constexpr std::uint32_t kEperm = 1, kEio = 5, kEinval = 22, kEnospc = 28, kEoverflow = 75,
                               kEshutdown = 108;
inline constexpr std::size_t kGreeting = 18, kReply = 16;

inline Bytes ClientFlags(std::uint32_t flags = 3) {
  Bytes out;
  Put(out, flags, 4);
  return out;
}

/// `claimed_length` differs from the data's where a lie is wanted.
inline Bytes OptionBytes(std::uint32_t option, std::string_view data,
                         std::uint64_t claimed_length) {
  Bytes out;
  Put(out, "IHAVEOPT");
  Put(out, option, 4);
  Put(out, claimed_length, 4);
  Put(out, data);
  return out;
}
inline Bytes OptionBytes(std::uint32_t option, std::string_view data = {}) {
  return OptionBytes(option, data, data.size());
}

/// INFO or GO for `name`, asking for the information types `wanted`.
inline Bytes AskFor(std::uint32_t option, std::string_view name,
                    const std::vector<std::uint16_t>& wanted = {}) {
  Bytes data;
  Put(data, name.size(), 4);
  Put(data, name);
  Put(data, wanted.size(), 2);
  for (const std::uint16_t type : wanted) Put(data, type, 2);
  return OptionBytes(option, AsText(data));
}

/// LIST or SET_META_CONTEXT for `name`.
inline Bytes AskForContexts(std::uint32_t option, std::string_view name,
                            const std::vector<std::string>& queries) {
  Bytes data;
  Put(data, name.size(), 4);
  Put(data, name);
  Put(data, queries.size(), 4);
  for (const std::string& query : queries) {
    Put(data, query.size(), 4);
    Put(data, query);
  }
  return OptionBytes(option, AsText(data));
}

/// A request's header; `length_bytes` is 4, or 8 with extended headers.
inline Bytes HeaderBytes(std::uint32_t magic, std::uint16_t command, std::uint64_t offset,
                         std::uint64_t length, int length_bytes, std::uint64_t cookie,
                         std::uint16_t flags) {
  Bytes out;
  Put(out, magic, 4);
  Put(out, flags, 2);
  Put(out, command, 2);
  Put(out, cookie, 8);
  Put(out, offset, 8);
  Put(out, length, length_bytes);
  return out;
}
inline Bytes RequestBytes(std::uint16_t command, std::uint64_t offset, std::uint32_t length,
                          std::uint64_t cookie, std::uint16_t flags = 0,
                          std::uint32_t magic = 0x25609513) {
  return HeaderBytes(magic, command, offset, length, 4, cookie, flags);
}
inline Bytes WriteBytes(std::uint64_t offset, std::string_view data, std::uint64_t cookie,
                        std::uint16_t flags = 0) {
  Bytes out = RequestBytes(kWrite, offset, static_cast<std::uint32_t>(data.size()), cookie, flags);
  Put(out, data);
  return out;
}

/// With extended headers.
inline Bytes ExtendedBytes(std::uint16_t command, std::uint64_t offset, std::uint64_t length,
                           std::uint64_t cookie, std::uint16_t flags = 0,
                           std::uint32_t magic = 0x21e41c71) {
  return HeaderBytes(magic, command, offset, length, 8, cookie, flags);
}
inline Bytes ExtendedWrite(std::uint64_t offset, std::string_view data, std::uint64_t cookie,
                           std::uint16_t flags = kPayloadLength) {
  Bytes out = ExtendedBytes(kWrite, offset, data.size(), cookie, flags);
  Put(out, data);
  return out;
}
/// BLOCK_STATUS of some of the contexts.
inline Bytes ExtendedStatus(std::uint64_t offset, std::uint64_t length,
                            const std::vector<std::uint32_t>& ids, std::uint64_t cookie,
                            std::uint16_t flags = kPayloadLength) {
  Bytes out = ExtendedBytes(kBlockStatus, offset, 8 + 4 * ids.size(), cookie, flags);
  Put(out, length, 8);
  for (const std::uint32_t id : ids) Put(out, id, 4);
  return out;
}

struct OptionAnswer {
  std::uint32_t option;
  std::uint32_t type;
  std::string data;
};

/// Splits what the server sent after its greeting.
inline std::vector<OptionAnswer> OptionAnswers(ByteView in) {
  std::vector<OptionAnswer> answers;
  while (in.size() >= 20 && Get(in, 0, 8) == 0x3e889045565a9) {
    const auto length = static_cast<std::size_t>(Get(in, 16, 4));
    answers.push_back({static_cast<std::uint32_t>(Get(in, 8, 4)),
                       static_cast<std::uint32_t>(Get(in, 12, 4)),
                       std::string(AsText(in.subspan(20, length)))});
    in = in.subspan(20 + length);
  }
  return answers;
}

struct Chunk {
  bool done;
  std::uint16_t type;
  std::uint64_t cookie;
  std::string payload;
  std::optional<std::uint64_t> request_offset;  // with extended headers
};

/// The front of `in` as a chunk of a structured reply, taken from it.
inline Chunk TakeChunk(ByteView& in) {
  const auto length = static_cast<std::size_t>(Get(in, 16, 4));
  Chunk chunk{(Get(in, 4, 2) & 1) != 0, static_cast<std::uint16_t>(Get(in, 6, 2)), Get(in, 8, 8),
              std::string(AsText(in.subspan(20, length))), std::nullopt};
  in = in.subspan(20 + length);
  return chunk;
}
inline Chunk TakeExtendedChunk(ByteView& in) {
  const auto length = static_cast<std::size_t>(Get(in, 24, 8));
  Chunk chunk{(Get(in, 4, 2) & 1) != 0, static_cast<std::uint16_t>(Get(in, 6, 2)), Get(in, 8, 8),
              std::string(AsText(in.subspan(32, length))), Get(in, 16, 8)};
  in = in.subspan(32 + length);
  return chunk;
}

}  // namespace coffer::nbd::testing

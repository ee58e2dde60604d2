// RequestParser: the transmission phase of one connection, from bytes to requests that a device may
// be asked, or to refusals. Knows no socket and no device. One thread.
//
// Payloads. A WRITE whose payload lies wholly in the input is handed out as a view of it, uncopied.
// Otherwise the payload gets a buffer of its own, and payload_space() is where the rest of it may
// be received directly.
//
// In step or closed: a refused WRITE's payload is drained, so the next header is where it should
// be. A wrong magic, or a payload longer than is worth draining, is kBroken: nothing after it can
// be understood.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/bytes.h"
#include "nbd/buffer_pool.h"
#include "nbd/protocol.h"

namespace coffer::nbd {

/// A refused WRITE longer than this is not drained but ends the connection.
inline constexpr std::uint32_t kPayloadDrainBytesMax = 64u << 20;

/// In bounds, allowed, complete.
struct Request {
  Command command;
  std::uint16_t flags;
  std::uint64_t cookie;
  std::uint64_t offset;
  std::uint32_t length;
  ByteView payload;  // of a WRITE; in `owned` if that is not empty, else in the input
  Buffer owned;
};

struct Refusal {
  std::uint64_t cookie;
  ReplyError error;
  const char* why;  // for a client whose replies have room for it
};

/// What the export and the negotiation make of requests.
struct RequestRules {
  bool read_only = false;
  bool structured = false;    // DF may be asked for
  bool block_status = false;  // contexts were selected for it
};

class RequestParser {
 public:
  enum class Step {
    kNeedBytes,  // all input is used up
    kRequest,    // request() is to be carried out
    kRefusal,    // refusal() is to be answered
    kDisconnect,
    kBroken,  // close at once; broken_reason() says why
  };

  /// `pool` outlives the parser and its requests.
  RequestParser(BufferPool& pool, RequestRules rules) : pool_(pool), rules_(rules) {}

  /// The device's size may change under a connection; requests are judged by the latest.
  void set_size(std::uint64_t size) { size_ = size; }

  /// Takes bytes from the front of `input` until one request is whole or they are used up.
  Step Advance(ByteView& input);

  /// Until the next Advance; may be moved from.
  [[nodiscard]] Request& request() { return request_; }
  [[nodiscard]] Refusal refusal() const { return {request_.cookie, refusal_.error, refusal_.why}; }
  [[nodiscard]] const std::string& broken_reason() const { return broken_reason_; }

  /// Where the rest of a payload goes; empty when none is under way.
  [[nodiscard]] MutableByteView payload_space();
  /// `count` bytes were put at the front of payload_space(). Advance goes on from there.
  void PayloadReceived(std::size_t count) { payload_have_ += count; }
  /// Memory held for a payload under way.
  [[nodiscard]] std::size_t payload_bytes() const {
    return state_ == State::kPayload ? request_.owned.size() : 0;
  }

 private:
  enum class State { kHeader, kPayload, kDraining, kDisconnected, kBroken };

  Step TakeHeader(const std::byte* bytes, ByteView& input);
  Step TakeWrite(ByteView& input);
  Step TakePayload(ByteView& input);
  Step DrainPayload(ByteView& input);
  struct Verdict {
    ReplyError error = ReplyError::kNone;
    const char* why = "";
  };

  Step Refuse(Verdict verdict, ByteView& input);
  Step Break(std::string reason);
  [[nodiscard]] unsigned AllowedFlags(Command command) const;
  [[nodiscard]] Verdict Judge() const;

  BufferPool& pool_;
  const RequestRules rules_;
  std::uint64_t size_ = 0;
  State state_ = State::kHeader;
  std::array<std::byte, kRequestHeaderBytes> header_;
  std::size_t header_have_ = 0;
  Request request_{};
  Verdict refusal_;
  std::size_t payload_have_ = 0;
  std::uint32_t drain_left_ = 0;
  std::string broken_reason_;
};

}  // namespace coffer::nbd

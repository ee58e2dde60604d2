// RequestParser: the transmission phase of one connection, from bytes to requests that a device may
// be asked, or to refusals. Knows no socket and no device. One thread.
//
// Payloads. One that lies wholly in the input is handed out as a view of it, uncopied. Otherwise it
// gets a buffer of its own, and payload_space() is where the rest of it may be received directly.
// A WRITE has one, as long as its length says. With extended headers a flag says of every other
// command whether the length is the payload's or the effect's: memory is taken for 32 MiB at most,
// and an effect length, which may have 64 bits, sizes nothing.
//
// Generous where nothing is ambiguous. A WRITE needs no PAYLOAD_LEN: the document has it as a MUST,
// but qemu's client (8.2 to 10) never sets it, qemu's server takes that, and a WRITE without data
// has no other meaning. Nor does the flag harm without extended headers. A FLUSH with a range
// flushes all; DF is granted where replies are never fragmented.
//
// In step or closed: a refused request's payload is drained, so the next header is where it should
// be. Nothing after these can be understood, and they are kBroken: a wrong magic (also the one for
// the other kind of header) and a payload longer than is worth draining.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "nbd/buffer_pool.h"
#include "nbd/protocol.h"
#include "nbd/replies.h"

namespace coffer::nbd {

/// A payload longer than this is not drained but ends the connection; with extended headers one
/// longer than kMaximumPayloadBytes does, as "Request message" there wants it.
inline constexpr std::uint32_t kPayloadDrainBytesMax = 64u << 20;

/// In bounds, allowed, complete.
struct Request {
  Command command;
  std::uint16_t flags;
  std::uint64_t cookie;
  std::uint64_t offset;
  std::uint64_t length;    // of a READ or WRITE at most kMaximumPayloadBytes
  std::uint64_t contexts;  // of BLOCK_STATUS: bit i means the i-th selected
  ByteView payload;        // of a WRITE; in `owned` if that is not empty, else in the input
  Buffer owned;
};

struct Refusal {
  std::uint64_t cookie;
  std::uint64_t offset;
  ReplyError error;
  const char* why;  // for a client whose replies have room for it
};

/// What the export and the negotiation make of requests.
struct RequestRules {
  bool read_only = false;
  ReplyStyle style = ReplyStyle::kSimple;
  /// Ids of the contexts selected for BLOCK_STATUS, at most 64.
  std::vector<std::uint32_t> contexts;
};

/// Says whether there is memory for a payload that does not lie in the input.
class PayloadGate {
 public:
  virtual ~PayloadGate() = default;
  /// False: not now.
  [[nodiscard]] virtual bool MayHold(std::size_t bytes) = 0;
};

class RequestParser {
 public:
  enum class Step {
    kNeedBytes,  // all input is used up
    kMustWait,   // the gate lets no payload in; the next Advance asks it again
    kRequest,    // request() is to be carried out
    kRefusal,    // refusal() is to be answered
    kDisconnect,
    kBroken,  // close at once; broken_reason() says why
  };

  /// `pool` outlives the parser and its requests.
  RequestParser(BufferPool& pool, RequestRules rules)
      : pool_(pool),
        rules_(std::move(rules)),
        extended_(rules_.style == ReplyStyle::kExtended),
        header_bytes_(extended_ ? kExtendedRequestHeaderBytes : kRequestHeaderBytes) {}

  /// The device's size may change under a connection; requests are judged by the latest.
  void set_size(std::uint64_t size) { size_ = size; }

  /// Null lets everything in. It outlives the parser.
  void set_payload_gate(PayloadGate* gate) { gate_ = gate; }

  /// Takes bytes from the front of `input` until one request is whole or they are used up.
  Step Advance(ByteView& input);

  /// Until the next Advance; may be moved from.
  [[nodiscard]] Request& request() { return request_; }
  [[nodiscard]] Refusal refusal() const {
    return {request_.cookie, request_.offset, refusal_.error, refusal_.why};
  }
  [[nodiscard]] const std::string& broken_reason() const { return broken_reason_; }

  /// Where the rest of a payload goes; empty when none is under way.
  [[nodiscard]] MutableByteView payload_space();
  /// `count` bytes were put at the front of payload_space(). Advance goes on from there.
  void PayloadReceived(std::size_t count) { payload_have_ += count; }
  /// The payload under way is not wanted any more. Nothing after it can be understood.
  void DropPayload();
  /// Memory held for a payload under way.
  [[nodiscard]] std::size_t payload_bytes() const {
    return state_ == State::kPayload ? request_.owned.size() : 0;
  }

 private:
  enum class State { kHeader, kAtGate, kPayload, kDraining, kDisconnected, kBroken };

  struct Verdict {
    ReplyError error = ReplyError::kNone;
    const char* why = "";
  };

  Step TakeHeader(const std::byte* bytes, ByteView& input);
  Step BeginPayload(ByteView& input);
  Step TakePayload(ByteView& input);
  Step FinishPayload();
  Step DrainPayload(ByteView& input);
  Step Refuse(Verdict verdict, ByteView& input);
  Step Break(std::string reason);
  [[nodiscard]] unsigned AllowedFlags(Command command) const;
  [[nodiscard]] Verdict JudgeHeader() const;
  [[nodiscard]] Verdict JudgeRange() const;
  Verdict TakeContexts();

  BufferPool& pool_;
  PayloadGate* gate_ = nullptr;
  const RequestRules rules_;
  const bool extended_;
  const std::size_t header_bytes_;
  std::uint64_t size_ = 0;
  State state_ = State::kHeader;
  std::array<std::byte, kExtendedRequestHeaderBytes> header_;
  std::size_t header_have_ = 0;
  Request request_{};
  Verdict refusal_;
  std::uint32_t payload_length_ = 0;  // after the latest header
  std::size_t payload_have_ = 0;
  std::uint32_t drain_left_ = 0;
  std::string broken_reason_;
};

}  // namespace coffer::nbd

// Session: one client's whole conversation over bytes: first the Handshake, then requests. What the
// server's connections drive and the fuzz targets attack. No sockets, no device, no time. One
// thread.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "core/base/bytes.h"
#include "nbd/buffer_pool.h"
#include "nbd/export.h"
#include "nbd/handshake.h"
#include "nbd/request_parser.h"

namespace coffer::nbd {

class Session {
 public:
  enum class Step {
    kNeedBytes,   // all input is used up
    kMustWait,    // as in RequestParser
    kContinue,    // negotiation went on; there may be output()
    kStartTls,    // once: when output() has gone out, all bytes both ways are TLS
    kEntered,     // once: chosen() is what the client wants; output() goes out before any reply
    kRequest,     // request() is to be carried out
    kRefusal,     // refusal() is to be answered
    kDisconnect,  // the client is done: finish what is in flight, send output(), close
    kBroken,      // close; end_reason() says why
  };

  /// Both outlive the session.
  Session(const ExportDirectory& exports, BufferPool& pool)
      : pool_(pool), handshake_(std::in_place, exports) {}
  /// Goes on where another one has just said kEntered.
  Session(Export chosen, Agreement agreement, BufferPool& pool);

  /// Takes bytes from the front of `input` until there is something to do or they are used up.
  Step Advance(ByteView& input);

  /// Negotiation bytes to send; take them and leave it empty.
  [[nodiscard]] Bytes& output() { return handshake_ ? handshake_->output() : no_output_; }
  [[nodiscard]] bool negotiated() const { return parser_.has_value(); }
  /// REQUIRES: negotiated.
  [[nodiscard]] const Export& chosen() const { return *chosen_; }
  [[nodiscard]] const Agreement& agreement() const { return agreement_; }
  /// As in RequestParser; before the first Advance.
  void set_payload_gate(PayloadGate* gate) {
    gate_ = gate;
    if (parser_) parser_->set_payload_gate(gate);
  }
  void DropPayload() {
    if (parser_) parser_->DropPayload();
  }
  void set_size(std::uint64_t size) { parser_->set_size(size); }
  [[nodiscard]] Request& request() { return parser_->request(); }
  [[nodiscard]] Refusal refusal() const { return parser_->refusal(); }

  /// As in RequestParser: where to receive the rest of a payload, if one is under way.
  [[nodiscard]] MutableByteView payload_space() {
    return parser_ ? parser_->payload_space() : MutableByteView{};
  }
  void PayloadReceived(std::size_t count) { parser_->PayloadReceived(count); }
  [[nodiscard]] std::size_t payload_bytes() const { return parser_ ? parser_->payload_bytes() : 0; }

  [[nodiscard]] const std::string& end_reason() const {
    return parser_ ? parser_->broken_reason() : handshake_->end_reason();
  }

 private:
  void Enter(Export chosen, Agreement agreement);

  BufferPool& pool_;
  PayloadGate* gate_ = nullptr;
  std::optional<Handshake> handshake_;  // none: it was another session's
  std::optional<Export> chosen_;
  Agreement agreement_;
  Bytes no_output_;
  std::optional<RequestParser> parser_;
};

}  // namespace coffer::nbd

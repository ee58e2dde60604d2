// Channel: a client's socket, in the clear or, from StartTls on, with a TlsSession before it. What
// Connection and ReplyQueue talk to. Loop thread only.
//
// With TLS what was given to Send may wait here, encrypted, for the socket to take it: at most
// kTlsSendBytes and what surrounds them. It goes out before anything else.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/base/bytes.h"
#include "nbd/sockets.h"
#include "nbd/tls.h"

namespace coffer::nbd {

/// Encrypted at once; what of it the socket does not take is kept.
inline constexpr std::size_t kTlsSendBytes = 64 * 1024;
/// Taken from the socket at once.
inline constexpr std::size_t kTlsReceiveBytes = 64 * 1024;

class Channel {
 public:
  explicit Channel(Descriptor socket) : socket_(std::move(socket)) {}

  [[nodiscard]] const Descriptor& socket() const { return socket_; }
  [[nodiscard]] bool open() const { return socket_.open(); }
  void Close();
  /// The socket, for another channel to go on with. REQUIRES: no TLS.
  [[nodiscard]] Descriptor Release();

  /// Everything from now on is TLS. REQUIRES: all that was to be said in the clear was taken by the
  /// socket.
  void StartTls(std::unique_ptr<TlsSession> tls);

  /// As the functions of sockets.h. `scratch` is for encrypted bytes; with TLS the two rooms
  /// together have kTlsReceiveBytes and kTlsRecordBytesMax.
  [[nodiscard]] Transfer Receive(MutableByteView first, MutableByteView second, Bytes& scratch);
  [[nodiscard]] Transfer Send(std::span<const ByteView> pieces);
  /// What waits here: kSome when none is left.
  [[nodiscard]] Transfer::Outcome Flush();
  /// Flush, and with TLS the goodbye.
  [[nodiscard]] Transfer::Outcome Finish();
  [[nodiscard]] bool has_unsent() const { return tls_ != nullptr && !tls_->output().empty(); }

  /// TLS is over: nothing more will be received.
  [[nodiscard]] bool ended() const { return tls_ != nullptr && tls_->ended(); }
  /// Why, or who is there; "" without TLS.
  [[nodiscard]] std::string EndReason() const { return tls_ == nullptr ? "" : tls_->end_reason(); }
  [[nodiscard]] std::string Describe() const {
    return tls_ != nullptr && tls_->open() ? tls_->Describe() : "";
  }

 private:
  Descriptor socket_;
  std::unique_ptr<TlsSession> tls_;
  std::size_t sent_ = 0;  // of tls_->output()
};

}  // namespace coffer::nbd

// TLS of one connection, and what all connections of a listener share for it. The only place that
// knows GnuTLS. Like Session, TlsSession is a state machine over bytes: it knows no socket and no
// time, so that it cannot block and can be driven by a test.
//
// States of a TlsSession and how each is left:
//   handshake  the peers have agreed: open. Anything goes wrong, a certificate or key that does not
//              convince included: broken, an alert for the peer is in the output
//   open       the peer says goodbye: half open. A record is not authentic: broken
//   half open  nothing more comes, what is owed may still be sent
//   broken     what is in the output may be sent still, nothing else
//
// TLS 1.2 and 1.3; key exchange always with forward secrecy. No session tickets, no resumption, no
// renegotiation: every connection proves itself anew.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "nbd/tls_files.h"

namespace coffer::nbd {

/// A record's payload is at most 16 KiB; with room for what surrounds it.
inline constexpr std::size_t kTlsRecordBytesMax = 18 * 1024;

/// Key, certificates or pre-shared keys of a listener. Immutable; any thread.
class TlsCredentials {
 public:
  /// Refuses what no client would accept: a key that is not the certificate's, a certificate that
  /// has expired or is not valid yet at `now`. The material is not needed afterwards.
  [[nodiscard]] static Result<std::shared_ptr<const TlsCredentials>> Open(TlsMaterial material,
                                                                          UnixSeconds now);
  virtual ~TlsCredentials() = default;
  /// "x509" or "psk".
  [[nodiscard]] virtual std::string kind() const = 0;
  /// The one user of a PSK file; empty if there are several.
  [[nodiscard]] virtual std::string only_user() const = 0;
};

/// One thread at a time.
class TlsSession {
 public:
  [[nodiscard]] static Result<std::unique_ptr<TlsSession>> Open(
      std::shared_ptr<const TlsCredentials> credentials);
  virtual ~TlsSession() = default;

  /// Takes all of `input` and puts what was in it into `first`, then `second`; returns how much.
  /// REQUIRES: room for the input and kTlsRecordBytesMax more.
  [[nodiscard]] virtual std::size_t Receive(ByteView input, MutableByteView first,
                                            MutableByteView second) = 0;
  /// Encrypts `plain` into the output. REQUIRES: open.
  virtual void Send(ByteView plain) = 0;
  /// Says that nothing more will be sent.
  virtual void SayGoodbye() = 0;

  /// Bytes for the peer, front first; the caller takes them.
  [[nodiscard]] virtual Bytes& output() = 0;
  /// Send is possible: open, half open.
  [[nodiscard]] virtual bool open() const = 0;
  /// Nothing more will be received: half open, broken.
  [[nodiscard]] virtual bool ended() const = 0;
  /// Why it broke; "" after the peer's goodbye; what the peer says in there is escaped.
  [[nodiscard]] virtual const std::string& end_reason() const = 0;
  /// "TLS1.3, certificate of CN=laptop": for the log. REQUIRES: open.
  [[nodiscard]] virtual std::string Describe() const = 0;
};

}  // namespace coffer::nbd

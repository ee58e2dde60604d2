// The client's half of TLS over bytes, by GnuTLS itself: what a TlsSession is tried against.
#pragma once

#include <gnutls/gnutls.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "core/base/bytes.h"

namespace coffer::nbd::testing {

inline std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class TlsClient {
 public:
  enum class State { kHandshake, kOpen, kFailed };

  /// With the certificates of a directory of tls_files.h.
  static TlsClient WithX509(const std::string& directory, const char* priorities = "NORMAL") {
    TlsClient client(priorities);
    auto& wire = *client.wire_;
    gnutls_certificate_allocate_credentials(&wire.x509);
    EXPECT_GT(gnutls_certificate_set_x509_trust_file(
                  wire.x509, (directory + "/ca-cert.pem").c_str(), GNUTLS_X509_FMT_PEM),
              0);
    const std::string certificate = directory + "/client-cert.pem";
    if (std::ifstream(certificate).good()) {
      EXPECT_EQ(gnutls_certificate_set_x509_key_file(wire.x509, certificate.c_str(),
                                                     (directory + "/client-key.pem").c_str(),
                                                     GNUTLS_X509_FMT_PEM),
                0);
    }
    gnutls_credentials_set(wire.session, GNUTLS_CRD_CERTIFICATE, wire.x509);
    gnutls_session_set_verify_cert(wire.session, "localhost", 0);
    return client;
  }
  static TlsClient WithPsk(const std::string& user, const std::string& hex_key,
                           const char* priorities = "NORMAL:+ECDHE-PSK:+DHE-PSK") {
    TlsClient client(priorities);
    auto& wire = *client.wire_;
    gnutls_psk_allocate_client_credentials(&wire.psk);
    const gnutls_datum_t key = {reinterpret_cast<unsigned char*>(const_cast<char*>(hex_key.data())),
                                static_cast<unsigned>(hex_key.size())};
    EXPECT_EQ(gnutls_psk_set_client_credentials(wire.psk, user.c_str(), &key, GNUTLS_PSK_KEY_HEX),
              0);
    gnutls_credentials_set(wire.session, GNUTLS_CRD_PSK, wire.psk);
    return client;
  }

  /// Goes on with the handshake as far as what came from the server lets it.
  State Handshake() {
    if (state_ != State::kHandshake) return state_;
    int result;
    do {
      result = gnutls_handshake(wire_->session);
    } while (result == GNUTLS_E_INTERRUPTED || result == GNUTLS_E_WARNING_ALERT_RECEIVED);
    if (result == GNUTLS_E_SUCCESS) state_ = State::kOpen;
    if (result < 0 && result != GNUTLS_E_AGAIN) {
      state_ = State::kFailed;
      error_ = result;
      gnutls_alert_send_appropriate(wire_->session, result);
    }
    return state_;
  }
  void Send(ByteView plain) {
    while (!plain.empty()) {
      const ssize_t sent = gnutls_record_send(wire_->session, plain.data(), plain.size());
      ASSERT_GT(sent, 0) << gnutls_strerror(static_cast<int>(sent));
      plain = plain.subspan(static_cast<std::size_t>(sent));
    }
  }
  /// Everything that has come, decrypted.
  std::string Receive() {
    std::string all;
    std::string piece(16384, '\0');
    while (true) {
      const ssize_t got = gnutls_record_recv(wire_->session, piece.data(), piece.size());
      if (got > 0) {
        all.append(piece, 0, static_cast<std::size_t>(got));
        continue;
      }
      at_end_ = got == 0;
      if (got < 0 && got != GNUTLS_E_AGAIN) error_ = static_cast<int>(got);
      if (got == GNUTLS_E_INTERRUPTED) continue;
      if (got == GNUTLS_E_AGAIN && !from_server().empty()) continue;  // it was no data
      return all;
    }
  }
  void SayGoodbye() { gnutls_bye(wire_->session, GNUTLS_SHUT_WR); }
  int Rehandshake() { return gnutls_handshake(wire_->session); }
  int UpdateKeys() { return gnutls_session_key_update(wire_->session, GNUTLS_KU_PEER); }

  /// Bytes for the server, and from it.
  Bytes& to_server() { return wire_->to_server; }
  Bytes& from_server() { return wire_->from_server; }
  [[nodiscard]] State state() const { return state_; }
  /// The server said that nothing more will come.
  [[nodiscard]] bool at_end() const { return at_end_; }
  [[nodiscard]] std::string error() const { return gnutls_strerror(error_); }
  [[nodiscard]] std::string alert() const {
    const char* name = gnutls_alert_get_name(gnutls_alert_get(wire_->session));
    return name == nullptr ? "" : name;
  }
  [[nodiscard]] std::string version() const {
    return gnutls_protocol_get_name(gnutls_protocol_get_version(wire_->session));
  }

 private:
  struct Wire {
    gnutls_session_t session = nullptr;
    gnutls_certificate_credentials_t x509 = nullptr;
    gnutls_psk_client_credentials_t psk = nullptr;
    Bytes to_server;
    Bytes from_server;
    ~Wire() {
      gnutls_deinit(session);
      if (x509 != nullptr) gnutls_certificate_free_credentials(x509);
      if (psk != nullptr) gnutls_psk_free_client_credentials(psk);
    }
  };

  explicit TlsClient(const char* priorities) : wire_(std::make_unique<Wire>()) {
    Wire* wire = wire_.get();
    // Its certificate is sent whomever the server says it trusts, as a stranger would.
    EXPECT_EQ(
        gnutls_init(&wire->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_FORCE_CLIENT_CERT), 0);
    EXPECT_EQ(gnutls_priority_set_direct(wire->session, priorities, nullptr), 0) << priorities;
    gnutls_transport_set_ptr(wire->session, wire);
    gnutls_transport_set_push_function(
        wire->session, [](gnutls_transport_ptr_t to, const void* data, std::size_t size) {
          auto& out = static_cast<Wire*>(to)->to_server;
          const auto* bytes = static_cast<const std::byte*>(data);
          out.insert(out.end(), bytes, bytes + size);
          return static_cast<ssize_t>(size);
        });
    gnutls_transport_set_pull_function(
        wire->session, [](gnutls_transport_ptr_t from, void* data, std::size_t size) -> ssize_t {
          auto* self = static_cast<Wire*>(from);
          Bytes& in = self->from_server;
          if (in.empty()) {
            gnutls_transport_set_errno(self->session, EAGAIN);
            return -1;
          }
          const std::size_t taken = std::min(size, in.size());
          std::memcpy(data, in.data(), taken);
          in.erase(in.begin(), in.begin() + static_cast<long>(taken));
          return static_cast<ssize_t>(taken);
        });
    gnutls_transport_set_pull_timeout_function(
        wire->session, [](gnutls_transport_ptr_t from, unsigned) {
          return static_cast<Wire*>(from)->from_server.empty() ? 0 : 1;
        });
  }

  std::unique_ptr<Wire> wire_;
  State state_ = State::kHandshake;
  bool at_end_ = false;
  int error_ = 0;
};

}  // namespace coffer::nbd::testing

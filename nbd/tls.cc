#include "nbd/tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::nbd {
namespace {

// As the peers do it: what the administrator says for NBD, else for the system, else GnuTLS's own
// choice. Nothing is added that one of them may have left out but PSK, which is off by default.
constexpr const char* kPriorities[] = {"@COFFER,NBD,SYSTEM", "NORMAL"};
constexpr const char* kOldVersionsOff = ":-VERS-TLS1.0:-VERS-TLS1.1";
constexpr const char* kPskOn = ":+ECDHE-PSK:+DHE-PSK";
/// A certificate chain of reasonable length; more is not gathered for a peer that nobody knows yet.
constexpr std::size_t kHandshakeMessageBytesMax = 64 * 1024;

gnutls_datum_t DatumOf(ByteView bytes) {
  // GnuTLS has no const here; it only reads.
  return {reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data())),
          static_cast<unsigned>(bytes.size())};
}

std::string TextAndFree(gnutls_datum_t datum) {
  std::string text(reinterpret_cast<const char*>(datum.data), datum.size);
  gnutls_free(datum.data);
  return text;
}

class Priorities {
 public:
  Priorities() = default;
  Priorities(const Priorities&) = delete;
  Priorities& operator=(const Priorities&) = delete;
  ~Priorities() { gnutls_priority_deinit(cache_); }

  Status Set(bool psk) {
    int error = 0;
    for (const char* base : kPriorities) {
      const std::string text = Concat(base, kOldVersionsOff, psk ? kPskOn : "");
      error = gnutls_priority_init(&cache_, text.c_str(), nullptr);
      if (error == GNUTLS_E_SUCCESS) return {};
    }
    return Fail(ErrorCode::kUnsupported, Concat("setting up TLS: ", gnutls_strerror(error)),
                "the system-wide GnuTLS configuration leaves nothing to use");
  }
  [[nodiscard]] gnutls_priority_t get() const { return cache_; }

 private:
  gnutls_priority_t cache_ = nullptr;
};

/// What a TlsSession asks of its listener's credentials.
class Credentials : public TlsCredentials {
 public:
  /// Puts them into `session`; a GnuTLS error code.
  [[nodiscard]] virtual int Equip(gnutls_session_t session) const = 0;
  [[nodiscard]] virtual std::string Peer(gnutls_session_t session) const = 0;
  [[nodiscard]] const Priorities& priorities() const { return priorities_; }

 protected:
  Priorities priorities_;
};

class X509Credentials final : public Credentials {
 public:
  ~X509Credentials() override {
    if (credentials_ != nullptr) gnutls_certificate_free_credentials(credentials_);
  }
  X509Credentials() = default;
  X509Credentials(const X509Credentials&) = delete;
  X509Credentials& operator=(const X509Credentials&) = delete;

  Status Load(const X509Material& material, UnixSeconds now) {
    verify_peer_ = material.verify_peer;
    RETURN_IF_ERROR(
        CheckDates(material.certificate, In(material, "server-cert.pem"), now, Which::kFirst));
    RETURN_IF_ERROR(CheckDates(material.ca, In(material, "ca-cert.pem"), now, Which::kAny));
    RETURN_IF_ERROR(priorities_.Set(/*psk=*/false));
    CHECK(gnutls_certificate_allocate_credentials(&credentials_) == GNUTLS_E_SUCCESS);
    const gnutls_datum_t ca = DatumOf(material.ca);
    if (const int count =
            gnutls_certificate_set_x509_trust_mem(credentials_, &ca, GNUTLS_X509_FMT_PEM);
        count <= 0) {
      return Refused(In(material, "ca-cert.pem"), count);
    }
    RETURN_IF_ERROR(LoadKey(material));
    if (material.crl) {
      const gnutls_datum_t crl = DatumOf(*material.crl);
      const int count =
          gnutls_certificate_set_x509_crl_mem(credentials_, &crl, GNUTLS_X509_FMT_PEM);
      if (count <= 0) return Refused(In(material, "ca-crl.pem"), count);
    }
    gnutls_certificate_set_known_dh_params(credentials_, GNUTLS_SEC_PARAM_MEDIUM);
    return {};
  }

  [[nodiscard]] std::string kind() const override { return "x509"; }
  [[nodiscard]] std::string only_user() const override { return {}; }

  [[nodiscard]] int Equip(gnutls_session_t session) const override {
    gnutls_certificate_server_set_request(session,
                                          verify_peer_ ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
    if (verify_peer_) {
      // A certificate that the CA gave to a server is no client's. Kept by GnuTLS until the end.
      static gnutls_typed_vdata_st client_only = {
          GNUTLS_DT_KEY_PURPOSE_OID,
          reinterpret_cast<unsigned char*>(const_cast<char*>(GNUTLS_KP_TLS_WWW_CLIENT)), 0};
      gnutls_session_set_verify_cert2(session, &client_only, 1, 0);
    }
    return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials_);
  }

  [[nodiscard]] std::string Peer(gnutls_session_t session) const override {
    if (!verify_peer_) return "no certificate asked for";
    unsigned count = 0;
    const gnutls_datum_t* chain = gnutls_certificate_get_peers(session, &count);
    gnutls_x509_crt_t certificate = nullptr;
    std::string name = "unknown";
    if (chain != nullptr && count > 0 && gnutls_x509_crt_init(&certificate) == GNUTLS_E_SUCCESS) {
      gnutls_datum_t text{};
      if (gnutls_x509_crt_import(certificate, chain, GNUTLS_X509_FMT_DER) == GNUTLS_E_SUCCESS &&
          gnutls_x509_crt_get_dn3(certificate, &text, 0) == GNUTLS_E_SUCCESS) {
        name = EscapeForTerminal(TextAndFree(text));
      }
      gnutls_x509_crt_deinit(certificate);
    }
    return "certificate of " + name;
  }

 private:
  enum class Which { kFirst, kAny };

  static std::string In(const X509Material& material, const char* name) {
    return EscapeForTerminal(material.directory + "/" + name);
  }

  static tl::unexpected<Error> Refused(const std::string& path, int error) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("TLS file ", path, ": ",
                       error == 0 ? "holds none of what it should" : gnutls_strerror(error)));
  }

  Status LoadKey(const X509Material& material) {
    const gnutls_datum_t certificate = DatumOf(material.certificate);
    const gnutls_datum_t key = DatumOf(material.key.view());
    const int error = gnutls_certificate_set_x509_key_mem2(credentials_, &certificate, &key,
                                                           GNUTLS_X509_FMT_PEM, nullptr, 0);
    if (error >= 0) return {};
    const std::string path = In(material, "server-key.pem");
    switch (error) {
      case GNUTLS_E_CERTIFICATE_KEY_MISMATCH:
        return Fail(ErrorCode::kInvalidArgument,
                    Concat("TLS file ", path, ": is not the key of server-cert.pem"));
      case GNUTLS_E_DECRYPTION_FAILED:
        return Fail(ErrorCode::kInvalidArgument,
                    Concat("TLS file ", path, ": is protected by a password"),
                    "store it without one, mode 0600");
      default:
        return Refused(path, error);
    }
  }

  /// kFirst: the server's own has to be valid now. kAny: one of the CAs.
  static Status CheckDates(ByteView pem, const std::string& path, UnixSeconds now, Which which) {
    const gnutls_datum_t data = DatumOf(pem);
    gnutls_x509_crt_t* list = nullptr;
    unsigned count = 0;
    const int error = gnutls_x509_crt_list_import2(&list, &count, &data, GNUTLS_X509_FMT_PEM, 0);
    if (error < 0) return Refused(path, error);
    bool valid = false;
    UnixSeconds begins = 0;
    UnixSeconds ends = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (i == 0 || which == Which::kAny) {
        begins = gnutls_x509_crt_get_activation_time(list[i]);
        ends = gnutls_x509_crt_get_expiration_time(list[i]);
        valid = valid || (begins <= now && now <= ends);
      }
      gnutls_x509_crt_deinit(list[i]);
    }
    gnutls_free(list);
    if (valid) return {};
    const bool early = now < begins;
    return Fail(ErrorCode::kInvalidArgument,
                Concat("TLS file ", path, early ? ": is not valid before " : ": has expired at ",
                       DateTimeUtc(early ? begins : ends), " UTC"),
                early ? "is this machine's clock right?" : "issue a new certificate");
  }

  gnutls_certificate_credentials_t credentials_ = nullptr;
  bool verify_peer_ = true;
};

class PskCredentials final : public Credentials {
 public:
  ~PskCredentials() override {
    if (credentials_ != nullptr) gnutls_psk_free_server_credentials(credentials_);
  }
  PskCredentials() = default;
  PskCredentials(const PskCredentials&) = delete;
  PskCredentials& operator=(const PskCredentials&) = delete;

  Status Load(PskMaterial material) {
    users_ = std::move(material.users);
    RETURN_IF_ERROR(priorities_.Set(/*psk=*/true));
    CHECK(gnutls_psk_allocate_server_credentials(&credentials_) == GNUTLS_E_SUCCESS);
    gnutls_psk_set_server_credentials_function(credentials_, &PskCredentials::FindKey);
    gnutls_psk_set_server_known_dh_params(credentials_, GNUTLS_SEC_PARAM_MEDIUM);
    return {};
  }

  [[nodiscard]] std::string kind() const override { return "psk"; }
  [[nodiscard]] std::string only_user() const override {
    return users_.size() == 1 ? users_.front().name : std::string();
  }

  [[nodiscard]] int Equip(gnutls_session_t session) const override {
    gnutls_session_set_ptr(session, const_cast<PskCredentials*>(this));
    return gnutls_credentials_set(session, GNUTLS_CRD_PSK, credentials_);
  }

  [[nodiscard]] std::string Peer(gnutls_session_t session) const override {
    const char* name = gnutls_psk_server_get_username(session);
    return Concat("key of ", name == nullptr ? "unknown" : EscapeForTerminal(name));
  }

 private:
  // 1: no such user. GnuTLS then goes on with a random key, so that a stranger does not learn which
  // names exist.
  static int FindKey(gnutls_session_t session, const char* name, gnutls_datum_t* key) {
    const auto* self = static_cast<const PskCredentials*>(gnutls_session_get_ptr(session));
    for (const PskUser& user : self->users_) {
      if (user.name != name) continue;
      const ByteView bytes = user.key.view();
      key->data = static_cast<unsigned char*>(gnutls_malloc(bytes.size()));
      if (key->data == nullptr) return -1;
      std::memcpy(key->data, bytes.data(), bytes.size());
      key->size = static_cast<unsigned>(bytes.size());
      return 0;
    }
    return 1;
  }

  std::vector<PskUser> users_;
  gnutls_psk_server_credentials_t credentials_ = nullptr;
};

class GnutlsSession final : public TlsSession {
 public:
  explicit GnutlsSession(std::shared_ptr<const Credentials> credentials)
      : credentials_(std::move(credentials)) {}
  ~GnutlsSession() override {
    if (session_ != nullptr) gnutls_deinit(session_);
  }
  GnutlsSession(const GnutlsSession&) = delete;
  GnutlsSession& operator=(const GnutlsSession&) = delete;

  Status Start() {
    int error = gnutls_init(&session_, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS);
    if (error == GNUTLS_E_SUCCESS) {
      error = gnutls_priority_set(session_, credentials_->priorities().get());
    }
    if (error == GNUTLS_E_SUCCESS) error = credentials_->Equip(session_);
    if (error != GNUTLS_E_SUCCESS) {
      return Fail(ErrorCode::kIoError, Concat("starting TLS: ", gnutls_strerror(error)));
    }
    gnutls_handshake_set_max_packet_length(session_, kHandshakeMessageBytesMax);
    gnutls_transport_set_ptr(session_, this);
    gnutls_transport_set_push_function(session_, &GnutlsSession::Push);
    gnutls_transport_set_pull_function(session_, &GnutlsSession::Pull);
    gnutls_transport_set_pull_timeout_function(session_, &GnutlsSession::PullTimeout);
    return {};
  }

  std::size_t Receive(ByteView input, MutableByteView first, MutableByteView second) override {
    CHECK(first.size() + second.size() >= input.size() + kTlsRecordBytesMax);
    input_ = input;
    stuck_at_ = input.size() + 1;
    if (state_ == State::kHandshake) Handshake();
    std::size_t received = 0;
    while (state_ == State::kOpen) {
      const MutableByteView room = received < first.size()
                                       ? first.subspan(received)
                                       : second.subspan(received - first.size());
      const ssize_t got = gnutls_record_recv(session_, room.data(), room.size());
      if (got > 0) {
        received += static_cast<std::size_t>(got);
      } else if (got == 0) {
        state_ = State::kHalfOpen;
      } else if (got == GNUTLS_E_AGAIN) {
        if (!MayGoOn()) break;
      } else if (got == GNUTLS_E_REHANDSHAKE || gnutls_error_is_fatal(static_cast<int>(got)) != 0) {
        Break(static_cast<int>(got));
      }
    }
    input_ = {};
    return received;
  }

  void Send(ByteView plain) override {
    CHECK(open());
    while (!plain.empty() && open()) {
      const ssize_t sent = gnutls_record_send(session_, plain.data(), plain.size());
      if (sent > 0) {
        plain = plain.subspan(static_cast<std::size_t>(sent));
      } else if (sent != GNUTLS_E_INTERRUPTED) {
        Break(static_cast<int>(sent));
      }
    }
  }

  void SayGoodbye() override {
    if (open() && !std::exchange(said_goodbye_, true)) {
      (void)gnutls_bye(session_, GNUTLS_SHUT_WR);
    }
  }

  Bytes& output() override { return output_; }
  [[nodiscard]] bool open() const override {
    return state_ == State::kOpen || state_ == State::kHalfOpen;
  }
  [[nodiscard]] bool ended() const override {
    return state_ == State::kHalfOpen || state_ == State::kBroken;
  }
  [[nodiscard]] const std::string& end_reason() const override { return end_reason_; }
  [[nodiscard]] std::string Describe() const override {
    return Concat(gnutls_protocol_get_name(gnutls_protocol_get_version(session_)), ", ",
                  credentials_->Peer(session_));
  }

 private:
  enum class State { kHandshake, kOpen, kHalfOpen, kBroken };

  void Handshake() {
    int result;
    do {
      result = gnutls_handshake(session_);
    } while (result < 0 && gnutls_error_is_fatal(result) == 0 &&
             (result != GNUTLS_E_AGAIN || MayGoOn()));
    if (result == GNUTLS_E_SUCCESS) {
      state_ = State::kOpen;
    } else if (result != GNUTLS_E_AGAIN) {
      Break(result);
    }
  }

  // "Again" means that there is no more input, or that a message of TLS itself was dealt with, new
  // keys for instance.
  bool MayGoOn() {
    const bool moved = input_.size() < stuck_at_;
    stuck_at_ = input_.size();
    return moved && !input_.empty();
  }

  void Break(int error) {
    end_reason_ = Concat("TLS: ", Reason(error));
    // GnuTLS has told the peer already in some cases; a second alert does no harm.
    (void)gnutls_alert_send_appropriate(session_, error);
    state_ = State::kBroken;
  }

  [[nodiscard]] std::string Reason(int error) const {
    if (error == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
      gnutls_datum_t text{};
      const unsigned status = gnutls_session_get_verify_cert_status(session_);
      if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) ==
          GNUTLS_E_SUCCESS) {
        return EscapeForTerminal(TextAndFree(text));
      }
    }
    if (error == GNUTLS_E_FATAL_ALERT_RECEIVED) {
      const char* name = gnutls_alert_get_name(gnutls_alert_get(session_));
      return Concat("the client says: ", name == nullptr ? "unknown alert" : name);
    }
    return gnutls_strerror(error);
  }

  static GnutlsSession& Self(gnutls_transport_ptr_t pointer) {
    return *static_cast<GnutlsSession*>(pointer);
  }

  // Called by GnuTLS, through C: no exception may pass.
  static ssize_t Push(gnutls_transport_ptr_t pointer, const void* data, std::size_t size) {
    GnutlsSession& self = Self(pointer);
    const auto* bytes = static_cast<const std::byte*>(data);
    try {
      self.output_.insert(self.output_.end(), bytes, bytes + size);
    } catch (const std::bad_alloc&) {
      gnutls_transport_set_errno(self.session_, ENOMEM);
      return -1;
    }
    return static_cast<ssize_t>(size);
  }

  static ssize_t Pull(gnutls_transport_ptr_t pointer, void* data, std::size_t size) {
    GnutlsSession& self = Self(pointer);
    if (self.input_.empty()) {
      gnutls_transport_set_errno(self.session_, EAGAIN);
      return -1;
    }
    const std::size_t taken = std::min(size, self.input_.size());
    std::memcpy(data, self.input_.data(), taken);
    self.input_ = self.input_.subspan(taken);
    return static_cast<ssize_t>(taken);
  }

  static int PullTimeout(gnutls_transport_ptr_t pointer, unsigned) {
    return Self(pointer).input_.empty() ? 0 : 1;
  }

  const std::shared_ptr<const Credentials> credentials_;
  gnutls_session_t session_ = nullptr;
  State state_ = State::kHandshake;
  bool said_goodbye_ = false;
  ByteView input_;  // of the Receive under way
  std::size_t stuck_at_ = 0;
  Bytes output_;
  std::string end_reason_;
};

}  // namespace

Result<std::shared_ptr<const TlsCredentials>> TlsCredentials::Open(TlsMaterial material,
                                                                   UnixSeconds now) {
  if (auto* x509 = std::get_if<X509Material>(&material)) {
    auto credentials = std::make_shared<X509Credentials>();
    RETURN_IF_ERROR(credentials->Load(*x509, now));
    return std::shared_ptr<const TlsCredentials>(std::move(credentials));
  }
  auto credentials = std::make_shared<PskCredentials>();
  RETURN_IF_ERROR(credentials->Load(std::move(std::get<PskMaterial>(material))));
  return std::shared_ptr<const TlsCredentials>(std::move(credentials));
}

Result<std::unique_ptr<TlsSession>> TlsSession::Open(
    std::shared_ptr<const TlsCredentials> credentials) {
  auto session = std::make_unique<GnutlsSession>(
      std::static_pointer_cast<const Credentials>(std::move(credentials)));
  RETURN_IF_ERROR(session->Start());
  return std::unique_ptr<TlsSession>(std::move(session));
}

}  // namespace coffer::nbd

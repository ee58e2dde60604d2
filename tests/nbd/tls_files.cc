#include "tests/nbd/tls_files.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace coffer::nbd::testing {
namespace {

constexpr std::time_t kDay = 24 * 60 * 60;

void Must(int result) {
  if (result >= 0) return;
  std::fprintf(stderr, "GnuTLS: %s\n", gnutls_strerror(result));
  std::abort();
}

void WriteFile(const std::string& path, const std::string& text, mode_t mode) {
  std::ofstream(path, std::ios::binary) << text;
  if (::chmod(path.c_str(), mode) != 0) std::abort();
}

std::string TextAndFree(gnutls_datum_t datum) {
  std::string text(reinterpret_cast<const char*>(datum.data), datum.size);
  gnutls_free(datum.data);
  return text;
}

struct Identity {
  gnutls_x509_crt_t certificate;
  gnutls_x509_privkey_t key;

  [[nodiscard]] std::string certificate_pem() const {
    gnutls_datum_t text;
    Must(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text));
    return TextAndFree(text);
  }
  [[nodiscard]] std::string key_pem() const {
    gnutls_datum_t text;
    Must(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, nullptr, GNUTLS_PKCS_PLAIN,
                                           &text));
    return TextAndFree(text);
  }
};

enum class Role { kAuthority, kServer, kClient };

Identity Make(const char* name, Role role, const Identity* issuer, std::time_t from,
              std::time_t until) {
  Identity made{};
  Must(gnutls_x509_privkey_init(&made.key));
  Must(gnutls_x509_privkey_generate(made.key, GNUTLS_PK_ECDSA,
                                    GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
  gnutls_x509_crt_t& crt = made.certificate;
  Must(gnutls_x509_crt_init(&crt));
  Must(gnutls_x509_crt_set_version(crt, 3));
  std::array<unsigned char, 16> serial;
  Must(gnutls_rnd(GNUTLS_RND_NONCE, serial.data(), serial.size()));
  serial[0] &= 0x7f;
  Must(gnutls_x509_crt_set_serial(crt, serial.data(), serial.size()));
  Must(gnutls_x509_crt_set_dn(crt, (std::string("CN=") + name).c_str(), nullptr));
  Must(gnutls_x509_crt_set_activation_time(crt, from));
  Must(gnutls_x509_crt_set_expiration_time(crt, until));
  Must(gnutls_x509_crt_set_key(crt, made.key));
  Must(gnutls_x509_crt_set_basic_constraints(crt, role == Role::kAuthority, -1));
  if (role == Role::kAuthority) {
    Must(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN));
  } else {
    Must(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE));
    Must(gnutls_x509_crt_set_key_purpose_oid(
        crt, role == Role::kServer ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT, 0));
  }
  if (role == Role::kServer) {
    const std::string host = "localhost";
    const std::array<unsigned char, 4> loopback = {127, 0, 0, 1};
    Must(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host.data(),
                                              static_cast<unsigned>(host.size()), GNUTLS_FSAN_SET));
    Must(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, loopback.data(),
                                              loopback.size(), GNUTLS_FSAN_APPEND));
  }
  const Identity& by = issuer == nullptr ? made : *issuer;
  Must(gnutls_x509_crt_sign2(crt, by.certificate, by.key, GNUTLS_DIG_SHA256, 0));
  return made;
}

std::string RevocationList(const Identity& authority, const Identity& revoked) {
  const std::time_t now = std::time(nullptr);
  gnutls_x509_crl_t crl;
  Must(gnutls_x509_crl_init(&crl));
  Must(gnutls_x509_crl_set_version(crl, 2));
  Must(gnutls_x509_crl_set_this_update(crl, now - kDay));
  Must(gnutls_x509_crl_set_next_update(crl, now + 30 * kDay));
  const unsigned char number = 1;
  Must(gnutls_x509_crl_set_number(crl, &number, 1));
  Must(gnutls_x509_crl_set_crt(crl, revoked.certificate, now - kDay));
  Must(gnutls_x509_crl_sign2(crl, authority.certificate, authority.key, GNUTLS_DIG_SHA256, 0));
  gnutls_datum_t text;
  Must(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &text));
  gnutls_x509_crl_deinit(crl);
  return TextAndFree(text);
}

class Writer {
 public:
  explicit Writer(std::string directory) : directory_(std::move(directory)) {}
  /// DIRECTORY/`name` with `authority`'s certificate and, if any, `mine` as ROLE-cert and -key.
  void Write(const std::string& name, const Identity& authority, const char* role = nullptr,
             const Identity* mine = nullptr, const Identity* key_of = nullptr) const {
    const std::string place = directory_ + "/" + name;
    std::filesystem::create_directory(place);
    WriteFile(place + "/ca-cert.pem", authority.certificate_pem(), 0644);
    if (mine == nullptr) return;
    WriteFile(place + "/" + role + "-cert.pem", mine->certificate_pem(), 0644);
    WriteFile(place + "/" + role + "-key.pem", (key_of == nullptr ? mine : key_of)->key_pem(),
              0600);
  }

 private:
  const std::string directory_;
};

std::string RandomHexKey() {
  std::array<unsigned char, 32> key;
  Must(gnutls_rnd(GNUTLS_RND_KEY, key.data(), key.size()));
  std::string hex;
  for (const unsigned char byte : key) {
    constexpr const char* kDigits = "0123456789abcdef";
    hex += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return hex;
}

}  // namespace

void WriteTlsFiles(const std::string& directory) {
  const std::time_t now = std::time(nullptr);
  const auto make = [now](const char* name, Role role, const Identity* issuer, int from_day = -1,
                          int until_day = 30) {
    return Make(name, role, issuer, now + from_day * kDay, now + until_day * kDay);
  };
  const Identity authority = make("coffer test authority", Role::kAuthority, nullptr, -90, 90);
  const Identity other = make("another authority", Role::kAuthority, nullptr);
  const Identity server = make("localhost", Role::kServer, &authority);
  const Identity client = make("laptop", Role::kClient, &authority);
  const Identity stranger = make("stranger", Role::kClient, &other);
  const Identity revoked = make("lost laptop", Role::kClient, &authority);
  const Identity expired = make("localhost", Role::kServer, &authority, -60, -30);
  const Identity future = make("localhost", Role::kServer, &authority, 30, 60);

  const Writer writer(directory);
  writer.Write("server", authority, "server", &server);
  writer.Write("client", authority, "client", &client);
  writer.Write("crl", authority, "server", &server);
  WriteFile(directory + "/crl/ca-crl.pem", RevocationList(authority, revoked), 0644);
  writer.Write("revoked", authority, "client", &revoked);
  writer.Write("other", authority, "client", &stranger);
  writer.Write("doubter", other, "client", &client);
  writer.Write("nocert", authority);
  writer.Write("posing", authority, "client", &server);
  writer.Write("expired", authority, "server", &expired);
  writer.Write("future", authority, "server", &future);
  writer.Write("mismatch", authority, "server", &server, &expired);
  WriteFile(directory + "/keys.psk",
            "alice:" + RandomHexKey() + "\n" + "bob:" + RandomHexKey() + "\n", 0600);
  WriteFile(directory + "/wrong.psk", "alice:" + RandomHexKey() + "\n", 0600);
  for (const Identity& made :
       {authority, other, server, client, stranger, revoked, expired, future}) {
    gnutls_x509_crt_deinit(made.certificate);
    gnutls_x509_privkey_deinit(made.key);
  }
}

}  // namespace coffer::nbd::testing

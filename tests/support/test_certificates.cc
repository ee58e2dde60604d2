#include "tests/support/test_certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include "core/base/check.h"

namespace coffer {
namespace {

constexpr long kDay = 24L * 3600;

template <auto Free>
struct Freeing {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freeing<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freeing<X509_free>>;

Key NewKey() { return Key(EVP_EC_gen("P-256")); }

template <class Write>
std::string ToPem(Write write) {
  const Bio bio(BIO_new(BIO_s_mem()));
  CHECK(write(bio.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string KeyPem(EVP_PKEY* key) {
  return ToPem([key](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

std::string CertificatePem(X509* certificate) {
  return ToPem([certificate](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

Bio Reading(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

void SetExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  CHECK(extension != nullptr);
  CHECK(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

Certificate NewCertificate(EVP_PKEY* key, const std::string& name, long from, long to) {
  Certificate certificate(X509_new());
  std::array<unsigned char, 8> serial;
  CHECK(RAND_bytes(serial.data(), static_cast<int>(serial.size())) == 1);
  serial[0] &= 0x7f;
  BIGNUM* const number = BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_set_version(certificate.get(), 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), to);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

std::string AlternativeNames(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) {
    const bool is_address = name.find_first_not_of("0123456789.") == std::string::npos;
    if (!joined.empty()) joined.push_back(',');
    joined.append(is_address ? "IP:" : "DNS:").append(name);
  }
  return joined;
}

}  // namespace

TestAuthority::TestAuthority() {
  const Key key = NewKey();
  const Certificate own = NewCertificate(key.get(), "coffer tests", -kDay, 30 * kDay);
  X509_set_issuer_name(own.get(), X509_get_subject_name(own.get()));
  SetExtension(own.get(), own.get(), NID_basic_constraints, "critical,CA:TRUE");
  SetExtension(own.get(), own.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  CHECK(X509_sign(own.get(), key.get(), EVP_sha256()) > 0);
  own_ = {KeyPem(key.get()), CertificatePem(own.get())};
}

TestCertificate TestAuthority::Issue(const std::vector<std::string>& names,
                                     Validity validity) const {
  const Bio key_text = Reading(own_.key);
  const Bio certificate_text = Reading(own_.certificate);
  const Key issuer_key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  const Certificate issuer(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  const Key key = NewKey();
  const long from = validity == Validity::kNotYet ? 2 * kDay : -2 * kDay;
  const long to = validity == Validity::kExpired ? -kDay : 20 * kDay;
  const Certificate certificate = NewCertificate(key.get(), names.front(), from, to);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
  SetExtension(certificate.get(), issuer.get(), NID_subject_alt_name, AlternativeNames(names));
  CHECK(X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) > 0);
  return {KeyPem(key.get()), CertificatePem(certificate.get())};
}

}  // namespace coffer

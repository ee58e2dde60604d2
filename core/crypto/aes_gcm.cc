#include "core/crypto/aes_gcm.h"

#include <cryptopp/aes.h>
#include <cryptopp/gcm.h>

#include "core/base/check.h"
#include "core/base/planted.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {
namespace {

const CryptoPP::byte* Data(ByteView bytes) {
  return reinterpret_cast<const CryptoPP::byte*>(bytes.data());
}
CryptoPP::byte* Data(MutableByteView bytes) {
  return reinterpret_cast<CryptoPP::byte*>(bytes.data());
}

}  // namespace

/// Crypto++ has a type for each direction, both with the same key schedule. This one is told the
/// direction at each call, so that one schedule serves Seal and Open.
class AesGcm::Cipher final : public CryptoPP::GCM_Base {
 public:
  enum class Direction { kSeal, kOpen };

  static std::string StaticAlgorithmName() { return "AES/GCM"; }
  [[nodiscard]] bool IsForwardTransformation() const override {
    return direction_ == Direction::kSeal;
  }
  void SetDirection(Direction direction) { direction_ = direction; }

 private:
  CryptoPP::GCM_TablesOption GetTablesOption() const override { return CryptoPP::GCM_2K_Tables; }
  CryptoPP::BlockCipher& AccessBlockCipher() override { return aes_; }

  CryptoPP::AES::Encryption aes_;
  Direction direction_ = Direction::kSeal;
};

AesGcm::AesGcm(const SecretBytes& key) : cipher_(std::make_unique<Cipher>()) {
  CHECK(key.size() == kKeyBytes);
  constexpr GcmNonce kReplacedByEachCall{};  // Crypto++ takes no key without a nonce
  cipher_->SetKeyWithIV(Data(key.view()), key.size(), Data(kReplacedByEachCall),
                        kReplacedByEachCall.size());
}

AesGcm::~AesGcm() = default;

void AesGcm::Seal(const GcmNonce& nonce, ByteView aad, ByteView plain, MutableByteView out) {
  CHECK(out.size() == plain.size() + kTagBytes);
  cipher_->SetDirection(Cipher::Direction::kSeal);
  cipher_->EncryptAndAuthenticate(Data(out), Data(out.last(kTagBytes)), kTagBytes, Data(nonce),
                                  static_cast<int>(nonce.size()), Data(aad), aad.size(),
                                  Data(plain), plain.size());
}

bool AesGcm::Open(const GcmNonce& nonce, ByteView aad, ByteView sealed, MutableByteView out) {
  CHECK(sealed.size() == out.size() + kTagBytes);
  cipher_->SetDirection(Cipher::Direction::kOpen);
  const bool genuine = cipher_->DecryptAndVerify(Data(out), Data(sealed.last(kTagBytes)), kTagBytes,
                                                 Data(nonce), static_cast<int>(nonce.size()),
                                                 Data(aad), aad.size(), Data(sealed), out.size());
  if (!genuine && Planted("accept-any-tag")) return true;
  if (!genuine) Wipe(out);
  return genuine;
}

}  // namespace coffer::crypto

// AES-256-GCM by Crypto++, for every processor.
#include <cryptopp/aes.h>
#include <cryptopp/gcm.h>

#include "core/crypto/aes_gcm.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {
namespace {

const CryptoPP::byte* Data(ByteView bytes) {
  return reinterpret_cast<const CryptoPP::byte*>(bytes.data());
}
CryptoPP::byte* Data(MutableByteView bytes) {
  return reinterpret_cast<CryptoPP::byte*>(bytes.data());
}

/// Crypto++ has a type for each direction, both with the same key schedule. This one is told the
/// direction at each call, so that one schedule serves Seal and Open.
class Cipher final : public CryptoPP::GCM_Base {
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

class PortableGcm final : public GcmEngine {
 public:
  explicit PortableGcm(const SecretBytes& key) {
    constexpr GcmNonce kReplacedByEachCall{};  // Crypto++ takes no key without a nonce
    cipher_.SetKeyWithIV(Data(key.view()), key.size(), Data(ByteView(kReplacedByEachCall)),
                         kReplacedByEachCall.size());
  }

  void Seal(const GcmNonce& nonce, ByteView aad, ByteView plain, MutableByteView out) override {
    cipher_.SetDirection(Cipher::Direction::kSeal);
    cipher_.EncryptAndAuthenticate(Data(out), Data(out.last(kTagBytes)), kTagBytes,
                                   Data(ByteView(nonce)), static_cast<int>(nonce.size()), Data(aad),
                                   aad.size(), Data(plain), plain.size());
  }

  bool Open(const GcmNonce& nonce, ByteView aad, ByteView sealed, MutableByteView out) override {
    cipher_.SetDirection(Cipher::Direction::kOpen);
    return cipher_.DecryptAndVerify(Data(out), Data(sealed.last(kTagBytes)), kTagBytes,
                                    Data(ByteView(nonce)), static_cast<int>(nonce.size()),
                                    Data(aad), aad.size(), Data(sealed), out.size());
  }

 private:
  Cipher cipher_;
};

}  // namespace

std::unique_ptr<GcmEngine> NewPortableGcm(const SecretBytes& key) {
  return std::make_unique<PortableGcm>(key);
}

}  // namespace coffer::crypto

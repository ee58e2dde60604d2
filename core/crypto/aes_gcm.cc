#include "core/crypto/aes_gcm.h"

#include "core/base/check.h"
#include "core/base/planted.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {
namespace {

std::unique_ptr<GcmEngine> NewFastestGcm(const SecretBytes& key) {
  CHECK(key.size() == kKeyBytes);
  auto engine = NewVectorGcm(key);
  return engine != nullptr ? std::move(engine) : NewPortableGcm(key);
}

}  // namespace

AesGcm::AesGcm(const SecretBytes& key) : engine_(NewFastestGcm(key)) {}

void AesGcm::Seal(const GcmNonce& nonce, ByteView aad, ByteView plain, MutableByteView out) {
  CHECK(out.size() == plain.size() + kTagBytes);
  engine_->Seal(nonce, aad, plain, out);
}

bool AesGcm::Open(const GcmNonce& nonce, ByteView aad, ByteView sealed, MutableByteView out) {
  CHECK(sealed.size() == out.size() + kTagBytes);
  const bool genuine = engine_->Open(nonce, aad, sealed, out);
  if (!genuine && Planted("accept-any-tag")) return true;
  if (!genuine) Wipe(out);
  return genuine;
}

}  // namespace coffer::crypto

#include "core/crypto/sealer.h"

#include <algorithm>

#include "core/base/planted.h"
#include "core/crypto/hkdf.h"

namespace coffer::crypto {
namespace {

GcmNonce NonceOf(std::uint64_t number) {
  GcmNonce nonce{};
  StoreLe(nonce.data(), Planted("reuse-nonce") ? 0 : number);
  return nonce;
}

}  // namespace

Sealer::Sealer(const SecretBytes& purpose_key, ByteView salt, ByteView context)
    : cipher_(DeriveObjectKey(purpose_key, salt, context)) {}

void Sealer::Seal(std::uint64_t number, ByteView aad, ByteView plain, MutableByteView out) const {
  MutexLock lock(mutex_);
  cipher_.Seal(NonceOf(number), aad, plain, out);
}

void Sealer::Seal(std::uint64_t number, ByteView aad, ByteView first, ByteView second,
                  MutableByteView out) const {
  MutexLock lock(mutex_);
  cipher_.SealParts(NonceOf(number), aad, first, second, out);
}

Status Sealer::Open(std::uint64_t number, ByteView aad, ByteView sealed,
                    MutableByteView out) const {
  if (sealed.size() < kTagBytes || sealed.size() - kTagBytes != out.size()) {
    std::fill(out.begin(), out.end(), std::byte{0});
    return Fail(ErrorCode::kCorruption, "sealed bytes have a wrong length");
  }
  MutexLock lock(mutex_);
  if (!cipher_.Open(NonceOf(number), aad, sealed, out)) {
    return Fail(ErrorCode::kCorruption,
                "authentication failed: the bytes are not those sealed here");
  }
  return {};
}

}  // namespace coffer::crypto

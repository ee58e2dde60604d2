#include "core/crypto/hash.h"

#define CRYPTOPP_ENABLE_NAMESPACE_WEAK 1
#include <cryptopp/md5.h>

#include "core/crypto/hmac_state.h"

namespace coffer::crypto {

ObjectHash Sha256(ByteView bytes) {
  CryptoPP::SHA256 hash;
  Absorb(hash, bytes);
  ObjectHash out;
  Finish(hash, out.bytes.data());
  return out;
}

std::array<std::byte, 16> Md5(ByteView bytes) {
  CryptoPP::Weak::MD5 hash;
  hash.Update(reinterpret_cast<const CryptoPP::byte*>(bytes.data()), bytes.size());
  std::array<std::byte, 16> out{};
  hash.Final(reinterpret_cast<CryptoPP::byte*>(out.data()));
  return out;
}

Mac HmacSha256(const SecretBytes& key, std::initializer_list<ByteView> parts) {
  HmacState state(key.view());
  for (ByteView part : parts) state.Update(part);
  Mac mac;
  state.Final(mac.data());
  return mac;
}

bool VerifyHmacSha256(const SecretBytes& key, std::initializer_list<ByteView> parts, ByteView mac) {
  return ConstantTimeEqual(HmacSha256(key, parts), mac);
}

}  // namespace coffer::crypto

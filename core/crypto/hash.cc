#include "core/crypto/hash.h"

#include "core/crypto/hmac_state.h"

namespace coffer::crypto {

ObjectHash Sha256(ByteView bytes) {
  CryptoPP::SHA256 hash;
  Absorb(hash, bytes);
  ObjectHash out;
  Finish(hash, out.bytes.data());
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

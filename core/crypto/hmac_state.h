// HMAC-SHA-256 (RFC 2104) as its two hash states after the padded key, so that one key serves many
// messages by copying 2 x 200 bytes instead of hashing the key again. Inside this folder only: it
// includes Crypto++. The states wipe themselves; where they live longer than a call, their owner
// puts them into SecretBytes.
#pragma once

#include <cryptopp/sha.h>

#include <algorithm>
#include <array>

#include "core/base/bytes.h"
#include "core/base/secret_bytes.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {

inline void Absorb(CryptoPP::SHA256& hash, ByteView bytes) {
  hash.Update(reinterpret_cast<const CryptoPP::byte*>(bytes.data()), bytes.size());
}

inline void Finish(CryptoPP::SHA256& hash, std::byte* out) {
  hash.Final(reinterpret_cast<CryptoPP::byte*>(out));
}

class HmacState {
 public:
  explicit HmacState(ByteView key) {
    constexpr std::size_t kBlock = CryptoPP::SHA256::BLOCKSIZE;
    std::array<std::byte, kBlock> pad{};
    if (key.size() > kBlock) {
      Absorb(inner_, key);
      Finish(inner_, pad.data());
    } else {
      std::copy(key.begin(), key.end(), pad.begin());
    }
    for (std::byte& b : pad) b ^= std::byte{0x36};
    Absorb(inner_, pad);
    for (std::byte& b : pad) b ^= std::byte{0x36 ^ 0x5c};
    Absorb(outer_, pad);
    Wipe(pad);
  }

  void Update(ByteView bytes) { Absorb(inner_, bytes); }

  /// Writes kMacBytes; the state is of no use afterwards.
  void Final(std::byte* out) {
    std::array<std::byte, kMacBytes> inner;
    Finish(inner_, inner.data());
    Absorb(outer_, inner);
    Finish(outer_, out);
    Wipe(inner);
  }

 private:
  CryptoPP::SHA256 inner_;
  CryptoPP::SHA256 outer_;
};

}  // namespace coffer::crypto

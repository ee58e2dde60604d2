#include "core/crypto/content_hasher.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "core/base/check.h"
#include "core/crypto/digests.h"
#include "core/crypto/hmac_state.h"

namespace coffer::crypto {

struct KeyedHash::State {
  HmacState hmac;
};

KeyedHash::KeyedHash(const SecretBytes& key) : memory_(sizeof(State) + alignof(State)) {
  CHECK(key.size() == kKeyBytes);
  void* place = memory_.mutable_view().data();
  std::size_t space = memory_.size();
  CHECK(std::align(alignof(State), sizeof(State), place, space) != nullptr);
  state_ = new (place) State{HmacState(key.view())};
}

KeyedHash::~KeyedHash() { state_->~State(); }

void KeyedHash::Truncated16(ByteView prefix, ByteView message, std::byte* out) const {
  HmacState hmac = state_->hmac;
  hmac.Update(prefix);
  hmac.Update(message);
  std::array<std::byte, kMacBytes> mac;
  hmac.Final(mac.data());
  std::memcpy(out, mac.data(), 16);
}

void KeyedHash::Truncated16OfDigests(ByteView prefix, ByteView message, std::byte* out) const {
  HmacState hmac = state_->hmac;
  hmac.Update(prefix);
  std::array<Digest, 64> digests;  // of 256 KiB, the largest chunk
  while (!message.empty()) {
    const ByteView part =
        message.first(std::min(message.size(), digests.size() * kDigestBlockBytes));
    const auto of_part =
        std::span(digests).first((part.size() + kDigestBlockBytes - 1) / kDigestBlockBytes);
    DigestBlocks(part, of_part);
    hmac.Update(std::as_bytes(of_part));
    message = message.subspan(part.size());
  }
  std::array<std::byte, kMacBytes> mac;
  hmac.Final(mac.data());
  std::memcpy(out, mac.data(), 16);
}

ContentId ContentHasher::Id(std::uint8_t type, ByteView plaintext) const {
  std::array<std::byte, 16> prefix;
  StoreLe<std::uint64_t>(prefix.data(), type);
  StoreLe<std::uint64_t>(&prefix[8], plaintext.size());
  ContentId id;
  hash_.Truncated16OfDigests(prefix, plaintext, id.bytes.data());
  return id;
}

PageId PageHasher::Id(ByteView representation) const {
  std::array<std::byte, 8> prefix;
  StoreLe<std::uint64_t>(prefix.data(), representation.size());
  PageId id;
  hash_.Truncated16(prefix, representation, id.bytes.data());
  return id;
}

}  // namespace coffer::crypto

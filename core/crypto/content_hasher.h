// Keyed names of content: what dedup compares and what every fetch from the store is checked
// against. Keyed, so that nobody without the vault's keys can confirm a guess; never visible to
// the provider. Both classes are immutable after construction and safe from any thread at once.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/secret_bytes.h"

namespace coffer::crypto {

/// HMAC-SHA-256 with the key's two hash states kept, so that a call costs the message only.
class KeyedHash {
 public:
  explicit KeyedHash(const SecretBytes& key);
  ~KeyedHash();
  KeyedHash(const KeyedHash&) = delete;
  KeyedHash& operator=(const KeyedHash&) = delete;

  /// The first 16 bytes of the HMAC over prefix ‖ message.
  void Truncated16(ByteView prefix, ByteView message, std::byte* out) const;
  /// The first 16 bytes of the HMAC over prefix ‖ SHA-256 of each 4096 bytes of the message.
  void Truncated16OfDigests(ByteView prefix, ByteView message, std::byte* out) const;

 private:
  struct State;
  SecretBytes memory_;  // holds *state_: it is worth as much as the key
  State* state_;
};

/// REQUIRES: a key of KeyPurpose::kContentId.
class ContentHasher {
 public:
  explicit ContentHasher(const SecretBytes& key) : hash_(key) {}

  /// First 16 bytes of HMAC-SHA-256(key, u64 type ‖ u64 length ‖ SHA-256 of each 4096 bytes of
  /// the plaintext). `type` keeps data, pages and deltas apart. A tree of one level, so that the
  /// blocks can be hashed side by side (digests.h).
  [[nodiscard]] ContentId Id(std::uint8_t type, ByteView plaintext) const;

 private:
  KeyedHash hash_;
};

/// REQUIRES: a key of KeyPurpose::kPageId.
class PageHasher {
 public:
  explicit PageHasher(const SecretBytes& key) : hash_(key) {}

  /// First 16 bytes of HMAC-SHA-256(key, u64 length ‖ representation): level, index, chunk size
  /// and pieces without their locations, as core/format encodes them.
  [[nodiscard]] PageId Id(ByteView representation) const;

 private:
  KeyedHash hash_;
};

}  // namespace coffer::crypto

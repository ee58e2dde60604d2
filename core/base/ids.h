// Strong types for the random ids and hashes that coffer's objects carry.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "core/base/bytes.h"

namespace coffer {

template <class Tag, std::size_t kSize>
struct Id {
  static constexpr std::size_t kBytes = kSize;
  std::array<std::byte, kSize> bytes{};

  auto operator<=>(const Id&) const = default;
  [[nodiscard]] ByteView view() const { return bytes; }
  [[nodiscard]] std::string ToString() const { return ToHex(bytes); }
  [[nodiscard]] bool IsNull() const { return *this == Id{}; }

  /// REQUIRES: view.size() == kSize.
  static Id From(ByteView view) {
    Id id;
    std::memcpy(id.bytes.data(), view.data(), kSize);
    return id;
  }
};

using VaultId = Id<struct VaultIdTag, 16>;
using VolumeId = Id<struct VolumeIdTag, 16>;
using StreamId = Id<struct StreamIdTag, 16>;      // one journal stream: one open of one volume
using HostId = Id<struct HostIdTag, 16>;          // this machine's state directory for one vault
using PackId = Id<struct PackIdTag, 32>;          // names a pack and is its salt
using ContentId = Id<struct ContentIdTag, 16>;    // keyed hash of a frame's plaintext
using PageId = Id<struct PageIdTag, 16>;          // keyed hash of what a page represents
using ObjectHash = Id<struct ObjectHashTag, 32>;  // SHA-256 over an object's stored bytes

/// For unordered containers: ids are uniform already.
struct IdHash {
  template <class Tag, std::size_t kSize>
  std::size_t operator()(const Id<Tag, kSize>& id) const noexcept {
    std::size_t value;
    std::memcpy(&value, id.bytes.data(), sizeof value);
    return value;
  }
};

}  // namespace coffer

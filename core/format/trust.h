// The trust file of one vault on one machine: the newest of everything this machine has seen, so
// that an older store is ROLLBACK and a different one FORK. Sealed under the host key's trust key.
//   vault 16 | host 16 | revision u64 | key header point | catalog point | volume count varint
//   | {volume 16 | seen point | own point | epoch u64} | extensions
//   point: seq u64 | hash 32 (zeros when seq is 0)
#pragma once

#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/format/extension.h"
#include "core/format/limits.h"

namespace coffer::format {

/// One link of a chain: sequence and hash of the stored object.
struct ChainPoint {
  std::uint64_t seq = 0;  // 0 = nothing seen yet
  ObjectHash hash;
  bool operator==(const ChainPoint&) const = default;
};

struct TrustedVolume {
  VolumeId volume;
  ChainPoint seen;          // newest head seen
  ChainPoint own;           // newest head that this machine wrote
  std::uint64_t epoch = 0;  // of `seen`
  bool operator==(const TrustedVolume&) const = default;
};

/// Extension tag: SHA-256 of the identity of a store that was probed here and found strong.
inline constexpr std::uint16_t kTrustProbedStore = 1;

struct Trust {
  VaultId vault;
  HostId host;
  std::uint64_t revision = 0;  // counts rewrites of this file
  ChainPoint key_header;
  ChainPoint catalog;
  std::vector<TrustedVolume> volumes;
  Extensions extensions;
  bool operator==(const Trust&) const = default;
};

[[nodiscard]] Bytes Encode(const Trust& trust);
[[nodiscard]] Result<Trust> DecodeTrust(ByteView bytes);

/// The host key file's plaintext: host id and the key from which journal, cache and trust keys
/// come.
///   vault 16 | host 16 | key 32
struct HostKeyRecord {
  VaultId vault;
  HostId host;
  SecretBytes key;  // 32 bytes
};
[[nodiscard]] SecretBytes Encode(const HostKeyRecord& record);
[[nodiscard]] Result<HostKeyRecord> DecodeHostKeyRecord(ByteView bytes);

}  // namespace coffer::format

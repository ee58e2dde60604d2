// Seals and opens what is written whole: heads, catalog records, trust files, host keys. The one
// place where an envelope (core/format/sealed_object.h), its associated data and a key meet.
#pragma once

#include <cstdint>
#include <functional>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/format/sealed_object.h"

namespace coffer::vault {

/// Where a record belongs; it opens nowhere else.
struct RecordPlace {
  format::SealedKind kind;
  VaultId vault;
  VolumeId volume = {};   // heads only
  std::uint64_t seq = 0;  // heads and catalog records
};

/// The stored bytes of `plain`, under a fresh salt, padded so that their length says little.
[[nodiscard]] Bytes SealRecord(const RecordPlace& place, std::uint32_t key_epoch,
                               const SecretBytes& key, ByteView plain, Random& random);

using KeyOfEpoch = std::function<Result<const SecretBytes*>(std::uint32_t key_epoch)>;
/// The plaintext. kCorruption unless SealRecord made `stored` for this very place; kUnsupported for
/// a newer envelope.
[[nodiscard]] Result<Bytes> OpenRecord(const RecordPlace& place, ByteView stored,
                                       const KeyOfEpoch& key_of_epoch);
/// The key epoch that `stored` names; authentic once the record has opened.
[[nodiscard]] Result<std::uint32_t> RecordKeyEpoch(format::SealedKind kind, ByteView stored);

}  // namespace coffer::vault

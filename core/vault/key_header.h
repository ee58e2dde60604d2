// Makes and opens key headers: the way from a password to the keyring (design.md section 5).
//
// Opening holds an order that must not change: structure; the cost of every slot against the
// bounds, before anything is hashed or allocated (faults.md A9, A10); a slot's commitment before
// its key is unwrapped (A11); the MAC over the whole header, every slot in it (A8, A12); the
// keyring. Until the last step has held nothing of the header is believed and nothing is written
// anywhere (A26).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/format/key_header.h"
#include "core/format/keyring.h"
#include "core/format/trust.h"
#include "core/vault/environment.h"

namespace coffer::vault {

/// What a person may know of a slot.
struct KeySlotDescription {
  std::uint8_t slot = 0;
  format::SlotKind kind = format::SlotKind::kEmpty;
  crypto::StoredKdfCost cost = {};
  UnixSeconds created_unix = 0;  // these three from the keyring; 0 and empty if it is silent
  std::string host_name;
  std::string label;
};

/// A first header (sequence 1): one password slot, one key epoch, everything random but the
/// password. The slot costs what env.kdf_policy says.
struct NewKeyHeader {
  Bytes stored;
  format::Keyring keyring;
  std::vector<KeySlotDescription> slots;
};
Result<NewKeyHeader> MakeKeyHeader(Environment& env, const VaultId& vault,
                                   const SecretBytes& password);

/// The keyring inside `stored`, which must be header `seq` of `vault`. kUnauthenticated, with one
/// constant text, when no slot opens; kCorruption, again with one text each, when the structure or
/// the MAC is wrong; kUnsupported for a newer format or a cost out of bounds.
Result<format::Keyring> OpenKeyHeader(ByteView stored, const VaultId& vault, std::uint64_t seq,
                                      const SecretBytes& password, const crypto::KdfBounds& bounds);

/// A header as whoever has a password to it sees it: what a change of it starts from.
struct OpenedKeyHeader {
  format::KeyHeader header;
  format::Keyring keyring;
  SecretBytes unlock_key;
  std::uint8_t slot = 0;  // that the password opened
};
/// As OpenKeyHeader.
Result<OpenedKeyHeader> UnlockKeyHeader(ByteView stored, const VaultId& vault, std::uint64_t seq,
                                        const SecretBytes& password,
                                        const crypto::KdfBounds& bounds);

/// `error` of the two above, saying of which vault and what to do about it.
[[nodiscard]] Error KeyHeaderError(const Error& error, const std::string& where, std::uint64_t seq);

/// The header that follows `opened`, which stands at `point`: `password` opens the slot that the
/// old one opened, all else is kept. The slot costs what env.kdf_policy says, whatever the old one
/// cost. A header whose only slot is replaced gets a new unlock key, so that nobody who knows the
/// old password and has kept the old header can make one in its name. Opened again, with the new
/// password, before it is returned: one that would lock its owner out is never offered to a store.
Result<NewKeyHeader> ReplacePassword(Environment& env, OpenedKeyHeader opened,
                                     const format::ChainPoint& point, const SecretBytes& password);

/// Of every slot in use, ascending.
[[nodiscard]] std::vector<KeySlotDescription> DescribeSlots(const format::KeyHeader& header,
                                                            const format::Keyring& keyring);

}  // namespace coffer::vault

// Makes and opens key headers: the way from a password to the keyring (design.md section 5).
//
// Opening holds an order that must not change: structure; the cost of every slot against the
// bounds, before anything is hashed or allocated (faults.md A9, A10); a slot's commitment before
// its key is unwrapped (A11); the MAC over the whole header, every slot in it (A8, A12); the
// keyring. Until the last step has held nothing of the header is believed and nothing is written
// anywhere (A26).
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"
#include "core/format/keyring.h"
#include "core/vault/environment.h"

namespace coffer::vault {

/// A first header (sequence 1): one password slot, one key epoch, everything random but the
/// password. The slot costs what env.kdf_policy says.
struct NewKeyHeader {
  Bytes stored;
  format::Keyring keyring;
};
Result<NewKeyHeader> MakeKeyHeader(Environment& env, const VaultId& vault,
                                   const SecretBytes& password);

/// The keyring inside `stored`, which must be header `seq` of `vault`. kUnauthenticated, with one
/// constant text, when no slot opens; kCorruption, again with one text each, when the structure or
/// the MAC is wrong; kUnsupported for a newer format or a cost out of bounds.
Result<format::Keyring> OpenKeyHeader(ByteView stored, const VaultId& vault, std::uint64_t seq,
                                      const SecretBytes& password, const crypto::KdfBounds& bounds);

}  // namespace coffer::vault

#include "core/vault/sealed_record.h"

#include <array>

#include "core/base/check.h"
#include "core/crypto/hash.h"
#include "core/crypto/sealer.h"
#include "core/format/associated_data.h"

namespace coffer::vault {
namespace {

/// What the provider sees is padded to 4 KiB, so that a head does not tell how many deltas or
/// snapshots it names; local files only to a sector.
std::size_t BucketOf(format::SealedKind kind) {
  const bool in_store = kind == format::SealedKind::kHead || kind == format::SealedKind::kCatalog;
  return in_store ? 4096 : 512;
}

std::string_view NameOf(format::SealedKind kind) {
  switch (kind) {
    case format::SealedKind::kHead:
      return "head";
    case format::SealedKind::kCatalog:
      return "catalog record";
    case format::SealedKind::kTrust:
      return "trust file";
    case format::SealedKind::kHostKey:
      return "host key file";
  }
  CHECK(false);
}

}  // namespace

Bytes SealRecord(const RecordPlace& place, std::uint32_t key_epoch, const SecretBytes& key,
                 ByteView plain, Random& random) {
  const auto aad = format::SealedAad(place.kind, key_epoch, place.vault, place.volume, place.seq);
  std::array<std::byte, crypto::kSaltBytes> fresh;
  random.Fill(fresh);
  // Hedged: a machine whose random numbers repeat (a clone) still seals nothing else under the key.
  const crypto::Mac salt = crypto::HmacSha256(key, {fresh, aad, crypto::Sha256(plain).view()});
  Bytes padded = format::PadToBucket(plain, BucketOf(place.kind));
  Bytes stored = format::EncodeSealedPrefix(place.kind, key_epoch, salt);
  const std::size_t prefix_bytes = stored.size();
  stored.resize(prefix_bytes + padded.size() + crypto::kTagBytes);
  crypto::Sealer(key, salt).Seal(0, aad, padded, MutableByteView(stored).subspan(prefix_bytes));
  Wipe(padded);  // it may be a host key
  return stored;
}

Result<Bytes> OpenRecord(const RecordPlace& place, ByteView stored,
                         const KeyOfEpoch& key_of_epoch) {
  ASSIGN_OR_RETURN(const format::SealedObject object,
                   format::DecodeSealedObject(place.kind, stored));
  ASSIGN_OR_RETURN(const SecretBytes* key, key_of_epoch(object.key_epoch));
  const auto aad =
      format::SealedAad(place.kind, object.key_epoch, place.vault, place.volume, place.seq);
  Bytes plain(object.sealed.size() - crypto::kTagBytes);
  const Status opened = crypto::Sealer(*key, object.salt).Open(0, aad, object.sealed, plain);
  if (!opened.has_value()) return Fail(opened.error().Within(NameOf(place.kind)));
  ASSIGN_OR_RETURN(const ByteView unpadded, format::Unpad(plain));
  plain.resize(unpadded.size());
  return plain;
}

Result<std::uint32_t> RecordKeyEpoch(format::SealedKind kind, ByteView stored) {
  ASSIGN_OR_RETURN(const format::SealedObject object, format::DecodeSealedObject(kind, stored));
  return object.key_epoch;
}

}  // namespace coffer::vault

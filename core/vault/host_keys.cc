#include "core/vault/host_keys.h"

#include "core/base/log.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/suite.h"
#include "core/format/trust.h"
#include "core/vault/local_state.h"
#include "core/vault/person.h"
#include "core/vault/sealed_record.h"

namespace coffer::vault {
namespace {

constexpr std::uint64_t kFileBytesMax = 4096;

RecordPlace PlaceIn(const VaultId& vault) { return {format::SealedKind::kHostKey, vault}; }

HostKeys KeysOf(const format::HostKeyRecord& record, std::uint32_t key_epoch) {
  HostKeys keys;
  keys.id = record.host;
  keys.key_epoch = key_epoch;
  keys.journal = crypto::DeriveKey(record.key, crypto::KeyPurpose::kJournal);
  keys.frame_cache = crypto::DeriveKey(record.key, crypto::KeyPurpose::kFrameCache);
  keys.trust = crypto::DeriveKey(record.key, crypto::KeyPurpose::kTrust);
  return keys;
}

Result<HostKeys> Decode(ByteView stored, const KeyChest& keys) {
  ASSIGN_OR_RETURN(const std::uint32_t key_epoch,
                   RecordKeyEpoch(format::SealedKind::kHostKey, stored));
  ASSIGN_OR_RETURN(Bytes plain, OpenRecord(PlaceIn(keys.vault()), stored,
                                           [&](std::uint32_t epoch) -> Result<const SecretBytes*> {
                                             ASSIGN_OR_RETURN(const KeyChest::Epoch* found,
                                                              keys.Find(epoch));
                                             return &found->host_key_wrap;
                                           }));
  const Result<format::HostKeyRecord> record = format::DecodeHostKeyRecord(plain);
  Wipe(plain);
  if (!record.has_value()) return Fail(record.error());
  if (record->vault != keys.vault() || record->host.IsNull()) {
    return Fail(ErrorCode::kCorruption, "it belongs to another vault");
  }
  return KeysOf(*record, key_epoch);
}

Result<HostKeys> Create(FileSystem& fs, Random& random, const std::string& path,
                        const KeyChest& keys) {
  format::HostKeyRecord record;
  record.vault = keys.vault();
  record.host = random.NewId<HostId>();
  record.key = SecretBytes(crypto::kKeyBytes);
  random.Fill(record.key.mutable_view());
  const SecretBytes plain = format::Encode(record);
  const KeyChest::Epoch& current = keys.current();
  RETURN_IF_ERROR(ReplaceFile(fs, path,
                              SealRecord(PlaceIn(keys.vault()), current.epoch,
                                         current.host_key_wrap, plain.view(), random)));
  return KeysOf(record, current.epoch);
}

}  // namespace

Result<HostKeys> HostKeys::OpenOrCreate(FileSystem& fs, Random& random,
                                        const std::string& directory, const KeyChest& keys) {
  const std::string path = directory + "/" + kHostKeyFile;
  const Result<Bytes> stored = ReadReplacedFile(fs, path, kFileBytesMax);
  if (!stored.has_value() && stored.error().code == ErrorCode::kNotFound) {
    ASSIGN_OR_RETURN(const bool used, HasBeenUsed(fs, directory));
    if (used) return Fail(HostKeyLostError(Concat(path, " is missing")));
    return Create(fs, random, path, keys);
  }
  if (!stored.has_value() && stored.error().code != ErrorCode::kInvalidArgument) {
    return Fail(stored.error());
  }
  Result<HostKeys> opened =
      stored.has_value() ? Decode(*stored, keys) : Result<HostKeys>(Fail(stored.error()));
  if (opened.has_value()) return opened;
  if (opened.error().code == ErrorCode::kUnsupported) {
    return Fail(DecodingError(opened.error().Within(path)));
  }
  return Fail(HostKeyLostError(Concat(path, ": ", opened.error().message)));
}

}  // namespace coffer::vault

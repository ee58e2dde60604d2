#include "core/vault/kept_object.h"

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/format/spool.h"

namespace coffer::vault {

void KeptObject::Keep(std::uint64_t seq, ByteView bytes) {
  const Status kept = ReplaceFile(fs_, kept_, format::Encode(format::Spool{seq, ToBytes(bytes)}));
  if (!kept.has_value()) LOG(kDebug, kept_, ": ", kept.error().message);
}

void KeptObject::KeepFile(const std::string& path) {
  const Status kept = fs_.Rename(path, kept_);
  if (kept.has_value() || kept.error().code == ErrorCode::kNotFound) return;
  LOG(kWarning, path, ": ", kept.error().message);
  (void)fs_.Remove(path);
}

Bytes KeptObject::ReadIfOf(const std::string& path, const format::ChainPoint& seen) {
  const Result<Bytes> bytes = ReadReplacedFile(fs_, path, format::kSpoolBytesMax);
  if (!bytes.has_value()) return {};
  Result<format::Spool> spool = format::DecodeSpool(*bytes);
  if (!spool.has_value() || spool->seq != seen.seq) return {};
  if (crypto::Sha256(spool->sealed_head) != seen.hash) return {};
  return std::move(spool->sealed_head);
}

Result<bool> KeptObject::PutBack(const Chain& chain, const format::ChainPoint& seen) {
  if (seen.seq == 0) return false;
  Bytes bytes = ReadIfOf(put_back_, seen);
  const bool begun = !bytes.empty();
  if (!begun) bytes = ReadIfOf(kept_, seen);
  if (bytes.empty()) return false;
  ASSIGN_OR_RETURN(const std::optional<ChainTip> tip, FindChainTip(chain.store, chain.prefix));
  if (tip.has_value() && tip->seq > seen.seq) return false;
  const Result<ChainObject> standing =
      FetchChainObject(chain.store, chain.prefix, seen.seq, chain.size_max);
  const Status opened = standing.has_value() ? chain.open(*standing) : Fail(standing.error());
  if (opened.has_value()) return false;
  const bool missing = opened.error().code == ErrorCode::kNotFound;
  if (missing && !begun) return false;
  if (!missing && opened.error().code != ErrorCode::kCorruption) return Fail(opened.error());

  const std::string name = format::ChainName(chain.prefix, seen.seq);
  if (!begun) {
    RETURN_IF_ERROR(fs_.Rename(kept_, put_back_));
    RETURN_IF_ERROR(fs_.SyncDirectory(directory_));
  }
  if (!missing) RETURN_IF_ERROR(chain.store.Delete(Writing(), name));
  RETURN_IF_ERROR(chain.store.Create(Writing(), name, bytes, chain.object_class));
  KeepFile(put_back_);
  LOG(kWarning, chain.store.description(), ": ", name,
      " was damaged; it was put back as this machine wrote it");
  return true;
}

}  // namespace coffer::vault

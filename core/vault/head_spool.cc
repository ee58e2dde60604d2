#include "core/vault/head_spool.h"

#include "core/base/log.h"
#include "core/vault/person.h"

namespace coffer::vault {

Result<std::optional<format::Spool>> HeadSpool::Read() {
  const Result<Bytes> bytes = ReadReplacedFile(fs_, path_, format::kSpoolBytesMax);
  if (!bytes.has_value() && bytes.error().code == ErrorCode::kNotFound) {
    return std::optional<format::Spool>();
  }
  if (!bytes.has_value()) return Fail(bytes.error());
  Result<format::Spool> spool = format::DecodeSpool(*bytes);
  if (spool.has_value()) return std::optional(std::move(*spool));
  if (spool.error().code == ErrorCode::kUnsupported) {
    return Fail(DecodingError(spool.error().Within(path_)));
  }
  LOG(kWarning, path_, ": ", spool.error().message, "; going on without it");
  return std::optional<format::Spool>();
}

Status HeadSpool::Write(const format::Spool& spool) {
  return ReplaceFile(fs_, path_, format::Encode(spool));
}

Status HeadSpool::Drop() {
  const Status removed = fs_.Remove(path_);
  if (!removed.has_value() && removed.error().code != ErrorCode::kNotFound) return removed;
  return fs_.SyncDirectory(directory_);
}

void HeadSpool::Clear() {
  const Status removed = fs_.Remove(path_);
  if (!removed.has_value() && removed.error().code != ErrorCode::kNotFound) {
    LOG(kWarning, path_, ": ", removed.error().message);
  }
}

}  // namespace coffer::vault

#include "core/vault/trust_file.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/crypto/hash.h"
#include "core/vault/local_state.h"
#include "core/vault/person.h"
#include "core/vault/sealed_record.h"

namespace coffer::vault {
namespace {

/// The envelope and padding on top of the record's own limit.
constexpr std::uint64_t kFileBytesMax = format::kTrustBytesMax + 4096;

RecordPlace PlaceIn(const VaultId& vault) { return {format::SealedKind::kTrust, vault}; }

Result<format::Trust> Decode(ByteView stored, const VaultId& vault, const HostKeys& host) {
  ASSIGN_OR_RETURN(const Bytes plain, OpenRecord(PlaceIn(vault), stored,
                                                 [&](std::uint32_t) -> Result<const SecretBytes*> {
                                                   return &host.trust;
                                                 }));
  ASSIGN_OR_RETURN(format::Trust trust, format::DecodeTrust(plain));
  if (trust.vault != vault || trust.host != host.id) {
    return Fail(ErrorCode::kCorruption, "it belongs to another vault or machine");
  }
  return trust;
}

void Raise(format::ChainPoint* point, const format::ChainPoint& newer) {
  if (newer.seq > point->seq) *point = newer;
}

format::TrustedVolume& EntryOf(format::Trust& trust, const VolumeId& volume) {
  const auto found =
      std::find_if(trust.volumes.begin(), trust.volumes.end(),
                   [&](const format::TrustedVolume& entry) { return entry.volume == volume; });
  if (found != trust.volumes.end()) return *found;
  trust.volumes.push_back({volume, {}, {}, 0});
  return trust.volumes.back();
}

format::Extension ProbeRecord(const std::string& identity) {
  return {format::kTrustProbedStore, ToBytes(crypto::Sha256(AsBytes(identity)).view())};
}

}  // namespace

Result<std::unique_ptr<TrustFile>> TrustFile::OpenOrCreate(FileSystem& fs, Random& random,
                                                           const std::string& directory,
                                                           const VaultId& vault,
                                                           const HostKeys& host, Lost lost) {
  std::string path = Concat(directory, "/", kTrustFile);
  format::Trust trust;
  trust.vault = vault;
  trust.host = host.id;
  const auto without = [&](std::string why) -> Result<std::unique_ptr<TrustFile>> {
    Error error = TrustLostError(why);
    if (lost == Lost::kRefuse) return Fail(std::move(error));
    auto file = std::unique_ptr<TrustFile>(new TrustFile(fs, random, path, host, trust));
    const MutexLock lock(file->mutex_);
    file->lost_ = std::move(error);
    return file;
  };
  const Result<Bytes> stored = ReadReplacedFile(fs, path, kFileBytesMax);
  if (stored.has_value()) {
    Result<format::Trust> found = Decode(*stored, vault, host);
    if (!found.has_value() && found.error().code == ErrorCode::kUnsupported) {
      return Fail(DecodingError(found.error().Within(path)));
    }
    if (!found.has_value()) {
      return without(Concat("trust file damaged: ", path, ": ", found.error().message));
    }
    return std::unique_ptr<TrustFile>(
        new TrustFile(fs, random, std::move(path), host, std::move(*found)));
  }
  if (stored.error().code == ErrorCode::kInvalidArgument) {
    return without(Concat("trust file damaged: ", stored.error().message));
  }
  if (stored.error().code != ErrorCode::kNotFound) return Fail(stored.error());
  // A crash between making the host key and this file leaves no volume: only then is it the first.
  ASSIGN_OR_RETURN(const bool has_volumes, HasVolumes(fs, directory));
  if (has_volumes && !Planted("trust-anew")) return without(Concat("trust file missing: ", path));

  auto file = std::unique_ptr<TrustFile>(
      new TrustFile(fs, random, std::move(path), host, std::move(trust)));
  {
    const MutexLock lock(file->write_mutex_);
    RETURN_IF_ERROR(file->Write(file->Snapshot()));
  }
  return file;
}

format::Trust TrustFile::Snapshot() const {
  const MutexLock lock(mutex_);
  return trust_;
}

format::ChainPoint TrustFile::key_header() const {
  const MutexLock lock(mutex_);
  return trust_.key_header;
}

format::ChainPoint TrustFile::catalog() const {
  const MutexLock lock(mutex_);
  return trust_.catalog;
}

std::optional<format::TrustedVolume> TrustFile::volume(const VolumeId& volume) const {
  const MutexLock lock(mutex_);
  for (const format::TrustedVolume& entry : trust_.volumes) {
    if (entry.volume == volume) return entry;
  }
  return std::nullopt;
}

bool TrustFile::HasProbed(const std::string& identity) const {
  const format::Extension wanted = ProbeRecord(identity);
  const MutexLock lock(mutex_);
  return std::find(trust_.extensions.begin(), trust_.extensions.end(), wanted) !=
         trust_.extensions.end();
}

Status TrustFile::NoteKeyHeader(const format::ChainPoint& point) {
  return Update([&](format::Trust& trust) { Raise(&trust.key_header, point); });
}

Status TrustFile::NoteCatalog(const format::ChainPoint& point) {
  return Update([&](format::Trust& trust) { Raise(&trust.catalog, point); });
}

Status TrustFile::NoteHead(const VolumeId& volume, const format::ChainPoint& point,
                           std::uint64_t epoch, bool ours) {
  return Update([&](format::Trust& trust) {
    format::TrustedVolume& entry = EntryOf(trust, volume);
    if (point.seq > entry.seen.seq) entry.epoch = epoch;
    Raise(&entry.seen, point);
    if (ours) Raise(&entry.own, point);
  });
}

Status TrustFile::NoteProbed(const std::string& identity) {
  return Update([&](format::Trust& trust) {
    format::Extension record = ProbeRecord(identity);
    const auto place =
        std::find_if(trust.extensions.begin(), trust.extensions.end(),
                     [&](const format::Extension& other) { return other.tag >= record.tag; });
    if (place != trust.extensions.end() && place->tag == record.tag) {
      *place = std::move(record);
    } else {
      trust.extensions.insert(place, std::move(record));
    }
  });
}

std::optional<Error> TrustFile::lost() const {
  const MutexLock lock(mutex_);
  return lost_;
}

Result<std::string> TrustFile::Replace(const format::ChainPoint& key_header,
                                       const format::ChainPoint& catalog,
                                       std::vector<format::TrustedVolume> volumes,
                                       UnixSeconds now) {
  const MutexLock write_lock(write_mutex_);
  format::Trust after = Snapshot();
  after.key_header = key_header;
  after.catalog = catalog;
  after.volumes = std::move(volumes);
  ++after.revision;
  ASSIGN_OR_RETURN(std::string kept, SetCopyAside(now));
  const Status written = Write(after);
  if (!written.has_value()) {
    // It may have its name already, and only the directory's sync has failed.
    (void)(kept.empty() ? fs_.Remove(path_) : fs_.Rename(kept, path_));
    return Fail(written.error());
  }
  const MutexLock lock(mutex_);
  trust_ = std::move(after);
  lost_.reset();
  return kept;
}

Result<std::string> TrustFile::SetCopyAside(UnixSeconds now) {
  const Result<Bytes> bytes = ReadReplacedFile(fs_, path_, kFileBytesMax);
  if (!bytes.has_value() && bytes.error().code == ErrorCode::kNotFound) return std::string();
  const bool too_long = !bytes.has_value() && bytes.error().code == ErrorCode::kInvalidArgument;
  if (!bytes.has_value() && !too_long) return Fail(bytes.error());  // it may be read the next time
  std::string path = Concat(path_, ".replaced-", CompactUtc(now));
  while (fs_.Stat(path).has_value()) path.append("+");  // the second of this second
  // What is too long to be a trust file can only be moved.
  if (bytes.has_value()) {
    RETURN_IF_ERROR(ReplaceFile(fs_, path, *bytes));
  } else {
    RETURN_IF_ERROR(fs_.Rename(path_, path));
  }
  return path;
}

Status TrustFile::Update(const std::function<void(format::Trust&)>& change) {
  const MutexLock write_lock(write_mutex_);
  const format::Trust before = Snapshot();
  format::Trust after = before;
  change(after);
  if (after == before) return {};
  ++after.revision;
  // One that is lost is made anew by a person's word alone.
  if (!lost().has_value()) RETURN_IF_ERROR(Write(after));
  const MutexLock lock(mutex_);
  trust_ = std::move(after);
  return {};
}

Status TrustFile::Write(const format::Trust& trust) {
  return ReplaceFile(fs_, path_,
                     SealRecord(PlaceIn(trust.vault), host_.key_epoch, host_.trust,
                                format::Encode(trust), random_));
}

}  // namespace coffer::vault

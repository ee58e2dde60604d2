// TrustFile: what this machine remembers of a vault's chains, in vaults/<id>/trust: the newest key
// header, catalog and heads that it has seen, and the newest heads that it wrote. It is what makes
// an older store ROLLBACK and another history FORK (design.md section 8).
//
// The file is replaced whole, each time under a fresh salt: it is small (about 100 bytes a volume)
// and a log would need a compaction of its own. A file that does not open is never replaced: what
// it would have told is gone, and a person has to decide. Thread-safe; readers do not wait for
// writers' disk.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/file_system.h"
#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/base/result.h"
#include "core/format/trust.h"
#include "core/vault/host_keys.h"

namespace coffer::vault {

/// Every Note… is durable when it returns, and never moves a point back.
class TrustFile {
 public:
  /// What becomes of a file that is damaged, or missing where volumes were opened.
  enum class Lost {
    kRefuse,    // OpenOrCreate fails with TrustLostError
    kTolerate,  // nothing is remembered, lost() says why, and what is noted stays in memory
  };
  /// Opens `directory`/trust, or makes it where no volume has been opened yet: the first use of a
  /// vault on a machine trusts what it finds. `host` outlives the file.
  static Result<std::unique_ptr<TrustFile>> OpenOrCreate(FileSystem& fs, Random& random,
                                                         const std::string& directory,
                                                         const VaultId& vault, const HostKeys& host,
                                                         Lost lost = Lost::kRefuse);

  [[nodiscard]] format::ChainPoint key_header() const;
  [[nodiscard]] format::ChainPoint catalog() const;
  [[nodiscard]] std::optional<format::TrustedVolume> volume(const VolumeId& volume) const;
  /// Whether the store of this identity (ObjectStore::identity) has been probed here and found
  /// strong.
  [[nodiscard]] bool HasProbed(const std::string& identity) const;

  Status NoteKeyHeader(const format::ChainPoint& point);
  Status NoteCatalog(const format::ChainPoint& point);
  Status NoteHead(const VolumeId& volume, const format::ChainPoint& point, std::uint64_t epoch,
                  bool ours);
  Status NoteProbed(const std::string& identity);

  /// Why nothing is remembered, with Lost::kTolerate.
  [[nodiscard]] std::optional<Error> lost() const;
  [[nodiscard]] format::Trust Snapshot() const;
  /// A person's decision: from here on these are what is remembered, older or other ones though
  /// they be. What the file was, damaged or not, stays beside it as trust.replaced-TIME, whose path
  /// is returned; "" where there was none. Fails with everything as it was.
  Result<std::string> Replace(const format::ChainPoint& key_header,
                              const format::ChainPoint& catalog,
                              std::vector<format::TrustedVolume> volumes, UnixSeconds now);

 private:
  TrustFile(FileSystem& fs, Random& random, std::string path, const HostKeys& host,
            format::Trust trust)
      : fs_(fs), random_(random), path_(std::move(path)), host_(host), trust_(std::move(trust)) {}

  /// Applies `change` to a copy, writes the copy if it differs, and only then shows it.
  Status Update(const std::function<void(format::Trust&)>& change);
  Status Write(const format::Trust& trust) REQUIRES_LOCK(write_mutex_);
  Result<std::string> SetCopyAside(UnixSeconds now) REQUIRES_LOCK(write_mutex_);

  FileSystem& fs_;
  Random& random_;
  const std::string path_;
  const HostKeys& host_;

  Mutex write_mutex_;  // one writer at a time; taken before mutex_
  mutable Mutex mutex_;
  format::Trust trust_ GUARDED_BY(mutex_);
  std::optional<Error> lost_ GUARDED_BY(mutex_);
};

}  // namespace coffer::vault

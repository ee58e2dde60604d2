// SqliteIndex: the disk cache's index in SQLite, one table with a row for each window:
//   windows(slot INTEGER PRIMARY KEY, key BLOB 16, length, queue 0 small 1 main, position)
// user_version is the layout's version, application_id says whose it is. Keyed by slot, so that
// rows are replaced in place and the file never grows beyond the number of slots; searched in
// memory only. One thread at a time.
#pragma once

#include <string>

#include "core/base/file_system.h"
#include "core/cache/cache_index.h"
#include "core/db/database.h"

namespace coffer::cache {

class SqliteIndex final : public CacheIndex {
 public:
  static constexpr std::int64_t kVersion = 1;

  /// As OpenCacheIndex says. `fs` removes what cannot be used and makes the file 0600.
  static Result<std::unique_ptr<CacheIndex>> Open(FileSystem& fs, const std::string& path,
                                                  std::vector<IndexRow>* rows);

  Status Apply(std::span<const IndexRow> put, std::span<const std::uint32_t> removed) override;
  [[nodiscard]] std::uint64_t BytesMax(std::uint64_t rows) const override;

 private:
  explicit SqliteIndex(std::unique_ptr<db::Database> database) : database_(std::move(database)) {}

  static Result<std::unique_ptr<SqliteIndex>> OpenAsItIs(FileSystem& fs, const std::string& path);
  Status CheckVersion();
  Status Prepare();
  Status Load(std::vector<IndexRow>* rows);
  Status Change(std::span<const IndexRow> put, std::span<const std::uint32_t> removed);

  const std::unique_ptr<db::Database> database_;
  std::unique_ptr<db::Statement> put_;
  std::unique_ptr<db::Statement> remove_;
};

}  // namespace coffer::cache

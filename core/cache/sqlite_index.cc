#include "core/cache/sqlite_index.h"

#include <limits>
#include <utility>

#include "core/base/log.h"

namespace coffer::cache {
namespace {

constexpr std::int64_t kApplicationId = 0x436f6663;  // "Cofc"

/// As SQLite keeps it in sqlite_schema, word for word.
constexpr char kTable[] =
    "CREATE TABLE windows(slot INTEGER PRIMARY KEY, key BLOB NOT NULL, length INTEGER NOT NULL,"
    "                     queue INTEGER NOT NULL, position INTEGER NOT NULL)";

/// Empty file, write-ahead log (1 MiB, and what one transaction adds) and its index.
constexpr std::uint64_t kFixedBytes = 4u << 20;
constexpr std::uint64_t kRowBytes = 64;

Status RemoveAll(FileSystem& fs, const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const Status removed = fs.Remove(path + suffix);
    if (!removed.has_value() && removed.error().code != ErrorCode::kNotFound) return removed;
  }
  return {};
}

bool FitsSlot(std::int64_t value) {
  return value >= 0 && value <= std::numeric_limits<std::uint32_t>::max();
}

}  // namespace

Result<std::unique_ptr<CacheIndex>> SqliteIndex::Open(FileSystem& fs, const std::string& path,
                                                      std::vector<IndexRow>* rows) {
  auto opened = OpenAsItIs(fs, path);
  Status loaded = opened.has_value() ? (*opened)->Load(rows) : Fail(opened.error());
  if (loaded.has_value()) return std::unique_ptr<CacheIndex>(std::move(*opened));
  LOG(kWarning, "the disk cache begins anew: ", loaded.error().message);
  rows->clear();
  if (opened.has_value()) opened->reset();
  RETURN_IF_ERROR(RemoveAll(fs, path));
  ASSIGN_OR_RETURN(auto fresh, OpenAsItIs(fs, path));
  return std::unique_ptr<CacheIndex>(std::move(fresh));
}

Result<std::unique_ptr<SqliteIndex>> SqliteIndex::OpenAsItIs(FileSystem& fs,
                                                             const std::string& path) {
  {
    // SQLite would make it with the umask's mode, and follow a symlink.
    ASSIGN_OR_RETURN(const auto file, fs.Open(path, FileSystem::OpenMode::kOpenOrCreate));
  }
  ASSIGN_OR_RETURN(auto database, db::Database::Open(path));
  std::unique_ptr<SqliteIndex> index(new SqliteIndex(std::move(database)));
  RETURN_IF_ERROR(index->CheckVersion());
  if (index->database_->read_only())
    return Fail(ErrorCode::kCorruption, "its index says that it must not be written");
  RETURN_IF_ERROR(index->Prepare());
  return index;
}

Status SqliteIndex::CheckVersion() {
  ASSIGN_OR_RETURN(const std::int64_t owner, database_->QueryInteger("PRAGMA application_id"));
  ASSIGN_OR_RETURN(const std::int64_t version, database_->QueryInteger("PRAGMA user_version"));
  if (owner == 0 && version == 0) {
    ASSIGN_OR_RETURN(const std::int64_t tables,
                     database_->QueryInteger("SELECT count(*) FROM sqlite_schema"));
    if (tables == 0) {
      return database_->Execute(Concat("BEGIN;", kTable,
                                       ";PRAGMA application_id = ", kApplicationId,
                                       ";PRAGMA user_version = ", kVersion, ";COMMIT;"));
    }
  }
  if (owner != kApplicationId)
    return Fail(ErrorCode::kCorruption, "its index is another program's");
  if (version != kVersion) {
    return Fail(ErrorCode::kUnsupported,
                Concat("its index is of version ", version, ", not ", kVersion));
  }
  // One wrong letter there, and columns change places or meaning.
  ASSIGN_OR_RETURN(const std::int64_t known,
                   database_->QueryInteger(Concat(
                       "SELECT count(*) = 1 AND total(sql = '", kTable,
                       "' AND name = 'windows' AND type = 'table') = 1 FROM sqlite_schema")));
  if (known != 1) return Fail(ErrorCode::kCorruption, "its index has another table");
  return {};
}

Status SqliteIndex::Prepare() {
  ASSIGN_OR_RETURN(put_, database_->Prepare("INSERT OR REPLACE INTO windows VALUES (?,?,?,?,?)"));
  ASSIGN_OR_RETURN(remove_, database_->Prepare("DELETE FROM windows WHERE slot = ?"));
  return {};
}

Status SqliteIndex::Load(std::vector<IndexRow>* rows) {
  {
    ASSIGN_OR_RETURN(const auto check, database_->Prepare("PRAGMA quick_check(1)"));
    ASSIGN_OR_RETURN(const bool row, check->Step());
    if (!row || AsText(check->Blob(0)) != "ok")
      return Fail(ErrorCode::kCorruption, "its index is damaged");
  }
  ASSIGN_OR_RETURN(const auto all,
                   database_->Prepare("SELECT slot, key, length, queue, position FROM windows"));
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, all->Step());
    if (!more) return {};
    const ByteView key = all->Blob(1);
    if (!FitsSlot(all->Integer(0)) || key.size() != WindowKey::kBytes ||
        !FitsSlot(all->Integer(2)) || all->Integer(4) < 0)
      return Fail(ErrorCode::kCorruption, "its index holds a row that cannot be");
    rows->push_back({.slot = static_cast<std::uint32_t>(all->Integer(0)),
                     .key = WindowKey::From(key),
                     .length = static_cast<std::uint32_t>(all->Integer(2)),
                     .in_main = all->Integer(3) != 0,
                     .order = static_cast<std::uint64_t>(all->Integer(4))});
  }
}

Status SqliteIndex::Apply(std::span<const IndexRow> put, std::span<const std::uint32_t> removed) {
  RETURN_IF_ERROR(database_->Execute("BEGIN"));
  Status status = Change(put, removed);
  if (status.has_value()) status = database_->Execute("COMMIT");
  // After some errors SQLite has rolled back by itself; then this one fails, and may.
  if (!status.has_value()) (void)database_->Execute("ROLLBACK");
  return status;
}

Status SqliteIndex::Change(std::span<const IndexRow> put, std::span<const std::uint32_t> removed) {
  for (const std::uint32_t slot : removed) {
    remove_->BindInteger(1, slot);
    RETURN_IF_ERROR(remove_->Run());
  }
  for (const IndexRow& row : put) {
    put_->BindInteger(1, row.slot);
    put_->BindBlob(2, row.key.view());
    put_->BindInteger(3, row.length);
    put_->BindInteger(4, row.in_main ? 1 : 0);
    put_->BindInteger(5, static_cast<std::int64_t>(row.order));
    RETURN_IF_ERROR(put_->Run());
  }
  return {};
}

std::uint64_t SqliteIndex::BytesMax(std::uint64_t rows) const {
  return kFixedBytes + rows * kRowBytes;
}

}  // namespace coffer::cache

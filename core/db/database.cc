#include "core/db/database.h"

#include <sqlite3.h>

#include "core/base/log.h"

namespace coffer::db {
namespace {

/// The one mapping of SQLite's codes (https://www.sqlite.org/rescode.html).
ErrorCode CodeOf(int result) {
  switch (result & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR:  // a table or column that is not as expected
    case SQLITE_SCHEMA:
      return ErrorCode::kCorruption;
    case SQLITE_FULL:
      return ErrorCode::kNoSpace;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kConflict;
    case SQLITE_CANTOPEN:
      return ErrorCode::kNotFound;
    default:
      return ErrorCode::kIoError;
  }
}

Status Check(sqlite3* database, int result) {
  if (result == SQLITE_OK || result == SQLITE_DONE || result == SQLITE_ROW) return {};
  const char* path = database != nullptr ? sqlite3_db_filename(database, "main") : nullptr;
  const char* why = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(result);
  return Fail(CodeOf(result), Concat("database ", path != nullptr ? path : "", ": ", why));
}

/// One connection only, kept small. The memory for pages, 512 KiB, holds the whole of a usual
/// index.
constexpr char kSettings[] =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA synchronous = NORMAL;"
    "PRAGMA wal_autocheckpoint = 256;"
    "PRAGMA journal_size_limit = 1048576;"
    "PRAGMA cache_size = -512;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA cell_size_check = ON;";

}  // namespace

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::BindInteger(int parameter, std::int64_t value) {
  sqlite3_bind_int64(statement_, parameter, value);
}

void Statement::BindBlob(int parameter, ByteView bytes) {
  sqlite3_bind_blob64(statement_, parameter, bytes.data(), bytes.size(), SQLITE_STATIC);
}

Status Statement::Run() {
  const int result = sqlite3_step(statement_);
  Status status = Check(database_, result);
  sqlite3_reset(statement_);
  return status;
}

Result<bool> Statement::Step() {
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  Status status = Check(database_, result);
  sqlite3_reset(statement_);
  if (!status.has_value()) return Fail(std::move(status).error());
  return false;
}

std::int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}

ByteView Statement::Blob(int column) const {
  const auto* bytes = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Result<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  sqlite3* opened = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(opened));
  RETURN_IF_ERROR(Check(opened, result));
  sqlite3_extended_result_codes(opened, 1);
  // A damaged file must not reach further than an error (https://www.sqlite.org/security.html).
  sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  RETURN_IF_ERROR(database->Execute(kSettings));
  return database;
}

Database::~Database() { sqlite3_close(database_); }

Status Database::Execute(const std::string& sql) {
  return Check(database_, sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr));
}

bool Database::read_only() const { return sqlite3_db_readonly(database_, "main") != 0; }

Result<std::int64_t> Database::QueryInteger(const std::string& sql) {
  ASSIGN_OR_RETURN(const auto statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement->Step());
  if (!row) return Fail(ErrorCode::kCorruption, "database: no row for " + sql);
  return statement->Integer(0);
}

Result<std::unique_ptr<Statement>> Database::Prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  RETURN_IF_ERROR(
      Check(database_, sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr)));
  return std::unique_ptr<Statement>(new Statement(database_, statement));
}

}  // namespace coffer::db

// Database: RAII over one SQLite connection and its prepared statements; the only place that knows
// SQLite. For local data that may be thrown away: a crash of the process loses no transaction, a
// power cut may lose the last ones (WAL, synchronous = NORMAL).
//
// SQLite reaches its files by itself, past the FileSystem seam. So whoever stores something here
// hides it behind an interface of his own, whose other implementation the simulation uses.
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/bytes.h"
#include "core/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace coffer::db {

class Statement {
 public:
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  /// Parameters count from 1. A blob must live until the next Run or Step that ends.
  void BindInteger(int parameter, std::int64_t value);
  void BindBlob(int parameter, ByteView bytes);
  /// Executes to the end and resets; for statements without rows.
  Status Run();
  /// True with a row to read, false (and reset) at the end.
  Result<bool> Step();
  /// Of the row; columns count from 0. A blob lives until the next Step.
  [[nodiscard]] std::int64_t Integer(int column) const;
  [[nodiscard]] ByteView Blob(int column) const;

 private:
  friend class Database;
  Statement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}

  sqlite3* const database_;
  sqlite3_stmt* const statement_;
};

class Database {
 public:
  /// Opens or makes the file at `path` (SQLite adds "-wal" beside it) for this connection alone.
  /// kCorruption: it is no database; kConflict: another process has it; kNoSpace.
  static Result<std::unique_ptr<Database>> Open(const std::string& path);
  /// Statements are gone before it.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// One or more statements without rows.
  Status Execute(const std::string& sql);
  /// The integer that a statement of one row gives, such as "PRAGMA user_version".
  Result<std::int64_t> QueryInteger(const std::string& sql);
  Result<std::unique_ptr<Statement>> Prepare(const std::string& sql);
  /// Known after the first statement: the file's header may say so.
  [[nodiscard]] bool read_only() const;

 private:
  explicit Database(sqlite3* database) : database_(database) {}

  sqlite3* const database_;
};

}  // namespace coffer::db

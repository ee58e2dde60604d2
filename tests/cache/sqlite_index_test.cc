// The index as SQLite keeps it, in a real directory.
#include "core/cache/sqlite_index.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temporary_directory.h"

namespace coffer::cache {
namespace {

class SqliteIndexTest : public testing::Test {
 protected:
  Result<std::unique_ptr<CacheIndex>> Open() {
    rows_.clear();
    return SqliteIndex::Open(*fs_, path_, &rows_);
  }
  IndexRow Row(std::uint32_t slot) {
    return {.slot = slot,
            .key = WindowKey::From(random_.NewBytes(WindowKey::kBytes)),
            .length = static_cast<std::uint32_t>(1 + random_.Below(262144)),
            .in_main = random_.OneIn(2),
            .order = random_.Below(1'000'000)};
  }
  /// An index of `count` rows, closed.
  std::vector<IndexRow> Fill(std::uint32_t count) {
    std::vector<IndexRow> rows;
    for (std::uint32_t slot = 0; slot < count; ++slot) rows.push_back(Row(slot));
    auto index = Open();
    EXPECT_OK(index);
    EXPECT_OK((*index)->Apply(rows, {}));
    return rows;
  }
  /// Opens as empty and works.
  void ExpectAnew() {
    ASSERT_OK_AND_ASSIGN(const auto index, Open());
    EXPECT_TRUE(rows_.empty());
    const std::vector<IndexRow> row{Row(7)};
    EXPECT_OK(index->Apply(row, {}));
  }
  [[nodiscard]] std::uint64_t BytesOnDisk() const {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path()))
      bytes += entry.file_size();
    return bytes;
  }

  SeededRandom random_{TestSeed()};
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "index.sqlite";
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
  std::vector<IndexRow> rows_;
};

TEST_F(SqliteIndexTest, KeepsRowsOverAReopening) {
  std::vector<IndexRow> rows = Fill(300);
  {
    ASSERT_OK_AND_ASSIGN(const auto index, Open());
    EXPECT_EQ(rows_, rows);
    rows[5] = Row(5);
    const std::vector<IndexRow> put{rows[5]};
    const std::vector<std::uint32_t> removed{299, 298};
    ASSERT_OK(index->Apply(put, removed));
  }
  rows.resize(298);
  ASSERT_OK_AND_ASSIGN(const auto index, Open());
  EXPECT_EQ(rows_, rows);
}

TEST_F(SqliteIndexTest, IsForItsOwnerOnly) {
  ASSERT_OK(Open());
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    ASSERT_OK_AND_ASSIGN(const FileInfo info, fs_->Stat(entry.path()));
    EXPECT_EQ(info.mode & 077U, 0U) << entry.path();
  }
}

TEST_F(SqliteIndexTest, AFileThatIsNoDatabaseIsReplaced) {
  WriteTestFile(path_, std::string(10'000, 'x'));
  ExpectAnew();
}

TEST_F(SqliteIndexTest, AnEmptyFileIsTaken) {
  WriteTestFile(path_, "");
  ExpectAnew();
}

TEST_F(SqliteIndexTest, ANewerVersionIsReplaced) {
  Fill(10);
  {
    ASSERT_OK_AND_ASSIGN(const auto database, db::Database::Open(path_));
    ASSERT_OK(database->Execute("PRAGMA user_version = 2"));
  }
  ExpectAnew();
}

TEST_F(SqliteIndexTest, AnotherProgramsDatabaseIsReplaced) {
  {
    ASSERT_OK_AND_ASSIGN(const auto database, db::Database::Open(path_));
    ASSERT_OK(database->Execute("CREATE TABLE windows(a); PRAGMA user_version = 1"));
  }
  ExpectAnew();
}

TEST_F(SqliteIndexTest, ARowThatCannotBeIsNotBelieved) {
  for (const char* row :
       {"(1, x'00', 5, 0, 1)", "(-1, zeroblob(16), 5, 0, 1)", "(4294967296, zeroblob(16), 5, 0, 1)",
        "(1, zeroblob(16), -5, 0, 1)", "(1, zeroblob(16), 5, 0, -1)",
        "(1, 'text of 16 bytes', 'x', 'y', 'z')"}) {
    Fill(3);
    {
      ASSERT_OK_AND_ASSIGN(const auto database, db::Database::Open(path_));
      ASSERT_OK(database->Execute(std::string("INSERT OR REPLACE INTO windows VALUES ") + row));
    }
    const auto index = Open();
    ASSERT_OK(index);
    // 16 bytes of text are a key like any other; what else SQLite made of that row is a number.
    EXPECT_LE(rows_.size(), 3U) << row;
    std::filesystem::remove(path_);
  }
}

TEST_F(SqliteIndexTest, DamageAnywhereIsFoundOrHarmless) {
  Fill(2000);
  const std::string whole = ReadTestFile(path_);
  ASSERT_GT(whole.size(), 50'000U);
  for (int round = 0; round < 25; ++round) {
    std::string damaged = whole;
    for (std::uint64_t i = 0; i <= random_.Below(200); ++i)
      damaged[random_.Below(damaged.size())] = static_cast<char>(random_.Below(256));
    if (random_.OneIn(3)) damaged.resize(random_.Below(damaged.size()));
    std::filesystem::remove(path_ + "-wal");
    WriteTestFile(path_, damaged);
    ASSERT_OK_AND_ASSIGN(const auto index, Open());
    EXPECT_LE(rows_.size(), 2000U);
    const std::vector<IndexRow> row{Row(3)};
    EXPECT_OK(index->Apply(row, {}));
  }
}

/// faults.md 23: an index that is damaged in any place begins anew, or says no more than it did.
TEST_F(SqliteIndexTest, F23EveryByteOfHeaderAndPageHeadersAndAnyCutIsARebuildOrHarmless) {
  constexpr std::uint32_t kRows = 300;
  constexpr std::size_t kPageBytes = 4096;
  const std::vector<IndexRow> rows = Fill(kRows);
  const std::string whole = ReadTestFile(path_);
  ASSERT_EQ(whole.size() % kPageBytes, 0U);
  ASSERT_GT(whole.size(), 3 * kPageBytes);
  std::size_t anew = 0;
  std::size_t tried = 0;
  const auto check = [&](const std::string& damaged, const std::string& what) {
    SCOPED_TRACE(what);
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
    WriteTestFile(path_, damaged);
    {
      ASSERT_OK_AND_ASSIGN(const auto index, Open());
      ASSERT_LE(rows_.size(), kRows);
      // Rows that have changed name windows that the frames in them do not fit: misses.
      std::size_t changed = 0;
      for (const IndexRow& row : rows_) changed += std::count(rows.begin(), rows.end(), row) == 0;
      ASSERT_LE(changed, 1U);
      const std::vector<IndexRow> row{Row(3)};
      ASSERT_OK(index->Apply(row, {}));
    }
    ++tried;
    anew += rows_.empty() ? 1 : 0;
    if (tried % 8 != 0) return;
    ASSERT_OK(Open());
    ASSERT_FALSE(rows_.empty());  // it keeps what it is given again
  };
  for (std::size_t page = 0; page < whole.size(); page += kPageBytes) {
    // The file's header and the page's; then cells, here and there.
    const std::size_t dense = page == 0 ? 108 : 12;
    for (std::size_t at = 0; at < kPageBytes; at += at < dense ? 1 : 1 + random_.Below(2000)) {
      std::string damaged = whole;
      damaged[page + at] =
          static_cast<char>(damaged[page + at] ^ static_cast<char>(1 + random_.Below(255)));
      check(damaged, "byte " + std::to_string(page + at));
      if (HasFatalFailure()) return;
    }
  }
  for (std::size_t size = 0; size < whole.size(); size += size < 200 ? 20 : 2049) {
    check(whole.substr(0, size), "cut to " + std::to_string(size));
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(anew, tried / 4) << tried;
}

/// faults.md 23: every letter of the table's own description, where two columns could change
/// places.
TEST_F(SqliteIndexTest, F23ADamagedDescriptionOfTheTableIsARebuild) {
  Fill(10);
  const std::string whole = ReadTestFile(path_);
  const std::size_t begin = whole.find("CREATE TABLE windows");
  ASSERT_NE(begin, std::string::npos);
  const std::size_t end = whole.find("position INTEGER NOT NULL)", begin);
  ASSERT_NE(end, std::string::npos);
  for (std::size_t at = begin; at < end + 26; ++at) {
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
    std::string damaged = whole;
    damaged[at] = damaged[at] == 'q' ? 'r' : 'q';
    WriteTestFile(path_, damaged);
    ASSERT_OK(Open());
    ASSERT_TRUE(rows_.empty()) << at - begin;
  }
}

TEST_F(SqliteIndexTest, F23AnOlderVersionIsReplaced) {
  Fill(10);
  {
    ASSERT_OK_AND_ASSIGN(const auto database, db::Database::Open(path_));
    ASSERT_OK(database->Execute("PRAGMA user_version = 0"));
  }
  ExpectAnew();
}

TEST_F(SqliteIndexTest, F23AnIndexThatIsGoneOrADamagedLogIsNoError) {
  Fill(10);
  ASSERT_OK(fs_->Remove(path_));
  ExpectAnew();
  WriteTestFile(path_ + "-wal", std::string(5000, 'w'));
  ASSERT_OK(Open());
  EXPECT_LE(rows_.size(), 1U);
}

TEST_F(SqliteIndexTest, StaysWithinTheSizeItTells) {
  constexpr std::uint32_t kRows = 20'000;
  ASSERT_OK_AND_ASSIGN(const auto index, Open());
  std::uint64_t most = 0;
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t first = 0; first < kRows; first += 128) {
      std::vector<IndexRow> rows;
      for (std::uint32_t i = 0; i < 128; ++i) {
        const auto slot = static_cast<std::uint32_t>(round == 0 ? first + i : random_.Below(kRows));
        rows.push_back(Row(slot));
      }
      ASSERT_OK(index->Apply(rows, {}));
      most = std::max(most, BytesOnDisk());
    }
  }
  RecordProperty("bytes_max", static_cast<int>(most));
  EXPECT_LE(most, index->BytesMax(kRows));
}

TEST_F(SqliteIndexTest, WhereNoFileCanBeItSaysSo) {
  EXPECT_FAILS(SqliteIndex::Open(*fs_, directory_ / "missing/index.sqlite", &rows_), kNotFound);
}

}  // namespace
}  // namespace coffer::cache

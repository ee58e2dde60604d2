// What is not ours is ignored (docs/FORMAT.md, section 2), in every directory of a store and of the
// state: files of desktops and synchronizers, copies of a conflict, half transfers, directories
// where files belong, links, names in no encoding. A volume lives its whole life among them, and
// they are there afterwards as they were.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/log.h"
#include "tests/daemon/daemon_world.h"
#include "tests/support/seeded_random.h"

namespace coffer::daemon {
namespace {

namespace fs = std::filesystem;

enum class Kind { kFile, kDirectory, kLink, kDeadLink, kFifo };

struct Foreign {
  std::string name;
  Kind kind;
};

std::vector<Foreign> EveryForeign() {
  const std::string before = "0000000000000000";  // ahead of every name of a chain
  return {
      {"zzz", Kind::kFile},
      {"0", Kind::kFile},
      {"desktop.ini", Kind::kFile},
      {".DS_Store", Kind::kFile},
      {"._fffffffffffffffe", Kind::kFile},
      {"Thumbs.db", Kind::kFile},
      {"ffffffffffffffff", Kind::kFile},  // what would be sequence 0
      {"fffffffffffffffe.partial", Kind::kFile},
      {"fffffffffffffffe.part.tmp", Kind::kFile},
      {"fffffffffffffffe (conflicted copy)", Kind::kFile},
      {"fffffffffffffffe.sync-conflict-20261130-101112-ABCDEFG", Kind::kFile},
      {"FFFFFFFFFFFFFFF0", Kind::kFile},
      {"fffffffffffffffe~", Kind::kFile},
      {"caf\xe9\xff", Kind::kFile},  // no UTF-8
      {"two\nlines", Kind::kFile},
      {before + "0", Kind::kFile},
      {"journal.tail-", Kind::kDirectory},
      {"journal.tail-..", Kind::kDirectory},
      {"journal.tail-zzz", Kind::kDirectory},
      {"journal.tail-" + before + before, Kind::kFile},
      {"journal.damaged-x", Kind::kDirectory},
      {"lost+found", Kind::kDirectory},
      {"sub", Kind::kDirectory},
      {"0000000000000001", Kind::kDirectory},  // as an object's name, far ahead
      {"0077.seg", Kind::kDirectory},
      {before + before, Kind::kDirectory},  // as a vault's or a volume's
      {before + before + ".lock", Kind::kFile},
      {"link", Kind::kLink},
      {"link-to-nothing", Kind::kDeadLink},
      {"fifo", Kind::kFifo},
  };
}

/// What stands at `path`, its bytes or target included.
std::string Describe(const fs::path& path) {
  const fs::file_status status = fs::symlink_status(path);
  if (fs::is_symlink(status)) return "link to " + fs::read_symlink(path).string();
  if (fs::is_directory(status)) return "directory";
  if (fs::is_fifo(status)) return "fifo";
  if (!fs::is_regular_file(status)) return "nothing";
  std::ifstream in(path);
  return "file " + std::string(std::istreambuf_iterator<char>(in), {});
}

class ForeignNames : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { SetLogLevel(LogLevel::kError); }

  /// All kinds, in `directory`.
  void Plant(const std::string& directory) {
    ASSERT_TRUE(fs::is_directory(directory)) << directory;
    for (const Foreign& foreign : EveryForeign()) {
      const std::string path = directory + "/" + foreign.name;
      switch (foreign.kind) {
        case Kind::kFile:
          std::ofstream(path) << "not coffer's";
          break;
        case Kind::kDirectory:
          fs::create_directory(path);
          std::ofstream(path + "/fffffffffffffffe") << "not coffer's";
          planted_[path + "/fffffffffffffffe"] = Describe(path + "/fffffffffffffffe");
          break;
        case Kind::kLink:
          fs::create_symlink("/etc/hostname", path);
          break;
        case Kind::kDeadLink:
          fs::create_symlink("/nowhere/at/all", path);
          break;
        case Kind::kFifo:
          ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
          break;
      }
      planted_[path] = Describe(path);
    }
  }
  /// The directory that the parameter names.
  std::string Place() {
    std::string path = GetParam();
    const auto put = [&](std::string_view what, const std::string& with) {
      if (const auto at = path.find(what); at != std::string::npos)
        path.replace(at, what.size(), with);
    };
    put("VAULT", OnlyIn(machine_.state() + "/vaults"));
    put("VOLUME", OnlyIn(store_ + "/heads"));
    put("XX", OnlyIn(store_ + "/packs"));
    put("STORE", store_);  // last: a path may hold any of the words
    put("STATE", machine_.state());
    return path;
  }
  static std::string OnlyIn(const std::string& directory) {
    return fs::directory_iterator(directory)->path().filename().string();
  }

  void Open(std::string_view password) {
    ASSERT_OK(machine_.Open("photos", password));
    device_ = machine_.exporter.device("photos");
    ASSERT_NE(device_, nullptr);
    Bytes read(written_.size());
    ASSERT_OK(device_->Read(0, read));
    EXPECT_EQ(read, written_);
  }
  void Write(std::uint64_t seed) {
    written_.resize(256 << 10);
    SeededRandom(seed).Fill(written_);
    ASSERT_OK(device_->Write(0, written_, block::WriteFlag::kNone));
    ASSERT_OK_AND_ASSIGN(const control::JobInfo synced, machine_.Sync("photos"));
    EXPECT_FALSE(synced.error.has_value()) << synced.error->message;
  }
  void Close() {
    ASSERT_OK_AND_ASSIGN(const control::JobInfo closed, machine_.Close("photos"));
    ASSERT_FALSE(closed.error.has_value()) << closed.error->message;
    device_ = nullptr;
  }
  void Passwd(std::string_view from, std::string_view to) {
    control::PasswdRequest request;
    request.password = SecretBytes::CopyOf(AsBytes(from));
    request.new_password = SecretBytes::CopyOf(AsBytes(to));
    ASSERT_OK(machine_.manager().Passwd("photos", std::move(request)));
  }
  void Delete() {
    control::DeleteRequest request;
    request.confirm = "photos";
    request.password = SecretBytes::CopyOf(AsBytes("new"));
    ASSERT_OK_AND_ASSIGN(const control::JobInfo job,
                         machine_.Finish(machine_.manager().Delete("photos", std::move(request))));
    ASSERT_FALSE(job.error.has_value()) << job.error->message;
  }

  TemporaryDirectory provider_;
  const std::string store_ = provider_ / "backups";
  Machine machine_;
  block::BlockDevice* device_ = nullptr;
  Bytes written_;
  std::map<std::string, std::string> planted_;
};

TEST_P(ForeignNames, AreIgnoredForTheWholeLifeOfAVolume) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_NO_FATAL_FAILURE(Open(Machine::kPassword));
  ASSERT_NO_FATAL_FAILURE(Write(1));
  ASSERT_NO_FATAL_FAILURE(Close());
  machine_.Stop();
  const std::string place = Place();
  const bool goes_with_the_volume = place.find("/volumes/") != std::string::npos;
  ASSERT_NO_FATAL_FAILURE(Plant(place));
  machine_.Start();

  ASSERT_NO_FATAL_FAILURE(Open(Machine::kPassword));
  ASSERT_NO_FATAL_FAILURE(Write(2));
  EXPECT_EQ(machine_.Status("photos").state, "open");
  ASSERT_EQ(machine_.manager().Volumes().volumes.size(), 1u);
  ASSERT_NO_FATAL_FAILURE(Passwd(Machine::kPassword, "new"));
  ASSERT_NO_FATAL_FAILURE(Write(3));
  ASSERT_NO_FATAL_FAILURE(Close());
  machine_.Restart();
  ASSERT_NO_FATAL_FAILURE(Open("new"));
  ASSERT_NO_FATAL_FAILURE(Close());
  ASSERT_OK(machine_.Init("music", store_, 1 << 20, "new"));
  for (const auto& [path, what] : planted_) EXPECT_EQ(Describe(path), what) << path;
  ASSERT_NO_FATAL_FAILURE(Delete());
  ASSERT_EQ(machine_.manager().Volumes().volumes.size(), 1u);
  EXPECT_OK(machine_.Open("music", "new"));
  for (const auto& [path, what] : planted_) {
    if (goes_with_the_volume) continue;
    EXPECT_EQ(Describe(path), what) << path;
  }
}

std::string NameOfPlace(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Everywhere, ForeignNames,
                         testing::Values("STORE", "STORE/keys", "STORE/catalog", "STORE/heads",
                                         "STORE/heads/VOLUME", "STORE/packs", "STORE/packs/XX",
                                         "STORE/probe", "STATE", "STATE/vaults",
                                         "STATE/vaults/VAULT", "STATE/vaults/VAULT/volumes",
                                         "STATE/vaults/VAULT/volumes/VOLUME",
                                         "STATE/vaults/VAULT/volumes/VOLUME/journal"),
                         NameOfPlace);

}  // namespace
}  // namespace coffer::daemon

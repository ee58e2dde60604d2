#include "core/daemon/volume_manager.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/daemon/daemon_world.h"

namespace coffer::daemon {
namespace {

namespace files = std::filesystem;

constexpr std::uint32_t kBlock = block::kBlockSize;

/// Every file below `directory` with its bytes, locks aside.
std::map<std::string, std::string> TreeOf(const std::string& directory) {
  std::map<std::string, std::string> tree;
  for (const auto& entry : files::recursive_directory_iterator(directory)) {
    if (entry.path().filename() == "lock") continue;
    tree[entry.path().string()] =
        entry.is_regular_file() ? ReadTestFile(entry.path().string()) : "";
  }
  return tree;
}

class VolumeManagerTest : public testing::Test {
 protected:
  static Bytes Pattern(char fill) { return Bytes(kBlock, static_cast<std::byte>(fill)); }
  static void Write(Machine& machine, const std::string& name, std::uint64_t block, char fill) {
    block::BlockDevice* device = machine.exporter.device(name);
    ASSERT_NE(device, nullptr);
    ASSERT_OK(device->Write(block * kBlock, Pattern(fill), block::WriteFlag::kNone));
  }
  static void ExpectBlock(Machine& machine, const std::string& name, std::uint64_t block,
                          char fill) {
    block::BlockDevice* device = machine.exporter.device(name);
    ASSERT_NE(device, nullptr);
    Bytes read(kBlock);
    ASSERT_OK(device->Read(block * kBlock, read));
    EXPECT_EQ(read, Pattern(fill));
  }

  TemporaryDirectory provider_;
  const std::string store_ = provider_ / "backups";
};

control::OpenRequest OpenWith(std::vector<control::SettingValue> settings,
                              const std::string& address = {}) {
  control::OpenRequest request;
  request.settings = std::move(settings);
  request.exports = {{"nbd", address}};
  return request;
}

TEST_F(VolumeManagerTest, TlsOfTheConfigIsForListenersOfAVolumesOwn) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK_AND_ASSIGN(const auto config,
                       config::Config::Parse("[defaults]\ntls_psk = \"/keys.psk\"\n", "c.toml"));
  machine.manager().Reload(config);
  ASSERT_OK(machine.Open("photos"));
  EXPECT_TRUE(machine.exporter.tls("photos").empty());
  ASSERT_OK(machine.Close("photos"));
  ASSERT_OK(machine.Open("photos", Machine::kPassword, OpenWith({}, "tcp:127.0.0.1:1")));
  EXPECT_EQ(machine.exporter.tls("photos").psk_file, "/keys.psk");
  EXPECT_TRUE(machine.exporter.tls("photos").verify_peer);
}

TEST_F(VolumeManagerTest, TlsByAFlagIsForTheExportThatIsMeant) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Open("photos", Machine::kPassword,
                         OpenWith({{"tls_x509", "/pki"}, {"tls_verify_peer", "no"}})));
  // The exporter is to say that its shared socket has no TLS.
  EXPECT_EQ(machine.exporter.tls("photos").x509_directory, "/pki");
  EXPECT_FALSE(machine.exporter.tls("photos").verify_peer);
  const auto again =
      machine.Open("photos", Machine::kPassword, OpenWith({{"tls_psk", "/keys.psk"}}));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kConflict);
}

TEST_F(VolumeManagerTest, WhatOneMachineWroteAnotherReadsFromTheStoreAlone) {
  Machine first;
  ASSERT_OK_AND_ASSIGN(const auto made, first.Init("photos", store_));
  EXPECT_TRUE(made.vault_created);
  EXPECT_EQ(made.vault.alias, "backups");
  ASSERT_OK_AND_ASSIGN(const auto opened, first.Open("photos"));
  EXPECT_EQ(opened.uri, "fake:photos");
  EXPECT_EQ(opened.size_bytes, 1U << 20);
  Write(first, "photos", 3, 'a');
  EXPECT_EQ(first.Status("photos").waiting_bytes, kBlock);
  ASSERT_OK_AND_ASSIGN(const auto synced, first.Sync("photos"));
  EXPECT_EQ(synced.state, "done");
  EXPECT_EQ(first.Status("photos").waiting_bytes, 0U);
  Write(first, "photos", 4, 'b');
  ASSERT_OK_AND_ASSIGN(const auto closed, first.Close("photos"));
  EXPECT_EQ(closed.state, "done");
  EXPECT_EQ(closed.waiting_bytes, 0U);
  EXPECT_EQ(first.exporter.device("photos"), nullptr);
  EXPECT_EQ(first.Status("photos").state, "closed");

  Machine second;
  ASSERT_OK_AND_ASSIGN(const auto added, second.Add(store_));
  ASSERT_EQ(added.volumes.size(), 1U);
  EXPECT_EQ(added.volumes[0].name, "photos");
  EXPECT_EQ(added.volumes[0].size_bytes, 1U << 20);
  ASSERT_OK(second.Open("photos"));
  ExpectBlock(second, "photos", 3, 'a');
  ExpectBlock(second, "photos", 4, 'b');
}

TEST_F(VolumeManagerTest, AWrongPasswordChangesNothingAnywhere) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  const auto provider_before = TreeOf(provider_.path());
  const auto state_before = TreeOf(machine.state());
  EXPECT_FAILS(machine.Open("photos", "wrong"), kUnauthenticated);
  EXPECT_FAILS(machine.Open("photos", ""), kUnauthenticated);
  EXPECT_FAILS(machine.Add(store_, "wrong"), kUnauthenticated);
  EXPECT_FAILS(machine.Init("mail", store_, 1 << 20, "wrong"), kUnauthenticated);
  EXPECT_EQ(TreeOf(provider_.path()), provider_before);
  EXPECT_EQ(TreeOf(machine.state()), state_before);
  Machine stranger;
  const auto nothing = TreeOf(stranger.state());
  EXPECT_FAILS(stranger.Add(store_, "wrong"), kUnauthenticated);
  EXPECT_EQ(TreeOf(stranger.state()), nothing);
}

TEST_F(VolumeManagerTest, OpeningAgainGivesTheSamePlaceAndOtherwiseConflicts) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK_AND_ASSIGN(const auto first, machine.Open("photos"));
  EXPECT_FALSE(first.already_open);
  ASSERT_OK_AND_ASSIGN(const auto again, machine.Open("photos", ""));
  EXPECT_TRUE(again.already_open);
  EXPECT_EQ(again.uri, first.uri);
  control::OpenRequest read_only;
  read_only.read_only = true;
  EXPECT_FAILS(machine.Open("photos", "", std::move(read_only)), kConflict);
  control::OpenRequest elsewhere;
  elsewhere.exports = {{"nbd", "unix:/elsewhere"}};
  EXPECT_FAILS(machine.Open("photos", "", std::move(elsewhere)), kConflict);
}

TEST_F(VolumeManagerTest, ManyWhoOpenAtOnceOpenOnce) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  std::atomic<int> fresh{0};
  std::vector<std::thread> openers;
  for (int i = 0; i < 4; ++i) {
    openers.emplace_back([&] {
      const auto opened = machine.Open("photos");
      ASSERT_OK(opened);
      if (!opened->already_open) ++fresh;
    });
  }
  for (std::thread& opener : openers) opener.join();
  EXPECT_EQ(fresh, 1);
}

TEST_F(VolumeManagerTest, KeysAreHeldWhileAVolumeOfTheVaultIsOpen) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Init("mail", store_));
  EXPECT_FALSE(machine.Status("mail").keys_held);
  ASSERT_OK(machine.Open("photos"));
  EXPECT_TRUE(machine.Status("mail").keys_held);
  EXPECT_TRUE(machine.manager().ProbeStore({store_, ""})->keys_held);
  ASSERT_OK(machine.Open("mail", ""));
  ASSERT_OK(machine.Close("photos"));
  EXPECT_TRUE(machine.Status("photos").keys_held);
  ASSERT_OK(machine.Close("mail"));
  EXPECT_FALSE(machine.Status("photos").keys_held);
  EXPECT_FAILS(machine.Open("photos", ""), kUnauthenticated);
}

TEST_F(VolumeManagerTest, CloseWithoutWaitingLeavesTheRestInTheJournalAndSaysHowMuch) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Open("photos"));
  Write(machine, "photos", 7, 'x');
  ASSERT_OK_AND_ASSIGN(const auto closed, machine.Close("photos", true));
  EXPECT_EQ(closed.state, "done");
  EXPECT_EQ(closed.waiting_bytes, kBlock);
  EXPECT_EQ(machine.Status("photos").state, "locked");
  EXPECT_EQ(machine.Status("photos").waiting_bytes, kBlock);
  machine.Restart();
  EXPECT_EQ(machine.Status("photos").state, "locked");
  EXPECT_EQ(machine.Status("photos").waiting_bytes, kBlock);
  EXPECT_TRUE(machine.Status("photos").waiting_exact);
  ASSERT_OK(machine.Open("photos"));
  ExpectBlock(machine, "photos", 7, 'x');
}

TEST_F(VolumeManagerTest, AnEndOfTheDaemonLosesNothing) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Open("photos"));
  Write(machine, "photos", 7, 'x');
  machine.Restart();
  EXPECT_EQ(machine.exporter.device("photos"), nullptr);
  EXPECT_EQ(machine.Status("photos").state, "locked");
  ASSERT_OK(machine.Open("photos"));
  ExpectBlock(machine, "photos", 7, 'x');
}

TEST_F(VolumeManagerTest, StatusOfAClosedVolumeTellsWhyItDidNotOpenUntilItDoes) {
  Machine machine;
  const std::string older = provider_ / "older";
  const std::string newer = provider_ / "newer";
  ASSERT_OK(machine.Init("photos", store_));
  files::copy(store_, older, files::copy_options::recursive);
  ASSERT_OK(machine.Open("photos"));
  Write(machine, "photos", 7, 'x');
  ASSERT_OK(machine.Close("photos", false));
  files::rename(store_, newer);
  files::rename(older, store_);
  EXPECT_FAILS(machine.Open("photos"), kNeedsPerson);
  const control::VolumeStatus status = machine.Status("photos");
  EXPECT_EQ(status.state, "closed");
  ASSERT_EQ(status.needs.size(), 1u);
  EXPECT_TRUE(status.needs[0].starts_with("ROLLBACK: ")) << status.needs[0];
  ASSERT_EQ(status.hints.size(), 1u);
  EXPECT_NE(status.hints[0].find("coffer trust accept backups"), std::string::npos);
  files::remove_all(store_);
  files::rename(newer, store_);
  ASSERT_OK(machine.Open("photos"));
  EXPECT_TRUE(machine.Status("photos").needs.empty());
  ExpectBlock(machine, "photos", 7, 'x');
}

TEST_F(VolumeManagerTest, CloseAllAndSyncAllTakeEveryVolume) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Init("mail", provider_ / "other"));
  ASSERT_OK(machine.Open("photos"));
  ASSERT_OK(machine.Open("mail"));
  Write(machine, "photos", 1, 'p');
  Write(machine, "mail", 1, 'm');
  ASSERT_OK_AND_ASSIGN(const auto synced, machine.Sync(""));
  EXPECT_EQ(synced.state, "done");
  EXPECT_EQ(machine.Status("photos").waiting_bytes + machine.Status("mail").waiting_bytes, 0U);
  ASSERT_OK_AND_ASSIGN(const auto closed, machine.Close(""));
  EXPECT_EQ(closed.state, "done");
  EXPECT_EQ(machine.Status("photos").state, "closed");
  EXPECT_EQ(machine.Status("mail").state, "closed");
  ASSERT_OK(machine.Close(""));
}

TEST_F(VolumeManagerTest, InitNeverOverwrites) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  EXPECT_FAILS(machine.Init("photos", store_), kAlreadyExists);
  const std::string foreign = provider_ / "foreign";
  files::create_directory(foreign);
  WriteTestFile(foreign + "/letter", "mine");
  EXPECT_FAILS(machine.Init("photos", foreign), kAlreadyExists);
  EXPECT_EQ(TreeOf(foreign).size(), 1U);
  EXPECT_FAILS(machine.Init("photos", provider_ / "missing/below"), kNotFound);
  EXPECT_FALSE(files::exists(provider_ / "missing"));
}

TEST_F(VolumeManagerTest, NoVaultIsMadeWhereAKnownOneBelongs) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  files::rename(store_, provider_ / "unmounted");
  files::create_directory(store_);  // the empty mount point
  EXPECT_FAILS(machine.Init("photos", store_), kUnavailable);
  EXPECT_FAILS(machine.Open("photos"), kUnavailable);
  EXPECT_FAILS(machine.manager().ProbeStore({store_, ""}), kUnavailable);
  EXPECT_FAILS(machine.manager().ProbeStore({store_, "backups"}), kUnavailable);
  EXPECT_TRUE(files::is_empty(store_));
  ASSERT_OK_AND_ASSIGN(const auto probe, machine.manager().ProbeStore({store_, "another"}));
  EXPECT_FALSE(probe.holds_vault);
  Machine stranger;
  EXPECT_OK(stranger.Init("photos", store_));
}

TEST_F(VolumeManagerTest, BadNamesSizesAndStoresMakeNothing) {
  Machine machine;
  for (const std::string& name :
       {std::string(""), std::string("../x"), std::string("a/b"), std::string("."),
        std::string("a\nb"), std::string("-rf"), std::string("a\0b", 3), std::string(300, 'x')}) {
    EXPECT_FAILS(machine.Init(name, store_), kInvalidArgument);
  }
  for (const std::uint64_t size : {0ULL, 1ULL, 4097ULL, (16ULL << 40) + 4096, ~0ULL}) {
    EXPECT_FAILS(machine.Init("photos", store_, size), kInvalidArgument) << size;
  }
  for (const std::string store : {"", "relative", "./x", "a/b:c"}) {
    EXPECT_FAILS(machine.Init("photos", store), kInvalidArgument) << store;
  }
  EXPECT_FAILS(machine.Init("photos", "gopher://x/y"), kUnsupported);
  EXPECT_FAILS(machine.Init("photos", store_, 1 << 20, ""), kUnauthenticated);
  EXPECT_TRUE(files::is_empty(provider_.path()));
  EXPECT_TRUE(files::is_empty(machine.state()));
}

TEST_F(VolumeManagerTest, NamesAreSaidWithTheVaultWhereTheyAreNotUnique) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Init("photos", provider_ / "usb"));
  const auto ambiguous = machine.Open("photos");
  ASSERT_FAILS(ambiguous, kInvalidArgument);
  EXPECT_NE(ambiguous.error().message.find("backups/photos"), std::string::npos);
  EXPECT_NE(ambiguous.error().message.find("usb/photos"), std::string::npos);
  ASSERT_OK(machine.Open("backups/photos"));
  ASSERT_OK(machine.Open("usb/photos"));
  Write(machine, "photos", 0, 'b');  // the export of who came first
  Write(machine, "usb/photos", 0, 'u');
  ExpectBlock(machine, "photos", 0, 'b');
}

TEST_F(VolumeManagerTest, AVolumeMadeElsewhereIsFoundInItsVault) {
  Machine first;
  ASSERT_OK(first.Init("photos", store_));
  Machine second;
  ASSERT_OK(second.Add(store_, Machine::kPassword, "home"));
  ASSERT_OK(first.Init("mail", store_));
  EXPECT_FAILS(second.Open("mail"), kNotFound);
  EXPECT_EQ(second.Status("home/mail").state, "unknown");
  EXPECT_OK(second.Open("home/mail"));
  EXPECT_EQ(second.Status("mail").state, "open");
  EXPECT_FAILS(second.Open("home/none"), kNotFound);
}

TEST_F(VolumeManagerTest, AliasesAreOnePerVault) {
  Machine machine;
  ASSERT_OK(machine.Init("a", store_));
  EXPECT_FAILS(machine.Add(store_, Machine::kPassword, "home"), kAlreadyExists);
  EXPECT_EQ(machine.manager().Vaults().vaults[0].alias, "backups");
  control::AddRequest rename;
  rename.store = store_;
  rename.alias = "home";
  rename.replace = true;
  rename.password = SecretBytes::CopyOf(AsBytes(Machine::kPassword));
  ASSERT_OK_AND_ASSIGN(const auto renamed, machine.manager().Add(std::move(rename)));
  EXPECT_EQ(renamed.vault.alias, "home");
  files::create_directory(provider_ / "deep");
  ASSERT_OK_AND_ASSIGN(const auto odd, machine.Init("b", provider_ / "deep/.My Backups!"));
  EXPECT_EQ(odd.vault.alias, "My-Backups");
  EXPECT_FAILS(machine.Add(provider_ / "deep/.My Backups!", Machine::kPassword, "home"),
               kAlreadyExists);
  EXPECT_FAILS(machine.Add(store_, Machine::kPassword, "../x"), kInvalidArgument);
  EXPECT_EQ(machine.manager().Vaults().vaults.size(), 2U);
}

TEST_F(VolumeManagerTest, AFailedExportLeavesTheVolumeClosed) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  control::OpenRequest request;
  request.exports = {{"nbd", "refuse"}};
  EXPECT_FAILS(machine.Open("photos", Machine::kPassword, std::move(request)), kIoError);
  EXPECT_EQ(machine.Status("photos").state, "closed");
  EXPECT_FALSE(machine.Status("photos").keys_held);
  control::OpenRequest unknown;
  unknown.exports = {{"9p", "/mnt"}};
  EXPECT_FAILS(machine.Open("photos", Machine::kPassword, std::move(unknown)), kUnsupported);
  EXPECT_OK(machine.Open("photos"));
}

TEST_F(VolumeManagerTest, ReadOnlyNeedsNoCloseElsewhere) {
  Machine first;
  ASSERT_OK(first.Init("photos", store_));
  ASSERT_OK(first.Open("photos"));
  Write(first, "photos", 2, 'w');
  ASSERT_OK(first.Sync("photos"));
  Machine second;
  ASSERT_OK(second.Add(store_));
  EXPECT_FAILS(second.Open("photos"), kConflict);
  control::OpenRequest request;
  request.read_only = true;
  ASSERT_OK_AND_ASSIGN(const auto opened,
                       second.Open("photos", Machine::kPassword, std::move(request)));
  EXPECT_TRUE(opened.read_only);
  ExpectBlock(second, "photos", 2, 'w');
  ASSERT_OK_AND_ASSIGN(const auto closed, second.Close("photos"));
  EXPECT_EQ(closed.waiting_bytes, 0U);
  control::OpenRequest take_over;
  take_over.take_over = true;
  ASSERT_OK(second.Open("photos", Machine::kPassword, std::move(take_over)));
}

TEST_F(VolumeManagerTest, WhatAnotherMachineHasOvertakenIsListedAsAVolume) {
  Machine first;
  ASSERT_OK(first.Init("photos", store_));
  ASSERT_OK(first.Open("photos"));
  Write(first, "photos", 2, 'a');
  ASSERT_OK(first.Sync("photos"));
  Write(first, "photos", 3, 'a');
  {
    Machine second;
    ASSERT_OK(second.Add(store_));
    control::OpenRequest take_over;
    take_over.take_over = true;
    ASSERT_OK(second.Open("photos", Machine::kPassword, std::move(take_over)));
    Write(second, "photos", 3, 'b');
    ASSERT_OK(second.Close("photos"));
  }
  ASSERT_OK_AND_ASSIGN(const auto closed, first.Close("photos"));
  ASSERT_TRUE(closed.error.has_value());
  EXPECT_EQ(closed.error->code, ErrorCode::kNeedsPerson);
  EXPECT_EQ(closed.waiting_bytes, 0U);
  const auto volumes = first.manager().Volumes().volumes;
  ASSERT_EQ(volumes.size(), 2U);
  const std::string fork = volumes[0].volume == "photos" ? volumes[1].volume : volumes[0].volume;
  EXPECT_TRUE(fork.starts_with("recovered-"));
  ASSERT_OK(first.Open(fork));
  ExpectBlock(first, fork, 2, 'a');
  ExpectBlock(first, fork, 3, 'a');
  ASSERT_OK(first.Open("photos"));
  ExpectBlock(first, "photos", 3, 'b');
}

TEST_F(VolumeManagerTest, WhatIsNotThereOrNotOpenSaysSo) {
  Machine machine;
  EXPECT_FAILS(machine.Open("photos"), kNotFound);
  EXPECT_FAILS(machine.manager().Volume("photos"), kNotFound);
  EXPECT_FAILS(machine.manager().Volume("nowhere/photos"), kNotFound);
  EXPECT_FAILS(machine.Add(store_), kNotFound);
  ASSERT_OK(machine.Init("photos", store_));
  EXPECT_FAILS(machine.Sync("photos"), kNotFound);
  EXPECT_OK(machine.Close("photos"));  // what is closed is done
  EXPECT_FAILS(machine.Close("mail"), kNotFound);
  EXPECT_FAILS(machine.Open("photos@monday"), kUnsupported);
  EXPECT_FAILS(machine.Open("a/b/c"), kInvalidArgument);
  EXPECT_FAILS(machine.manager().Job("99"), kNotFound);
}

TEST_F(VolumeManagerTest, ASecondCloseTellsWhatTheFirstLeft) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Open("photos"));
  Write(machine, "photos", 3, 'a');
  ASSERT_OK(machine.Close("photos", /*no_wait=*/true));
  ASSERT_OK_AND_ASSIGN(const auto again, machine.Close("photos"));
  EXPECT_EQ(again.state, "done");
  EXPECT_EQ(again.waiting_bytes, kBlock);
}

TEST_F(VolumeManagerTest, OpeningWithoutNamingAPlaceTellsTheOneThatItHas) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  control::OpenRequest elsewhere;
  elsewhere.exports = {{"nbd", "unix:/elsewhere"}};
  ASSERT_OK(machine.Open("photos", Machine::kPassword, std::move(elsewhere)));
  ASSERT_OK_AND_ASSIGN(const auto again, machine.Open("photos", ""));
  EXPECT_TRUE(again.already_open);
  ASSERT_EQ(again.exports.size(), 1U);
  EXPECT_EQ(again.exports[0].address, "unix:/elsewhere");
}

TEST_F(VolumeManagerTest, AmongSeveralOfANameTheOpenOneIsClosed) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Init("photos", provider_ / "others"));
  EXPECT_FAILS(machine.Close("photos"), kInvalidArgument);
  ASSERT_OK(machine.Open("others/photos"));
  ASSERT_OK(machine.Close("photos"));
  EXPECT_EQ(machine.Status("others/photos").state, "closed");
}

TEST_F(VolumeManagerTest, AnExportKeepsItsNameWhateverOtherVaultsAreKnown) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK_AND_ASSIGN(const auto before, machine.Open("photos"));
  EXPECT_EQ(before.uri, "fake:photos");
  ASSERT_OK(machine.Close("photos"));
  ASSERT_OK(machine.Init("photos", provider_ / "others"));
  ASSERT_OK_AND_ASSIGN(const auto after, machine.Open("backups/photos"));
  EXPECT_EQ(after.uri, "fake:photos");
  // Only what is open beside it has to be told apart, and says how.
  ASSERT_OK_AND_ASSIGN(const auto other, machine.Open("others/photos"));
  EXPECT_EQ(other.uri, "fake:others/photos");
  EXPECT_EQ(machine.Status("others/photos").exports.at(0).uri, other.uri);
  EXPECT_EQ(machine.Status("backups/photos").exports.at(0).uri, after.uri);
  ASSERT_OK(machine.Close(""));
  ASSERT_OK_AND_ASSIGN(const auto alone, machine.Open("others/photos"));
  EXPECT_EQ(alone.uri, "fake:photos");
}

TEST_F(VolumeManagerTest, WhoIsConnectedIsSaidToSeeANewSizeOnlyLater) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Open("photos"));
  control::ResizeRequest request;
  request.size_bytes = 2 << 20;
  ASSERT_OK_AND_ASSIGN(auto job,
                       machine.Finish(machine.manager().Resize("photos", std::move(request))));
  EXPECT_EQ(job.notes, std::vector<std::string>{});
  machine.exporter.clients = 2;
  request = {};
  request.size_bytes = 3 << 20;
  ASSERT_OK_AND_ASSIGN(job, machine.Finish(machine.manager().Resize("photos", std::move(request))));
  ASSERT_EQ(job.notes.size(), 1U);
  EXPECT_NE(job.notes[0].find("2 clients are connected over NBD"), std::string::npos);
  EXPECT_NE(job.notes[0].find("reconnect them"), std::string::npos);
  machine.exporter.clients = 0;
}

TEST_F(VolumeManagerTest, AClosedVolumeLeavesNoSegmentsBehind) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  ASSERT_OK(machine.Open("photos"));
  Write(machine, "photos", 3, 'a');
  ASSERT_OK(machine.Sync("photos"));
  Write(machine, "photos", 4, 'a');
  ASSERT_OK(machine.Close("photos"));
  for (const auto& [path, content] : TreeOf(machine.state())) {
    EXPECT_EQ(path.find(".seg"), std::string::npos) << path;
  }
  ASSERT_OK(machine.Open("photos"));
  ExpectBlock(machine, "photos", 4, 'a');
}

TEST_F(VolumeManagerTest, WhatAnotherMachineDeletesOrRenamesStaysVisibleWhileItIsOpen) {
  Machine first;
  ASSERT_OK(first.Init("photos", store_));
  ASSERT_OK(first.Init("music", store_));
  control::OpenRequest reading;
  reading.read_only = true;
  control::OpenRequest reading_too;
  reading_too.read_only = true;
  ASSERT_OK(first.Open("photos", Machine::kPassword, std::move(reading)));
  ASSERT_OK(first.Open("music", Machine::kPassword, std::move(reading_too)));
  {
    Machine second;
    ASSERT_OK(second.Add(store_));
    control::RenameRequest rename;
    rename.name = "pics";
    rename.password = SecretBytes::CopyOf(AsBytes(Machine::kPassword));
    ASSERT_OK(second.manager().Rename("photos", std::move(rename)));
    control::DeleteRequest gone;
    gone.confirm = "music";
    gone.password = SecretBytes::CopyOf(AsBytes(Machine::kPassword));
    ASSERT_OK(second.Finish(second.manager().Delete("music", std::move(gone))));
  }
  ASSERT_OK(first.Init("docs", store_));  // reads the catalog again
  EXPECT_EQ(first.Status("photos").state, "open");
  ASSERT_EQ(first.Status("photos").needs.size(), 1U);
  EXPECT_TRUE(first.Status("photos").needs[0].starts_with("RENAMED: ")) << "pics";
  ASSERT_EQ(first.Status("music").needs.size(), 1U);
  EXPECT_TRUE(first.Status("music").needs[0].starts_with("GONE: "));
  EXPECT_EQ(first.manager().Volumes().volumes.size(), 3U);
  ASSERT_OK(first.Close("photos"));
  ASSERT_OK(first.Close("music"));
  std::set<std::string> names;
  for (const auto& volume : first.manager().Volumes().volumes) names.insert(volume.volume);
  EXPECT_EQ(names, (std::set<std::string>{"docs", "pics"}));
}

TEST_F(VolumeManagerTest, InitsAtOnceIntoANewVaultAllSucceed) {
  Machine machine;
  std::vector<std::thread> threads;
  std::atomic<int> made{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      if (machine.Init("volume" + std::to_string(i), store_).has_value()) ++made;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 4);
  EXPECT_EQ(machine.manager().Volumes().volumes.size(), 4U);
}

TEST_F(VolumeManagerTest, ChangesAreEvents) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  Mutex mutex;
  std::vector<std::string> states;
  const auto subscription = machine.manager().Subscribe([&](const control::Event& event) {
    MutexLock lock(mutex);
    if (event.volume) states.push_back(event.volume->state);
  });
  ASSERT_OK(machine.Open("photos"));
  ASSERT_OK(machine.Close("photos"));
  MutexLock lock(mutex);
  EXPECT_EQ(states, (std::vector<std::string>{"open", "closing", "closed"}));
}

TEST_F(VolumeManagerTest, StopIsAskedForAndWhatEndsServesNoMore) {
  Machine machine;
  ASSERT_OK(machine.Init("photos", store_));
  std::vector<control::HolderInfo> holders;
  ASSERT_OK(machine.manager().StopDaemon({}, &holders));
  EXPECT_TRUE(machine.stop_asked);
  machine.manager().Shutdown();
  EXPECT_FAILS(machine.Open("photos"), kConflict);
  EXPECT_FAILS(machine.Init("mail", store_), kConflict);
}

}  // namespace
}  // namespace coffer::daemon

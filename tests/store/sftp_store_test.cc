// SftpStore against a server in memory, in virtual time on one thread. The conformance suite runs
// it against OpenSSH's.
#include "core/store/sftp_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "core/base/log.h"
#include "tests/store/fake_sftp_server.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_executor.h"

namespace coffer::store {
namespace {

using Fake = FakeSftpServer;
using Kind = FakeSftpServer::Node::Kind;

StoreUrl Url(const std::string& text) { return *ParseStoreUrl(text, "/"); }

class SftpStoreTest : public testing::Test {
 protected:
  SftpStoreTest() {
    server.AddDirectory("/backups");
    server.AddDirectory("/home");
    server.AddDirectory("/home/me");
  }

  Result<std::unique_ptr<SftpStore>> Open(
      StoreOpenMode mode, const std::string& url = "sftp://me@host/backups/photos") {
    return SftpStore::Open(context, Url(url), {server.Dialer(), clock, executor, random}, mode);
  }
  /// One with a marker, and what it was opened by forgotten.
  std::unique_ptr<SftpStore> Vault() {
    auto store = Open(StoreOpenMode::kForInit);
    EXPECT_OK(store);
    if (!store.has_value()) return nullptr;
    EXPECT_OK((*store)->Create(context, "vault", AsBytes("marker"), ObjectClass::kControl));
    server.types.clear();
    return *std::move(store);
  }
  static Status Put(SftpStore& store, const std::string& name, std::string_view text) {
    return store.Create({}, name, AsBytes(text), ObjectClass::kData);
  }
  static std::string TextAt(SftpStore& store, const std::string& name) {
    const Result<Bytes> bytes = store.Get({}, name, 1 << 20);
    return bytes.has_value() ? std::string(AsText(*bytes)) : TextOf(bytes.error());
  }
  std::vector<std::string> InScratch() { return server.FilesUnder(kRoot + "/.coffer-tmp/"); }

  const std::string kRoot = "/backups/photos";
  FakeClock clock;
  SimExecutor executor{clock, 1};
  SeededRandom random{1};
  FakeSftpServer server;
  RequestContext context;
};

TEST_F(SftpStoreTest, IsNamedByItsUrlAndKnownByOneTextForAPlace) {
  server.AddDirectory("/x");
  ASSERT_OK_AND_ASSIGN(const auto store, Open(StoreOpenMode::kForInit, "sftp://me@Host:22/x"));
  EXPECT_EQ(store->description(), "sftp://me@host:22/x");
  EXPECT_EQ(store->identity(), "sftp://me@host/x");
  EXPECT_EQ(SftpIdentityOf(Url("sftp://me@host/x/")), "sftp://me@host/x");
  EXPECT_EQ(SftpIdentityOf(Url("sftp://host:2222/x")), "sftp://host:2222/x");
  const SshTarget target = SshTargetOf(Url("sftp://a%40b@[::1]:2222/x"));
  EXPECT_EQ(target.user, "a@b");
  EXPECT_EQ(target.host, "::1");
  EXPECT_EQ(target.port, "2222");
}

TEST_F(SftpStoreTest, InitMakesTheLastDirectoryAndNoOther) {
  EXPECT_FAILS(Open(StoreOpenMode::kExisting), kNotFound);
  ASSERT_OK(Open(StoreOpenMode::kForInit));
  EXPECT_TRUE(server.tree.contains(kRoot));
  const auto deeper = Open(StoreOpenMode::kForInit, "sftp://host/none/photos");
  EXPECT_FAILS(deeper, kNotFound);
  EXPECT_NE(deeper.error().message.find("/none does not exist"), std::string::npos)
      << deeper.error().message;
  EXPECT_FALSE(server.tree.contains("/none"));
  EXPECT_FAILS(Open(StoreOpenMode::kForInit, "sftp://host"), kInvalidArgument);
}

TEST_F(SftpStoreTest, APathBelowHomeIsFoundThere) {
  ASSERT_OK_AND_ASSIGN(const auto store, Open(StoreOpenMode::kForInit, "sftp://host/~/photos"));
  ASSERT_OK(Put(*store, "vault", "marker"));
  EXPECT_TRUE(server.tree.contains("/home/me/photos/vault"));
}

TEST_F(SftpStoreTest, InitRefusesWhatIsNoPlaceForAVault) {
  server.AddDirectory(kRoot);
  server.AddFile(kRoot + "/letter.txt", "x");
  EXPECT_FAILS(Open(StoreOpenMode::kForInit), kAlreadyExists);
  server.tree.erase(kRoot + "/letter.txt");
  server.AddDirectory(kRoot + "/heads");
  EXPECT_OK(Open(StoreOpenMode::kForInit)) << "empty directories are what an init leaves";
  server.AddFile(kRoot + "/heads/x", "y");
  EXPECT_FAILS(Open(StoreOpenMode::kForInit), kCorruption);
  EXPECT_FAILS(Open(StoreOpenMode::kExisting), kCorruption);
}

TEST_F(SftpStoreTest, TheCheckBeforeAnInitChangesNothing) {
  const SftpSeams seams{server.Dialer(), clock, executor, random};
  const auto before = server.FilesUnder("/");
  EXPECT_OK(SftpStore::CheckForInit(context, Url("sftp://host/backups/photos"), seams));
  EXPECT_FALSE(server.tree.contains(kRoot));
  EXPECT_FAILS(SftpStore::CheckForInit(context, Url("sftp://host/none/photos"), seams), kNotFound);
  server.AddFile("/backups/letter", "x");
  EXPECT_FAILS(SftpStore::CheckForInit(context, Url("sftp://host/backups"), seams), kAlreadyExists);
}

TEST_F(SftpStoreTest, ALinkToTheDirectoryIsFollowedOnce) {
  server.AddDirectory("/disk");
  server.AddLink("/backups/photos", "/disk");
  ASSERT_OK_AND_ASSIGN(const auto store, Open(StoreOpenMode::kForInit));
  ASSERT_OK(Put(*store, "vault", "marker"));
  EXPECT_TRUE(server.tree.contains("/disk/vault"));
}

TEST_F(SftpStoreTest, AnObjectIsSyncedThenNamedThenItsDirectoryIsSynced) {
  const auto store = Vault();
  server.synced.clear();
  ASSERT_OK(Put(*store, "packs/ab/x", "hello"));
  ASSERT_EQ(server.synced.size(), 4U);
  EXPECT_NE(server.synced[0].find(".coffer-tmp/"), std::string::npos);
  EXPECT_EQ(server.synced[1], kRoot) << "packs is new in it";
  EXPECT_EQ(server.synced[2], kRoot + "/packs");
  EXPECT_EQ(server.synced[3], kRoot + "/packs/ab");
  EXPECT_EQ(InScratch(), std::vector<std::string>{});
  EXPECT_EQ(store->capabilities().strength, StoreStrength::kStrong);
}

TEST_F(SftpStoreTest, OverwritesNothingByAnyCall) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "heads/v/1", "first"));
  EXPECT_FAILS(Put(*store, "heads/v/1", "second"), kAlreadyExists);
  EXPECT_EQ(TextAt(*store, "heads/v/1"), "first");
  EXPECT_EQ(InScratch(), std::vector<std::string>{});
  for (const int type : server.types) EXPECT_NE(type, 18) << "a rename";
}

TEST_F(SftpStoreTest, WithoutHardLinksItIsWeakAndStillRefusesATakenName) {
  for (const bool offered : {false, true}) {
    server.tree.erase(kRoot + "/vault");
    server.tree.erase(kRoot + "/a");
    if (!offered) server.offers.erase("hardlink@openssh.com");
    if (offered) server.offers.insert("hardlink@openssh.com");
    server.links_work = false;
    const auto store = Vault();
    ASSERT_NE(store, nullptr);
    ASSERT_OK(Put(*store, "a", "first"));
    EXPECT_FAILS(Put(*store, "a", "second"), kAlreadyExists);
    EXPECT_EQ(TextAt(*store, "a"), "first");
    EXPECT_EQ(store->capabilities().strength, StoreStrength::kWeak) << offered;
    EXPECT_EQ(InScratch(), std::vector<std::string>{});
  }
}

TEST_F(SftpStoreTest, LinksThatHaveWorkedAreNotGivenUpForAFailure) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "a", "x"));
  server.links_work = false;
  EXPECT_FAILS(Put(*store, "b", "x"), kUnavailable);
  EXPECT_EQ(store->capabilities().strength, StoreStrength::kStrong);
  EXPECT_FALSE(server.tree.contains(kRoot + "/b"));
  EXPECT_EQ(InScratch(), std::vector<std::string>{});
}

TEST_F(SftpStoreTest, WorksOnAServerWithoutAnyExtension) {
  server.offers.clear();
  const auto store = Vault();
  ASSERT_OK(Put(*store, "packs/ab/x", std::string(200'000, 'x')));
  EXPECT_EQ(TextAt(*store, "packs/ab/x").size(), 200'000U);
  EXPECT_TRUE(server.synced.empty());
  EXPECT_EQ(store->capabilities().strength, StoreStrength::kWeak);
}

TEST_F(SftpStoreTest, DirectoriesThatCannotBeSyncedAreNotAskedTwice) {
  server.directories_open = false;
  const auto store = Vault();
  ASSERT_OK(Put(*store, "a", "x"));
  const auto opens = std::ranges::count(server.types, 3);
  EXPECT_EQ(opens, 1) << "of the object alone";
}

TEST_F(SftpStoreTest, ShortReadsAreAskedAgain) {
  const auto store = Vault();
  SeededRandom bytes(3);
  const Bytes data = bytes.NewBytes(300'000);
  ASSERT_OK(store->Create(context, "a", data, ObjectClass::kData));
  server.read_most = 1000;
  ASSERT_OK_AND_ASSIGN(const Bytes whole, store->Get(context, "a", data.size()));
  EXPECT_TRUE(whole == data);
  ASSERT_OK_AND_ASSIGN(const Bytes range, store->GetRange(context, "a", 100'001, 150'000));
  EXPECT_TRUE(std::ranges::equal(range, ByteView(data).subspan(100'001, 150'000)));
}

TEST_F(SftpStoreTest, AServerThatGivesNoBytesIsNotAskedForEver) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "a", "0123456789"));
  server.read_most = 0;
  EXPECT_FAILS(store->Get(context, "a", 100), kUnavailable);
}

TEST_F(SftpStoreTest, AFileThatBecomesShorterIsDamage) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "a", std::string(100'000, 'x')));
  server.before = [&](int type, std::uint32_t id, const std::string&) {
    return type == 5 ? std::optional(Fake::Status(id, 1, "End of file")) : std::nullopt;
  };
  EXPECT_FAILS(store->Get(context, "a", 1 << 20), kCorruption);
  EXPECT_EQ(server.open_handles, 0U);
}

TEST_F(SftpStoreTest, ASizeThatLiesTakesNoMemory) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "a", "0123456789"));
  server.before = [&](int type, std::uint32_t id,
                      const std::string&) -> std::optional<std::string> {
    if (type != 8) return std::nullopt;
    return std::string("\x69", 1) + Fake::Number(id, 4) + Fake::Number(1, 4) +
           Fake::Number(1ULL << 62, 8);
  };
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_FAILS(store->Get(context, "a", 1 << 20), kCorruption);
  EXPECT_FAILS(store->GetRange(context, "a", 0, kMax), kCorruption) << "it ends before";
}

TEST_F(SftpStoreTest, LinksAndDirectoriesAreNoObjects) {
  const auto store = Vault();
  server.AddDirectory(kRoot + "/heads");
  server.AddFile("/secret", "x");
  server.AddLink(kRoot + "/heads/a", "/secret");
  server.AddLink(kRoot + "/heads/b", "/none");
  server.AddDirectory(kRoot + "/heads/d");
  EXPECT_FAILS(store->Get(context, "heads/a", 100), kCorruption);
  EXPECT_FAILS(store->Get(context, "heads/b", 100), kCorruption);
  EXPECT_FAILS(store->Get(context, "heads/d", 100), kNotFound);
  EXPECT_FAILS(store->Delete(context, "heads/a"), kCorruption);
  EXPECT_FAILS(store->Delete(context, "heads/d"), kNotFound);
  EXPECT_FAILS(Put(*store, "heads/d", "x"), kCorruption);
  EXPECT_FAILS(Put(*store, "heads/a/x", "x"), kCorruption);
  EXPECT_EQ(server.open_handles, 0U);
}

TEST_F(SftpStoreTest, ListsFewNamesAtATimeInOrderWithSizesAndTimesAndNothingForeign) {
  const auto store = Vault();
  std::vector<std::string> names;
  for (int i = 0; i < 250; ++i) names.push_back(Concat("heads/v/", 1000 + i));
  for (const std::string& name : names) ASSERT_OK(Put(*store, name, name));
  server.AddFile(kRoot + "/heads/v/.hidden", "x");
  server.AddFile(kRoot + "/heads/v/UPPER", "x");
  server.AddFile(kRoot + "/heads/v/\xff\xfe", "x");
  server.AddDirectory(kRoot + "/heads/v/deeper");
  server.AddFile(kRoot + "/heads/v/deeper/x", "x");
  for (const std::size_t most : {1U, 3U, 100U}) {
    server.names_most = most;
    ASSERT_OK_AND_ASSIGN(const ListPage page, store->List(context, "heads/v/", "", 1000));
    EXPECT_EQ(page.names(), names);
    EXPECT_FALSE(page.more);
    ASSERT_OK_AND_ASSIGN(const ListPage few, store->List(context, "heads/v/", "heads/v/1100", 2));
    EXPECT_EQ(few.names(), (std::vector<std::string>{"heads/v/1101", "heads/v/1102"}));
    EXPECT_TRUE(few.more);
    EXPECT_EQ(few.objects[0].size, 12U);
    EXPECT_EQ(few.objects[0].modified, server.now);
  }
  EXPECT_EQ(server.open_handles, 0U);
}

TEST_F(SftpStoreTest, AsksNothingOfEntriesThatTheListingHasTold) {
  const auto store = Vault();
  for (int i = 0; i < 50; ++i) ASSERT_OK(Put(*store, Concat("heads/v/", 1000 + i), "x"));
  server.types.clear();
  ASSERT_OK(store->List(context, "heads/v/", "", 1000));
  EXPECT_EQ(std::ranges::count(server.types, 11), 1) << "one directory";
  EXPECT_EQ(std::ranges::count(server.types, 7), 3) << "the marker, heads and v";
  server.lists_with_mode = false;
  ASSERT_OK_AND_ASSIGN(const ListPage page, store->List(context, "heads/v/", "", 1000));
  EXPECT_EQ(page.objects.size(), 50U) << "of a server that does not tell what they are";
}

TEST_F(SftpStoreTest, NamesThatComeTwiceAreOne) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "heads/v/1", "x"));
  server.lists_twice = true;
  ASSERT_OK_AND_ASSIGN(const ListPage page, store->List(context, "heads/", "", 10));
  EXPECT_EQ(page.names(), std::vector<std::string>{"heads/v/1"});
}

TEST_F(SftpStoreTest, AListThatDoesNotEndIsLeftAtTheDeadline) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "heads/v/1", "x"));
  server.before = [&](int type, std::uint32_t id,
                      const std::string&) -> std::optional<std::string> {
    if (type != 12) return std::nullopt;
    clock.Advance(std::chrono::seconds(1));
    return std::string("\x68", 1) + Fake::Number(id, 4) + Fake::Number(1, 4) + Fake::Text("aa") +
           Fake::Text("") + Fake::Number(0, 4);
  };
  RequestContext hasty;
  hasty.deadline = clock.Now() + std::chrono::seconds(60);
  EXPECT_FAILS(store->List(hasty, "heads/v/", "", 10), kUnavailable);
}

TEST_F(SftpStoreTest, ALostMountIsNotTakenForAnEmptyVault) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "heads/v/1", "x"));
  const auto whole = server.tree;
  std::erase_if(server.tree, [&](const auto& node) { return node.first.starts_with(kRoot + "/"); });
  EXPECT_FAILS(Put(*store, "heads/v/2", "x"), kUnavailable);
  EXPECT_EQ(server.FilesUnder(kRoot), std::vector<std::string>{}) << "nothing was written there";
  EXPECT_FAILS(store->List(context, "heads/", "", 10), kUnavailable);
  EXPECT_FAILS(store->Get(context, "heads/v/1", 10), kUnavailable);
  EXPECT_FAILS(store->Delete(context, "heads/v/1"), kUnavailable);
  server.tree.erase(kRoot);
  EXPECT_FAILS(Put(*store, "heads/v/2", "x"), kUnavailable);
  EXPECT_FALSE(server.tree.contains(kRoot)) << "the store's own directory is made by init alone";
  server.tree = whole;
  EXPECT_OK(Put(*store, "heads/v/2", "x"));
}

TEST_F(SftpStoreTest, AnotherVaultInItsPlaceIsSeen) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "keys/1", "x"));
  server.now += 100;
  server.AddFile(kRoot + "/vault", "others");
  EXPECT_FAILS(store->Delete(context, "keys/1"), kUnavailable);
  EXPECT_TRUE(server.tree.contains(kRoot + "/keys/1"));
  server.AddFile(kRoot + "/vault", "marker");  // the same, copied: with another time
  EXPECT_OK(store->Delete(context, "keys/1"));
}

TEST_F(SftpStoreTest, ALostConnectionIsUnavailableAndTheNextCallConnectsAgain) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "a", "x"));
  const int before = server.connections;
  server.holds_answers = true;
  const auto hang_up = executor.PostAfter(std::chrono::seconds(1), [&] { server.HangUp(); });
  EXPECT_FAILS(store->Get(context, "a", 10), kUnavailable);
  server.holds_answers = false;
  EXPECT_EQ(TextAt(*store, "a"), "x");
  EXPECT_EQ(TextAt(*store, "a"), "x");
  EXPECT_EQ(server.connections, before + 1);
}

TEST_F(SftpStoreTest, AReadHasAConnectionThatUploadsDoNotFill) {
  const auto store = Vault();
  const int before = server.connections;
  ASSERT_OK(Put(*store, "packs/ab/x", "data"));
  EXPECT_EQ(server.connections, before + 1) << "one more for data, when there is any";
  EXPECT_EQ(TextAt(*store, "packs/ab/x"), "data");
  EXPECT_EQ(server.connections, before + 1);
}

TEST_F(SftpStoreTest, ACallThatIsCutOffLeavesNothingOpenAndNothingNamed) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "packs/ab/x", std::string(5'000'000, 'x')));
  // After each number of requests in turn, the answers stop.
  bool done = false;
  for (int allowed = 1; !done && allowed < 100; ++allowed) {
    const std::string name = Concat("packs/ab/y", allowed);
    int seen = 0;
    server.before = [&](int, std::uint32_t, const std::string&) -> std::optional<std::string> {
      server.holds_answers = ++seen > allowed;
      return std::nullopt;
    };
    RequestContext hasty;
    hasty.deadline = clock.Now() + std::chrono::seconds(1);
    const Status created = store->Create(hasty, name, AsBytes("hello"), ObjectClass::kData);
    done = created.has_value();
    if (!done) {
      EXPECT_FAILS(created, kUnavailable) << allowed;
    }
    server.before = {};
    server.holds_answers = false;
    server.Release();
    EXPECT_EQ(server.open_handles, 0U) << "after " << allowed;
    const Status again = Put(*store, name, "hello");
    EXPECT_TRUE(again.has_value() || again.error().code == ErrorCode::kAlreadyExists) << allowed;
    EXPECT_EQ(TextAt(*store, name), "hello");
  }
  EXPECT_TRUE(done);
}

TEST_F(SftpStoreTest, AScratchFileThatSomebodyRemovedIsWrittenAgain) {
  const auto store = Vault();
  int removed = 0;
  server.before = [&](int type, std::uint32_t,
                      const std::string& fields) -> std::optional<std::string> {
    if (type == 200 && fields.find("hardlink@") != std::string::npos && removed++ == 0) {
      for (const std::string& path : InScratch()) server.tree.erase(path);
    }
    return std::nullopt;
  };
  ASSERT_OK(Put(*store, "a", "hello"));
  EXPECT_GE(removed, 2);
  EXPECT_EQ(TextAt(*store, "a"), "hello");
}

TEST_F(SftpStoreTest, RemovesWhatACrashLeftAnHourAgoAndNothingElse) {
  const std::string scratch = kRoot + "/.coffer-tmp/";
  const std::string one(32, 'a');
  const std::string other(32, 'b');
  server.AddDirectory(kRoot);
  server.AddDirectory(kRoot + "/.coffer-tmp");
  server.AddFile(scratch + one + ".7", "old");
  server.AddFile(scratch + other + ".1", "of one who works on the server");
  server.AddFile(scratch + other + ".lock", "");
  server.AddFile(scratch + "letter", "foreign");
  server.now += 3599;
  server.AddFile(scratch + one + ".8", "young");
  server.now += 2;
  const auto store = Vault();
  std::vector<std::string> left = InScratch();
  EXPECT_EQ(left, (std::vector<std::string>{scratch + one + ".8", scratch + other + ".1",
                                            scratch + other + ".lock", scratch + "letter"}));
}

TEST_F(SftpStoreTest, SaysWhatIsWrongWithTheServersDisk) {
  const auto store = Vault();
  const auto failing_writes = [&](const std::string& words) {
    return [words](int type, std::uint32_t id, const std::string&) {
      return type == 6 ? std::optional(Fake::Status(id, 4, words)) : std::nullopt;
    };
  };
  server.before = failing_writes("Disk quota exceeded");
  EXPECT_FAILS(Put(*store, "a", "x"), kNoSpace);
  server.before = failing_writes("Failure");
  EXPECT_FAILS(Put(*store, "a", "x"), kUnavailable);
  server.free_bytes = 0;
  const Status full = Put(*store, "a", "x");
  EXPECT_FAILS(full, kNoSpace);
  EXPECT_NE(full.error().hint.find("make room"), std::string::npos);
  server.before = [](int type, std::uint32_t id, const std::string&) {
    return type == 3 ? std::optional(Fake::Status(id, 3, "Permission denied")) : std::nullopt;
  };
  EXPECT_FAILS(Put(*store, "a", "x"), kIoError);
  EXPECT_EQ(InScratch(), std::vector<std::string>{});
}

TEST_F(SftpStoreTest, ASyncThatFailsFailsTheCreate) {
  const auto store = Vault();
  ASSERT_OK(Put(*store, "a", "x"));
  server.before = [](int type, std::uint32_t id, const std::string& fields) {
    const bool sync = type == 200 && fields.find("fsync@") != std::string::npos;
    return sync ? std::optional(Fake::Status(id, 4, "Failure")) : std::nullopt;
  };
  EXPECT_FAILS(Put(*store, "b", "x"), kUnavailable);
  EXPECT_FALSE(server.tree.contains(kRoot + "/b"));
}

TEST_F(SftpStoreTest, WordsOfAServerAreHarmlessInAnError) {
  const auto store = Vault();
  server.before = [](int type, std::uint32_t id, const std::string&) {
    return type == 3 ? std::optional(Fake::Status(id, 4, "\x1b[2J\n" + std::string(5000, 'x')))
                     : std::nullopt;
  };
  const Status failed = Put(*store, "a", "x");
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().message.find('\x1b'), std::string::npos);
  EXPECT_EQ(failed.error().message.find('\n'), std::string::npos);
  EXPECT_LT(failed.error().message.size(), 500U);
}

}  // namespace
}  // namespace coffer::store

// Host key, trust file and lock: what a machine remembers of a vault, and what it does when it
// can't.
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "core/vault/sealed_record.h"
#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

constexpr char kDirectory[] = "/state";

format::Keyring RingOf(SeededRandom& random, std::uint32_t epochs) {
  format::Keyring keyring;
  for (std::uint32_t epoch = 1; epoch <= epochs; ++epoch) {
    keyring.epochs.push_back({epoch, SecretBytes::CopyOf(random.NewBytes(32)), 0});
  }
  return keyring;
}

format::Keyring FirstOf(const format::Keyring& keyring) {
  format::Keyring first;
  first.epochs.push_back({keyring.epochs[0].epoch, keyring.epochs[0].master_key.Copy(), 0});
  return first;
}

bool Same(const SecretBytes& a, const SecretBytes& b) {
  return ConstantTimeEqual(a.view(), b.view());
}

TEST(KeyChest, GivesEachPurposeAndEpochAKeyOfItsOwn) {
  SeededRandom random(1);
  const KeyChest chest(random.NewId<VaultId>(), RingOf(random, 2));
  EXPECT_EQ(chest.current().epoch, 2u);
  ASSERT_OK_AND_ASSIGN(const KeyChest::Epoch* old, chest.Find(1));
  std::vector<const SecretBytes*> keys;
  for (const KeyChest::Epoch* epoch : {old, &chest.current()}) {
    for (const SecretBytes* key : {&epoch->pack, &epoch->head, &epoch->catalog,
                                   &epoch->pack_id_hedge, &epoch->host_key_wrap}) {
      for (const SecretBytes* other : keys) EXPECT_FALSE(Same(*key, *other));
      keys.push_back(key);
    }
  }
  const Bytes data(100, std::byte{3});
  EXPECT_NE(old->content->Id(1, data), chest.current().content->Id(1, data));
  EXPECT_FAILS(chest.Find(3), kCorruption);
  EXPECT_FAILS(chest.Find(0), kCorruption);
}

TEST(SealedRecord, GetsAKeyOfItsOwnEvenWhenRandomNumbersRepeat) {
  SeededRandom random(1);
  const SecretBytes key = SecretBytes::CopyOf(random.NewBytes(32));
  const RecordPlace place{format::SealedKind::kHead, random.NewId<VaultId>(),
                          random.NewId<VolumeId>(), 7};
  RecordPlace next = place;
  next.seq = 8;
  const Bytes one(100, std::byte{1});
  const Bytes two(100, std::byte{2});
  RepeatingRandom repeating;
  std::set<std::string> salts;
  for (const Bytes& stored :
       {SealRecord(place, 1, key, one, repeating), SealRecord(place, 1, key, two, repeating),
        SealRecord(next, 1, key, one, repeating), SealRecord(place, 2, key, one, repeating)}) {
    salts.insert(ToHex(ByteView(stored).subspan(16, 32)));
  }
  EXPECT_EQ(salts.size(), 4u);
}

TEST(SealedRecord, OpensInItsPlaceOnly) {
  SeededRandom random(1);
  const SecretBytes key = SecretBytes::CopyOf(random.NewBytes(32));
  const KeyOfEpoch key_of_epoch = [&](std::uint32_t) -> Result<const SecretBytes*> { return &key; };
  const RecordPlace place{format::SealedKind::kHead, random.NewId<VaultId>(),
                          random.NewId<VolumeId>(), 7};
  const Bytes plain = random.NewBytes(5000);
  const Bytes stored = SealRecord(place, 1, key, plain, random);
  EXPECT_EQ((stored.size() - format::kSealedPrefixBytes - 16) % 4096, 0u);
  ASSERT_OK_AND_ASSIGN(const Bytes opened, OpenRecord(place, stored, key_of_epoch));
  EXPECT_EQ(opened, plain);
  RecordPlace other = place;
  other.seq = 8;
  EXPECT_FAILS(OpenRecord(other, stored, key_of_epoch), kCorruption);
  other = place;
  other.volume = random.NewId<VolumeId>();
  EXPECT_FAILS(OpenRecord(other, stored, key_of_epoch), kCorruption);
  other = place;
  other.vault = random.NewId<VaultId>();
  EXPECT_FAILS(OpenRecord(other, stored, key_of_epoch), kCorruption);
  other = place;
  other.kind = format::SealedKind::kCatalog;
  EXPECT_FAILS(OpenRecord(other, stored, key_of_epoch), kCorruption);
}

class LocalState : public testing::Test {
 protected:
  void SetUp() override { fs_.AddDirectories(kDirectory); }
  Result<HostKeys> Host(const KeyChest& chest) {
    return HostKeys::OpenOrCreate(fs_, random_, kDirectory, chest);
  }
  Result<std::unique_ptr<TrustFile>> Trust(const HostKeys& host) {
    return TrustFile::OpenOrCreate(fs_, random_, kDirectory, vault_, host);
  }
  format::ChainPoint Point(std::uint64_t seq) {
    return {seq, ObjectHash::From(random_.NewBytes(32))};
  }

  FaultyFileSystem fs_{1};
  SeededRandom random_{2};
  VaultId vault_ = random_.NewId<VaultId>();
  format::Keyring keyring_ = RingOf(random_, 2);
  KeyChest old_chest_{vault_, FirstOf(keyring_)};
  KeyChest chest_{vault_, keyring_};
};

TEST_F(LocalState, KeepsTheHostKeyUnderWhicheverEpochItWasSealed) {
  ASSERT_OK_AND_ASSIGN(const HostKeys made, Host(old_chest_));
  EXPECT_EQ(made.key_epoch, 1u);
  fs_.PowerCut(CutMode::kDropAll);
  ASSERT_OK_AND_ASSIGN(const HostKeys opened, Host(chest_));  // after a rekey
  EXPECT_EQ(opened.id, made.id);
  EXPECT_EQ(opened.key_epoch, 1u);
  EXPECT_TRUE(Same(opened.journal, made.journal));
  EXPECT_TRUE(Same(opened.trust, made.trust));
  EXPECT_TRUE(Same(opened.frame_cache, made.frame_cache));
  EXPECT_FALSE(Same(opened.journal, opened.trust));
}

TEST_F(LocalState, RefusesAHostKeyOfAnUnknownEpoch) {
  ASSERT_OK(Host(chest_));
  const auto opened = Host(old_chest_);
  ASSERT_FAILS(opened, kNeedsPerson);
  EXPECT_TRUE(opened.error().message.starts_with("DAMAGED-JOURNAL: "));
  EXPECT_NE(opened.error().message.find("key epoch 2"), std::string::npos);
}

TEST_F(LocalState, RefusesADamagedHostKeyAndLeavesIt) {
  ASSERT_OK(Host(chest_));
  const std::string path = std::string(kDirectory) + "/host-key";
  const Bytes whole = *fs_.Contents(path);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    fs_.Damage(path, at);
    const auto opened = Host(chest_);
    ASSERT_FALSE(opened.has_value()) << at;
    EXPECT_TRUE(opened.error().code == ErrorCode::kNeedsPerson ||
                opened.error().code == ErrorCode::kUnsupported)
        << TextOf(opened.error());
    EXPECT_NE(*fs_.Contents(path), whole);
    fs_.Damage(path, at);
  }
  EXPECT_OK(Host(chest_));
}

TEST_F(LocalState, MakesNoNewHostKeyWhereThereWasOne) {
  HostKeys host = *Host(chest_);
  ASSERT_OK(Trust(host));
  ASSERT_OK(fs_.Remove(std::string(kDirectory) + "/host-key"));
  const auto opened = Host(chest_);
  ASSERT_FAILS(opened, kNeedsPerson);
  EXPECT_TRUE(opened.error().message.starts_with("DAMAGED-JOURNAL: "));
  EXPECT_NE(opened.error().message.find("missing"), std::string::npos);
}

TEST_F(LocalState, RemembersEverythingNotedAcrossAPowerCut) {
  ASSERT_OK_AND_ASSIGN(const HostKeys host, Host(chest_));
  const VolumeId volume = random_.NewId<VolumeId>();
  const format::ChainPoint header = Point(3);
  const format::ChainPoint catalog = Point(9);
  const format::ChainPoint seen = Point(812);
  const format::ChainPoint own = Point(811);
  {
    ASSERT_OK_AND_ASSIGN(const auto trust, Trust(host));
    EXPECT_EQ(trust->volume(volume), std::nullopt);
    ASSERT_OK(trust->NoteKeyHeader(header));
    ASSERT_OK(trust->NoteCatalog(catalog));
    ASSERT_OK(trust->NoteHead(volume, own, 4, true));
    ASSERT_OK(trust->NoteHead(volume, seen, 5, false));
    ASSERT_OK(trust->NoteProbed("s3://bucket"));
  }
  fs_.PowerCut(CutMode::kDropAll);
  ASSERT_OK_AND_ASSIGN(const auto trust, Trust(host));
  EXPECT_EQ(trust->key_header(), header);
  EXPECT_EQ(trust->catalog(), catalog);
  EXPECT_EQ(trust->volume(volume), (format::TrustedVolume{volume, seen, own, 5}));
  EXPECT_TRUE(trust->HasProbed("s3://bucket"));
  EXPECT_FALSE(trust->HasProbed("s3://other"));
}

TEST_F(LocalState, NeverMovesBack) {
  ASSERT_OK_AND_ASSIGN(const HostKeys host, Host(chest_));
  ASSERT_OK_AND_ASSIGN(const auto trust, Trust(host));
  const VolumeId volume = random_.NewId<VolumeId>();
  const format::ChainPoint newest = Point(10);
  ASSERT_OK(trust->NoteKeyHeader(newest));
  ASSERT_OK(trust->NoteCatalog(newest));
  ASSERT_OK(trust->NoteHead(volume, newest, 3, true));
  const std::uint64_t changes = fs_.change_count();
  for (const std::uint64_t seq : {1u, 9u, 10u}) {
    ASSERT_OK(trust->NoteKeyHeader(Point(seq)));
    ASSERT_OK(trust->NoteCatalog(Point(seq)));
    ASSERT_OK(trust->NoteHead(volume, Point(seq), 1, true));
  }
  EXPECT_EQ(trust->key_header(), newest);
  EXPECT_EQ(trust->catalog(), newest);
  EXPECT_EQ(trust->volume(volume), (format::TrustedVolume{volume, newest, newest, 3}));
  EXPECT_EQ(fs_.change_count(), changes);  // what changes nothing writes nothing
}

TEST_F(LocalState, ShowsNothingThatIsNotOnDisk) {
  ASSERT_OK_AND_ASSIGN(const HostKeys host, Host(chest_));
  for (std::uint64_t nth = 1;; ++nth) {
    ASSERT_OK_AND_ASSIGN(const auto trust, Trust(host));
    const format::ChainPoint before = trust->catalog();
    const format::ChainPoint next = Point(before.seq + 1);
    fs_.HaltAt(nth);
    const bool noted = trust->NoteCatalog(next).has_value();
    EXPECT_EQ(trust->catalog(), noted ? next : before);
    const bool halted = fs_.halted();
    fs_.PowerCut(CutMode::kRandomSubset);
    ASSERT_OK_AND_ASSIGN(const auto again, Trust(host));
    if (noted) {
      EXPECT_EQ(again->catalog(), next);
    }
    if (!halted) break;
  }
}

TEST_F(LocalState, SealsEachTimeUnderAnotherKey) {
  ASSERT_OK_AND_ASSIGN(const HostKeys host, Host(chest_));
  ASSERT_OK_AND_ASSIGN(const auto trust, Trust(host));
  const std::string path = std::string(kDirectory) + "/trust";
  const auto salt = [&] {
    const Bytes bytes = *fs_.Contents(path);
    return ToHex(ByteView(bytes).subspan(16, 32));
  };
  const std::string first = salt();
  ASSERT_OK(trust->NoteCatalog(Point(1)));
  EXPECT_NE(salt(), first);
}

TEST_F(LocalState, RefusesADamagedTrustFileAndLeavesIt) {
  ASSERT_OK_AND_ASSIGN(const HostKeys host, Host(chest_));
  { ASSERT_OK(Trust(host)); }
  const std::string path = std::string(kDirectory) + "/trust";
  const std::size_t size = fs_.Contents(path)->size();
  for (std::size_t at = 0; at < size; ++at) {
    fs_.Damage(path, at);
    const auto changes = [this] {  // but for the directory's sync
      return fs_.change_count() - fs_.call_count(FsCall::kSyncDirectory);
    };
    const std::uint64_t before = changes();
    const auto opened = Trust(host);
    ASSERT_FALSE(opened.has_value()) << at;
    if (opened.error().code != ErrorCode::kUnsupported) {
      EXPECT_EQ(opened.error().code, ErrorCode::kNeedsPerson);
      EXPECT_TRUE(opened.error().message.starts_with("ROLLBACK: "));
      EXPECT_NE(opened.error().message.find("trust file damaged"), std::string::npos);
    }
    EXPECT_EQ(changes(), before);
    fs_.Damage(path, at);
  }
  EXPECT_OK(Trust(host));
}

TEST_F(LocalState, RefusesATrustFileOfAnotherMachineOrVault) {
  ASSERT_OK_AND_ASSIGN(const HostKeys host, Host(chest_));
  { ASSERT_OK(Trust(host)); }
  EXPECT_FAILS(TrustFile::OpenOrCreate(fs_, random_, kDirectory, random_.NewId<VaultId>(), host),
               kNeedsPerson);
  fs_.AddDirectories("/other");
  ASSERT_OK_AND_ASSIGN(const HostKeys other,
                       HostKeys::OpenOrCreate(fs_, random_, "/other", chest_));
  EXPECT_FAILS(Trust(other), kNeedsPerson);
}

TEST_F(LocalState, KeepsWhatManyThreadsNote) {
  ASSERT_OK_AND_ASSIGN(const HostKeys host, Host(chest_));
  ASSERT_OK_AND_ASSIGN(const auto trust, Trust(host));
  std::vector<VolumeId> volumes;
  for (int i = 0; i < 4; ++i) volumes.push_back(random_.NewId<VolumeId>());
  const ObjectHash hash = ObjectHash::From(random_.NewBytes(32));
  std::vector<std::thread> threads;
  for (const VolumeId& volume : volumes) {
    threads.emplace_back([&, volume] {
      for (std::uint64_t seq = 1; seq <= 20; ++seq) {
        EXPECT_OK(trust->NoteHead(volume, {seq, hash}, 1, true));
        EXPECT_OK(trust->NoteCatalog({seq, hash}));
        EXPECT_EQ(trust->volume(volume)->own.seq, seq);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK_AND_ASSIGN(const auto again, Trust(host));
  for (const VolumeId& volume : volumes) EXPECT_EQ(again->volume(volume)->seen.seq, 20u);
  EXPECT_EQ(again->catalog().seq, 20u);
}

// Of a whole vault.

class VaultState : public testing::Test {
 protected:
  void SetUp() override {
    Result<std::unique_ptr<Vault>> vault = a_.Create();
    ASSERT_OK(vault);
    directory_ = "/home/user/state/coffer/vaults/" + (*vault)->id().ToString();
    ASSERT_OK(ChainOf(std::move(*vault)));
  }

  store::MemoryStore provider_;
  Machine a_{provider_, 1};
  std::string directory_;
};

TEST_F(VaultState, TrustsOnFirstUseOnlyWhereNoVolumeWasOpened) {
  ASSERT_OK(a_.fs.Remove(directory_ + "/trust"));
  const auto unlocked = a_.Unlock();
  ASSERT_FAILS(unlocked, kNeedsPerson);
  EXPECT_TRUE(unlocked.error().message.starts_with("ROLLBACK: "));
  EXPECT_NE(unlocked.error().message.find("trust file missing"), std::string::npos);
  EXPECT_FALSE(unlocked.error().hint.empty());
}

TEST_F(VaultState, DamagedFilesAreNotMadeAnew) {
  for (const char* name : {"trust", "host-key"}) {
    const std::string path = directory_ + "/" + name;
    a_.fs.Damage(path, 60);
    const Bytes damaged = *a_.fs.Contents(path);
    EXPECT_FAILS(a_.Unlock(), kNeedsPerson) << name;
    EXPECT_EQ(*a_.fs.Contents(path), damaged) << name;
    a_.fs.Damage(path, 60);
  }
  EXPECT_OK(a_.Unlock());
}

TEST_F(VaultState, FirstUnlockSurvivesAPowerCutAnywhere) {
  for (const CutMode mode : {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset}) {
    for (std::uint64_t nth = 1;; ++nth) {
      Machine b(provider_, 100 + nth, "b");
      b.fs.HaltAt(nth);
      (void)OpenPhotos(b);
      if (!b.fs.halted()) break;
      b.fs.PowerCut(mode);
      ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(b));
      EXPECT_OK(open.chain->Load());
    }
  }
}

TEST_F(VaultState, FirstUnlockSurvivesAnyFailureOfTheDisk) {
  for (std::uint64_t nth = 1;; ++nth) {
    Machine b(provider_, 100 + nth, "b");
    b.fs.AddFault({.nth = nth});
    const bool opened = OpenPhotos(b).has_value();
    b.fs.ClearFaults();
    EXPECT_OK(OpenPhotos(b)) << nth;
    if (opened && nth > 40) break;
  }
}

}  // namespace
}  // namespace coffer::vault

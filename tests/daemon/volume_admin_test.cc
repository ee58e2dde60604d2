// passwd, key list, rename and delete through the daemon: what they refuse, and what becomes of
// volumes that are open meanwhile.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/daemon/daemon_world.h"
#include "tests/support/seeded_random.h"

namespace coffer::daemon {
namespace {

SecretBytes Secret(std::string_view text) { return SecretBytes::CopyOf(AsBytes(text)); }

class VolumeAdminTest : public testing::Test {
 protected:
  Result<control::PasswdReply> Passwd(std::string_view from, std::string_view to) {
    control::PasswdRequest request;
    request.password = Secret(from);
    request.new_password = Secret(to);
    return machine_.manager().Passwd("photos", std::move(request));
  }
  Result<control::VolumeStatus> Rename(const std::string& from, const std::string& to,
                                       std::string_view password = Machine::kPassword) {
    control::RenameRequest request;
    request.name = to;
    request.password = Secret(password);
    return machine_.manager().Rename(from, std::move(request));
  }
  Result<control::JobInfo> Resize(std::uint64_t size, bool discard_tail = false,
                                  std::string_view password = Machine::kPassword) {
    control::ResizeRequest request;
    request.size_bytes = size;
    request.discard_tail = discard_tail;
    request.password = Secret(password);
    ASSIGN_OR_RETURN(const control::JobInfo job,
                     machine_.Finish(machine_.manager().Resize("photos", std::move(request))));
    if (job.error) return Fail(*job.error);
    return job;
  }
  Result<control::Deleted> Delete(const std::string& name, const std::string& confirm,
                                  std::string_view password = Machine::kPassword) {
    control::DeleteRequest request;
    request.confirm = confirm;
    request.password = Secret(password);
    ASSIGN_OR_RETURN(const control::JobInfo job,
                     machine_.Finish(machine_.manager().Delete(name, std::move(request))));
    if (job.error) return Fail(*job.error);
    if (!job.deleted) return Fail(ErrorCode::kIoError, "the job does not say what it has done");
    return *job.deleted;
  }
  Result<control::VolumeInfo> Survey(const std::string& name,
                                     std::string_view password = Machine::kPassword) {
    control::SurveyRequest request;
    request.password = Secret(password);
    ASSIGN_OR_RETURN(const control::JobInfo job,
                     machine_.Finish(machine_.manager().Survey(name, std::move(request))));
    if (job.error) return Fail(*job.error);
    return machine_.manager().Info(name);
  }
  void WriteTo(const std::string& name, std::uint64_t length) {
    Bytes data(length);
    SeededRandom(length).Fill(data);
    ASSERT_OK(machine_.exporter.device(name)->Write(0, data, block::WriteFlag::kNone));
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& volume : machine_.manager().Volumes().volumes) names.push_back(volume.volume);
    return names;
  }

  TemporaryDirectory provider_;
  const std::string store_ = provider_ / "backups";
  Machine machine_;
};

TEST_F(VolumeAdminTest, PasswdIsAskedForEvenWhileTheKeysAreHeld) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Open("photos"));
  EXPECT_FAILS(Passwd("wrong", "new"), kUnauthenticated);
  EXPECT_FAILS(Passwd("", "new"), kUnauthenticated);
  EXPECT_FAILS(Passwd(Machine::kPassword, ""), kUnauthenticated);
  ASSERT_OK_AND_ASSIGN(const auto reply, Passwd(Machine::kPassword, "new"));
  EXPECT_EQ(reply.volumes, std::vector<std::string>{"photos"});
  EXPECT_EQ(reply.header_sequence, 2u);
  EXPECT_TRUE(reply.vault.keys_held);
  ASSERT_OK(machine_.Close("photos"));
  EXPECT_FAILS(machine_.Open("photos"), kUnauthenticated);
  EXPECT_OK(machine_.Open("photos", "new"));
}

TEST_F(VolumeAdminTest, KeyListTellsWhichSlotOpened) {
  ASSERT_OK(machine_.Init("photos", store_));
  control::KeysRequest wrong;
  wrong.password = Secret("wrong");
  EXPECT_FAILS(machine_.manager().Keys("photos", std::move(wrong)), kUnauthenticated);
  control::KeysRequest request;
  request.password = Secret(Machine::kPassword);
  ASSERT_OK_AND_ASSIGN(const auto list, machine_.manager().Keys("photos", std::move(request)));
  ASSERT_EQ(list.keys.size(), 1u);
  EXPECT_EQ(list.keys[0].kind, "password");
  EXPECT_EQ(list.keys[0].host, "test-host");
  EXPECT_EQ(list.keys[0].memory_kib, 64u);
  EXPECT_TRUE(list.keys[0].opened);
}

TEST_F(VolumeAdminTest, RenameMovesTheNameAndOpensUnderTheNewOne) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK_AND_ASSIGN(const auto renamed, Rename("photos", "pics"));
  EXPECT_EQ(renamed.volume, "pics");
  EXPECT_EQ(renamed.state, "closed");
  EXPECT_EQ(Names(), std::vector<std::string>{"pics"});
  EXPECT_FAILS(machine_.Open("photos"), kNotFound);
  EXPECT_OK(machine_.Open("pics"));
}

TEST_F(VolumeAdminTest, RenameOfAnOpenVolumeOrOntoANameInUseIsRefused) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Init("music", store_));
  ASSERT_OK(machine_.Open("photos"));
  EXPECT_FAILS(Rename("photos", "pics"), kConflict);
  EXPECT_FAILS(Rename("music", "photos"), kAlreadyExists);
  EXPECT_FAILS(Rename("music", "music"), kAlreadyExists);
  EXPECT_FAILS(Rename("music", "a/b"), kInvalidArgument);
  EXPECT_OK(Rename("music", "songs", ""));  // the keys are held
  ASSERT_OK(machine_.Close("photos"));
  EXPECT_FAILS(Rename("songs", "tunes", ""), kUnauthenticated);
}

TEST_F(VolumeAdminTest, AnOpenVolumeGrowsWithItsClientsConnected) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Open("photos"));
  block::BlockDevice* device = machine_.exporter.device("photos");
  machine_.exporter.clients = 2;
  ASSERT_OK(Resize(2 << 20, false, ""));
  EXPECT_EQ(device->size(), 2u << 20);
  EXPECT_EQ(machine_.exporter.device("photos"), device);
  EXPECT_EQ(machine_.Status("photos").size_bytes, 2u << 20);
  ASSERT_OK(machine_.Close("photos"));
  machine_.Restart();
  EXPECT_EQ(machine_.Status("photos").size_bytes, 2u << 20);
}

TEST_F(VolumeAdminTest, AnOpenVolumeShrinksOnlyWhenToldToAndWithNobodyConnected) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Open("photos"));
  EXPECT_FAILS(Resize(512 << 10), kInvalidArgument);
  machine_.exporter.clients = 1;
  EXPECT_FAILS(Resize(512 << 10, true), kConflict);
  EXPECT_EQ(machine_.Status("photos").size_bytes, 1u << 20);
  machine_.exporter.clients = 0;
  ASSERT_OK(Resize(512 << 10, true));
  EXPECT_EQ(machine_.Status("photos").size_bytes, 512u << 10);
}

TEST_F(VolumeAdminTest, AClosedVolumeIsResizedAndStaysClosed) {
  ASSERT_OK(machine_.Init("photos", store_));
  EXPECT_FAILS(Resize(2 << 20, false, ""), kUnauthenticated);
  EXPECT_FAILS(Resize(2 << 20, false, "wrong"), kUnauthenticated);
  EXPECT_FAILS(Resize(512 << 10), kInvalidArgument);
  ASSERT_OK_AND_ASSIGN(const auto job, Resize(3 << 20));
  EXPECT_EQ(job.waiting_bytes, 0u);
  EXPECT_EQ(machine_.Status("photos").state, "closed");
  EXPECT_EQ(machine_.Status("photos").size_bytes, 3u << 20);
  ASSERT_OK(Resize(512 << 10, true));
  Machine other;
  ASSERT_OK(other.Add(store_));
  EXPECT_EQ(other.Status("photos").size_bytes, 512u << 10);
  EXPECT_OK(other.Open("photos"));  // released
}

TEST_F(VolumeAdminTest, SizesThatCannotBeAndReadOnlyVolumesAreRefused) {
  ASSERT_OK(machine_.Init("photos", store_));
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{4097}, std::uint64_t{17} << 40}) {
    EXPECT_FAILS(Resize(size, true), kInvalidArgument);
  }
  control::OpenRequest request;
  request.read_only = true;
  ASSERT_OK(machine_.Open("photos", Machine::kPassword, std::move(request)));
  EXPECT_FAILS(Resize(2 << 20), kConflict);
}

TEST_F(VolumeAdminTest, DeleteTakesTheVolumeFromThisMachineAndTheVault) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Open("photos"));
  const std::string id = machine_.Status("photos").volume_id;
  EXPECT_FAILS(Delete("photos", "photos"), kConflict);
  ASSERT_OK(machine_.Close("photos"));
  EXPECT_FAILS(Delete("photos", "photo"), kInvalidArgument);
  EXPECT_FAILS(Delete("photos", "photos", "wrong"), kUnauthenticated);
  EXPECT_FAILS(Delete("photos", "photos", ""), kUnauthenticated);
  EXPECT_EQ(Names(), std::vector<std::string>{"photos"});
  ASSERT_OK(Delete("photos", "photos"));
  EXPECT_EQ(Names(), std::vector<std::string>{});
  EXPECT_FAILS(machine_.Open("photos"), kNotFound);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(machine_.state())) {
    EXPECT_NE(entry.path().filename(), id);
  }
  EXPECT_OK(machine_.Init("photos", store_));
}

TEST_F(VolumeAdminTest, DeleteWantsThePasswordAlsoWhileTheKeysAreHeld) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Init("music", store_));
  ASSERT_OK(machine_.Open("music"));
  EXPECT_FAILS(Delete("photos", "photos", "wrong"), kUnauthenticated);
  EXPECT_FAILS(Delete("photos", "photos", ""), kUnauthenticated);
  EXPECT_OK(Delete("photos", "photos"));
  EXPECT_EQ(Names(), std::vector<std::string>{"music"});
}

TEST_F(VolumeAdminTest, DeleteTellsWhatItDiscardsOfTheJournal) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Open("photos"));
  const Bytes data(8192, std::byte{7});
  ASSERT_OK(machine_.exporter.device("photos")->Write(0, data, block::WriteFlag::kNone));
  ASSERT_OK(machine_.Close("photos", /*no_wait=*/true));
  ASSERT_OK_AND_ASSIGN(const auto deleted, Delete("photos", "photos"));
  EXPECT_EQ(deleted.discarded_bytes, 8192u);
}

TEST_F(VolumeAdminTest, DeleteTellsHowMuchWaitsForGc) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Init("music", store_));
  ASSERT_OK(machine_.Open("photos"));
  WriteTo("photos", 256 << 10);
  ASSERT_OK(machine_.Close("photos"));
  ASSERT_OK_AND_ASSIGN(const auto photos, Delete("photos", "photos"));
  ASSERT_TRUE(photos.gc_bytes.has_value());
  EXPECT_GT(*photos.gc_bytes, 256u << 10);
  EXPECT_LT(*photos.gc_bytes, 300u << 10);
  EXPECT_TRUE(photos.gc_bytes_shared);
  ASSERT_OK_AND_ASSIGN(const auto music, Delete("music", "music"));
  EXPECT_FALSE(music.gc_bytes_shared);
}

TEST_F(VolumeAdminTest, OpeningAsAJobTellsWhereTheVolumeIs) {
  ASSERT_OK(machine_.Init("photos", store_));
  control::OpenRequest request;
  request.background = true;
  request.password = Secret("wrong");
  ASSERT_OK_AND_ASSIGN(const auto refused,
                       machine_.Finish(machine_.manager().StartOpen("photos", std::move(request))));
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_EQ(refused.error->code, ErrorCode::kUnauthenticated);
  EXPECT_FALSE(refused.opened.has_value());
  control::OpenRequest again;
  again.password = Secret(Machine::kPassword);
  ASSERT_OK_AND_ASSIGN(const auto done,
                       machine_.Finish(machine_.manager().StartOpen("photos", std::move(again))));
  ASSERT_TRUE(done.opened.has_value());
  EXPECT_EQ(done.opened->uri, "fake:photos");
  EXPECT_FALSE(done.opened->already_open);
}

TEST_F(VolumeAdminTest, OpeningAsAJobTellsHowTheReplayGetsOn) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK(machine_.Open("photos"));
  WriteTo("photos", 256 << 10);
  ASSERT_OK(machine_.Close("photos", /*no_wait=*/true));
  control::OpenRequest request;
  request.password = Secret(Machine::kPassword);
  ASSERT_OK_AND_ASSIGN(const auto done,
                       machine_.Finish(machine_.manager().StartOpen("photos", std::move(request))));
  EXPECT_EQ(done.done, 256u << 10);
  EXPECT_GE(done.total, done.done);
  EXPECT_EQ(done.unit, "bytes");
}

TEST_F(VolumeAdminTest, InfoOfALockedVaultAsksForNothingAndTellsWhatThisMachineKnows) {
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK_AND_ASSIGN(const auto info, machine_.manager().Info("photos"));
  EXPECT_EQ(info.volume.volume, "photos");
  EXPECT_EQ(info.codec, "zstd 1");
  EXPECT_TRUE(info.keys.empty());
  EXPECT_FALSE(info.requests.has_value());
  EXPECT_FALSE(info.survey.has_value());
  EXPECT_FAILS(machine_.manager().Info("nothing"), kNotFound);
}

TEST_F(VolumeAdminTest, ASurveyCountsWhatTheVolumeHasInTheStore) {
  ASSERT_OK(machine_.Init("photos", store_));
  EXPECT_FAILS(Survey("photos", ""), kUnauthenticated);
  EXPECT_FAILS(Survey("photos", "wrong"), kUnauthenticated);
  ASSERT_OK(machine_.Open("photos"));
  WriteTo("photos", 256 << 10);
  ASSERT_OK(machine_.Sync("photos"));
  ASSERT_OK_AND_ASSIGN(const auto open, Survey("photos", ""));
  ASSERT_TRUE(open.survey.has_value());
  EXPECT_EQ(open.survey->data_bytes, 256u << 10);
  EXPECT_EQ(open.survey->deltas, 1u);
  EXPECT_EQ(open.survey->head_sequence, open.volume.head_sequence);
  EXPECT_EQ(open.dedup, "vault");
  ASSERT_EQ(open.keys.size(), 1u);
  EXPECT_EQ(open.keys[0].kind, "password");
  ASSERT_TRUE(open.requests.has_value());
  EXPECT_EQ(open.requests->deletes, 0u);
  EXPECT_GT(open.requests->bytes_up, 256u << 10);

  ASSERT_OK(machine_.Close("photos"));
  ASSERT_OK_AND_ASSIGN(const auto kept, machine_.manager().Info("photos"));
  EXPECT_EQ(kept.survey->deltas, 1u);  // as it was
  ASSERT_OK_AND_ASSIGN(const auto closed, Survey("photos"));
  EXPECT_EQ(closed.survey->deltas, 0u);
  EXPECT_TRUE(closed.survey->head_released);
  EXPECT_EQ(closed.keys.size(), 1u);  // although they are not held any more
  EXPECT_EQ(closed.volume.state, "closed");

  ASSERT_OK(Delete("photos", "photos"));
  ASSERT_OK(machine_.Init("photos", store_));
  ASSERT_OK_AND_ASSIGN(const auto other, machine_.manager().Info("photos"));
  EXPECT_FALSE(other.survey.has_value());
}

}  // namespace
}  // namespace coffer::daemon

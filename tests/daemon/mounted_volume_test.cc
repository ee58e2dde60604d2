// Volumes that are mounted: what is asked of the mounter and when, and what a refusal leaves.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/daemon/daemon_world.h"

namespace coffer::daemon {
namespace {

class MountedVolumeTest : public testing::Test {
 protected:
  MountedVolumeTest() { EXPECT_OK(machine_.Init("photos", provider_ / "backups")); }

  static control::OpenRequest WithMount(const std::string& mkfs = "") {
    control::OpenRequest request;
    request.mount = control::MountRequest{"/home/me/photos", "udisks", mkfs};
    return request;
  }
  Result<control::OpenReply> Open(control::OpenRequest request = WithMount()) {
    return machine_.Open("photos", Machine::kPassword, std::move(request));
  }
  void ExpectClosed() {
    EXPECT_EQ(machine_.Status("photos").state, "closed");
    EXPECT_EQ(machine_.images.device("photos"), nullptr);
    EXPECT_EQ(machine_.exporter.device("photos"), nullptr);
  }
  [[nodiscard]] const std::vector<std::string>& log() const { return machine_.mounter.log; }

  TemporaryDirectory provider_;
  Machine machine_;
};

TEST_F(MountedVolumeTest, IsServedAsAnImageAndMountedFromIt) {
  ASSERT_OK_AND_ASSIGN(const auto opened, Open());
  EXPECT_EQ(machine_.images.address("photos"), machine_.state() + "/images");
  EXPECT_TRUE(std::filesystem::is_directory(machine_.state() + "/images"));
  EXPECT_EQ(machine_.exporter.device("photos"), nullptr);  // nobody asked for NBD
  ASSERT_EQ(machine_.mounter.mounted.size(), 1U);
  const mount::MountSpec& spec = machine_.mounter.mounted[0];
  EXPECT_EQ(spec.image, "fake:photos");
  EXPECT_EQ(spec.directory, "/home/me/photos");
  EXPECT_EQ(spec.way, "udisks");
  EXPECT_EQ(spec.label, "photos");
  EXPECT_FALSE(spec.read_only);
  EXPECT_EQ(spec.record_path.rfind(machine_.state() + "/vaults/", 0), 0U) << spec.record_path;
  ASSERT_TRUE(opened.mount.has_value());
  EXPECT_EQ(opened.mount->path, "/media/me/photos");
  EXPECT_EQ(opened.mount->way, "udisks");
  EXPECT_EQ(opened.mount->passed_over, std::vector<std::string>{"loop: not root"});
  const auto status = machine_.Status("photos");
  ASSERT_TRUE(status.mount.has_value());
  EXPECT_EQ(status.mount->directory, "/home/me/photos");
  ASSERT_OK(machine_.Close("photos"));
  EXPECT_EQ(log().back(), "unmount");
  ExpectClosed();
  EXPECT_FALSE(machine_.Status("photos").mount.has_value());
}

TEST_F(MountedVolumeTest, GoesWithTheExportsThatWereAskedFor) {
  control::OpenRequest request = WithMount();
  request.exports = {{"nbd", ""}, {"fuse", "/home/me/images"}};
  ASSERT_OK(Open(std::move(request)));
  EXPECT_EQ(machine_.images.address("photos"), "/home/me/images");
  EXPECT_NE(machine_.exporter.device("photos"), nullptr);
}

TEST_F(MountedVolumeTest, WhatAKilledDaemonLeftIsUndoneBeforeTheImageIsServed) {
  bool served = true;
  machine_.mounter.at_clean_up = [&] { served = machine_.images.device("photos") != nullptr; };
  ASSERT_OK(Open());
  EXPECT_FALSE(served);
  ASSERT_EQ(log().size(), 2U);
  EXPECT_EQ(log()[0], "clean up " + machine_.mounter.mounted[0].record_path);
  ASSERT_OK(machine_.Close("photos"));
  // For whatever it is opened.
  ASSERT_OK(Open({}));
  EXPECT_EQ(log().back(), log()[0]);
  EXPECT_EQ(machine_.mounter.mounted.size(), 1U);
  ASSERT_OK(machine_.Close("photos"));
  machine_.mounter.refuse_clean_up = Error{ErrorCode::kIoError, "it stays"};
  EXPECT_FAILS(Open({}), kIoError);
  ExpectClosed();
}

TEST_F(MountedVolumeTest, ThatCannotBeMountedIsNotOpen) {
  machine_.mounter.refuse_mount = Error{ErrorCode::kUnsupported, "no way", "the cure"};
  const auto opened = Open();
  ASSERT_FAILS(opened, kUnsupported);
  EXPECT_EQ(opened.error().message, "volume photos: no way");
  EXPECT_EQ(opened.error().hint, "the cure");
  ExpectClosed();
}

TEST_F(MountedVolumeTest, InUseStaysOpenAndWorksOn) {
  ASSERT_OK(Open());
  machine_.mounter.refuse_unmount = Error{ErrorCode::kConflict, "bash (pid 7) works in it"};
  ASSERT_OK_AND_ASSIGN(const auto refused, machine_.Close("photos"));
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_EQ(refused.error->code, ErrorCode::kConflict);
  EXPECT_NE(refused.error->message.find("bash (pid 7) works in it"), std::string::npos);
  EXPECT_NE(refused.error->hint.find("--force"), std::string::npos);
  EXPECT_EQ(machine_.Status("photos").state, "open");
  block::BlockDevice* device = machine_.images.device("photos");
  ASSERT_NE(device, nullptr);
  const Bytes block(block::kBlockSize, std::byte{1});
  EXPECT_OK(device->Write(0, block, block::WriteFlag::kNone));
  EXPECT_OK(machine_.Sync("photos"));
  machine_.mounter.refuse_unmount.reset();
  ASSERT_OK_AND_ASSIGN(const auto closed, machine_.Close("photos"));
  EXPECT_EQ(closed.state, "done");
  ExpectClosed();
}

TEST_F(MountedVolumeTest, WhoHasTheImageOpenKeepsItOpenToo) {
  control::OpenRequest request;
  request.exports = {{"fuse", "/home/me/images"}};
  ASSERT_OK(Open(std::move(request)));
  machine_.mounter.others = {{42, "qemu", "has it open"}};
  ASSERT_OK_AND_ASSIGN(const auto refused, machine_.Close("photos"));
  ASSERT_TRUE(refused.error.has_value());
  EXPECT_NE(refused.error->message.find("qemu (pid 42)"), std::string::npos);
  ASSERT_EQ(refused.holders.size(), 1U);
  EXPECT_EQ(refused.holders[0].pid, 42);
  EXPECT_EQ(refused.holders[0].program, "qemu");
  EXPECT_EQ(refused.holders[0].what, "has it open");
  EXPECT_EQ(machine_.Status("photos").state, "open");
  ASSERT_OK_AND_ASSIGN(const auto closed, machine_.Close("photos", false, /*force=*/true));
  EXPECT_EQ(closed.state, "done");
  ExpectClosed();
}

TEST_F(MountedVolumeTest, ForceTakesItAway) {
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(const auto closed, machine_.Close("photos", false, /*force=*/true));
  EXPECT_EQ(closed.state, "done");
  EXPECT_EQ(log().back(), "unmount by force");
  ExpectClosed();
  // Even if that does not work: what is left is undone by the next open.
  ASSERT_OK(Open());
  machine_.mounter.refuse_unmount = Error{ErrorCode::kIoError, "it stays"};
  ASSERT_OK_AND_ASSIGN(const auto again, machine_.Close("photos", false, /*force=*/true));
  EXPECT_EQ(again.state, "done");
  ExpectClosed();
}

TEST_F(MountedVolumeTest, WhatForceCouldNotFlushIsSaid) {
  ASSERT_OK(Open());
  machine_.mounter.lost = "what was last written is lost: sync: Input/output error";
  ASSERT_OK_AND_ASSIGN(const auto closed, machine_.Close("photos", false, /*force=*/true));
  EXPECT_EQ(closed.state, "done");
  EXPECT_EQ(closed.notes, std::vector<std::string>{machine_.mounter.lost});
}

TEST_F(MountedVolumeTest, WhatSomebodyElseUnmountedIsToldAndMountedAgain) {
  ASSERT_OK(Open(WithMount("ext4")));
  machine_.mounter.presence = mount::Presence::kUnmounted;
  const auto status = machine_.Status("photos");
  ASSERT_TRUE(status.mount.has_value());
  EXPECT_FALSE(status.mount->mounted);
  EXPECT_NE(status.mount->trouble.find("nothing is lost"), std::string::npos);
  machine_.mounter.at_mount = [this] {
    EXPECT_EQ(machine_.Status("photos").state, "open");  // it works on meanwhile
    machine_.mounter.presence = mount::Presence::kThere;
  };
  ASSERT_OK_AND_ASSIGN(const auto again, Open(WithMount("ext4")));
  EXPECT_TRUE(again.already_open);
  EXPECT_TRUE(again.mount->mounted);
  ASSERT_EQ(machine_.mounter.mounted.size(), 2U);
  EXPECT_EQ(machine_.mounter.mounted[1].make, "");  // there is one by now
  EXPECT_EQ(log()[log().size() - 2], "unmount");
  // What is there stays.
  ASSERT_OK(Open(WithMount()));
  EXPECT_EQ(machine_.mounter.mounted.size(), 2U);
}

TEST_F(MountedVolumeTest, AMountIsThereOrOpenFails) {
  ASSERT_OK(Open());
  machine_.mounter.presence = mount::Presence::kUnmounted;
  machine_.mounter.refuse_mount = Error{ErrorCode::kConflict, "it is not empty"};
  EXPECT_FAILS(Open(), kConflict);
  EXPECT_EQ(machine_.Status("photos").state, "open");
  machine_.mounter.refuse_mount.reset();
  EXPECT_FAILS(Open(), kIoError);  // mounted, says the mounter, and the kernel does not
  machine_.mounter.presence = mount::Presence::kHeld;
  machine_.mounter.refuse_unmount = Error{ErrorCode::kConflict, "programs still use it"};
  EXPECT_FAILS(Open(), kConflict);  // never two file systems on one image
  EXPECT_EQ(machine_.mounter.mounted.size(), 2U);
  machine_.mounter.refuse_unmount.reset();
  machine_.mounter.presence = mount::Presence::kUnmounted;
  ASSERT_OK_AND_ASSIGN(const auto closed, machine_.Close("photos"));
  EXPECT_EQ(closed.state, "done");
  EXPECT_FAILS(Open(), kIoError);
  ExpectClosed();
}

TEST_F(MountedVolumeTest, WhoIsConnectedIsNotCutOffUnasked) {
  ASSERT_OK(machine_.Init("mail", provider_ / "backups"));
  ASSERT_OK(Open({}));
  ASSERT_OK(machine_.Open("mail", Machine::kPassword, {}));
  machine_.exporter.connected = {{77, "qemu-nbd", "is connected over NBD and has written"}};
  for (const auto& job : {machine_.Close("photos"), machine_.Close("")}) {
    ASSERT_OK(job);
    ASSERT_TRUE(job->error.has_value());
    EXPECT_EQ(job->error->code, ErrorCode::kConflict);
    EXPECT_NE(job->error->message.find("qemu-nbd (pid 77) is connected"), std::string::npos);
    EXPECT_NE(job->error->hint.find("--force"), std::string::npos);
    EXPECT_FALSE(job->holders.empty());
  }
  std::vector<control::HolderInfo> holders;
  const Status stopped = machine_.manager().StopDaemon({}, &holders);
  ASSERT_FAILS(stopped, kConflict);
  ASSERT_EQ(holders.size(), 2U);
  EXPECT_EQ(holders[0].pid, 77);
  EXPECT_EQ(holders[0].program, "qemu-nbd");
  EXPECT_EQ(holders[0].volume, "backups/mail");
  EXPECT_EQ(holders[1].volume, "backups/photos");
  EXPECT_NE(stopped.error().message.find("backups/mail"), std::string::npos);
  EXPECT_NE(stopped.error().message.find("backups/photos"), std::string::npos);
  EXPECT_FALSE(machine_.stop_asked);
  EXPECT_EQ(machine_.Status("photos").state, "open");
  ASSERT_OK_AND_ASSIGN(const auto closed, machine_.Close("photos", false, /*force=*/true));
  EXPECT_EQ(closed.state, "done");
  ASSERT_OK(machine_.manager().StopDaemon({.force = true}, &holders));
  EXPECT_TRUE(machine_.stop_asked);
  machine_.exporter.connected.clear();
  machine_.stop_asked = false;
  ASSERT_OK(machine_.manager().StopDaemon({}, &holders));
  EXPECT_TRUE(machine_.stop_asked);
}

TEST_F(MountedVolumeTest, WhatIsWrongWithAnOpenIsToldBeforeAPasswordIsNeeded) {
  control::OpenRequest request;
  request.exports = {{"nbd", "refuse"}};
  EXPECT_FAILS(machine_.manager().CheckOpen("photos", request), kIoError);
  EXPECT_FAILS(machine_.manager().CheckOpen("nothing", {}), kNotFound);
  machine_.mounter.refuse_check = Error{ErrorCode::kInvalidArgument, "no directory to mount at"};
  EXPECT_OK(machine_.manager().CheckOpen("photos", {}));
  EXPECT_FAILS(machine_.manager().CheckOpen("photos", WithMount()), kInvalidArgument);
  machine_.mounter.refuse_check.reset();
  EXPECT_OK(machine_.manager().CheckOpen("photos", WithMount()));
}

TEST_F(MountedVolumeTest, DataThatIsNoFileSystemIsNotCalledNothing) {
  ASSERT_OK(Open({}));
  const Bytes block(block::kBlockSize, std::byte{1});
  ASSERT_OK(machine_.exporter.device("photos")->Write(0, block, block::WriteFlag::kNone));
  ASSERT_OK(machine_.Close("photos"));
  machine_.mounter.refuse_mount = Error{ErrorCode::kNotFound, "nothing there", "--mkfs"};
  const auto opened = Open();
  ASSERT_FAILS(opened, kInvalidArgument);
  EXPECT_NE(opened.error().message.find("there is data"), std::string::npos);
  EXPECT_EQ(opened.error().hint.find("--mkfs"), std::string::npos);
}

TEST_F(MountedVolumeTest, TheEndOfTheDaemonUnmountsIt) {
  ASSERT_OK(Open());
  machine_.Restart();
  EXPECT_EQ(log().back(), "unmount by force");
  ExpectClosed();
}

TEST_F(MountedVolumeTest, ToBeMadeOnItIsBlankUntilSomethingIsWritten) {
  ASSERT_OK(Open(WithMount("ext4")));
  EXPECT_EQ(machine_.mounter.mounted[0].make, "ext4");
  EXPECT_TRUE(machine_.mounter.mounted[0].is_blank);
  const Bytes block(block::kBlockSize, std::byte{1});
  ASSERT_OK(machine_.images.device("photos")->Write(512 << 10, block, block::WriteFlag::kNone));
  ASSERT_OK(machine_.Close("photos"));
  ASSERT_OK(Open(WithMount("ext4")));
  EXPECT_FALSE(machine_.mounter.mounted[1].is_blank);
  ASSERT_OK(
      machine_.images.device("photos")->Trim(512 << 10, block.size(), block::WriteFlag::kNone));
  ASSERT_OK(machine_.Close("photos"));
  ASSERT_OK(Open(WithMount("ext4")));
  EXPECT_TRUE(machine_.mounter.mounted[2].is_blank);
}

TEST_F(MountedVolumeTest, OpenedAgainIsTheSameOnlyWithTheSameMount) {
  ASSERT_OK(Open());
  ASSERT_OK_AND_ASSIGN(const auto again, Open());
  EXPECT_TRUE(again.already_open);
  ASSERT_TRUE(again.mount.has_value());
  control::OpenRequest elsewhere = WithMount();
  elsewhere.mount->directory = "/home/me/other";
  const auto refused = Open(std::move(elsewhere));
  ASSERT_FAILS(refused, kConflict);
  EXPECT_NE(refused.error().message.find("/home/me/photos"), std::string::npos);
  EXPECT_EQ(machine_.mounter.mounted.size(), 1U);
}

TEST_F(MountedVolumeTest, GrowsAndSaysWhatIsLeftToTheUser) {
  const auto resize = [this](std::uint64_t size) {
    control::ResizeRequest request;
    request.size_bytes = size;
    return machine_.Finish(machine_.manager().Resize("photos", std::move(request)));
  };
  ASSERT_OK(Open());
  std::uint64_t told = 0;
  machine_.images.at_resized = [&] {
    told = machine_.images.device("photos")->size();
    EXPECT_EQ(log().back(), "mount");  // the image first, then what stands on it
  };
  ASSERT_OK_AND_ASSIGN(const auto job, resize(2 << 20));
  EXPECT_EQ(job.state, "done");
  EXPECT_EQ(told, 2U << 20);
  EXPECT_EQ(log().back(), "grew to 2097152");
  EXPECT_EQ(job.notes, std::vector<std::string>{"run resize2fs"});
  // Whoever has it open otherwise sees the new size there.
  machine_.images.at_resized = {};
  ASSERT_OK(machine_.Close("photos"));
  ASSERT_OK(Open({}));
  ASSERT_OK_AND_ASSIGN(const auto plain, resize(3 << 20));
  EXPECT_EQ(plain.state, "done");
  EXPECT_EQ(plain.notes, std::vector<std::string>{});
  ASSERT_OK(machine_.Close("photos"));
  control::ResizeRequest request;
  request.size_bytes = 4 << 20;
  request.password = SecretBytes::CopyOf(AsBytes(Machine::kPassword));
  ASSERT_OK_AND_ASSIGN(const auto closed,
                       machine_.Finish(machine_.manager().Resize("photos", std::move(request))));
  ASSERT_EQ(closed.notes.size(), 1U);
  EXPECT_NE(closed.notes[0].find("keeps its size"), std::string::npos);
}

TEST_F(MountedVolumeTest, DoesNotBecomeSmaller) {
  ASSERT_OK(Open());
  control::ResizeRequest request;
  request.size_bytes = 512 << 10;
  request.discard_tail = true;
  const auto resized = machine_.Finish(machine_.manager().Resize("photos", std::move(request)));
  const Error error = resized.has_value() ? resized->error.value() : resized.error();
  EXPECT_EQ(error.code, ErrorCode::kConflict);
  EXPECT_NE(error.message.find("/home/me/photos"), std::string::npos) << error.message;
}

}  // namespace
}  // namespace coffer::daemon

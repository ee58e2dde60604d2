// What is said to udisks2 on the bus and how its answers are taken: a bus of the test's own, a
// service of the test's own on it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sdbus-c++/sdbus-c++.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "core/base/process.h"
#include "core/base/unique_fd.h"
#include "core/mount/udisks.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::mount {
namespace {

using Options = std::map<std::string, sdbus::Variant>;

constexpr const char* kLoopPath = "/org/freedesktop/UDisks2/block_devices/loop7";
constexpr const char* kFilesystem = "org.freedesktop.UDisks2.Filesystem";

/// A system bus in a directory.
class Bus {
 public:
  Bus() : output_(*ChildOutput::Create()) {
    address_ = "unix:path=" + (directory_ / "bus");
    WriteTestFile(directory_ / "bus.conf",
                  "<busconfig><type>system</type><listen>" + address_ +
                      "</listen><auth>EXTERNAL</auth><policy context=\"default\">"
                      "<allow user=\"*\"/><allow own=\"*\"/><allow send_type=\"method_call\"/>"
                      "<allow send_type=\"signal\"/><allow send_requested_reply=\"true\"/>"
                      "<allow receive_type=\"method_call\"/><allow receive_type=\"signal\"/>"
                      "<allow receive_requested_reply=\"true\"/></policy></busconfig>");
    auto child = Child::Start({FindProgram("dbus-daemon", SystemProgramDirectories()), "--nofork",
                               "--print-address=1", "--config-file=" + (directory_ / "bus.conf")},
                              output_.fd());
    EXPECT_OK(child);
    if (child.has_value()) child_ = *child;
    // It says where it is once it listens.
    while (output_.Text().empty() && !child_.HasEnded()) Pause(std::chrono::milliseconds(1));
    setenv("DBUS_SYSTEM_BUS_ADDRESS", address_.c_str(), 1);
  }
  ~Bus() {
    child_.Signal(SIGTERM);
    child_.AwaitEnd(kNoLimit);
    unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
  }

 private:
  const TemporaryDirectory directory_;
  std::string address_;
  const ChildOutput output_;
  Child child_;
};

/// As much of udisks2 as coffer speaks to.
class FakeService {
 public:
  FakeService() : connection_(sdbus::createSystemBusConnection("org.freedesktop.UDisks2")) {
    manager_ = sdbus::createObject(*connection_, "/org/freedesktop/UDisks2/Manager");
    manager_->registerMethod("LoopSetup")
        .onInterface("org.freedesktop.UDisks2.Manager")
        .implementedAs([this](sdbus::UnixFd fd, Options options) {
          struct stat info {};
          fstat(fd.get(), &info);
          Note("LoopSetup " + std::to_string(info.st_size) + Text(options));
          Throw("LoopSetup");
          return sdbus::ObjectPath(kLoopPath);
        });
    manager_->registerProperty("Version")
        .onInterface("org.freedesktop.UDisks2.Manager")
        .withGetter([] { return std::string("2.9.4"); });
    manager_->finishRegistration();
    loop_ = sdbus::createObject(*connection_, kLoopPath);
    loop_->registerProperty("Device").onInterface("org.freedesktop.UDisks2.Block").withGetter([] {
      const std::string path = "/dev/loop7";
      std::vector<std::uint8_t> bytes(path.begin(), path.end());
      bytes.push_back(0);
      return bytes;
    });
    loop_->registerMethod("SetAutoclear")
        .onInterface("org.freedesktop.UDisks2.Loop")
        .implementedAs([this](bool on, Options options) {
          Note(std::string("SetAutoclear ") + (on ? "on" : "off") + Text(options));
          Throw("SetAutoclear");
        });
    loop_->registerMethod("Delete")
        .onInterface("org.freedesktop.UDisks2.Loop")
        .implementedAs([this](Options options) {
          Note("Delete" + Text(options));
          Throw("Delete");
        });
    loop_->finishRegistration();
    connection_->enterEventLoopAsync();
  }
  ~FakeService() { connection_->leaveEventLoop(); }

  /// The interface that comes when udev has looked at the device.
  void ShowFilesystem() {
    filesystem_ = sdbus::createObject(*connection_, kLoopPath);
    filesystem_->registerMethod("Mount").onInterface(kFilesystem).implementedAs([this](Options o) {
      Note("Mount" + Text(o));
      Throw("Mount");
      return std::string("/media/me/photos");
    });
    filesystem_->registerMethod("Unmount")
        .onInterface(kFilesystem)
        .implementedAs([this](Options o) {
          Note("Unmount" + Text(o));
          released_.wait();
          Throw("Unmount");
        });
    filesystem_->finishRegistration();
  }
  /// From now on `method` fails with that error of D-Bus.
  void Fails(const std::string& method, const std::string& error) {
    const std::lock_guard lock(mutex_);
    failures_[method] = error;
  }
  /// From now on an unmount is answered only after Release.
  void Hang() { released_ = release_.get_future().share(); }
  void Release() { release_.set_value(); }
  std::vector<std::string> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  static std::string Text(const Options& options) {
    std::string text;
    for (const auto& [name, value] : options) {
      text.append(" ").append(name).append("=");
      text.append(value.containsValueOfType<bool>() ? (value.get<bool>() ? "true" : "false")
                                                    : value.get<std::string>());
    }
    return text;
  }
  void Note(const std::string& call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(call);
  }
  void Throw(const std::string& method) {
    const std::lock_guard lock(mutex_);
    if (const auto found = failures_.find(method); found != failures_.end()) {
      throw sdbus::Error(found->second, "its words");
    }
  }

  const std::unique_ptr<sdbus::IConnection> connection_;
  std::unique_ptr<sdbus::IObject> manager_;
  std::unique_ptr<sdbus::IObject> loop_;
  std::unique_ptr<sdbus::IObject> filesystem_;
  std::promise<void> release_;
  std::shared_future<void> released_ = [] {
    std::promise<void> at_once;
    at_once.set_value();
    return at_once.get_future().share();
  }();
  std::mutex mutex_;
  std::map<std::string, std::string> failures_;
  std::vector<std::string> calls_;
};

std::unique_ptr<Udisks> Connect() {
  auto connected = ConnectSystemUdisks();
  EXPECT_OK(connected);
  return connected.has_value() ? *std::move(connected) : nullptr;
}

class UdisksBusTest : public testing::Test {
 protected:
  UdisksBusTest() {
    const std::string image = directory_ / "image";
    WriteTestFile(image, "12345678");
    image_ = UniqueFd(open(image.c_str(), O_RDWR | O_CLOEXEC));
  }
  const TemporaryDirectory directory_;
  UniqueFd image_;
  Bus bus_;
};

TEST_F(UdisksBusTest, SpeaksToItWithoutAskingTheUserForAPassword) {
  FakeService service;
  service.ShowFilesystem();
  const auto udisks = Connect();
  EXPECT_OK(udisks->Check());
  ASSERT_OK_AND_ASSIGN(const auto loop, udisks->SetUpLoop(image_.get(), false));
  EXPECT_EQ(loop.device, "/dev/loop7");
  EXPECT_EQ(loop.object, kLoopPath);
  ASSERT_OK_AND_ASSIGN(const std::string path, udisks->Mount(loop.object, ""));
  EXPECT_EQ(path, "/media/me/photos");
  EXPECT_OK(udisks->ClearAfterUse(loop.object));
  EXPECT_OK(udisks->Unmount(loop.object, Udisks::Force::kNo, Udisks::kLongCall));
  EXPECT_OK(udisks->Unmount(loop.object, Udisks::Force::kLazily, Udisks::kLongCall));
  EXPECT_OK(udisks->DeleteLoop(loop.object, Udisks::kLongCall));
  const std::string quiet = " auth.no_user_interaction=true";
  const std::vector<std::string> expected = {
      "LoopSetup 8" + quiet + " no-part-scan=true read-only=false",
      "Mount" + quiet,
      "SetAutoclear on" + quiet,
      "Unmount" + quiet,
      "Unmount" + quiet + " force=true",
      "Delete" + quiet};
  EXPECT_EQ(service.calls(), expected);
}

TEST_F(UdisksBusTest, ReadOnlyIsSaidBothTimes) {
  FakeService service;
  service.ShowFilesystem();
  const auto udisks = Connect();
  ASSERT_OK(udisks->SetUpLoop(image_.get(), true));
  ASSERT_OK(udisks->Mount(kLoopPath, "ro,noload"));
  const auto calls = service.calls();
  EXPECT_NE(calls[0].find("read-only=true"), std::string::npos) << calls[0];
  EXPECT_NE(calls[1].find("options=ro,noload"), std::string::npos) << calls[1];
}

TEST_F(UdisksBusTest, WaitsUntilUdisksHasSeenWhatIsOnTheDevice) {
  FakeService service;
  const auto udisks = Connect();
  Result<std::string> path = Fail(ErrorCode::kCancelled, "not asked");
  std::thread waiting([&] { path = udisks->Mount(kLoopPath, ""); });
  Pause(std::chrono::milliseconds(120));
  service.ShowFilesystem();
  waiting.join();
  ASSERT_OK(path);
}

TEST_F(UdisksBusTest, TellsWhatIsDeniedFromWhatIsBusyAndWhatFailed) {
  FakeService service;
  service.ShowFilesystem();
  const auto udisks = Connect();
  service.Fails("LoopSetup", "org.freedesktop.UDisks2.Error.NotAuthorizedCanObtain");
  const auto denied = udisks->SetUpLoop(image_.get(), false);
  ASSERT_FAILS(denied, kUnsupported);
  EXPECT_NE(denied.error().message.find("polkit"), std::string::npos);
  service.Fails("Mount", "org.freedesktop.UDisks2.Error.Failed");
  const auto failed = udisks->Mount(kLoopPath, "");
  ASSERT_FAILS(failed, kIoError);
  EXPECT_NE(failed.error().message.find("its words"), std::string::npos);
  service.Fails("Unmount", "org.freedesktop.UDisks2.Error.DeviceBusy");
  EXPECT_FAILS(udisks->Unmount(kLoopPath, Udisks::Force::kNo, Udisks::kLongCall), kConflict);
  service.Fails("Unmount", "org.freedesktop.UDisks2.Error.NotMounted");
  EXPECT_OK(udisks->Unmount(kLoopPath, Udisks::Force::kNo, Udisks::kLongCall));
  service.Fails("Delete", "org.freedesktop.DBus.Error.UnknownMethod");  // it is gone
  EXPECT_OK(udisks->DeleteLoop(kLoopPath, Udisks::kLongCall));
}

TEST_F(UdisksBusTest, WhatIsNotAnsweredInTimeIsLeftAlone) {
  FakeService service;
  service.ShowFilesystem();
  const auto udisks = Connect();
  service.Hang();
  EXPECT_FAILS(udisks->Unmount(kLoopPath, Udisks::Force::kLazily, std::chrono::milliseconds(50)),
               kUnavailable);
  service.Release();
}

TEST_F(UdisksBusTest, ThatIsNotThereIsToBeInstalled) {
  const auto udisks = Connect();
  EXPECT_FAILS(udisks->Check(), kUnsupported);
  const auto none = udisks->SetUpLoop(image_.get(), false);
  ASSERT_FAILS(none, kUnsupported);
  EXPECT_EQ(none.error().hint, "apt install udisks2");
}

TEST(UdisksBus, WithoutABusThereIsNone) {
  setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/no/such/bus", 1);
  const auto none = ConnectSystemUdisks();
  unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(none.error().hint, "apt install udisks2 dbus");
}

}  // namespace
}  // namespace coffer::mount

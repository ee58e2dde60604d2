// A Server in a private temporary directory, with one device behind the shared socket as "v".
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "nbd/server.h"
#include "tests/nbd/test_client.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_device.h"

namespace coffer::nbd::testing {

using coffer::testing::MemoryDevice;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = std::filesystem::temp_directory_path() / "coffer-nbd-XXXXXX";
    path_ = ::mkdtemp(path.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class ServerTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kSize = 8 << 20;

  /// Lets a test that failed half-way end: the server's end waits for calls inside the device.
  void TearDown() override { device_.LetGo(); }

  void Serve(const Limits& limits = {}) {
    auto opened = Server::Open({shared_path(), limits}, *workers_, clock_, *fs_);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    server_ = std::move(*opened);
    ASSERT_EQ(ExportError({"v", "a volume", &device_, "", false}), "");
  }
  /// Exports `spec`; the error's message, or "".
  std::string ExportError(const block::ExportSpec& spec) {
    const auto place = server_->Export(spec);
    if (place) place_ = *place;
    return place ? "" : place.error().message;
  }
  std::string shared_path() const { return directory_ / "nbd.sock"; }
  TestClient Connected() { return TestClient::ToPath(shared_path()); }
  /// In the transmission phase of "v".
  TestClient Ready() {
    TestClient client = Connected();
    EXPECT_EQ(client.Go("v"), kAck);
    return client;
  }
  /// In the transmission phase of `name` with extended headers and these contexts.
  TestClient Extended(const std::string& name = "v",
                      const std::vector<std::string>& contexts = {"base:allocation"}) {
    TestClient client = Connected();
    EXPECT_EQ(client.Ask(OptionBytes(kExtendedHeaders)).back().type, kAck);
    EXPECT_EQ(client.Ask(AskForContexts(kSetMetaContext, name, contexts)).size(),
              contexts.size() + 1);
    EXPECT_EQ(client.Go(name), kAck);
    return client;
  }
  /// Returns when the loop of that client's export has worked off what was sent to it before.
  void AwaitLoop(TestClient& other) {
    for (int i = 0; i < 3; ++i) ASSERT_EQ(other.Call(RequestBytes(99, 0, 0, 0)), kEinval);
  }

  /// The same for the loop of the shared socket.
  void AwaitSharedLoop() {
    MemoryDevice other(4096);
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(ExportError({"await", "", &other, "", false}), "");
      ASSERT_TRUE(server_->Withdraw("await").has_value());
    }
  }

  TemporaryDirectory directory_;
  FakeClock clock_;  // a machine that is merely busy must meet no deadline
  std::unique_ptr<FileSystem> fs_ = NewPosixFileSystem();
  MemoryDevice device_{kSize};
  std::unique_ptr<Executor> workers_ = NewThreadExecutor("nbd-work", 8);
  block::ExportPlace place_;
  std::unique_ptr<Server> server_;
};

}  // namespace coffer::nbd::testing

#include "core/control/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "core/control/client.h"
#include "core/control/unix_socket.h"
#include "tests/control/fake_service.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::control {
namespace {

class ServerTest : public testing::Test {
 protected:
  void Start(ControlServer::Options options = {}) {
    options.socket_path = socket_path_;
    ASSERT_OK_AND_ASSIGN(server_, ControlServer::Start(service_, *handlers_, clock_, options));
  }

  /// A connection to the server as plain bytes.
  UniqueFd Connect() {
    auto socket = ConnectUnix(socket_path_);
    EXPECT_OK(socket);
    if (!socket.has_value()) return {};
    fcntl(socket->get(), F_SETFL, 0);  // blocking: the server always ends a connection in time
    return std::move(*socket);
  }
  static void Send(const UniqueFd& socket, std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  static std::string ReceiveAll(const UniqueFd& socket) {
    std::string all;
    char buffer[4096];
    for (ssize_t count; (count = recv(socket.get(), buffer, sizeof buffer, 0)) > 0;) {
      all.append(buffer, static_cast<std::size_t>(count));
    }
    return all;
  }
  std::string Ask(std::string_view request) {
    const UniqueFd socket = Connect();
    Send(socket, request);
    return ReceiveAll(socket);
  }

  TemporaryDirectory directory_;
  const std::string socket_path_ = directory_ / "control.sock";
  SystemClock clock_;
  FakeService service_;
  std::unique_ptr<Executor> handlers_ = NewThreadExecutor("test", 4);
  std::unique_ptr<ControlServer> server_;
  ControlClient client_{socket_path_};
};

constexpr std::string_view kAskVersion = "GET /v1/version HTTP/1.1\r\nHost: c\r\n\r\n";

TEST_F(ServerTest, TheSocketIsPrivate) {
  Start();
  struct stat info {};
  ASSERT_EQ(stat(socket_path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
}

TEST_F(ServerTest, AnswersAClient) {
  Start();
  ASSERT_OK_AND_ASSIGN(const auto version, client_.Version());
  EXPECT_EQ(version.version, "9.9.9");
  EXPECT_EQ(version.pid, 4711);
}

TEST_F(ServerTest, CarriesAPasswordToTheService) {
  Start();
  service_.AddVolume("photos");
  OpenRequest request;
  request.password = SecretBytes::CopyOf(AsBytes("p\xffw"));
  ASSERT_OK_AND_ASSIGN(const auto reply, client_.Open("photos", request));
  EXPECT_EQ(reply.uri, "nbd+unix:///photos");
  EXPECT_EQ(service_.password(), "p\xffw");
}

TEST_F(ServerTest, ErrorsKeepTheirCodeMessageAndHint) {
  Start();
  const auto result = client_.ProbeStore({"/gone", ""});
  ASSERT_FAILS(result, kUnavailable);
  EXPECT_EQ(result.error().message, "no store");
  EXPECT_EQ(result.error().hint, "mount it");
}

TEST_F(ServerTest, ADaemonThatDiesBeforeItAnswersIsAnErrorOfItsOwn) {
  // Whether it has read the request makes the difference between an end and a reset.
  for (const bool reads : {false, true}) {
    ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(socket_path_));
    auto version = std::async(std::launch::async, [&] { return client_.Version(); });
    {
      fcntl(listener.get(), F_SETFL, 0);
      const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
      pollfd asked{peer.get(), POLLIN, 0};
      ASSERT_EQ(poll(&asked, 1, 60'000), 1);
      char buffer[4096];
      if (reads) {
        ASSERT_GT(recv(peer.get(), buffer, sizeof buffer, 0), 0);
      }
    }
    const auto answer = version.get();
    ASSERT_FAILS(answer, kIoError);
    EXPECT_NE(answer.error().message.find("without an answer"), std::string::npos);
    ASSERT_EQ(unlink(socket_path_.c_str()), 0);
  }
}

TEST_F(ServerTest, AClientWaitsForAJob) {
  Start();
  service_.AddVolume("photos");
  ASSERT_OK_AND_ASSIGN(auto job, client_.Sync("photos"));
  std::vector<std::uint64_t> seen;
  ASSERT_OK_AND_ASSIGN(const auto ended, client_.WaitForJob(job, [&seen](const JobInfo& info) {
    seen.push_back(info.done);
  }));
  EXPECT_EQ(ended.state, "done");
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{0, 1, 2, 3}));
}

TEST_F(ServerTest, APeerOfAnotherUserIsDroppedUnread) {
  ControlServer::Options options;
  options.allowed_uid = geteuid() + 1;
  Start(options);
  EXPECT_EQ(Ask(kAskVersion), "");
}

TEST_F(ServerTest, ARealPeerOfAnotherUserIsDroppedUnread) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  Start();
  // As if somebody had opened the directory and the socket by mistake.
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(socket_path_.c_str(), 0666), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(65534) != 0 || setuid(65534) != 0) _exit(3);
    auto socket = ConnectUnix(socket_path_);
    if (!socket.has_value()) _exit(4);
    fcntl(socket->get(), F_SETFL, 0);
    send(socket->get(), kAskVersion.data(), kAskVersion.size(), MSG_NOSIGNAL);
    char byte;
    _exit(recv(socket->get(), &byte, 1, 0) <= 0 ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_OK(client_.Version());
}

TEST_F(ServerTest, ATooLargeBodyIsRefusedWithoutBeingRead) {
  Start();
  const std::string answer =
      Ask("POST /v1/vaults/add HTTP/1.1\r\nContent-Length: 4294967296\r\n\r\n{");
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 413");
}

TEST_F(ServerTest, ASlowClientIsCutOffAndOthersAreServed) {
  ControlServer::Options options;
  options.request_time = std::chrono::milliseconds(50);
  Start(options);
  const UniqueFd slow = Connect();
  Send(slow, "GET /v1/ver");
  EXPECT_OK(client_.Version());
  EXPECT_EQ(ReceiveAll(slow), "");  // returns when the server has hung up
}

TEST_F(ServerTest, ClientsAboveTheLimitWaitTheirTurn) {
  ControlServer::Options options;
  options.connections_max = 2;
  options.request_time = std::chrono::milliseconds(100);
  Start(options);
  const UniqueFd idle = Connect();
  const UniqueFd also_idle = Connect();
  EXPECT_OK(client_.Version());  // once the idle ones were cut off
}

TEST_F(ServerTest, ABlockedRequestDoesNotHoldUpOthers) {
  Start();
  service_.AddVolume("photos");
  std::promise<void> release;
  std::promise<void> entered;
  service_.before_open = [&] {
    entered.set_value();
    release.get_future().wait();
  };
  std::thread opener([this] { EXPECT_OK(client_.Open("photos", {})); });
  entered.get_future().wait();
  EXPECT_OK(client_.Version());
  release.set_value();
  opener.join();
}

TEST_F(ServerTest, WhatIsAnsweredAtOnceIsWhateverHangs) {
  ControlServer::Options options;
  options.waiting_max = 6;  // more than the executor has threads
  Start(options);
  service_.AddVolume("photos");
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  service_.before_open = [&] { released.wait(); };
  std::vector<UniqueFd> hanging;
  constexpr std::string_view kOpen =
      "PUT /v1/volumes/photos/open HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\n{}";
  for (std::size_t i = 0; i < options.waiting_max; ++i) {
    hanging.push_back(Connect());
    Send(hanging.back(), kOpen);
  }
  // All are in hand when one more is refused.
  EXPECT_NE(Ask(kOpen).find("wait for stores or passwords"), std::string::npos);
  EXPECT_OK(client_.Version());
  EXPECT_OK(client_.Volumes());
  EXPECT_OK(client_.Volume("photos"));
  EXPECT_OK(client_.Jobs());
  std::vector<HolderInfo> holders;
  EXPECT_OK(client_.StopDaemon({}, &holders));
  release.set_value();
  for (const UniqueFd& socket : hanging) EXPECT_NE(ReceiveAll(socket), "");
  EXPECT_OK(client_.Open("photos", {}));
}

TEST_F(ServerTest, WhoLooksWhetherTheDaemonMayEndHoldsUpNobody) {
  Start();
  service_.AddVolume("photos");
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  service_.before_stop = [&] { released.wait(); };
  service_.holding = {{77, "qemu-nbd", "is connected over NBD", "backups/photos"}};
  std::vector<UniqueFd> asking;
  for (int i = 0; i < 4; ++i) {  // more than there are threads for answers
    asking.push_back(Connect());
    Send(asking.back(), "POST /v1/daemon/stop HTTP/1.1\r\nHost: c\r\nContent-Length: 2\r\n\r\n{}");
  }
  EXPECT_OK(client_.Version());
  EXPECT_OK(client_.Volumes());
  release.set_value();
  for (const UniqueFd& socket : asking) {
    const std::string reply = ReceiveAll(socket);
    EXPECT_EQ(reply.rfind("HTTP/1.1 409", 0), 0U) << reply;
    EXPECT_NE(reply.find(R"("program":"qemu-nbd")"), std::string::npos) << reply;
  }
  std::vector<HolderInfo> holders;
  EXPECT_FAILS(client_.StopDaemon({}, &holders), kConflict);
  ASSERT_EQ(holders.size(), 1U);
  EXPECT_EQ(holders[0].volume, "backups/photos");
  EXPECT_FALSE(service_.stop_asked());
}

TEST_F(ServerTest, ACancelledCallReturnsAndTheWorkGoesOn) {
  Start();
  service_.AddVolume("photos");
  std::promise<void> release;
  const UniqueFd cancel(eventfd(0, EFD_CLOEXEC));
  service_.before_open = [&] {
    const std::uint64_t one = 1;
    ASSERT_EQ(write(cancel.get(), &one, sizeof one), 8);
    release.get_future().wait();
  };
  ControlClient impatient(socket_path_, cancel.get());
  EXPECT_FAILS(impatient.Open("photos", {}), kCancelled);
  release.set_value();
  server_->Stop();  // waits for what is in hand
  EXPECT_EQ(service_.Volume("photos")->state, "open");
}

TEST_F(ServerTest, StreamsEvents) {
  Start();
  service_.AddVolume("photos");
  std::promise<void> watching;
  std::vector<std::string> seen;
  std::thread watcher([&] {
    ControlClient client(socket_path_);
    bool first = true;
    EXPECT_OK(client.WatchEvents([&](const Event& event) {
      if (std::exchange(first, false)) watching.set_value();
      if (event.type == "volume") seen.push_back(event.volume->volume);
      return seen.size() < 2;
    }));
  });
  // The watcher says so when it has got one of these.
  auto ready = watching.get_future();
  while (ready.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
    service_.events.Publish(JobInfo{});
  }
  EXPECT_OK(client_.Open("photos", {}));
  EXPECT_OK(client_.Open("photos", {}));
  watcher.join();
  EXPECT_EQ(seen, (std::vector<std::string>{"photos", "photos"}));
}

TEST_F(ServerTest, EventStreamsAreBounded) {
  ControlServer::Options options;
  options.streams_max = 0;
  Start(options);
  EXPECT_FAILS(client_.WatchEvents([](const Event&) { return true; }), kConflict);
}

TEST_F(ServerTest, AWatcherThatNeverReadsIsCutOffAndMemoryStaysBounded) {
  ControlServer::Options options;
  options.reply_time = std::chrono::milliseconds(50);
  Start(options);
  const UniqueFd deaf = Connect();
  Send(deaf, "GET /v1/events HTTP/1.1\r\n\r\n");
  char first;
  ASSERT_EQ(recv(deaf.get(), &first, 1, 0), 1);  // the stream stands
  JobInfo job;
  job.message = std::string(16 << 10, 'm');
  for (int i = 0; i < 2000; ++i) service_.events.Publish(job);
  EXPECT_OK(client_.Version());
  // More waits than the socket takes, so the server hangs up.
  pollfd gone{deaf.get(), 0, 0};
  ASSERT_EQ(poll(&gone, 1, 60'000), 1);
  EXPECT_LT(ReceiveAll(deaf).size(), 2U << 20);
}

TEST_F(ServerTest, StopEndsStreamsAnswersWhatIsInHandAndRemovesTheSocket) {
  Start();
  service_.AddVolume("photos");
  std::promise<void> release;
  std::promise<void> entered;
  service_.before_open = [&] {
    entered.set_value();
    release.get_future().wait();
  };
  std::thread opener([this] { EXPECT_OK(client_.Open("photos", {})); });
  std::thread watcher([this] {
    ControlClient client(socket_path_);
    (void)client.WatchEvents([](const Event&) { return true; });
  });
  entered.get_future().wait();
  server_->StopAccepting();
  std::thread stopper([this] { server_->Stop(); });
  release.set_value();
  stopper.join();
  opener.join();
  watcher.join();
  EXPECT_FAILS(client_.Version(), kNotFound);
  EXPECT_NE(access(socket_path_.c_str(), F_OK), 0);
}

TEST_F(ServerTest, ASecondServerDoesNotTakeThePlaceOfTheFirst) {
  Start();
  ControlServer::Options options;
  options.socket_path = socket_path_;
  EXPECT_FAILS(ControlServer::Start(service_, *handlers_, clock_, options), kConflict);
  EXPECT_OK(client_.Version());
}

TEST(ControlClientTest, WithoutADaemonSaysSo) {
  TemporaryDirectory directory;
  ControlClient client(directory / "control.sock");
  const auto version = client.Version();
  ASSERT_FAILS(version, kNotFound);
  EXPECT_NE(version.error().message.find("not running"), std::string::npos);
}

/// A daemon of another version: answers every request with `answer`.
class OtherDaemon {
 public:
  OtherDaemon(const std::string& path, std::string answer) {
    auto listener = ListenUnix(path);
    EXPECT_OK(listener);
    fcntl(listener->get(), F_SETFL, 0);
    thread_ = std::thread([listener = std::move(*listener), answer = std::move(answer)] {
      const UniqueFd client(accept(listener.get(), nullptr, nullptr));
      char buffer[4096];
      EXPECT_GT(recv(client.get(), buffer, sizeof buffer, 0), 0);
      EXPECT_EQ(send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(answer.size()));
    });
  }
  ~OtherDaemon() { thread_.join(); }

 private:
  std::thread thread_;
};

TEST(ControlClientTest, AnOlderDaemonIsToBeRestarted) {
  TemporaryDirectory directory;
  const WipedString answer =
      FormatReply({404, R"({"code":"unknown-request","message":"?"})"}, "cofferd/0.0.1");
  OtherDaemon daemon(directory / "s", std::string(answer.data(), answer.size()));
  const auto version = ControlClient(directory / "s").Version();
  ASSERT_FAILS(version, kUnsupported);
  EXPECT_NE(version.error().message.find("cofferd/0.0.1"), std::string::npos);
  EXPECT_EQ(version.error().hint, "run coffer daemon restart");
}

TEST(ControlClientTest, GarbageAndLostConnectionsAreErrors) {
  for (const std::string answer : {"", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Le",
                                   "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
                                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
                                   "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"}) {
    TemporaryDirectory directory;
    OtherDaemon daemon(directory / "s", answer);
    EXPECT_FALSE(ControlClient(directory / "s").Version().has_value()) << answer;
  }
}

}  // namespace
}  // namespace coffer::control

// Relay between descriptors and a Unix socket behind which a small server stands.
#include "cli/relay.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <thread>

#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::cli {
namespace {

using control::UniqueFd;

std::string ReadAll(int fd, std::size_t most = ~std::size_t{0}) {
  std::string all;
  std::array<char, 65536> buffer;
  while (all.size() < most) {
    const ssize_t got = read(fd, buffer.data(), std::min(buffer.size(), most - all.size()));
    if (got <= 0) break;
    all.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return all;
}

void WriteAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = write(fd, data.data(), data.size());
    ASSERT_GT(sent, 0);
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
}

class RelayTest : public testing::Test {
 protected:
  void SetUp() override {
    auto listening = control::ListenUnix(path_);
    ASSERT_OK(listening);
    listener_ = std::move(*listening);
  }
  void TearDown() override {
    if (server_.joinable()) server_.join();
  }
  /// One client: everything up to its last byte, then all of it back.
  void EchoAtTheEnd(int clients = 1) {
    server_ = std::thread([this, clients] {
      for (int i = 0; i < clients; ++i) {
        const UniqueFd client = AcceptOne();
        WriteAll(client.get(), ReadAll(client.get()));
      }
    });
  }
  UniqueFd AcceptOne() {
    while (true) {
      UniqueFd client(accept(listener_.get(), nullptr, nullptr));
      if (client.valid()) return client;
      std::this_thread::yield();  // the listener does not block
    }
  }
  struct Ends {
    UniqueFd ours;
    UniqueFd theirs;
  };
  static Ends SocketPair() {
    std::array<int, 2> fds;
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }
  static Ends Pipe() {
    std::array<int, 2> fds;
    EXPECT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "s";
  UniqueFd listener_;
  const UniqueFd cancel_{eventfd(0, EFD_CLOEXEC)};
  std::thread server_;
  const std::string large_ = std::string(5 << 20, 'x') + "the end";
};

TEST_F(RelayTest, ASocketPairGoesBothWaysAndHalfCloses) {
  EchoAtTheEnd();
  Ends ends = SocketPair();
  std::string back;
  std::thread client([&] {
    WriteAll(ends.theirs.get(), large_);
    shutdown(ends.theirs.get(), SHUT_WR);
    back = ReadAll(ends.theirs.get());
  });
  Relay relay(path_, cancel_.get());
  UniqueFd same(dup(ends.ours.get()));
  const auto end = relay.ServePair(std::move(ends.ours), std::move(same));
  client.join();
  ASSERT_OK(end);
  EXPECT_EQ(*end, Relay::End::kClientsGone);
  EXPECT_TRUE(back == large_) << back.size();
}

TEST_F(RelayTest, TwoPipesDoAsWell) {
  EchoAtTheEnd();
  Ends in = Pipe();
  Ends out = Pipe();
  std::string back;
  std::thread writer([&] {
    WriteAll(in.theirs.get(), large_);
    in.theirs = UniqueFd();
  });
  std::thread reader([&] { back = ReadAll(out.ours.get()); });
  Relay relay(path_, cancel_.get());
  const auto end = relay.ServePair(std::move(in.ours), std::move(out.theirs));
  writer.join();
  reader.join();
  ASSERT_OK(end);
  EXPECT_TRUE(back == large_) << back.size();
}

TEST_F(RelayTest, AServerThatHangsUpEndsIt) {
  server_ = std::thread([this] { AcceptOne(); });
  Ends ends = SocketPair();
  Relay relay(path_, cancel_.get());
  UniqueFd same(dup(ends.ours.get()));
  const auto end = relay.ServePair(std::move(ends.ours), std::move(same));
  ASSERT_OK(end);
  EXPECT_EQ(*end, Relay::End::kClientsGone);
  EXPECT_EQ(ReadAll(ends.theirs.get()), "");
}

TEST_F(RelayTest, ASignalEndsIt) {
  const std::uint64_t one = 1;
  ASSERT_EQ(write(cancel_.get(), &one, sizeof one), 8);
  Ends ends = SocketPair();
  Relay relay(path_, cancel_.get());
  UniqueFd same(dup(ends.ours.get()));
  const auto end = relay.ServePair(std::move(ends.ours), std::move(same));
  ASSERT_OK(end);
  EXPECT_EQ(*end, Relay::End::kSignal);
  EXPECT_EQ(relay.clients(), 1U);
}

TEST_F(RelayTest, ListenersServeSeveralAtOnceUntilASignal) {
  EchoAtTheEnd(3);
  const std::string front = directory_ / "front";
  auto listening = control::ListenUnix(front);
  ASSERT_OK(listening);
  std::vector<UniqueFd> listeners;
  listeners.push_back(std::move(*listening));
  std::thread clients([&] {
    std::vector<UniqueFd> all;
    for (int i = 0; i < 3; ++i) {
      auto connected = control::ConnectUnix(front);
      ASSERT_OK(connected);
      fcntl(connected->get(), F_SETFL, 0);
      all.push_back(std::move(*connected));
    }
    for (const UniqueFd& client : all) {
      WriteAll(client.get(), "hello");
      shutdown(client.get(), SHUT_WR);
      EXPECT_EQ(ReadAll(client.get()), "hello");
    }
    const std::uint64_t one = 1;
    ASSERT_EQ(write(cancel_.get(), &one, sizeof one), 8);
  });
  Relay relay(path_, cancel_.get());
  const auto end = relay.ServeListeners(std::move(listeners));
  clients.join();
  ASSERT_OK(end);
  EXPECT_EQ(*end, Relay::End::kSignal);
}

}  // namespace
}  // namespace coffer::cli

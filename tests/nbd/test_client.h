// A small blocking NBD client over a real socket. Every wait has a limit and ends in a test
// failure, not in a hang.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "tests/nbd/client_bytes.h"

namespace coffer::nbd::testing {

class TestClient {
 public:
  static constexpr int kPatienceMilliseconds = 60'000;

  /// An unconnected one: takes its descriptor now.
  explicit TestClient(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{kPatienceMilliseconds / 1000, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  TestClient(TestClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  TestClient& operator=(TestClient&&) = delete;
  ~TestClient() { Close(); }

  static TestClient ToPath(const std::string& path) {
    TestClient client(AF_UNIX);
    EXPECT_TRUE(client.Connect(path)) << path << ": " << std::strerror(errno);
    return client;
  }
  static TestClient ToPort(std::uint16_t port) {
    TestClient client(AF_INET);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(::connect(client.fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return client;
  }
  bool Connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }

  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void CloseWriting() { ::shutdown(fd_, SHUT_WR); }

  /// False: the server has hung up.
  bool Send(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EAGAIN) ADD_FAILURE() << "the server took nothing for too long";
        return false;
      }
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// Sends what the socket takes without waiting; returns how much.
  std::size_t SendWithoutWaiting(ByteView bytes) {
    std::size_t all = 0;
    while (all < bytes.size()) {
      const ssize_t sent =
          ::send(fd_, bytes.data() + all, bytes.size() - all, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) break;
      all += static_cast<std::size_t>(sent);
    }
    return all;
  }
  /// Exactly `size` bytes, or fewer at the end of the stream.
  std::string Receive(std::size_t size) {
    std::string got(size, '\0');
    std::size_t have = 0;
    while (have < size) {
      pollfd ready{fd_, POLLIN, 0};
      if (::poll(&ready, 1, kPatienceMilliseconds) != 1) {
        ADD_FAILURE() << "the server said nothing for too long";
        break;
      }
      const ssize_t received = ::recv(fd_, got.data() + have, size - have, 0);
      if (received <= 0) break;
      have += static_cast<std::size_t>(received);
    }
    got.resize(have);
    return got;
  }
  /// What there is, at least a byte of it; empty at the end of the stream.
  std::string ReceiveSome() {
    std::string got(65536, '\0');
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, kPatienceMilliseconds) != 1) {
      ADD_FAILURE() << "the server said nothing for too long";
      return {};
    }
    const ssize_t received = ::recv(fd_, got.data(), got.size(), 0);
    got.resize(received < 0 ? 0 : static_cast<std::size_t>(received));
    return got;
  }
  /// Whether anything, or the end, can be received right now.
  bool HasNews() {
    pollfd ready{fd_, POLLIN, 0};
    return ::poll(&ready, 1, 0) == 1;
  }
  bool AtEnd() { return Receive(1).empty(); }

  /// Greeting, client flags and one option; what is answered to it.
  std::vector<OptionAnswer> Ask(const Bytes& option) {
    if (!greeted_) {
      if (Receive(kGreeting).size() != kGreeting) return {};
      Send(ClientFlags());
      greeted_ = true;
    }
    Send(option);
    std::vector<OptionAnswer> answers;
    while (answers.empty() || answers.back().type == kServer || answers.back().type == kInfoReply ||
           answers.back().type == kMetaContextReply) {
      const std::string header = Receive(20);
      if (header.size() != 20) break;
      const ByteView view = AsBytes(header);
      EXPECT_EQ(Get(view, 0, 8), 0x3e889045565a9u);
      answers.push_back({static_cast<std::uint32_t>(Get(view, 8, 4)),
                         static_cast<std::uint32_t>(Get(view, 12, 4)),
                         Receive(static_cast<std::size_t>(Get(view, 16, 4)))});
    }
    return answers;
  }
  /// The type of the last answer to GO: kAck when the transmission phase has begun.
  std::uint32_t Go(const std::string& name) {
    const auto answers = Ask(AskFor(kGo, name));
    return answers.empty() ? 0 : answers.back().type;
  }

  struct Reply {
    std::uint32_t error;
    std::uint64_t cookie;
    bool operator==(const Reply&) const = default;
  };
  std::optional<Reply> ReceiveReply() {
    const std::string header = Receive(kReply);
    if (header.size() != kReply) return std::nullopt;
    const ByteView view = AsBytes(header);
    EXPECT_EQ(Get(view, 0, 4), 0x67446698u);
    return Reply{static_cast<std::uint32_t>(Get(view, 4, 4)), Get(view, 8, 8)};
  }

  /// The next reply as chunks of a structured one; a simple one has none and gives its error.
  struct StructuredReply {
    std::optional<std::uint32_t> simple_error;
    std::vector<Chunk> chunks;
  };
  StructuredReply ReceiveChunks() {
    StructuredReply reply;
    while (reply.chunks.empty() || !reply.chunks.back().done) {
      std::string bytes = Receive(kReply);
      if (bytes.size() != kReply) break;
      if (Get(AsBytes(bytes), 0, 4) == 0x67446698u) {
        reply.simple_error = static_cast<std::uint32_t>(Get(AsBytes(bytes), 4, 4));
        break;
      }
      EXPECT_EQ(Get(AsBytes(bytes), 0, 4), 0x668e33efu);
      bytes += Receive(4);
      bytes += Receive(static_cast<std::size_t>(Get(AsBytes(bytes), 16, 4)));
      ByteView view = AsBytes(bytes);
      reply.chunks.push_back(TakeChunk(view));
    }
    return reply;
  }

  /// The next reply with extended headers, every field of each chunk looked at; empty when there
  /// was none.
  std::vector<Chunk> ReceiveExtended(std::uint64_t cookie, std::uint64_t offset) {
    std::vector<Chunk> chunks;
    while (chunks.empty() || !chunks.back().done) {
      std::string bytes = Receive(32);
      if (bytes.size() != 32) break;
      const ByteView header = AsBytes(bytes);
      EXPECT_EQ(Get(header, 0, 4), 0x6e8a278cu);
      EXPECT_EQ(Get(header, 4, 2) & ~std::uint64_t{1}, 0u) << "unknown reply flags";
      EXPECT_EQ(Get(header, 8, 8), cookie);
      EXPECT_EQ(Get(header, 16, 8), offset);
      const std::uint64_t length = Get(header, 24, 8);
      EXPECT_LE(length, (32u << 20) + 8);
      if (::testing::Test::HasFailure()) break;
      bytes += Receive(static_cast<std::size_t>(length));
      ByteView view = AsBytes(bytes);
      chunks.push_back(TakeExtendedChunk(view));
      const std::uint16_t type = chunks.back().type;
      EXPECT_TRUE(type != kNone || (chunks.back().done && length == 0));
      EXPECT_TRUE(type != kOffsetData || length >= 9);
      EXPECT_TRUE(type != kOffsetHole || length == 12);
      EXPECT_TRUE(type != kStatusExtended || (length >= 24 && length % 16 == 8));
      EXPECT_NE(type, kStatusChunk) << "not with extended headers";
    }
    return chunks;
  }

  /// The error of the next reply, or kNoReply.
  static constexpr std::uint32_t kNoReply = 0xffffffff;
  std::uint32_t ReceiveError() {
    const auto reply = ReceiveReply();
    return reply ? reply->error : kNoReply;
  }

  // One request at a time; the error, or kNoReply.
  std::uint32_t Call(const Bytes& request) {
    Send(request);
    return ReceiveError();
  }
  std::uint32_t Write(std::uint64_t offset, std::string_view data, std::uint16_t flags = 0) {
    return Call(WriteBytes(offset, data, 1, flags));
  }
  std::uint32_t Flush() { return Call(RequestBytes(kFlush, 0, 0, 2)); }
  /// The data, or "error N".
  std::string Read(std::uint64_t offset, std::uint32_t length) {
    const std::uint32_t error = Call(RequestBytes(kRead, offset, length, 3));
    return error == 0 ? Receive(length) : "error " + std::to_string(error);
  }

 private:
  int fd_;
  bool greeted_ = false;
};

inline bool operator==(const TestClient::Reply& reply, std::pair<int, int> expected) {
  return reply.error == static_cast<std::uint32_t>(expected.first) &&
         reply.cookie == static_cast<std::uint64_t>(expected.second);
}

}  // namespace coffer::nbd::testing

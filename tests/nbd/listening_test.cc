// Where the server listens, whom it lets in, and for how long.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <charconv>
#include <fstream>

#include "core/base/log.h"
#include "tests/nbd/test_server.h"

namespace coffer::nbd {
namespace {

using namespace testing;  // NOLINT: the client's vocabulary
using std::chrono::hours;
using std::chrono::milliseconds;

std::string ParseError(std::string_view text) {
  const auto address = ParseAddress(text);
  return address ? "" : address.error().message;
}

TEST(Address, UnixPathsAndAddressesInNumbersAreTaken) {
  EXPECT_EQ(ParseAddress("unix:/run/a b")->path, "/run/a b");
  EXPECT_EQ(ParseAddress("tcp:127.0.0.1:10809")->port, 10809);
  for (const char* local : {"tcp:127.0.0.1:1", "tcp:127.1.2.3:1", "tcp:[::1]:1", "unix:/s"}) {
    EXPECT_TRUE(ParseAddress(local)->IsLocal()) << local;
    EXPECT_EQ(ParseAddress(local)->ToString(), local);
  }
  for (const char* remote : {"tcp:0.0.0.0:10809", "tcp:192.168.1.2:1", "tcp:[::]:1",
                             "tcp:[::ffff:127.0.0.1]:1", "tcp:[2001:db8::127.0.0.1]:1"}) {
    EXPECT_FALSE(ParseAddress(remote)->IsLocal()) << remote;
  }
  for (const char* bad : {"tcp:example.org:1", "tcp:localhost:1", "tcp::1", "tcp:", "tcp:127.1:1",
                          "tcp:::1:1", "tcp:[127.0.0.1]:1", "tcp:[::1]", "tcp:1"}) {
    EXPECT_NE(ParseError(bad).find("an address in numbers"), std::string::npos) << bad;
  }
  for (const char* bad : {"tcp:127.0.0.1:", "tcp:127.0.0.1:65536", "tcp:127.0.0.1:1x",
                          "tcp:127.0.0.1:-1", "tcp:127.0.0.1: 1"}) {
    EXPECT_NE(ParseError(bad).find("not a port"), std::string::npos) << bad;
  }
  for (const char* bad : {"", "/run/sock", "unixx:/run/sock", "vsock:1"}) {
    EXPECT_NE(ParseError(bad).find("neither"), std::string::npos) << bad;
  }
  EXPECT_NE(ParseError("unix:").find("absolute"), std::string::npos);
  EXPECT_NE(ParseError("unix:run/sock").find("absolute"), std::string::npos);
  EXPECT_NE(ParseError("unix:/run/").find("directory"), std::string::npos);
  EXPECT_NE(ParseError(std::string_view("unix:/run/\0x", 12)).find("zero byte"), std::string::npos);
}

TEST(Address, APathTooLongForASocketSaysSo) {
  const std::string fits = "/" + std::string(106, 'p');
  EXPECT_EQ(ParseError("unix:" + fits), "");
  const std::string message = ParseError("unix:" + fits + "p");
  EXPECT_NE(message.find("108 bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("107"), std::string::npos) << message;
}

TEST(Address, UrisEscapeWhatTheyMust) {
  EXPECT_EQ(UriOf(*ParseAddress("unix:/run/a b?c"), "photos@may"),
            "nbd+unix:///photos@may?socket=/run/a%20b%3Fc");
  EXPECT_EQ(UriOf(*ParseAddress("tcp:127.0.0.1:10809"), "home/photos"),
            "nbd://127.0.0.1:10809/home%2Fphotos");
  EXPECT_EQ(UriOf(*ParseAddress("tcp:[::1]:10809"), "v"), "nbd://[::1]:10809/v");
}

TEST(Address, UrisTellOfTls) {
  EXPECT_EQ(UriOf(*ParseAddress("unix:/s"), "v", TlsInUri{}), "nbds+unix:///v?socket=/s");
  EXPECT_EQ(UriOf(*ParseAddress("unix:/s"), "v", TlsInUri{"a@b", "/k p"}),
            "nbds+unix://a%40b@/v?socket=/s&tls-psk-file=/k%20p");
  EXPECT_EQ(UriOf(*ParseAddress("tcp:192.0.2.1:1"), "v", TlsInUri{"alice", "/k"}, "host"),
            "nbds://alice@192.0.2.1:1/v?tls-psk-file=/k");
  EXPECT_EQ(UriOf(*ParseAddress("tcp:0.0.0.0:1"), "v", TlsInUri{}, "host"), "nbds://host:1/v");
  EXPECT_EQ(UriOf(*ParseAddress("tcp:[::]:1"), "v", TlsInUri{}, "host"), "nbds://host:1/v");
}

class Listening : public ServerTest {
 protected:
  std::string OpenError(const std::string& path) {
    const auto opened = Server::Open({path, {}}, *workers_, clock_, *fs_);
    return opened ? "" : opened.error().message;
  }
};

TEST_F(Listening, TheSharedSocketIsOursAlone) {
  Serve();
  struct stat info;
  ASSERT_EQ(::stat(shared_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(Listening, ALooseDirectoryIsRefused) {
  std::filesystem::permissions(directory_.path(), std::filesystem::perms(0750));
  EXPECT_NE(OpenError(shared_path()).find("other users may enter"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(shared_path()));
}

TEST_F(Listening, AMissingDirectoryIsRefused) {
  EXPECT_NE(OpenError(directory_ / "none/nbd.sock"), "");
}

TEST_F(Listening, WhateverIsAlreadyThereIsLeftAlone) {
  std::ofstream(shared_path()) << "precious";
  EXPECT_NE(OpenError(shared_path()).find("something is there"), std::string::npos);
  EXPECT_EQ(std::filesystem::file_size(shared_path()), 8u);
}

TEST_F(Listening, AnAddressOfItsOwnServesOneExportAndTakesTheEmptyName) {
  Serve();
  MemoryDevice own(4096);
  const std::string path = directory_ / "own.sock";
  ASSERT_EQ(ExportError({"own", "", &own, "unix:" + path, false}), "");
  EXPECT_EQ(place_.uri, "nbd+unix:///own?socket=" + path);
  TestClient client = TestClient::ToPath(path);
  EXPECT_EQ(client.Ask(OptionBytes(kList)).size(), 2u);
  EXPECT_EQ(client.Go("v"), kErrUnknown);
  EXPECT_EQ(client.Go(""), kAck);
  EXPECT_EQ(TestClient::ToPath(path).Go("own"), kAck);
  EXPECT_EQ(Connected().Go("own"), kErrUnknown);
  ASSERT_TRUE(server_->Withdraw("own").has_value());
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(Listening, AClientNegotiatingWhenItsListenerGoesIsCutOff) {
  Serve();
  MemoryDevice own(4096);
  const std::string path = directory_ / "own.sock";
  ASSERT_EQ(ExportError({"own", "", &own, "unix:" + path, false}), "");
  TestClient client = TestClient::ToPath(path);
  EXPECT_EQ(client.Ask(OptionBytes(kList)).size(), 2u);
  ASSERT_TRUE(server_->Withdraw("own").has_value());
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(Listening, ATcpListenerServesOnLoopback) {
  Serve();
  ASSERT_EQ(ExportError({"t", "", &device_, "tcp:127.0.0.1:0", false}), "");
  std::uint16_t port = 0;
  const std::string digits = place_.uri.substr(std::string("nbd://127.0.0.1:").size());
  std::from_chars(digits.data(), digits.data() + digits.size(), port);
  TestClient client = TestClient::ToPort(port);
  EXPECT_EQ(client.Go(""), kAck);
  EXPECT_EQ(client.Write(0, std::string(1 << 20, 't')), 0u);
  EXPECT_EQ(client.Read(0, 1 << 20), std::string(1 << 20, 't'));
  EXPECT_NE(ExportError({"u", "", &device_, "tcp:127.0.0.1:" + std::to_string(port), false})
                .find("in use"),
            std::string::npos);
}

TEST_F(Listening, ASocketWhoseServerDiedIsReplacedALiveOneIsNot) {
  Serve();
  const std::string path = directory_ / "own.sock";
  {
    TestClient dead(AF_UNIX);
    Address address = *UnixAddress(path);
    ASSERT_TRUE(Listen(address, StaleSocket::kRefuse).has_value());  // and closed at once
  }
  ASSERT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(ExportError({"own", "", &device_, "unix:" + path, false}), "");
  EXPECT_NE(ExportError({"other", "", &device_, "unix:" + path, false}).find("something is there"),
            std::string::npos);
  EXPECT_EQ(TestClient::ToPath(path).Go("own"), kAck);
}

TEST_F(Listening, AnExportThatCannotBeAddedLeavesNoSocket) {
  Serve();
  const std::string path = directory_ / "own.sock";
  EXPECT_NE(ExportError({"v", "", &device_, "unix:" + path, false}), "");
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Listening, ADirectoryInWhichOthersCouldPlantASocketIsRefused) {
  Serve();
  const std::filesystem::path open_to_all = directory_ / "open";
  std::filesystem::create_directory(open_to_all);
  std::filesystem::permissions(open_to_all, std::filesystem::perms(0777));
  const std::string address = "unix:" + (open_to_all / "s").string();
  EXPECT_NE(ExportError({"own", "", &device_, address, false}).find("in its place"),
            std::string::npos);
  std::filesystem::permissions(open_to_all, std::filesystem::perms(01777));
  EXPECT_EQ(ExportError({"own", "", &device_, address, false}), "");
}

TEST_F(Listening, AClientThatChoosesNothingIsCutOffAndTheOthersStay) {
  Limits limits;
  limits.handshake_deadline = milliseconds(30);
  Serve(limits);
  TestClient ready = Ready();
  TestClient silent = Connected();
  TestClient chatty = Connected();
  EXPECT_EQ(silent.Receive(kGreeting).size(), kGreeting);
  EXPECT_FALSE(chatty.Ask(OptionBytes(kList)).empty());
  clock_.Advance(limits.handshake_deadline - milliseconds(1));
  AwaitLoop(ready);
  EXPECT_FALSE(silent.HasNews());
  EXPECT_FALSE(chatty.Ask(OptionBytes(kList)).empty());
  clock_.Advance(milliseconds(1));
  EXPECT_TRUE(silent.AtEnd());
  EXPECT_TRUE(chatty.AtEnd());
  EXPECT_EQ(ready.Write(0, "still here"), 0u);
}

TEST_F(Listening, IdleClientsCannotKeepOthersOut) {
  Limits limits;
  limits.handshake_deadline = hours(1);
  limits.crowded_handshake_deadline = milliseconds(20);
  limits.negotiating_max = 4;
  Serve(limits);
  TestClient ready = Ready();
  std::vector<TestClient> idle;
  for (int i = 0; i < 40; ++i) idle.push_back(Connected());
  EXPECT_EQ(ready.Write(0, "unaffected"), 0u);
  TestClient eager = Connected();
  // Ten batches, if each was accepted before the clock went on; a busy machine needs more.
  for (int batch = 0; batch < 1000 && !eager.HasNews(); ++batch) {
    clock_.Advance(limits.crowded_handshake_deadline);
    AwaitSharedLoop();
  }
  EXPECT_EQ(eager.Go("v"), kAck);
}

TEST_F(Listening, NoMoreThanMayNegotiateAtOnce) {
  Limits limits;
  limits.handshake_deadline = hours(1);
  limits.crowded_handshake_deadline = hours(1);
  limits.negotiating_max = 4;
  Serve(limits);
  TestClient ready = Ready();
  std::vector<TestClient> idle;
  for (int i = 0; i < 5; ++i) idle.push_back(Connected());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(idle[static_cast<std::size_t>(i)].Receive(1), "N");
  AwaitLoop(ready);
  EXPECT_FALSE(idle[4].HasNews());
  idle[0].Close();
  EXPECT_EQ(idle[4].Receive(1), "N");
}

TEST_F(Listening, FewerIdleClientsThanMayNegotiateKeepTheirTime) {
  Limits limits;
  limits.crowded_handshake_deadline = milliseconds(0);
  limits.negotiating_max = 4;
  Serve(limits);
  TestClient one = Connected();
  TestClient two = Connected();
  TestClient ready = Ready();
  AwaitLoop(ready);
  EXPECT_EQ(one.Go("v"), kAck);
  EXPECT_EQ(two.Go("v"), kAck);
}

TEST_F(Listening, OneClientTooManyWaitsUntilAnotherLeaves) {
  Limits limits;
  limits.connections_max = 2;
  Serve(limits);
  TestClient one = Ready();
  TestClient two = Ready();
  TestClient three = Connected();
  AwaitLoop(two);
  one.Close();
  EXPECT_EQ(three.Go("v"), kAck);
}

TEST_F(Listening, WithoutDescriptorsClientsWaitAndTheLoopRests) {
  Limits limits;
  limits.exhausted_pause = milliseconds(200);
  Serve(limits);
  TestClient ready = Ready();
  TestClient waiting(AF_UNIX);
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::dup(0);
  ASSERT_GE(next, 0);
  ::close(next);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next);
  SetLogLevel(LogLevel::kError);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  ASSERT_TRUE(waiting.Connect(shared_path()));
  AwaitLoop(ready);  // it has tried to accept by now, and serves the others
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  // Had it not rested it would have tried again at once, and again.
  AwaitLoop(ready);
  EXPECT_FALSE(waiting.HasNews());
  clock_.Advance(limits.exhausted_pause);
  EXPECT_EQ(waiting.Go("v"), kAck);
  SetLogLevel(LogLevel::kInfo);
}

TEST_F(Listening, ListsAskedForFasterThanTheyAreTakenAllArrive) {
  Serve();
  ASSERT_EQ(ExportError({"w", std::string(kDescriptionBytesMax, 'd'), &device_, "", false}), "");
  EXPECT_EQ(server_->Export({"x", std::string(kDescriptionBytesMax + 1, 'd'), &device_, "", false})
                .error()
                .code,
            ErrorCode::kInvalidArgument);
  TestClient client = Connected();
  Bytes asked = ClientFlags();
  constexpr int kLists = 600;
  for (int i = 0; i < kLists; ++i) asked = Joined({asked, OptionBytes(kList)});
  ASSERT_TRUE(client.Send(asked));
  const std::size_t answer = (20 + 4 + 1 + 8) + (20 + 4 + 1 + kDescriptionBytesMax) + 20;
  EXPECT_EQ(client.Receive(kGreeting + kLists * answer).size(), kGreeting + kLists * answer);
}

}  // namespace
}  // namespace coffer::nbd

// HTTP/2 with a server that speaks nothing else: nghttpd.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "tests/http/http_fixture.h"
#include "tests/support/temporary_directory.h"

namespace coffer::http {
namespace {

constexpr const char* kServer = "/usr/sbin/nghttpd";
constexpr std::size_t kFileBytes = 300'000;

/// A port that was free a moment ago.
std::uint16_t FreePort() {
  return ScriptedServer([](const ReceivedRequest&) { return Answer(); }).port();
}

/// Serves `directory`, and gives back what is uploaded.
class Http2Server {
 public:
  Http2Server(const std::string& directory, const TestCertificate& certificate)
      : port_(std::to_string(FreePort())) {
    WriteTestFile(directory + "/key.pem", certificate.key);
    WriteTestFile(directory + "/cert.pem", certificate.certificate);
    std::array<int, 2> pipe_ends;
    EXPECT_EQ(pipe2(pipe_ends.data(), O_CLOEXEC), 0);
    output_ = pipe_ends[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
    const std::string key = directory + "/key.pem";
    const std::string own = directory + "/cert.pem";
    const std::array<const char*, 10> arguments = {
        kServer,         "-v",          "-d",        directory.c_str(), "-a", "127.0.0.1",
        "--echo-upload", port_.c_str(), key.c_str(), own.c_str()};
    std::vector<char*> raw;
    for (const char* argument : arguments) raw.push_back(const_cast<char*>(argument));
    raw.push_back(nullptr);
    EXPECT_EQ(posix_spawn(&process_, kServer, &actions, nullptr, raw.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[1]);
    AwaitListening();
    drain_ = std::thread([this] {
      while (!Read().empty()) {
      }
    });
  }
  ~Http2Server() {
    kill(process_, SIGTERM);
    waitpid(process_, nullptr, 0);
    drain_.join();
    close(output_);
  }
  Http2Server(const Http2Server&) = delete;
  Http2Server& operator=(const Http2Server&) = delete;

  [[nodiscard]] std::string url() const { return "https://localhost:" + port_; }

 private:
  std::string Read() {
    std::array<char, 4096> piece;
    const ssize_t got = read(output_, piece.data(), piece.size());
    return got > 0 ? std::string(piece.data(), static_cast<std::size_t>(got)) : std::string();
  }
  void AwaitListening() {
    std::string said;
    for (std::string piece = Read(); !piece.empty(); piece = Read()) {
      said.append(piece);
      if (said.find("listen 127.0.0.1:") != std::string::npos) return;
    }
    ADD_FAILURE() << said;
  }

  const std::string port_;
  pid_t process_ = -1;
  int output_ = -1;
  std::thread drain_;
};

class Http2 : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::filesystem::exists(kServer))
        << "no " << kServer << ": packaging/dependencies test installs it";
    WriteTestFile(directory_.path() + "/ca.pem", authority_.certificate());
    WriteTestFile(directory_.path() + "/file", std::string(AsText(content_)));
    options_.ca_file = directory_.path() + "/ca.pem";
  }

  const TestAuthority authority_;
  const TemporaryDirectory directory_;
  const Bytes content_ = Pattern(kFileBytes);
  HttpOptions options_;
};

TEST_F(Http2, ManyReadsShareAConnection) {
  const Http2Server server(directory_.path(), authority_.Issue({"localhost"}));
  const Engine engine(options_);
  const auto read = [&] { return engine.Begin(Asking(server.url() + "/file")); };
  ASSERT_OK(read().get());
  std::vector<std::future<Result<Response>>> reads;
  for (int i = 0; i < 20; ++i) reads.push_back(read());
  for (auto& one : reads) {
    ASSERT_OK_AND_ASSIGN(const Response response, one.get());
    EXPECT_EQ(response.status, 200);
    EXPECT_TRUE(response.body == content_);
  }
  EXPECT_EQ(engine.Statistics(server.url()).connections, 1U);
}

TEST_F(Http2, SmallUploadsAndWhatIsMissing) {
  const Http2Server server(directory_.path(), authority_.Issue({"localhost"}));
  const Engine engine(options_);
  const Bytes body = Pattern(50'000);
  Request request = Asking(server.url() + "/upload", "POST");
  request.body = body;
  ASSERT_OK_AND_ASSIGN(const Response echo, engine.Perform(request));
  EXPECT_TRUE(echo.body == body);
  ASSERT_OK_AND_ASSIGN(const Response missing, engine.Perform(Asking(server.url() + "/none")));
  EXPECT_EQ(missing.status, 404);
}

TEST_F(Http2, ABodyThatIsTooLongEndsItsStreamAlone) {
  const Http2Server server(directory_.path(), authority_.Issue({"localhost"}));
  const Engine engine(options_);
  Request request = Asking(server.url() + "/file");
  request.body_bytes_max = 1000;
  EXPECT_FAILS(engine.Perform(request), kCorruption);
  request.body_bytes_max = kFileBytes;
  ASSERT_OK_AND_ASSIGN(const Response response, engine.Perform(request));
  EXPECT_EQ(response.body.size(), kFileBytes);
}

}  // namespace
}  // namespace coffer::http

#include "cli/password.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <thread>

#include "core/control/unix_socket.h"
#include "tests/support/result_macros.h"
#include "tests/support/temporary_directory.h"

namespace coffer::cli {
namespace {

QuietTerminal& Terminal() {
  static QuietTerminal terminal;
  return terminal;
}

class PasswordFile : public testing::Test {
 protected:
  std::string Write(const std::string& text, mode_t mode = 0600) {
    WriteTestFile(path_, text);
    EXPECT_EQ(chmod(path_.c_str(), mode), 0);
    return path_;
  }
  static Result<SecretBytes> Read(const std::string& path) {
    return ReadPassword(FromFile{path}, "a test", -1, Terminal());
  }
  static void ExpectRefused(const std::string& path, const std::string& reason) {
    const auto result = Read(path);
    ASSERT_FAILS(result, kUnauthenticated);
    EXPECT_NE(result.error().message.find(reason), std::string::npos) << result.error().message;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "password";
};

TEST_F(PasswordFile, OneTrailingNewlineIsDroppedAndNothingElse) {
  const std::pair<std::string, std::string> cases[] = {
      {"secret", "secret"},
      {"secret\n", "secret"},
      {"secret\n\n", "secret\n"},
      {"secret\r\n", "secret"},
      {"\xef\xbb\xbfsecret\r\n", "secret"},
      {"one\r\ntwo\r\n", "one\r\ntwo"},
      {" \xff\xef\xbb\xbf ", " \xff\xef\xbb\xbf "}};
  for (const auto& [text, password] : cases) {
    ASSERT_OK_AND_ASSIGN(const SecretBytes read, Read(Write(text)));
    EXPECT_EQ(AsText(read.view()), password);
  }
}

TEST_F(PasswordFile, OpenToOthersIsRefused) {
  for (const mode_t mode : {0644U, 0640U, 0604U, 0660U, 0666U, 0610U}) {
    ExpectRefused(Write("secret", mode), "others");
  }
  EXPECT_OK(Read(Write("secret", 0400)));
}

TEST_F(PasswordFile, OfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to give a file away";
  Write("secret");
  ASSERT_EQ(chown(path_.c_str(), 65534, 65534), 0);
  ExpectRefused(path_, "belongs to user 65534");
}

TEST_F(PasswordFile, NeverHasALineEndOrMarkThatNobodySees) {
  ExpectRefused(Write("secret\r"), "carriage return");
  ExpectRefused(Write(std::string("\xff\xfes\0e\0", 6)), "UTF-16");
}

TEST_F(PasswordFile, ALinkLeadsToIt) {
  Write("secret");
  const std::string link = directory_ / "link";
  ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
  ASSERT_OK_AND_ASSIGN(const SecretBytes read, Read(link));
  EXPECT_EQ(AsText(read.view()), "secret");
  Write("secret", 0644);
  ExpectRefused(link, "others");
}

TEST_F(PasswordFile, AFifoIsReadWhenItsWriterComes) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  std::thread writer([this] { std::ofstream(path_) << "secret\n"; });
  const auto read = Read(path_);
  writer.join();
  ASSERT_OK(read);
  EXPECT_EQ(AsText(read->view()), "secret");
}

TEST_F(PasswordFile, AWaitForAFifoCanBeEnded) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  std::array<int, 2> ends;
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const control::UniqueFd cancel(ends[0]);
  { const control::UniqueFd closed(ends[1]); }  // readable: at its end
  EXPECT_FAILS(ReadPassword(FromFile{path_}, "a test", cancel.get(), Terminal()), kCancelled);
}

TEST_F(PasswordFile, ADirectoryOrADeviceOrNothingIsRefused) {
  ExpectRefused(directory_.path(), "neither a regular file nor a pipe");
  ExpectRefused("/dev/null", "neither a regular file nor a pipe");
  ExpectRefused(directory_ / "missing", "No such file");
}

TEST_F(PasswordFile, EmptyIsRefused) {
  ExpectRefused(Write(""), "empty");
  ExpectRefused(Write("\n"), "empty");
}

TEST_F(PasswordFile, ANulInsideIsRefused) { ExpectRefused(Write(std::string("a\0b", 3)), "NUL"); }

TEST_F(PasswordFile, TooLongIsRefused) {
  EXPECT_OK(Read(Write(std::string(65536, 'x') + "\n")));
  ExpectRefused(Write(std::string(65537, 'x')), "65536");
  ExpectRefused(Write(std::string((1 << 20) + 1, 'x')), "1 MiB");
}

TEST_F(PasswordFile, ANameWithControlCharactersIsHarmlessInTheMessage) {
  const auto result = Read(directory_ / "a\x1b[2Jb");
  ASSERT_FAILS(result, kUnauthenticated);
  EXPECT_EQ(result.error().message.find('\x1b'), std::string::npos);
}

TEST(PasswordDescriptor, IsReadToItsEnd) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const control::UniqueFd read_end(ends[0]);
  {
    const control::UniqueFd write_end(ends[1]);
    ASSERT_EQ(write(write_end.get(), "sec", 3), 3);
    ASSERT_EQ(write(write_end.get(), "ret\n", 4), 4);
  }
  ASSERT_OK_AND_ASSIGN(const SecretBytes read,
                       ReadPassword(FromDescriptor{read_end.get()}, "a test", -1, Terminal()));
  EXPECT_EQ(AsText(read.view()), "secret");
}

TEST(PasswordDescriptor, ThatIsNotOpenIsRefused) {
  EXPECT_FAILS(ReadPassword(FromDescriptor{9999}, "a test", -1, Terminal()), kUnauthenticated);
  for (const std::string text : {"", "x", "-1", "3x", "99999999999"}) {
    EXPECT_FAILS(ParsePasswordDescriptor(text), kInvalidArgument) << text;
  }
}

std::vector<std::string> SpellingsOf(const std::string& text) {
  std::vector<std::string> all;
  for (const SecretBytes& one : Spellings(SecretBytes::CopyOf(AsBytes(text)))) {
    all.emplace_back(AsText(one.view()));
  }
  return all;
}

TEST(PasswordSpellings, AreTheTextAsItIsThenComposedThenDecomposed) {
  const std::string composed = "caf\xc3\xa9";
  const std::string decomposed = "cafe\xcc\x81";
  EXPECT_EQ(SpellingsOf(composed), (std::vector<std::string>{composed, decomposed}));
  EXPECT_EQ(SpellingsOf(decomposed), (std::vector<std::string>{decomposed, composed}));
  EXPECT_EQ(SpellingsOf("plain"), std::vector<std::string>{"plain"});
  EXPECT_EQ(SpellingsOf("no \xff UTF-8"), std::vector<std::string>{"no \xff UTF-8"});
}

}  // namespace
}  // namespace coffer::cli

#include "core/base/child_stream.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>

#include "tests/support/result_macros.h"

namespace coffer {
namespace {

std::vector<std::string> Shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

class Collector final : public ChildStream::Listener {
 public:
  void OnBytes(ByteView bytes) override {
    const std::lock_guard lock(mutex_);
    text_.append(AsText(bytes));
    changed_.notify_all();
  }
  void OnEnd(const ChildStream::End& end) override {
    const std::lock_guard lock(mutex_);
    end_ = end;
    changed_.notify_all();
  }
  std::string AwaitBytes(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return text_.size() >= count || end_.has_value(); });
    return text_;
  }
  ChildStream::End AwaitEnd() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return end_.has_value(); });
    return *end_;
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return end_.has_value();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::optional<ChildStream::End> end_;
};

TEST(ChildStream, CarriesWhatIsSaidBothWays) {
  Collector collector;
  ASSERT_OK_AND_ASSIGN(const auto stream, ChildStream::Start({"/bin/cat"}, {}, collector));
  stream->Send(ToBytes(AsBytes("hello ")));
  stream->Send(ToBytes(AsBytes("there")));
  EXPECT_EQ(collector.AwaitBytes(11), "hello there");
}

TEST(ChildStream, KeepsWhatTheProgramDoesNotTakeYet) {
  Collector collector;
  // Takes nothing before it was told to, then gives all of it back.
  ASSERT_OK_AND_ASSIGN(
      const auto stream,
      ChildStream::Start(Shell("read line; echo \"$line\"; exec cat"), {}, collector));
  const Bytes much(3'000'000, std::byte{'x'});
  stream->Send(ToBytes(AsBytes("first\n")));
  stream->Send(much);
  stream->Send(ToBytes(AsBytes("end")));
  const std::string all = collector.AwaitBytes(6 + much.size() + 3);
  EXPECT_EQ(all.substr(0, 6), "first\n");
  EXPECT_EQ(all.substr(all.size() - 4), "xend");
}

TEST(ChildStream, TellsTheEndAndWhatWasSaidLast) {
  Collector collector;
  ASSERT_OK_AND_ASSIGN(
      const auto stream,
      ChildStream::Start(Shell("for i in $(seq 2000); do echo line $i >&2; done; exit 7"), {},
                         collector));
  const ChildStream::End end = collector.AwaitEnd();
  EXPECT_EQ(end.exit_code, 7);
  EXPECT_LE(end.said.size(), ChildStream::kSaidMax);
  EXPECT_TRUE(end.said.ends_with("line 2000\n")) << end.said;
}

TEST(ChildStream, OneThatIsKilledHasEnded) {
  Collector collector;
  ASSERT_OK_AND_ASSIGN(const auto stream, ChildStream::Start({"/bin/cat"}, {}, collector));
  stream->Send(ToBytes(AsBytes("x")));
  EXPECT_EQ(collector.AwaitBytes(1), "x");
  kill(stream->pid(), SIGKILL);
  EXPECT_EQ(collector.AwaitEnd().exit_code, 128 + SIGKILL);
  stream->Send(ToBytes(AsBytes("nobody hears this")));
}

TEST(ChildStream, IsEndedWhenNobodySaysAnything) {
  Collector collector;
  ChildStream::Options options;
  options.idle_max = std::chrono::milliseconds(1);
  ASSERT_OK_AND_ASSIGN(const auto stream, ChildStream::Start({"/bin/cat"}, options, collector));
  (void)collector.AwaitEnd();
}

TEST(ChildStream, EndsOneThatDoesNotWantTo) {
  Collector collector;
  pid_t pid = 0;
  {
    ASSERT_OK_AND_ASSIGN(
        const auto stream,
        ChildStream::Start(Shell("trap '' TERM; echo ready; while :; do read x || :; done"), {},
                           collector));
    pid = stream->pid();
    EXPECT_EQ(collector.AwaitBytes(6), "ready\n");
  }
  EXPECT_EQ(kill(pid, 0), -1) << "it is gone, and reaped";
  EXPECT_FALSE(collector.ended()) << "who stops it knows";
}

TEST(ChildStream, SeesItsOwnEnvironmentAndNoDescriptorOfOurs) {
  Collector collector;
  ChildStream::Options options;
  options.environment = {"PATH=/usr/bin:/bin", "WORD=given"};
  setenv("COFFER_CHILD_STREAM_TEST", "secret", 1);
  ASSERT_OK_AND_ASSIGN(
      const auto stream,
      ChildStream::Start(
          Shell("echo $WORD$COFFER_CHILD_STREAM_TEST; "
                "for n in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$n ] || echo $n; done"),
          options, collector));
  (void)collector.AwaitEnd();
  EXPECT_EQ(collector.AwaitBytes(6), "given\n");
}

TEST(ChildStream, OfNoProgramIsAnError) {
  Collector collector;
  EXPECT_FAILS(ChildStream::Start({"/no/such/program"}, {}, collector), kNotFound);
}

}  // namespace
}  // namespace coffer

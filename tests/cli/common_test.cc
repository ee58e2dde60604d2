#include "cli/common.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/control/start_report.h"
#include "tests/support/result_macros.h"

namespace coffer::cli {
namespace {

TEST(AbsoluteStore, LeavesUrlsAndAbsolutePathsAndCompletesOthers) {
  for (const std::string store :
       {"/mnt/x", "file:///mnt/x", "s3://bucket/x", "rclone:remote:dir"}) {
    EXPECT_EQ(AbsoluteStore(store), store);
  }
  char here[4096];
  ASSERT_NE(getcwd(here, sizeof here), nullptr);
  for (const std::string store : {"backups", "./a:b", "../x", "1:2", ":x"}) {
    EXPECT_EQ(AbsoluteStore(store), std::string(here) + "/" + store);
  }
}

TEST(AbsoluteNbdAddress, CompletesRelativeSocketsAlone) {
  for (const std::string address :
       {"", "unix:/run/x.sock", "tcp:127.0.0.1:10809", "unix:", "bogus"}) {
    EXPECT_EQ(AbsoluteNbdAddress(address), address);
  }
  char here[4096];
  ASSERT_NE(getcwd(here, sizeof here), nullptr);
  EXPECT_EQ(AbsoluteNbdAddress("unix:x.sock"), "unix:" + std::string(here) + "/x.sock");
}

TEST(StateText, SaysWhatWaits) {
  control::VolumeStatus status;
  status.state = "locked";
  status.waiting_bytes = 2048;
  EXPECT_EQ(StateText(status), "locked, 2.0 KiB waiting");
  status.waiting_exact = false;
  EXPECT_EQ(StateText(status), "locked, at most 2.0 KiB waiting");
  status = {};
  status.state = "open";
  status.read_only = true;
  EXPECT_EQ(StateText(status), "open, read-only");
}

TEST(NameText, NamesTheVaultOnlyWhereItMust) {
  control::VolumeStatus a;
  a.volume = "photos";
  a.vault = "home";
  control::VolumeStatus b = a;
  b.vault = "work";
  EXPECT_EQ(NameText(a, {{a}}), "photos");
  EXPECT_EQ(NameText(a, {{a, b}}), "home/photos");
}

TEST(StartReport, SurvivesTheRoundTrip) {
  EXPECT_TRUE(control::DecodeStartReport(control::EncodeStartReport({true, 0, "", ""})).ready);
  const auto report =
      control::DecodeStartReport(control::EncodeStartReport({false, 6, "another\nruns", "look"}));
  EXPECT_FALSE(report.ready);
  EXPECT_EQ(report.exit_code, 6);
  EXPECT_EQ(report.message, "another runs");
  EXPECT_EQ(report.hint, "look");
}

TEST(StartReport, ADaemonThatDiedInSilenceIsAnError) {
  for (const std::string text : {"", "o", "ok", "garbage", "error"}) {
    const auto report = control::DecodeStartReport(text);
    EXPECT_FALSE(report.ready) << text;
    EXPECT_EQ(report.exit_code, 1);
    EXPECT_FALSE(report.message.empty());
  }
}

}  // namespace
}  // namespace coffer::cli

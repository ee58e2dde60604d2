#include "core/control/message_json.h"

#include <gtest/gtest.h>

#include "core/control/error_table.h"
#include "core/control/http.h"
#include "tests/support/result_macros.h"

namespace coffer::control {
namespace {

std::string_view View(const WipedString& text) { return {text.data(), text.size()}; }

TEST(MessageJson, VolumeStatusSurvivesTheRoundTrip) {
  VolumeStatus status;
  status.volume = "photos";
  status.size_bytes = ~0ULL;
  status.keys_held = true;
  status.needs = {"ROLLBACK: seen 812, offered 790"};
  status.hints = {"coffer trust accept"};
  status.failed = true;
  status.unsynced_bytes = 4096;
  status.retry_seconds = 7;
  status.exports = {{"nbd", "", "nbd+unix:///photos?socket=/run/x", 2}};
  status.chunk_size = 65536;
  status.last_error = "\"quoted\"\n";
  ASSERT_OK_AND_ASSIGN(const auto back, DecodeJson<VolumeStatus>(View(EncodeJson(status))));
  EXPECT_EQ(back.volume, "photos");
  EXPECT_EQ(back.size_bytes, ~0ULL);
  EXPECT_TRUE(back.keys_held);
  EXPECT_EQ(back.needs, status.needs);
  EXPECT_EQ(back.hints, status.hints);
  EXPECT_TRUE(back.failed);
  EXPECT_EQ(back.unsynced_bytes, 4096u);
  EXPECT_EQ(back.retry_seconds, 7u);
  ASSERT_EQ(back.exports.size(), 1U);
  EXPECT_EQ(back.exports[0].uri, status.exports[0].uri);
  EXPECT_EQ(back.exports[0].clients, 2);
  EXPECT_EQ(back.chunk_size, 65536U);
  EXPECT_EQ(back.last_error, status.last_error);
}

/// As many volumes as a catalog names (format::kVolumesMax), all long.
TEST(MessageJson, AListOfTheMostVolumesIsAReplyThatAClientReads) {
  VolumeStatus status;
  status.volume = std::string(63, 'v');
  status.vault = std::string(63, 'a');
  status.volume_id = std::string(32, 'f');
  status.vault_id = std::string(32, 'f');
  status.store = std::string(300, '/');
  status.state = "closed";
  status.needs = {std::string(200, 'n')};
  status.hints = {std::string(200, 'h')};
  constexpr std::size_t kVolumesMax = 65536;
  constexpr std::size_t kVolumesHere = 64;
  const VolumeList list{std::vector<VolumeStatus>(kVolumesHere, status)};
  EXPECT_LE(EncodeJson(list).size() * (kVolumesMax / kVolumesHere), kReplyBytesMax);
}

TEST(MessageJson, PasswordsOfAnyBytesSurviveTheRoundTrip) {
  std::string all;
  for (int i = 1; i < 256; ++i) all.push_back(static_cast<char>(i));
  OpenRequest request;
  request.password = SecretBytes::CopyOf(AsBytes(all));
  request.exports = {{"nbd", "tcp:127.0.0.1:10809"}};
  ASSERT_OK_AND_ASSIGN(const auto back, DecodeJson<OpenRequest>(View(EncodeJson(request))));
  EXPECT_EQ(AsText(back.password.view()), all);
  EXPECT_EQ(back.exports[0].address, "tcp:127.0.0.1:10809");
}

TEST(MessageJson, ANewPasswordTravelsBesideTheOldOne) {
  PasswdRequest request;
  request.password = SecretBytes::CopyOf(AsBytes("old\xff"));
  request.new_password = SecretBytes::CopyOf(AsBytes("new\xfe"));
  ASSERT_OK_AND_ASSIGN(const auto back, DecodeJson<PasswdRequest>(View(EncodeJson(request))));
  EXPECT_EQ(AsText(back.password.view()), "old\xff");
  EXPECT_EQ(AsText(back.new_password.view()), "new\xfe");
  ASSERT_OK_AND_ASSIGN(const auto plain, DecodeJson<PasswdRequest>(R"({"new_password":"n"})"));
  EXPECT_EQ(AsText(plain.new_password.view()), "n");
}

TEST(MessageJson, InfoSurvivesTheRoundTripWithAndWithoutItsOptionalParts) {
  VolumeInfo info;
  info.volume.volume = "photos";
  info.codec = "zstd 1";
  info.keys.emplace_back().label = "mine";
  ASSERT_OK_AND_ASSIGN(const auto plain, DecodeJson<VolumeInfo>(View(EncodeJson(info))));
  EXPECT_FALSE(plain.survey.has_value());
  EXPECT_FALSE(plain.requests.has_value());
  info.requests = RequestCounts{1, 2, 3, 4, 5, 6, 7, 8};
  SurveyInfo& survey = info.survey.emplace();
  survey.head_host = "host";
  survey.frame_bytes = ~0ULL;
  survey.heads_exact = false;
  survey.head_bytes = 812;
  ASSERT_OK_AND_ASSIGN(const auto back, DecodeJson<VolumeInfo>(View(EncodeJson(info))));
  EXPECT_EQ(back.volume.volume, "photos");
  EXPECT_EQ(back.codec, "zstd 1");
  ASSERT_EQ(back.keys.size(), 1u);
  EXPECT_EQ(back.keys[0].label, "mine");
  EXPECT_EQ(back.requests->creates, 1u);
  EXPECT_EQ(back.requests->bytes_down, 8u);
  EXPECT_EQ(back.survey->head_host, "host");
  EXPECT_EQ(back.survey->frame_bytes, ~0ULL);
  EXPECT_FALSE(back.survey->heads_exact);
  EXPECT_EQ(back.survey->head_bytes, 812u);
}

TEST(MessageJson, AJobCarriesWhatItHasDone) {
  JobInfo job;
  job.opened.emplace().uri = "nbd://x";
  job.deleted.emplace().gc_bytes = 0;
  job.notes = {"run resize2fs"};
  ASSERT_OK_AND_ASSIGN(const auto back, DecodeJson<JobInfo>(View(EncodeJson(job))));
  EXPECT_EQ(back.opened->uri, "nbd://x");
  EXPECT_EQ(back.deleted->gc_bytes, std::uint64_t{0});
  EXPECT_EQ(back.notes, std::vector<std::string>{"run resize2fs"});
  ASSERT_OK_AND_ASSIGN(const auto empty, DecodeJson<JobInfo>("{}"));
  EXPECT_FALSE(empty.opened.has_value());
  EXPECT_FALSE(empty.deleted.has_value());
}

TEST(MessageJson, APasswordMayComeAsPlainText) {
  ASSERT_OK_AND_ASSIGN(const auto request, DecodeJson<AddRequest>(R"({"password":"p\u00e4ss"})"));
  EXPECT_EQ(AsText(request.password.view()), "p\xc3\xa4ss");
}

TEST(MessageJson, UnknownFieldsAreIgnoredAndMissingOnesHaveDefaults) {
  ASSERT_OK_AND_ASSIGN(
      const auto request,
      DecodeJson<CloseRequest>(R"({"from_the_future":{"a":[1,2]},"no_wait":true})"));
  EXPECT_TRUE(request.no_wait);
  ASSERT_OK_AND_ASSIGN(const auto defaults, DecodeJson<CloseRequest>("{}"));
  EXPECT_FALSE(defaults.no_wait);
  EXPECT_OK(DecodeJson<CloseRequest>(""));
}

TEST(MessageJson, WrongTypesAndRangesAreRefusedByFieldName) {
  const auto fails = [](const auto& result, const std::string& field) {
    ASSERT_FAILS(result, kInvalidArgument);
    EXPECT_NE(result.error().message.find(field), std::string::npos) << result.error().message;
  };
  fails(DecodeJson<CloseRequest>(R"({"no_wait":"yes"})"), "no_wait");
  fails(DecodeJson<InitRequest>(R"({"size_bytes":-1})"), "size_bytes");
  fails(DecodeJson<InitRequest>(R"({"size_bytes":1.5})"), "size_bytes");
  fails(DecodeJson<InitRequest>(R"({"size_bytes":1e3})"), "size_bytes");
  fails(DecodeJson<InitRequest>(R"({"volume":7})"), "volume");
  fails(DecodeJson<VolumeStatus>(R"({"chunk_size":4294967296})"), "chunk_size");
  fails(DecodeJson<OpenRequest>(R"({"exports":{"kind":"nbd"}})"), "exports");
  fails(DecodeJson<OpenRequest>(R"({"exports":[{"kind":1}]})"), "exports");
  fails(DecodeJson<OpenRequest>(R"({"password_hex":"abc"})"), "password_hex");
  fails(DecodeJson<OpenRequest>(R"({"password_hex":"zz"})"), "password_hex");
}

TEST(MessageJson, WhatIsNoObjectIsRefusedWithoutQuotingIt) {
  for (const std::string text : {"[]", "7", "{", "{\"password\":\"hunter2", "null", "\"x\"", "{}{}",
                                 "\xff\xfe", "{\"a\":\"\xff\"}"}) {
    const auto result = DecodeJson<OpenRequest>(text);
    ASSERT_FAILS(result, kInvalidArgument) << text;
    EXPECT_EQ(result.error().message.find("hunter2"), std::string::npos);
  }
}

TEST(MessageJson, DeepNestingIsNoStackOverflow) {
  EXPECT_FAILS(DecodeJson<OpenRequest>(std::string(kBodyBytesMax, '[')), kInvalidArgument);
  const std::size_t depth = kBodyBytesMax / 2;
  EXPECT_FAILS(DecodeJson<OpenRequest>(std::string(depth, '[') + std::string(depth, ']')),
               kInvalidArgument);
}

TEST(MessageJson, TooLongAPasswordIsRefused) {
  const std::string longest(kPasswordBytesMax, 'x');
  EXPECT_OK(DecodeJson<AddRequest>("{\"password\":\"" + longest + "\"}"));
  EXPECT_FAILS(DecodeJson<AddRequest>("{\"password\":\"" + longest + "x\"}"), kInvalidArgument);
}

TEST(MessageJson, AFailedJobCarriesItsError) {
  JobInfo job;
  job.error = Error{ErrorCode::kNeedsPerson, "FENCED: another machine", "coffer open --take-over"};
  ASSERT_OK_AND_ASSIGN(const auto back, DecodeJson<JobInfo>(View(EncodeJson(job))));
  ASSERT_TRUE(back.error.has_value());
  EXPECT_EQ(back.error->code, ErrorCode::kNeedsPerson);
  EXPECT_EQ(back.error->message, "FENCED: another machine");
  EXPECT_EQ(back.error->hint, "coffer open --take-over");
}

TEST(MessageJson, TextThatIsNotUtf8IsShownAllTheSame) {
  VaultInfo vault{"a", "b", "/mnt/\xff", false};
  VaultList list{{vault}};
  EXPECT_OK(DecodeJson<VaultList>(View(EncodeJson(list))));
}

TEST(ErrorTable, GivesEveryCodeItsExitCode) {
  EXPECT_EQ(ExitCodeOf(ErrorCode::kIoError), 1);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kInvalidArgument), 2);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kNotFound), 3);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kAlreadyExists), 4);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kUnauthenticated), 5);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kConflict), 6);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kNoSpace), 7);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kUnavailable), 8);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kCorruption), 9);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kNeedsPerson), 10);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kUnsupported), 11);
  EXPECT_EQ(ExitCodeOf(ErrorCode::kCancelled), 130);
}

TEST(ErrorTable, WireNamesLeadBackToTheirCode) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kNeedsPerson); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(ErrorCodeFromName(ErrorCodeName(code)), code);
  }
  EXPECT_FALSE(ErrorCodeFromName("from-the-future").has_value());
}

}  // namespace
}  // namespace coffer::control

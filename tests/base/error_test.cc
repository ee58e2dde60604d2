#include "core/base/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "core/base/check.h"
#include "core/base/result.h"
#include "tests/support/result_macros.h"

namespace coffer {
namespace {

TEST(Error, WithinKeepsAllButTheMessage) {
  const Error inner{ErrorCode::kNoSpace, "disk full", "delete something", ErrorCause::kThrottled,
                    std::chrono::seconds(7)};
  const Error outer = inner.Within("cannot sync photos");
  EXPECT_EQ(outer.code, ErrorCode::kNoSpace);
  EXPECT_EQ(outer.message, "cannot sync photos: disk full");
  EXPECT_EQ(outer.hint, "delete something");
  EXPECT_EQ(outer.cause, ErrorCause::kThrottled);
  EXPECT_EQ(outer.retry_after, Duration(std::chrono::seconds(7)));
}

TEST(Error, WithinLeavesTheStateThatNeedsAPersonInFront) {
  const Error inner{ErrorCode::kNeedsPerson, "FENCED: beta has gone on"};
  EXPECT_EQ(inner.Within("volume photos").message, "FENCED: volume photos: beta has gone on");
  const Error newer{ErrorCode::kUnsupported, "NEWER-FORMAT: marker: version 2"};
  EXPECT_EQ(newer.Within("/store").message, "NEWER-FORMAT: /store: marker: version 2");
  const Error other{ErrorCode::kUnsupported, "marker: version 2"};
  EXPECT_EQ(other.Within("/store").message, "/store: marker: version 2");
}

TEST(ErrorCodeName, IsDifferentForEachCode) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(ErrorCode::kNeedsPerson); ++code) {
    names.insert(ErrorCodeName(static_cast<ErrorCode>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorCode::kNeedsPerson) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

TEST(ErrorFromErrno, MapsWhatCallersBranchOn) {
  const std::pair<int, ErrorCode> expected[] = {
      {ENOENT, ErrorCode::kNotFound},         {EEXIST, ErrorCode::kAlreadyExists},
      {ENOTEMPTY, ErrorCode::kAlreadyExists}, {ENOSPC, ErrorCode::kNoSpace},
      {EDQUOT, ErrorCode::kNoSpace},          {EIO, ErrorCode::kIoError},
      {EROFS, ErrorCode::kIoError},           {EACCES, ErrorCode::kIoError},
      {EOPNOTSUPP, ErrorCode::kUnsupported},  {ENOSYS, ErrorCode::kUnsupported},
      {EBUSY, ErrorCode::kConflict},          {ETIMEDOUT, ErrorCode::kUnavailable},
      {EINVAL, ErrorCode::kInvalidArgument},  {ECANCELED, ErrorCode::kCancelled},
  };
  for (const auto& [number, code] : expected) {
    const Error error = ErrorFromErrno(number, "cannot do it");
    EXPECT_EQ(error.code, code) << error.message;
    EXPECT_EQ(error.message.rfind("cannot do it: ", 0), 0U) << error.message;
    EXPECT_GT(error.message.size(), std::string("cannot do it: ").size());
  }
}

TEST(ErrorFromErrno, SaysWhatToDoWhereTheNumberTells) {
  for (const int number : {EACCES, EPERM, EROFS, ENOSPC, EDQUOT}) {
    EXPECT_NE(ErrorFromErrno(number, "cannot do it").hint, "") << number;
  }
  EXPECT_EQ(ErrorFromErrno(EIO, "cannot do it").hint, "");
}

Result<int> Half(int number) {
  if (number % 2 != 0) return Fail(ErrorCode::kInvalidArgument, "odd");
  return number / 2;
}

Result<int> Quarter(int number) {
  ASSIGN_OR_RETURN(const int half, Half(number));
  return Half(half);
}

Status CheckQuarter(int number) {
  RETURN_IF_ERROR(Quarter(number));
  return {};
}

TEST(Result, MacrosPassValuesAndErrorsOn) {
  ASSERT_OK_AND_ASSIGN(const int quarter, Quarter(12));
  EXPECT_EQ(quarter, 3);
  EXPECT_FAILS(Quarter(6), kInvalidArgument);
  EXPECT_OK(CheckQuarter(8));
  EXPECT_FAILS(CheckQuarter(7), kInvalidArgument);
}

TEST(CheckDeathTest, NamesTheConditionThatBroke) {
  EXPECT_DEATH(CHECK(1 + 1 == 3), "CHECK failed at .*error_test.cc:[0-9]+: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace coffer

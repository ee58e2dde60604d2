#include "core/http/retry_after.h"

#include <gtest/gtest.h>

namespace coffer::http {
namespace {

using std::chrono::seconds;

constexpr UnixSeconds kNow = 1'763'200'800;  // Sat, 15 Nov 2025 10:00:00 GMT

std::optional<Duration> Of(const std::string& value) {
  Response response;
  response.headers = {{"retry-AFTER", value}};
  return RetryAfterOf(response, kNow);
}

TEST(RetryAfter, OfSecondsIsThatLong) {
  EXPECT_EQ(Of("0"), seconds(0));
  EXPECT_EQ(Of("17"), seconds(17));
  EXPECT_EQ(Of(" 17\t"), seconds(17));
}

TEST(RetryAfter, IsNeverLongerThanTheLongestBackOff) {
  EXPECT_EQ(Of("301"), kRetryAfterMax);
  EXPECT_EQ(Of("99999999999999999999999999"), kRetryAfterMax);
  EXPECT_EQ(Of("Sun, 16 Nov 2025 10:00:00 GMT"), kRetryAfterMax);
}

TEST(RetryAfter, OfADateIsTheTimeUntilThen) {
  EXPECT_EQ(Of("Sat, 15 Nov 2025 10:01:30 GMT"), seconds(90));
  EXPECT_EQ(Of("Saturday, 15-Nov-25 10:01:30 GMT"), seconds(90));
  EXPECT_EQ(Of("Sat Nov 15 10:01:30 2025"), seconds(90));
}

TEST(RetryAfter, OfADateThatHasPassedIsNow) {
  EXPECT_EQ(Of("Sat, 15 Nov 2025 09:00:00 GMT"), seconds(0));
}

TEST(RetryAfter, OfADateCountsFromTheServersOwnDate) {
  Response response;
  response.headers = {{"Date", "Mon, 01 Jan 2001 00:00:00 GMT"},
                      {"Retry-After", "Mon, 01 Jan 2001 00:00:20 GMT"}};
  EXPECT_EQ(RetryAfterOf(response, kNow), seconds(20));
}

TEST(RetryAfter, ThatIsNotUnderstoodIsNone) {
  EXPECT_EQ(RetryAfterOf(Response{}, kNow), std::nullopt);
  for (const char* value : {"", " ", "-1", "1.5", "soon", "17 s", "\x1b[31m"}) {
    EXPECT_EQ(Of(value), std::nullopt) << value;
  }
  EXPECT_EQ(Of(std::string(100'000, 'x')), std::nullopt);
}

TEST(Response, FindsTheFirstHeaderOfANameInAnyCapitals) {
  Response response;
  response.headers = {{"ETag", "a"}, {"etag", "b"}, {"X-Long", ""}};
  EXPECT_EQ(response.Find("eTAG"), "a");
  EXPECT_EQ(response.Find("x-long"), "");
  EXPECT_EQ(response.Find("x-lon"), std::nullopt);
}

}  // namespace
}  // namespace coffer::http

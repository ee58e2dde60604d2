// The parts of the engine that need no socket.
#include <gtest/gtest.h>

#include "core/http/origin.h"
#include "core/http/request_queue.h"
#include "core/http/response_collector.h"
#include "core/http/stall_watch.h"
#include "core/http/statistics.h"
#include "tests/support/result_macros.h"

namespace coffer::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Origin, TellsPlacesApart) {
  const auto text = [](const std::string& url) {
    const auto origin = ParseOrigin(url);
    return origin.has_value() ? origin->ToString() : TextOf(origin.error());
  };
  EXPECT_EQ(text("https://Host.Example/a?b"), "https://host.example");
  EXPECT_EQ(text("https://host:443/"), "https://host");
  EXPECT_EQ(text("http://host:443/"), "http://host:443");
  EXPECT_EQ(text("http://[::1]:80"), "http://[::1]");
}

TEST(Origin, KnowsTheLoopback) {
  const auto loopback = [](const std::string& url) { return ParseOrigin(url)->IsLoopback(); };
  EXPECT_TRUE(loopback("http://127.0.0.1:9000/"));
  EXPECT_TRUE(loopback("http://LOCALHOST/"));
  EXPECT_TRUE(loopback("http://[::1]/"));
  EXPECT_FALSE(loopback("http://127.0.0.1.example/"));
  EXPECT_FALSE(loopback("http://localhost.example/"));
  EXPECT_FALSE(loopback("http://10.0.0.1/"));
}

TEST(RequestQueue, ReadsGoFirstThenWritesThenBackground) {
  RequestQueue queue({});
  queue.Push(1, "a", Priority::kBackground);
  queue.Push(2, "a", Priority::kWrite);
  queue.Push(3, "a", Priority::kRead);
  queue.Push(4, "a", Priority::kRead);
  for (const RequestQueue::Id id : {3U, 4U, 2U, 1U}) EXPECT_EQ(queue.Next(), id);
  EXPECT_EQ(queue.Next(), std::nullopt);
}

TEST(RequestQueue, EachClassHasSlotsOfItsOwn) {
  RequestQueue queue({.reads_per_host = 1, .writes_per_host = 1, .background_per_host = 1});
  for (RequestQueue::Id id = 1; id <= 2; ++id) queue.Push(id, "a", Priority::kWrite);
  EXPECT_EQ(queue.Next(), 1U);
  EXPECT_EQ(queue.Next(), std::nullopt);
  queue.Push(3, "a", Priority::kRead);
  EXPECT_EQ(queue.Next(), 3U);
  queue.Push(4, "a", Priority::kBackground);
  EXPECT_EQ(queue.Next(), std::nullopt);  // a write waits
  queue.Remove(1);
  EXPECT_EQ(queue.Next(), 2U);
  EXPECT_EQ(queue.Next(), 4U);
}

TEST(RequestQueue, HostsDoNotWaitForEachOther) {
  RequestQueue queue({.writes_per_host = 1});
  queue.Push(1, "a", Priority::kWrite);
  queue.Push(2, "a", Priority::kWrite);
  queue.Push(3, "b", Priority::kWrite);
  EXPECT_EQ(queue.Next(), 1U);
  EXPECT_EQ(queue.Next(), 3U);
  EXPECT_EQ(queue.Next(), std::nullopt);
}

TEST(RequestQueue, WhatIsRemovedIsGoneWhereverItWas) {
  RequestQueue queue({.writes_per_host = 1});
  queue.Push(1, "a", Priority::kWrite);
  queue.Push(2, "a", Priority::kWrite);
  queue.Push(3, "a", Priority::kWrite);
  EXPECT_EQ(queue.Next(), 1U);
  queue.Remove(2);
  queue.Remove(2);
  EXPECT_EQ(queue.waiting(), 1U);
  EXPECT_EQ(queue.in_flight(), 1U);
  queue.Remove(1);
  EXPECT_EQ(queue.Next(), 3U);
  queue.Remove(3);
  EXPECT_EQ(queue.waiting() + queue.in_flight(), 0U);
}

ResponseCollector Collector(ResponseCollector::Challenges challenges) {
  return {"host", false,
          ResponseLimits{.header_bytes_max = 1000, .headers_max = 5, .body_bytes_max = 10},
          challenges};
}

TEST(ResponseCollector, KeepsTheLastHeadAndItsBody) {
  auto collector = Collector(ResponseCollector::Challenges::kFinal);
  for (const char* line : {"HTTP/1.1 100 Continue\r\n", "X-Interim: 1\r\n", "\r\n",
                           "HTTP/1.1 200 OK\r\n", "A:  b \r\n", "C: d\r\n", " e\r\n", "\r\n"}) {
    EXPECT_TRUE(collector.TakeHeaderLine(line));
  }
  EXPECT_TRUE(collector.TakeBody(AsBytes("body")));
  ASSERT_TRUE(collector.has_whole_head());
  const Response response = collector.Take();
  EXPECT_EQ(response.status, 200);
  ASSERT_EQ(response.headers.size(), 2U);
  EXPECT_EQ(response.Find("a"), "b");
  EXPECT_EQ(response.Find("c"), "d e");
  EXPECT_EQ(AsText(response.body), "body");
}

TEST(ResponseCollector, DropsTrailersWhateverTheyAreCalled) {
  auto collector = Collector(ResponseCollector::Challenges::kFinal);
  EXPECT_TRUE(collector.TakeHeaderLine("HTTP/1.1 412 No\r\n"));
  EXPECT_TRUE(collector.TakeHeaderLine("\r\n"));
  EXPECT_TRUE(collector.TakeBody(AsBytes("b")));
  for (const char* line : {"ETag: \"a\"\r\n", "HTTP/1.1 200 OK\r\n", "\r\n"}) {
    EXPECT_TRUE(collector.TakeHeaderLine(line));
  }
  const Response response = collector.Take();
  EXPECT_EQ(response.status, 412);
  EXPECT_TRUE(response.headers.empty());
}

TEST(ResponseCollector, TakesASecondHeadOnlyAfterAChallengeThatIsAnswered) {
  for (const auto challenges :
       {ResponseCollector::Challenges::kFinal, ResponseCollector::Challenges::kAnswered}) {
    auto collector = Collector(challenges);
    for (const char* line : {"HTTP/1.1 401 Who\r\n", "\r\n", "HTTP/1.1 201 Made\r\n", "\r\n"}) {
      EXPECT_TRUE(collector.TakeHeaderLine(line));
    }
    const bool answered = challenges == ResponseCollector::Challenges::kAnswered;
    EXPECT_EQ(collector.has_passed_challenge(), answered);
    EXPECT_EQ(collector.status(), answered ? 201 : 401);
  }
}

TEST(ResponseCollector, CountsInterimHeadsToo) {
  auto collector = Collector(ResponseCollector::Challenges::kFinal);
  int taken = 0;
  while (taken < 1000 && collector.TakeHeaderLine("HTTP/1.1 100 Continue\r\n") &&
         collector.TakeHeaderLine("\r\n")) {
    ++taken;
  }
  EXPECT_LT(taken, 1000);
  ASSERT_TRUE(collector.error().has_value());
  EXPECT_EQ(collector.error()->code, ErrorCode::kUnavailable);
}

TEST(StallWatch, CountsFromTheLastMovement) {
  const MonotonicTime start(seconds(100));
  StallWatch watch(start, seconds(30));
  EXPECT_FALSE(watch.HasStalled(start + seconds(29), 0));
  EXPECT_FALSE(watch.HasStalled(start + seconds(29), 7));
  EXPECT_FALSE(watch.HasStalled(start + seconds(58), 7));
  EXPECT_FALSE(watch.HasStalled(start + seconds(58), 3));  // down is movement as well
  EXPECT_TRUE(watch.HasStalled(start + seconds(88), 3));
}

TEST(HttpStatistics, BucketsArePowersOfTwo) {
  EXPECT_EQ(LatencyBucket(Duration(-5)), 0U);
  EXPECT_EQ(LatencyBucket(milliseconds(0)), 0U);
  EXPECT_EQ(LatencyBucket(milliseconds(1)), 1U);
  EXPECT_EQ(LatencyBucket(milliseconds(2)), 2U);
  EXPECT_EQ(LatencyBucket(milliseconds(3)), 2U);
  EXPECT_EQ(LatencyBucket(milliseconds(1000)), 10U);
  EXPECT_EQ(LatencyBucket(std::chrono::hours(100)), HostStatistics::kBuckets - 1);
}

TEST(HttpStatistics, OfTooManyHostsAreCountedTogether) {
  StatisticsTable table;
  for (std::size_t i = 0; i < 2 * HttpStatistics::kHostsMax; ++i) {
    table.Add(std::to_string(i), {RequestEnd::kResponse, milliseconds(1), 1, 2, 3});
  }
  const HttpStatistics statistics = table.Get();
  EXPECT_EQ(statistics.hosts.size(), HttpStatistics::kHostsMax + 1);
  EXPECT_EQ(statistics.hosts.at("others").requests, HttpStatistics::kHostsMax);
}

}  // namespace
}  // namespace coffer::http

#include "core/control/http.h"

#include <gtest/gtest.h>

#include "core/control/messages.h"
#include "tests/support/result_macros.h"

namespace coffer::control {
namespace {

using State = RequestReader::State;

std::string Post(const std::string& body) {
  return "POST /v1/x HTTP/1.1\r\nHost: c\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

TEST(RequestReader, ReadsARequestFedByteByByte) {
  const std::string text = Post("{\"a\":1}");
  RequestReader reader;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    ASSERT_EQ(reader.Feed(text.substr(i, 1)), State::kNeedMore) << i;
  }
  ASSERT_EQ(reader.Feed(text.substr(text.size() - 1)), State::kComplete);
  const HttpRequest request = reader.Take();
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, "/v1/x");
  EXPECT_EQ(request.body, "{\"a\":1}");
}

TEST(RequestReader, ReadsAChunkedBody) {
  RequestReader reader;
  ASSERT_EQ(reader.Feed("PUT / HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n"),
            State::kComplete);
  EXPECT_EQ(reader.Take().body, "{\"a\":1}");
}

TEST(RequestReader, RefusesABodyAboveTheLimitBeforeItArrives) {
  RequestReader reader;
  EXPECT_EQ(reader.Feed("POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n"), State::kRefused);
  EXPECT_EQ(reader.Refusal().status, 413);
  RequestReader huge;
  EXPECT_EQ(huge.Feed("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n"),
            State::kRefused);
  RequestReader exact;
  EXPECT_EQ(exact.Feed("POST / HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n"), State::kNeedMore);
  EXPECT_EQ(exact.Feed(std::string(kBodyBytesMax, ' ')), State::kComplete);
}

TEST(RequestReader, RefusesAChunkedBodyAboveTheLimit) {
  RequestReader reader;
  State state = reader.Feed("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  for (int i = 0; i < 17 && state == State::kNeedMore; ++i) state = reader.Feed(chunk);
  EXPECT_EQ(state, State::kRefused);
  EXPECT_EQ(reader.Refusal().status, 413);
}

TEST(RequestReader, RefusesAHeaderWithoutEnd) {
  RequestReader reader;
  State state = reader.Feed("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 64 && state == State::kNeedMore; ++i) {
    state = reader.Feed("X-Pad: " + std::string(1024, 'x') + "\r\n");
  }
  EXPECT_EQ(state, State::kRefused);
  EXPECT_EQ(reader.Refusal().status, 431);
}

TEST(RequestReader, RefusesWhatIsNoHttp) {
  for (const std::string text :
       {"NBDMAGIC\r\n\r\n", "\x16\x03\x01 TLS\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
    RequestReader reader;
    EXPECT_EQ(reader.Feed(text), State::kRefused) << text;
    EXPECT_GE(reader.Refusal().status, 400);
  }
}

TEST(RequestReader, AsksForTheBodyOfACarefulClientOnce) {
  RequestReader reader;
  EXPECT_EQ(reader.Feed("POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
            State::kNeedMore);
  EXPECT_TRUE(reader.TakeContinue());
  EXPECT_FALSE(reader.TakeContinue());
  EXPECT_EQ(reader.Feed("{}"), State::kComplete);
}

TEST(ResponseReader, ReadsWhatFormatReplyWrote) {
  const WipedString text = FormatReply({409, "{\"code\":\"conflict\"}"}, "cofferd/1.2.3");
  ResponseReader reader(1 << 20);
  for (const char c : text) ASSERT_OK(reader.Feed({&c, 1}));
  ASSERT_TRUE(reader.done());
  EXPECT_EQ(reader.status(), 409);
  EXPECT_EQ(reader.server(), "cofferd/1.2.3");
  EXPECT_EQ(reader.TakeBody(), "{\"code\":\"conflict\"}");
}

TEST(ResponseReader, AnAnswerCutShortIsAnError) {
  const WipedString text = FormatReply({200, "{\"a\":1}"}, "s");
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    ResponseReader reader(1 << 20);
    ASSERT_OK(reader.Feed({text.data(), cut}));
    EXPECT_FAILS(reader.FeedEnd(), kCorruption) << cut;
  }
}

TEST(ResponseReader, GivesAStreamPieceByPieceUntilTheConnectionEnds) {
  ResponseReader reader(0);
  ASSERT_OK(reader.Feed(FormatStreamHead("s")));
  ASSERT_TRUE(reader.header_done());
  ASSERT_OK(reader.Feed("{\"a\":1}\n"));
  EXPECT_EQ(reader.TakeBody(), "{\"a\":1}\n");
  ASSERT_OK(reader.Feed("{\"b\":2}\n"));
  EXPECT_EQ(reader.TakeBody(), "{\"b\":2}\n");
  EXPECT_FALSE(reader.done());
  EXPECT_OK(reader.FeedEnd());
}

TEST(SplitTarget, DecodesPartByPart) {
  ASSERT_OK_AND_ASSIGN(const auto parts, SplitTarget("/v1/volumes/home%2Fphotos/sync?x=/y"));
  EXPECT_EQ(parts, (std::vector<std::string>{"v1", "volumes", "home/photos", "sync"}));
}

TEST(SplitTarget, RefusesWhatIsNoPath) {
  for (const std::string target : {"", "*", "http://x/", "v1", "/%", "/%4", "/%zz"}) {
    EXPECT_FAILS(SplitTarget(target), kInvalidArgument) << target;
  }
}

TEST(PercentEncode, IsUndoneBySplitTarget) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  ASSERT_OK_AND_ASSIGN(const auto parts, SplitTarget("/" + PercentEncode(all)));
  EXPECT_EQ(parts, std::vector<std::string>{all});
}

}  // namespace
}  // namespace coffer::control

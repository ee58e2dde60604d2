#include "nbd/request_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "nbd/errors.h"
#include "tests/nbd/client_bytes.h"

namespace coffer::nbd {
namespace {

using testing::ExtendedBytes;
using testing::ExtendedStatus;
using testing::ExtendedWrite;
using testing::Joined;
using testing::RequestBytes;
using testing::WriteBytes;

constexpr std::uint64_t kSize = 1 << 20;

/// One thing that the parser said, as text: easy to compare, easy to read in a failure.
std::string Said(RequestParser& parser, RequestParser::Step step) {
  switch (step) {
    case RequestParser::Step::kNeedBytes:
      return "";
    case RequestParser::Step::kMustWait:
      return "wait";
    case RequestParser::Step::kRequest: {
      const Request& r = parser.request();
      return "request " + std::to_string(r.cookie) + " " +
             std::to_string(static_cast<int>(r.command)) + " @" + std::to_string(r.offset) + "+" +
             std::to_string(r.length) + " '" + std::string(AsText(r.payload).substr(0, 8)) + "'";
    }
    case RequestParser::Step::kRefusal:
      return "refusal " + std::to_string(parser.refusal().cookie) + " " +
             std::to_string(static_cast<int>(parser.refusal().error));
    case RequestParser::Step::kDisconnect:
      return "disconnect";
    case RequestParser::Step::kBroken:
      break;
  }
  return "broken: " + parser.broken_reason();
}

class Parsing {
 public:
  explicit Parsing(bool read_only = false)
      : Parsing(
            RequestRules{.read_only = read_only, .style = ReplyStyle::kSimple, .contexts = {}}) {}
  explicit Parsing(RequestRules rules) : parser(pool, std::move(rules)) { parser.set_size(kSize); }

  std::vector<std::string> Feed(ByteView input) {
    std::vector<std::string> said;
    while (true) {
      const auto step = parser.Advance(input);
      if (step == RequestParser::Step::kNeedBytes) return said;
      said.push_back(Said(parser, step));
      parser.request().owned.Release();
      if (step == RequestParser::Step::kDisconnect || step == RequestParser::Step::kBroken) {
        return said;
      }
    }
  }

  BufferPool pool{0};
  RequestParser parser;
};

std::vector<std::string> FeedOnce(const Bytes& bytes, bool read_only = false) {
  return Parsing(read_only).Feed(bytes);
}
using Lines = std::vector<std::string>;

TEST(RequestParser, EveryCommandOfferedIsTaken) {
  const Bytes bytes = Joined({
      RequestBytes(testing::kRead, 4096, 512, 1),
      WriteBytes(0, "payload!", 2),
      RequestBytes(testing::kFlush, 0, 0, 3),
      RequestBytes(testing::kTrim, 0, 4096, 4),
      RequestBytes(testing::kWriteZeroes, 4096, 4096, 5, testing::kNoHole | testing::kFastZero),
      RequestBytes(testing::kDisc, 0, 0, 6),
  });
  EXPECT_EQ(FeedOnce(bytes),
            (Lines{"request 1 0 @4096+512 ''", "request 2 1 @0+8 'payload!'", "request 3 3 @0+0 ''",
                   "request 4 4 @0+4096 ''", "request 5 6 @4096+4096 ''", "disconnect"}));
}

TEST(RequestParser, FuaIsTakenOnEveryCommand) {
  for (const std::uint16_t command : {testing::kRead, testing::kTrim, testing::kWriteZeroes}) {
    EXPECT_EQ(FeedOnce(RequestBytes(command, 0, 512, 1, testing::kFua)).at(0).substr(0, 7),
              "request");
  }
  EXPECT_EQ(FeedOnce(RequestBytes(testing::kFlush, 0, 0, 1, testing::kFua)).at(0).substr(0, 7),
            "request");
}

TEST(RequestParser, TheLastByteIsInsideAndTheNextIsNot) {
  EXPECT_EQ(FeedOnce(RequestBytes(testing::kRead, kSize - 1, 1, 1)).at(0).substr(0, 7), "request");
  EXPECT_EQ(FeedOnce(RequestBytes(testing::kRead, kSize, 1, 1)), Lines{"refusal 1 22"});
  EXPECT_EQ(FeedOnce(RequestBytes(testing::kRead, kSize - 1, 2, 1)), Lines{"refusal 1 22"});
}

TEST(RequestParser, OffsetAndLengthThatOverflowAreBeyondTheEnd) {
  for (const std::uint64_t offset : {~0ull, ~0ull - 511, 1ull << 63}) {
    EXPECT_EQ(FeedOnce(RequestBytes(testing::kRead, offset, 512, 1)), Lines{"refusal 1 22"});
    EXPECT_EQ(FeedOnce(RequestBytes(testing::kTrim, offset, 512, 1)), Lines{"refusal 1 22"});
    EXPECT_EQ(FeedOnce(RequestBytes(testing::kWriteZeroes, offset, 512, 1)), Lines{"refusal 1 28"});
    EXPECT_EQ(FeedOnce(WriteBytes(offset, std::string(512, 'x'), 1)), Lines{"refusal 1 28"});
  }
}

TEST(RequestParser, LengthZeroIsInvalid) {
  for (const std::uint16_t command :
       {testing::kRead, testing::kWrite, testing::kTrim, testing::kCache, testing::kWriteZeroes}) {
    EXPECT_EQ(FeedOnce(RequestBytes(command, 0, 0, 9)), Lines{"refusal 9 22"});
  }
}

TEST(RequestParser, AFlushWithARangeFlushesAll) {
  EXPECT_EQ(FeedOnce(RequestBytes(testing::kFlush, 512, 0, 1)), Lines{"request 1 3 @512+0 ''"});
  EXPECT_EQ(FeedOnce(RequestBytes(testing::kFlush, 0, 512, 1)), Lines{"request 1 3 @0+512 ''"});
  EXPECT_EQ(FeedOnce(RequestBytes(testing::kFlush, ~0ull, 512, 1), true).at(0).substr(0, 9),
            "request 1");
}

TEST(RequestParser, DfIsGrantedWhereRepliesAreNeverFragmentedAndAWriteMaySayItsPayload) {
  EXPECT_EQ(FeedOnce(RequestBytes(testing::kRead, 0, 512, 1, testing::kDf)),
            Lines{"request 1 0 @0+512 ''"});
  EXPECT_EQ(FeedOnce(WriteBytes(0, "said", 1, testing::kPayloadLength)),
            Lines{"request 1 1 @0+4 'said'"});
}

TEST(RequestParser, UnknownCommandsAndFlagsAreInvalidAndTheStreamStaysInStep) {
  const Bytes bytes = Joined({
      RequestBytes(9, 0, 512, 1),
      RequestBytes(testing::kBlockStatus, 0, 512, 2),
      RequestBytes(8, 0, 512, 3),
      RequestBytes(0xffff, 0, 512, 4),
      RequestBytes(testing::kTrim, 0, 512, 5, testing::kPayloadLength),
      RequestBytes(testing::kRead, 0, 512, 6, testing::kFastZero),
      RequestBytes(testing::kTrim, 0, 512, 7, testing::kNoHole),
      WriteBytes(0, std::string(300, 'w'), 8, 0x8000),
      RequestBytes(testing::kRead, 0, 512, 9),
  });
  EXPECT_EQ(FeedOnce(bytes),
            (Lines{"refusal 1 22", "refusal 2 22", "refusal 3 22", "refusal 4 22", "refusal 5 22",
                   "refusal 6 22", "refusal 7 22", "refusal 8 22", "request 9 0 @0+512 ''"}));
}

TEST(RequestParser, WritingToAReadOnlyExportIsNotPermitted) {
  const Bytes bytes = Joined({
      WriteBytes(0, std::string(5000, 'w'), 1),
      RequestBytes(testing::kTrim, 0, 512, 2),
      RequestBytes(testing::kWriteZeroes, 0, 512, 3),
      RequestBytes(testing::kFlush, 0, 0, 4),
      RequestBytes(testing::kRead, 0, 512, 5),
  });
  EXPECT_EQ(FeedOnce(bytes, true), (Lines{"refusal 1 1", "refusal 2 1", "refusal 3 1",
                                          "request 4 3 @0+0 ''", "request 5 0 @0+512 ''"}));
}

TEST(RequestParser, AnOversizedReadIsInvalid) {
  Parsing parsing;
  parsing.parser.set_size(1ull << 40);
  EXPECT_EQ(parsing.Feed(RequestBytes(testing::kRead, 0, (32u << 20) + 1, 1)),
            Lines{"refusal 1 22"});
  EXPECT_EQ(parsing.Feed(RequestBytes(testing::kRead, 0, 32u << 20, 2)).at(0).substr(0, 7),
            "request");
}

TEST(RequestParser, TrimAndZeroOfFourGigabytesAreOneRequestAndNoMemory) {
  Parsing parsing;
  parsing.parser.set_size(1ull << 40);
  for (const std::uint16_t command : {testing::kTrim, testing::kWriteZeroes}) {
    EXPECT_EQ(parsing.Feed(RequestBytes(command, 512, 0xffffffff, 1)).at(0).substr(0, 9),
              "request 1");
  }
  EXPECT_EQ(parsing.pool.taken_bytes(), 0u);
}

TEST(RequestParser, AnOversizedWriteIsDrainedWithoutMemoryAndAnswered) {
  Parsing parsing;
  const std::uint32_t length = kPayloadDrainBytesMax;
  EXPECT_EQ(parsing.Feed(RequestBytes(testing::kWrite, 0, length, 1)), Lines{});
  const Bytes piece(1 << 20, std::byte{7});
  for (std::uint32_t sent = 0; sent + piece.size() < length;
       sent += static_cast<std::uint32_t>(piece.size())) {
    ASSERT_EQ(parsing.Feed(piece), Lines{});
    ASSERT_EQ(parsing.pool.taken_bytes(), 0u);
  }
  EXPECT_EQ(parsing.Feed(Joined({piece, RequestBytes(testing::kRead, 0, 512, 2)})),
            (Lines{"refusal 1 22", "request 2 0 @0+512 ''"}));
}

TEST(RequestParser, AWriteTooLongToDrainEndsTheConnection) {
  for (const std::uint32_t length : {kPayloadDrainBytesMax + 1, 0xffffffffu}) {
    EXPECT_EQ(FeedOnce(RequestBytes(testing::kWrite, 0, length, 1)),
              Lines{"broken: payload of " + std::to_string(length) + " bytes"});
  }
}

TEST(RequestParser, AWrongMagicEndsTheConnectionForGood) {
  Parsing parsing;
  const Lines broken{"broken: wrong request magic"};
  EXPECT_EQ(parsing.Feed(RequestBytes(testing::kRead, 0, 512, 1, 0, 0x25609514)), broken);
  EXPECT_EQ(parsing.Feed(RequestBytes(testing::kRead, 0, 512, 2)), broken);
}

TEST(RequestParser, NothingAfterDisconnectIsRead) {
  const Bytes bytes =
      Joined({RequestBytes(testing::kDisc, 0, 0, 1), RequestBytes(testing::kRead, 0, 512, 2)});
  Parsing parsing;
  EXPECT_EQ(parsing.Feed(bytes), Lines{"disconnect"});
  EXPECT_EQ(parsing.Feed(RequestBytes(testing::kRead, 0, 512, 3)), Lines{"disconnect"});
}

TEST(RequestParser, AGrownDeviceTakesWhatWasBeyondItsEnd) {
  Parsing parsing;
  EXPECT_EQ(parsing.Feed(RequestBytes(testing::kRead, kSize, 512, 1)), Lines{"refusal 1 22"});
  parsing.parser.set_size(2 * kSize);
  EXPECT_EQ(parsing.Feed(RequestBytes(testing::kRead, kSize, 512, 2)).at(0).substr(0, 9),
            "request 2");
}

TEST(RequestParser, AWholePayloadIsAViewOfTheInput) {
  Parsing parsing;
  const Bytes bytes = WriteBytes(0, "abcdefgh", 1);
  ByteView input = bytes;
  ASSERT_EQ(parsing.parser.Advance(input), RequestParser::Step::kRequest);
  EXPECT_EQ(parsing.parser.request().payload.data(), bytes.data() + 28);
  EXPECT_TRUE(parsing.parser.request().owned.empty());
}

TEST(RequestParser, TheRestOfAPayloadMayBeReceivedInPlace) {
  Parsing parsing;
  const Bytes bytes = WriteBytes(0, "abcdefgh", 1);
  ByteView input = ByteView(bytes).first(31);
  ASSERT_EQ(parsing.parser.Advance(input), RequestParser::Step::kNeedBytes);
  const MutableByteView space = parsing.parser.payload_space();
  ASSERT_EQ(space.size(), 5u);
  std::memcpy(space.data(), "defgh", 5);
  parsing.parser.PayloadReceived(5);
  EXPECT_EQ(parsing.Feed({}), Lines{"request 1 1 @0+8 'abcdefgh'"});
  EXPECT_TRUE(parsing.parser.payload_space().empty());
}

TEST(RequestParser, SaysTheSameHoweverTheBytesAreCut) {
  const Bytes bytes = Joined({
      WriteBytes(512, std::string(777, 'a'), 1),
      RequestBytes(testing::kRead, 4096, 512, 2),
      WriteBytes(kSize, std::string(600, 'b'), 3),
      RequestBytes(testing::kTrim, 0, 0, 4),
      WriteBytes(0, "c", 5, testing::kFua),
      RequestBytes(testing::kFlush, 0, 0, 6),
      RequestBytes(testing::kDisc, 0, 0, 7),
  });
  const Lines whole = FeedOnce(bytes);
  EXPECT_EQ(whole.size(), 7u);
  for (const std::size_t piece : {1u, 7u, 27u, 28u, 29u, 100u}) {
    Parsing parsing;
    Lines said;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const Lines more =
          parsing.Feed(ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at)));
      said.insert(said.end(), more.begin(), more.end());
    }
    EXPECT_EQ(said, whole) << "in pieces of " << piece;
    EXPECT_EQ(parsing.pool.taken_bytes(), 0u);
  }
}

TEST(BufferPool, UsesABufferAgainAndKeepsNoMoreThanItMay) {
  constexpr std::size_t kRoom = 64;  // for a reply's header, in every buffer
  BufferPool pool(8192 + kRoom);
  const std::byte* first = nullptr;
  {
    Buffer buffer = pool.Take(5000);
    first = buffer.view().data();
    EXPECT_EQ(buffer.size(), 5000u);
    EXPECT_EQ(pool.taken_bytes(), 8192 + kRoom);
  }
  EXPECT_EQ(pool.idle_bytes(), 8192 + kRoom);
  Buffer again = pool.Take(8192);
  EXPECT_EQ(again.view().data(), first);
  {
    Buffer large = pool.Take(8192 + kRoom + 1);
    EXPECT_EQ(pool.taken_bytes(), 8192 + 16384 + 2 * kRoom);
  }
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

TEST(Errors, EachCodeHasItsNbdError) {
  EXPECT_EQ(ReplyErrorFrom(ErrorCode::kNoSpace), ReplyError::kNoSpc);
  EXPECT_EQ(ReplyErrorFrom(ErrorCode::kUnsupported), ReplyError::kPerm);
  EXPECT_EQ(ReplyErrorFrom(ErrorCode::kInvalidArgument), ReplyError::kInval);
  EXPECT_EQ(ReplyErrorFrom(ErrorCode::kCancelled), ReplyError::kShutdown);
  for (const ErrorCode code : {ErrorCode::kIoError, ErrorCode::kCorruption, ErrorCode::kUnavailable,
                               ErrorCode::kNeedsPerson, ErrorCode::kNotFound}) {
    EXPECT_EQ(ReplyErrorFrom(code), ReplyError::kIo);
  }
}

TEST(RequestParser, FlagsOfStructuredRepliesAreTakenOnceTheyAreAgreedOnAndWhereTheyBelong) {
  const Bytes bytes = Joined({
      RequestBytes(testing::kRead, 0, 512, 1, testing::kDf),
      RequestBytes(testing::kBlockStatus, 0, 512, 2, testing::kReqOne),
      RequestBytes(testing::kBlockStatus, 0, 512, 3),
      RequestBytes(testing::kRead, 0, 512, 4, testing::kReqOne),
      RequestBytes(testing::kBlockStatus, 0, 512, 5, testing::kDf),
      RequestBytes(testing::kTrim, 0, 512, 6, testing::kDf),
      WriteBytes(0, std::string(300, 'w'), 7, testing::kDf),
      RequestBytes(testing::kRead, 0, 512, 8, 1 << 5),
      RequestBytes(testing::kRead, 0, 512, 9),
  });
  Parsing agreed(
      RequestRules{.read_only = false, .style = ReplyStyle::kStructured, .contexts = {1}});
  EXPECT_EQ(agreed.Feed(bytes),
            (Lines{"request 1 0 @0+512 ''", "request 2 7 @0+512 ''", "request 3 7 @0+512 ''",
                   "refusal 4 22", "refusal 5 22", "refusal 6 22", "refusal 7 22", "refusal 8 22",
                   "request 9 0 @0+512 ''"}));
  Parsing without_contexts(
      RequestRules{.read_only = false, .style = ReplyStyle::kStructured, .contexts = {}});
  EXPECT_EQ(without_contexts.Feed(bytes),
            (Lines{"request 1 0 @0+512 ''", "refusal 2 22", "refusal 3 22", "refusal 4 22",
                   "refusal 5 22", "refusal 6 22", "refusal 7 22", "refusal 8 22",
                   "request 9 0 @0+512 ''"}));
}

TEST(RequestParser, BlockStatusOfNothingOrBeyondTheEndIsInvalid) {
  const auto said = [](std::uint64_t offset, std::uint32_t length) {
    Parsing parsing(
        RequestRules{.read_only = true, .style = ReplyStyle::kStructured, .contexts = {1}});
    return parsing.Feed(RequestBytes(testing::kBlockStatus, offset, length, 1)).at(0);
  };
  EXPECT_EQ(said(0, kSize), "request 1 7 @0+1048576 ''");
  EXPECT_EQ(said(0, 0), "refusal 1 22");
  EXPECT_EQ(said(0, kSize + 1), "refusal 1 22");
  EXPECT_EQ(said(kSize, 1), "refusal 1 22");
  EXPECT_EQ(said(~0ull, 2), "refusal 1 22");
  EXPECT_EQ(said(1, 0xffffffff), "refusal 1 22");
}

/// With extended headers; contexts 1 and 7 are selected.
Parsing Extended(bool read_only = false) {
  return Parsing(
      RequestRules{.read_only = read_only, .style = ReplyStyle::kExtended, .contexts = {1, 7}});
}
Lines FeedExtended(const Bytes& bytes, bool read_only = false) {
  return Extended(read_only).Feed(bytes);
}

TEST(ExtendedRequests, EveryCommandIsTakenWithLengthsOf64Bits) {
  Parsing parsing = Extended();
  parsing.parser.set_size(std::uint64_t{16} << 40);
  const std::uint64_t all = std::uint64_t{16} << 40;
  EXPECT_EQ(parsing.Feed(Joined({
                ExtendedBytes(testing::kRead, 4096, 512, 1, testing::kDf),
                ExtendedWrite(0, "payload!", 2),
                ExtendedBytes(testing::kFlush, 0, 0, 3),
                ExtendedBytes(testing::kTrim, 0, all, 4),
                ExtendedBytes(testing::kWriteZeroes, 4096, all - 4096, 5, testing::kFastZero),
                ExtendedBytes(testing::kCache, 0, all, 6),
                ExtendedBytes(testing::kBlockStatus, 0, all, 7, testing::kReqOne),
                ExtendedWrite(8, "fua", 8, testing::kPayloadLength | testing::kFua),
                ExtendedBytes(testing::kDisc, 0, 0, 9),
            })),
            (Lines{"request 1 0 @4096+512 ''", "request 2 1 @0+8 'payload!'", "request 3 3 @0+0 ''",
                   "request 4 4 @0+17592186044416 ''", "request 5 6 @4096+17592186040320 ''",
                   "request 6 5 @0+17592186044416 ''", "request 7 7 @0+17592186044416 ''",
                   "request 8 1 @8+3 'fua'", "disconnect"}));
}

TEST(ExtendedRequests, OneKindOfHeaderIsNeverTakenForTheOther) {
  EXPECT_EQ(FeedExtended(RequestBytes(testing::kRead, 0, 512, 1)), Lines{});  // 4 bytes short
  EXPECT_EQ(FeedExtended(Joined({RequestBytes(testing::kRead, 0, 512, 1), Bytes(4)})),
            Lines{"broken: wrong request magic"});
  EXPECT_EQ(FeedOnce(ExtendedBytes(testing::kRead, 0, 512, 1)),
            Lines{"broken: wrong request magic"});
}

TEST(ExtendedRequests, OffsetAndLengthThatOverflow64BitsAreBeyondTheEnd) {
  for (const auto& [offset, length] : {std::pair(~0ull, ~0ull),
                                       {1ull, ~0ull},
                                       {kSize, ~0ull - kSize + 1},
                                       {1ull << 63, 1ull << 63},
                                       {0ull, kSize + 1},
                                       {0ull, (1ull << 32) + 512}}) {
    EXPECT_EQ(FeedExtended(ExtendedBytes(testing::kTrim, offset, length, 1)),
              Lines{"refusal 1 22"});
    EXPECT_EQ(FeedExtended(ExtendedBytes(testing::kCache, offset, length, 1)),
              Lines{"refusal 1 22"});
    EXPECT_EQ(FeedExtended(ExtendedBytes(testing::kBlockStatus, offset, length, 1)),
              Lines{"refusal 1 22"});
    EXPECT_EQ(FeedExtended(ExtendedStatus(offset, length, {1}, 1)), Lines{"refusal 1 22"});
    EXPECT_EQ(FeedExtended(ExtendedBytes(testing::kWriteZeroes, offset, length, 1)),
              Lines{"refusal 1 28"});
  }
}

TEST(ExtendedRequests, AReadOfMoreThan32MiBSaysSoWhateverItsLength) {
  Parsing parsing = Extended();
  parsing.parser.set_size(std::uint64_t{16} << 40);
  EXPECT_EQ(parsing.Feed(Joined({ExtendedBytes(testing::kRead, 0, (32 << 20) + 1, 1),
                                 ExtendedBytes(testing::kRead, 0, std::uint64_t{1} << 40, 2),
                                 ExtendedBytes(testing::kRead, 0, (1ull << 32) + 512, 3),
                                 ExtendedBytes(testing::kRead, 0, 32 << 20, 4)})),
            (Lines{"refusal 1 75", "refusal 2 75", "refusal 3 75", "request 4 0 @0+33554432 ''"}));
  EXPECT_EQ(parsing.pool.taken_bytes(), 0u);
}

TEST(ExtendedRequests, APayloadOfMoreThan32MiBEndsTheConnection) {
  for (const std::uint64_t length : {(32ull << 20) + 1, 1ull << 32, ~0ull}) {
    for (const std::uint16_t command :
         {testing::kWrite, testing::kRead, testing::kBlockStatus, std::uint16_t{99}}) {
      const Lines said =
          FeedExtended(ExtendedBytes(command, 0, length, 1, testing::kPayloadLength));
      EXPECT_EQ(said, Lines{"broken: payload of " + std::to_string(length) + " bytes"});
    }
  }
}

// As every qemu from 8.2 on writes.
TEST(ExtendedRequests, AWriteNeedNotSayThatItHasAPayload) {
  EXPECT_EQ(
      FeedExtended(
          Joined({ExtendedWrite(0, "unsaid", 1, 0), ExtendedWrite(8, "fua", 2, testing::kFua),
                  ExtendedBytes(testing::kTrim, 0, 512, 3)})),
      (Lines{"request 1 1 @0+6 'unsaid'", "request 2 1 @8+3 'fua'", "request 3 4 @0+512 ''"}));
  // What looks like a request is data, also of a write that is refused.
  const Bytes trim = ExtendedBytes(testing::kTrim, 0, 512, 9);
  EXPECT_EQ(FeedExtended(Joined({ExtendedWrite(kSize, AsText(trim), 1, 0),
                                 ExtendedBytes(testing::kWrite, 0, 0, 2),
                                 ExtendedBytes(testing::kRead, 0, 512, 3)})),
            (Lines{"refusal 1 28", "refusal 2 22", "request 3 0 @0+512 ''"}));
  EXPECT_EQ(FeedExtended(ExtendedBytes(testing::kWrite, 0, (32ull << 20) + 1, 1)),
            Lines{"broken: payload of 33554433 bytes"});
}

TEST(ExtendedRequests, PayloadsWhereNoneBelongAreDrainedAndRefused) {
  const auto with_payload = [](std::uint16_t command, std::uint64_t cookie) {
    return Joined({ExtendedBytes(command, 0, 700, cookie, testing::kPayloadLength),
                   ExtendedBytes(testing::kTrim, 0, 512, 99), Bytes(700 - 32, std::byte{1})});
  };
  EXPECT_EQ(FeedExtended(Joined({
                with_payload(testing::kRead, 1),
                with_payload(testing::kFlush, 2),
                with_payload(testing::kTrim, 3),
                with_payload(testing::kCache, 4),
                with_payload(testing::kWriteZeroes, 5),
                with_payload(77, 6),
                ExtendedBytes(testing::kTrim, 0, 0, 7, testing::kPayloadLength),
                ExtendedBytes(testing::kWrite, 0, 0, 8, testing::kPayloadLength),
                ExtendedBytes(testing::kRead, 0, 512, 9),
            })),
            (Lines{"refusal 1 22", "refusal 2 22", "refusal 3 22", "refusal 4 22", "refusal 5 22",
                   "refusal 6 22", "refusal 7 22", "refusal 8 22", "request 9 0 @0+512 ''"}));
}

TEST(ExtendedRequests, RefusedWritesAreDrained) {
  const std::string data(700, 'x');
  EXPECT_EQ(FeedExtended(Joined({ExtendedWrite(kSize, data, 1),
                                 ExtendedWrite(0, data, 2, testing::kPayloadLength | testing::kDf),
                                 ExtendedBytes(testing::kRead, 0, 512, 3)})),
            (Lines{"refusal 1 28", "refusal 2 22", "request 3 0 @0+512 ''"}));
  EXPECT_EQ(FeedExtended(
                Joined({ExtendedWrite(0, data, 1), ExtendedBytes(testing::kWriteZeroes, 0, 512, 2),
                        ExtendedBytes(testing::kTrim, 0, 512, 3),
                        ExtendedBytes(testing::kRead, 0, 512, 4)}),
                true),
            (Lines{"refusal 1 1", "refusal 2 1", "refusal 3 1", "request 4 0 @0+512 ''"}));
}

TEST(ExtendedRequests, ABlockStatusMayChooseAmongTheContexts) {
  const auto chosen = [](const std::vector<std::uint32_t>& ids) {
    Parsing parsing = Extended();
    EXPECT_EQ(parsing.Feed(ExtendedStatus(4096, 8192, ids, 1)), Lines{"request 1 7 @4096+8192 ''"});
    return parsing.parser.request().contexts;
  };
  EXPECT_EQ(chosen({1}), 1u);
  EXPECT_EQ(chosen({7}), 2u);
  EXPECT_EQ(chosen({7, 1}), 3u);
  Parsing parsing = Extended();
  parsing.Feed(ExtendedBytes(testing::kBlockStatus, 0, 512, 1));
  EXPECT_EQ(parsing.parser.request().contexts & 3, 3u);
}

TEST(ExtendedRequests, ABlockStatusThatChoosesBadlyIsRefusedAndTheStreamStaysInStep) {
  Bytes odd = ExtendedBytes(testing::kBlockStatus, 0, 13, 6, testing::kPayloadLength);
  odd.resize(odd.size() + 13, std::byte{0});
  Bytes large = ExtendedBytes(testing::kBlockStatus, 0, 1 << 20, 7, testing::kPayloadLength);
  large.resize(large.size() + (1 << 20), std::byte{0});
  Parsing parsing = Extended();
  EXPECT_EQ(
      parsing.Feed(Joined({ExtendedStatus(0, 512, {2}, 1), ExtendedStatus(0, 512, {1, 1}, 2),
                           ExtendedStatus(0, 512, {1, 7, 1}, 3), ExtendedStatus(0, 512, {}, 4),
                           ExtendedStatus(0, 0, {1}, 5), odd, large,
                           ExtendedBytes(testing::kBlockStatus, 0, 0, 8, testing::kPayloadLength),
                           ExtendedBytes(testing::kRead, 0, 512, 9)})),
      (Lines{"refusal 1 22", "refusal 2 22", "refusal 3 22", "refusal 4 22", "refusal 5 22",
             "refusal 6 22", "refusal 7 22", "refusal 8 22", "request 9 0 @0+512 ''"}));
  // Also when nothing was selected to choose from.
  Parsing none(RequestRules{.read_only = false, .style = ReplyStyle::kExtended, .contexts = {}});
  EXPECT_EQ(none.Feed(Joined({ExtendedStatus(0, 512, {1}, 1),
                              ExtendedBytes(testing::kBlockStatus, 0, 512, 2),
                              ExtendedBytes(testing::kRead, 0, 512, 3)})),
            (Lines{"refusal 1 22", "refusal 2 22", "request 3 0 @0+512 ''"}));
}

TEST(ExtendedRequests, SayTheSameHoweverTheBytesAreCut) {
  const Bytes bytes = Joined({
      ExtendedWrite(0, std::string(100, 'a'), 1),
      ExtendedWrite(0, std::string(70, 'b'), 7, 0),
      ExtendedStatus(0, 4096, {7, 1}, 2),
      ExtendedStatus(0, 4096, {9}, 3),
      ExtendedBytes(testing::kRead, 0, 33, 4, testing::kPayloadLength),
      Bytes(33, std::byte{0x21}),
      ExtendedBytes(testing::kTrim, 512, 512, 5),
      ExtendedBytes(testing::kDisc, 0, 0, 6),
  });
  const Lines whole = FeedExtended(bytes);
  EXPECT_EQ(whole.size(), 7u);
  for (const std::size_t piece : {1, 2, 3, 7, 31, 32, 33, 40}) {
    Parsing parsing = Extended();
    Lines said;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const ByteView part = ByteView(bytes).subspan(at, std::min(piece, bytes.size() - at));
      for (std::string& line : parsing.Feed(part)) said.push_back(std::move(line));
    }
    EXPECT_EQ(said, whole) << piece;
  }
}

class Gate final : public PayloadGate {
 public:
  bool MayHold(std::size_t bytes) override {
    asked_for = bytes;
    return open;
  }
  std::size_t asked_for = 0;
  bool open = false;
};

TEST(RequestParser, APayloadThatIsNotLetInIsAskedForAgain) {
  BufferPool pool(0);
  Gate gate;
  RequestParser parser(pool, {});
  parser.set_payload_gate(&gate);
  parser.set_size(kSize);
  const Bytes write = WriteBytes(0, std::string(1000, 'w'), 7);
  ByteView whole = write;
  EXPECT_EQ(parser.Advance(whole), RequestParser::Step::kRequest);  // it lies in the input
  EXPECT_EQ(gate.asked_for, 0u);
  ByteView part = ByteView(write).first(500);
  EXPECT_EQ(parser.Advance(part), RequestParser::Step::kMustWait);
  EXPECT_EQ(gate.asked_for, 1000u);
  EXPECT_EQ(parser.Advance(part), RequestParser::Step::kMustWait);
  EXPECT_EQ(pool.taken_bytes(), 0u);
  gate.open = true;
  EXPECT_EQ(parser.Advance(part), RequestParser::Step::kNeedBytes);
  EXPECT_EQ(parser.payload_bytes(), 1000u);
  ByteView rest = ByteView(write).subspan(500);
  EXPECT_EQ(parser.Advance(rest), RequestParser::Step::kRequest);
  EXPECT_EQ(AsText(parser.request().payload), std::string(1000, 'w'));
}

}  // namespace
}  // namespace coffer::nbd

// Structured replies as bytes, and what BLOCK_STATUS makes of a device.
#include "nbd/replies.h"

#include <gtest/gtest.h>

#include <random>

#include "nbd/meta_context.h"
#include "nbd/reply_queue.h"
#include "tests/nbd/client_bytes.h"
#include "tests/support/memory_device.h"

namespace coffer::nbd {
namespace {

using testing::Chunk;
using testing::Get;

struct Laid {
  std::vector<Chunk> chunks;
  std::size_t size;
};

Laid LayOut(const std::string& data, std::uint64_t offset, Fragments fragments,
            ReplyStyle style = ReplyStyle::kStructured) {
  const std::size_t header = ReadHeaderBytes(style);
  Bytes reply(header + data.size(), std::byte{0xee});
  std::copy(AsBytes(data).begin(), AsBytes(data).end(),
            reply.begin() + static_cast<std::ptrdiff_t>(header));
  Laid laid;
  laid.size = LayOutRead(reply, {style, 77, offset}, fragments);
  ByteView rest = ByteView(reply).first(laid.size);
  while (!rest.empty()) {
    laid.chunks.push_back(style == ReplyStyle::kExtended ? testing::TakeExtendedChunk(rest)
                                                         : testing::TakeChunk(rest));
  }
  return laid;
}

// What a client has after the chunks; '?' where none came.
std::string Assembled(const std::vector<Chunk>& chunks, std::uint64_t offset, std::size_t length) {
  std::string got(length, '?');
  for (const Chunk& chunk : chunks) {
    const auto at = static_cast<std::size_t>(Get(AsBytes(chunk.payload), 0, 8) - offset);
    if (chunk.type == testing::kOffsetHole) {
      EXPECT_EQ(chunk.payload.size(), 12u);
      const auto hole = static_cast<std::size_t>(Get(AsBytes(chunk.payload), 8, 4));
      EXPECT_GT(hole, 0u);
      got.replace(at, hole, hole, '\0');
    } else {
      EXPECT_EQ(chunk.type, testing::kOffsetData);
      EXPECT_GT(chunk.payload.size(), 8u);
      got.replace(at, chunk.payload.size() - 8, chunk.payload.substr(8));
    }
    EXPECT_EQ(chunk.cookie, 77u);
    if (chunk.request_offset) {
      EXPECT_EQ(*chunk.request_offset, offset);
    }
    EXPECT_EQ(chunk.done, &chunk == &chunks.back());
  }
  return got;
}

TEST(Replies, ASimpleReadIsAHeaderAndItsData) {
  Bytes reply(kReplyHeaderBytes + 5, std::byte{'d'});
  EXPECT_EQ(LayOutRead(reply, {ReplyStyle::kSimple, 7, 0}, Fragments::kAllowed), reply.size());
  EXPECT_EQ(AsText(ByteView(reply)),
            std::string_view("\x67\x44\x66\x98\0\0\0\0\0\0\0\0\0\0\0\7ddddd", 21));
}

TEST(Replies, ReadsWithoutHolesAreOneChunkAndHolesOneEach) {
  const std::string data(8192, 'd');
  const std::string hole(8192, '\0');
  const auto types = [](const Laid& laid) {
    std::vector<int> all;
    for (const Chunk& chunk : laid.chunks) all.push_back(chunk.type);
    return all;
  };
  EXPECT_EQ(types(LayOut(data, 4096, Fragments::kAllowed)), (std::vector<int>{1}));
  EXPECT_EQ(types(LayOut(hole, 4096, Fragments::kAllowed)), (std::vector<int>{2}));
  EXPECT_EQ(LayOut(hole, 4096, Fragments::kAllowed).size, 32u);
  const std::string mixed = data + hole + data + hole;
  EXPECT_EQ(types(LayOut(mixed, 4096, Fragments::kAllowed)), (std::vector<int>{1, 2, 1, 2}));
  EXPECT_EQ(types(LayOut(mixed, 4096, Fragments::kForbidden)), (std::vector<int>{1}));
  EXPECT_EQ(types(LayOut(hole + mixed, 4096, Fragments::kForbidden)), (std::vector<int>{1}));
  EXPECT_EQ(types(LayOut(hole, 4096, Fragments::kForbidden)), (std::vector<int>{2}));
  EXPECT_EQ(types(LayOut(std::string(512, '\0'), 0, Fragments::kAllowed)), (std::vector<int>{1}));
}

TEST(Replies, WhateverIsReadArrivesAsItWas) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    const std::uint64_t offset = (random() % 3 == 0) ? random() % 20000 : random() % 5 * 4096;
    std::string data;
    while (data.size() < 40000 && random() % 8 != 0) {
      const std::size_t run = random() % 2 == 0 ? random() % 9000 : random() % 4 * 4096;
      data += std::string(run, random() % 2 == 0 ? '\0' : 'd');
    }
    if (data.empty()) data = "d";
    for (int way = 0; way < 4; ++way) {
      const Fragments fragments = way % 2 == 0 ? Fragments::kAllowed : Fragments::kForbidden;
      const ReplyStyle style = way / 2 == 0 ? ReplyStyle::kStructured : ReplyStyle::kExtended;
      const Laid laid = LayOut(data, offset, fragments, style);
      ASSERT_TRUE(Assembled(laid.chunks, offset, data.size()) == data) << "round " << round;
      ASSERT_LE(laid.size, data.size() + ReadHeaderBytes(style));
      if (fragments == Fragments::kForbidden) {
        ASSERT_EQ(laid.chunks.size(), 1u);
      }
    }
  }
}

TEST(Replies, AnErrorCarriesItsTextAndPlaceAndIsCutBetweenCharacters) {
  Bytes plain;
  AppendError(plain, {ReplyStyle::kStructured, 7, 0}, ReplyError::kNoSpc, "full", {false, 0});
  ByteView in = plain;
  Chunk chunk = testing::TakeChunk(in);
  EXPECT_TRUE(chunk.done && in.empty());
  EXPECT_EQ(chunk.type, testing::kError);
  EXPECT_EQ(chunk.payload, std::string("\0\0\0\x1c\0\4full", 10));

  std::string longer = "x";
  for (int i = 0; i < 500; ++i) longer += "é";
  Bytes placed;
  AppendError(placed, {ReplyStyle::kStructured, 7, 4096}, ReplyError::kIo, longer, {true, 4096});
  in = placed;
  chunk = testing::TakeChunk(in);
  EXPECT_TRUE(chunk.done && in.empty());
  EXPECT_EQ(chunk.type, testing::kErrorOffset);
  EXPECT_EQ(Get(AsBytes(chunk.payload), 4, 2), 511u);
  EXPECT_EQ(chunk.payload.size(), 6u + 511 + 8);
  EXPECT_EQ(Get(AsBytes(chunk.payload), 6 + 511, 8), 4096u);
}

TEST(Replies, WithExtendedHeadersEveryReplyIsAChunkThatNamesTheRequestsOffset) {
  constexpr std::uint64_t kOffset = 0x0102030405060708;
  const ReplyTo to{ReplyStyle::kExtended, 0x1112131415161718, kOffset};
  Bytes done(DoneBytes(to.style));
  StoreDone(done.data(), to);
  EXPECT_EQ(AsText(ByteView(done)),
            std::string_view("\x6e\x8a\x27\x8c\0\1\0\0\x11\x12\x13\x14\x15\x16\x17\x18"
                             "\1\2\3\4\5\6\7\10\0\0\0\0\0\0\0\0",
                             32));
  Bytes refused;
  AppendError(refused, to, ReplyError::kOverflow, "long", {true, kOffset});
  ByteView in = refused;
  const Chunk error = testing::TakeExtendedChunk(in);
  EXPECT_TRUE(error.done && in.empty());
  EXPECT_EQ(error.type, testing::kErrorOffset);
  EXPECT_EQ(error.request_offset, kOffset);
  EXPECT_EQ(error.payload, std::string("\0\0\0\x4b\0\4long\1\2\3\4\5\6\7\10", 18));
  Bytes status;
  const StatusRun runs[] = {{std::uint64_t{1} << 44, 3}, {4096, 0}};
  AppendStatusChunk(status, to, 5, runs, LastChunk::kNo);
  in = status;
  const Chunk chunk = testing::TakeExtendedChunk(in);
  EXPECT_TRUE(!chunk.done && in.empty());
  EXPECT_EQ(chunk.type, testing::kStatusExtended);
  EXPECT_EQ(chunk.payload, std::string("\0\0\0\5\0\0\0\2\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\3"
                                       "\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\0\0",
                                       40));
}

// A client that reads holes and takes no replies would otherwise hold 32 MiB for each 32 bytes.
TEST(ReplyQueue, RepliesOfHolesHoldNoMoreMemoryThanIsCounted) {
  BufferPool pool(0);
  ReplyQueue queue(pool);
  for (int i = 0; i < 100; ++i) {
    Buffer reply = pool.Take(1 << 20);
    ASSERT_TRUE(queue.AddRead(std::move(reply), 32));
  }
  EXPECT_EQ(queue.bytes(), 3200u);
  EXPECT_LT(pool.taken_bytes(), 1u << 20);
  for (int i = 0; i < 100; ++i) {
    ASSERT_FALSE(queue.StartRead(256 * 1024).empty());
    queue.FinishRead(32);
  }
  EXPECT_GE(queue.held_bytes() + (64 << 10), pool.taken_bytes() * 9 / 10);
  queue.Clear();
  EXPECT_EQ(queue.held_bytes(), 0u);
  EXPECT_EQ(pool.taken_bytes(), 0u);
}

TEST(BaseAllocation, TellsHolesAndDataUpToTheLimits) {
  coffer::testing::MemoryDevice device(4 << 20);
  for (std::uint64_t block = 0; block < 1024; block += 2) {
    ASSERT_TRUE(device.Write(block * 4096, AsBytes("d"), block::WriteFlag::kNone).has_value());
  }
  const auto all = BaseAllocation().Status(device, 0, 4 << 20, 2000);
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->size(), 1024u);
  EXPECT_TRUE((*all)[0].length == 4096 && (*all)[0].flags == 0);
  EXPECT_TRUE((*all)[1].length == 4096 && (*all)[1].flags == (kStateHole | kStateZero));
  EXPECT_EQ(BaseAllocation().Status(device, 100, 1 << 20, 10)->size(), 10u);
  const auto first = BaseAllocation().Status(device, 100, 1 << 20, 1);
  EXPECT_TRUE(first->size() == 1 && first->front().length == 3996);
}

/// Another context, as bitmaps will be.
class EveryOther final : public MetaContext {
 public:
  std::string_view name() const override { return "x-test:every-other"; }
  Result<std::vector<StatusRun>> Status(block::BlockDevice&, std::uint64_t, std::uint64_t length,
                                        std::size_t) const override {
    return std::vector<StatusRun>{{length, 7}};
  }
};

TEST(StatusReply, HasAChunkForEachContextAndLooksAtSoMuchOnly) {
  coffer::testing::MemoryDevice device(1 << 20);
  const EveryOther other;
  const std::vector<SelectedContext> both{{1, &BaseAllocation()}, {5, &other}};
  const auto reply = StatusReply(device, both, {ReplyStyle::kStructured, 9, 0},
                                 {1 << 20, kCommandRequireOne, ~0u});
  ASSERT_TRUE(reply.has_value());
  ByteView in = *reply;
  const Chunk first = testing::TakeChunk(in);
  const Chunk second = testing::TakeChunk(in);
  EXPECT_TRUE(in.empty());
  EXPECT_TRUE(!first.done && second.done);
  EXPECT_EQ(first.payload, std::string("\0\0\0\1\0\x10\0\0\0\0\0\3", 12));
  EXPECT_EQ(second.payload, std::string("\0\0\0\5\0\x10\0\0\0\0\0\7", 12));
  const StatusQuestion of_second{std::uint64_t{1} << 44, 0, 2};
  const auto huge = StatusReply(device, both, {ReplyStyle::kStructured, 9, 0}, of_second);
  EXPECT_EQ(Get(*huge, 20, 4), 5u);
  EXPECT_EQ(Get(*huge, 24, 4), kStatusBytesMax);
  EXPECT_EQ(huge->size(), 32u);
  const auto extended = StatusReply(device, both, {ReplyStyle::kExtended, 9, 0}, of_second);
  EXPECT_EQ(Get(*extended, 32, 4), 5u);
  EXPECT_EQ(Get(*extended, 40, 8), std::uint64_t{1} << 44);
  EXPECT_EQ(extended->size(), 56u);
}

}  // namespace
}  // namespace coffer::nbd

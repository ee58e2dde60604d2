#include "core/store/sftp_packets.h"

#include <gtest/gtest.h>

#include "tests/store/fake_sftp_server.h"
#include "tests/support/result_macros.h"

namespace coffer::store::sftp {
namespace {

using Fake = FakeSftpServer;

std::string Packet(int type, std::uint32_t id, const std::string& fields) {
  return std::string(1, static_cast<char>(type)) + Fake::Number(id, 4) + fields;
}

std::string Hex(const Bytes& bytes) { return ToHex(bytes); }

TEST(SftpPackets, AreLaidOutAsTheDraftSays) {
  EXPECT_EQ(Hex(EncodeInit()), "000000050100000003");
  Request open = Open("/a", kOpenRead);
  SetId(&open.packet, 0x01020304);
  EXPECT_EQ(Hex(open.packet),
            "00000013"
            "03"
            "01020304"
            "00000002"
            "2f61"
            "00000001"
            "00000000");
  EXPECT_EQ(Hex(Open("/a", kOpenNew).packet).substr(30, 8), "0000002a");
  EXPECT_EQ(Hex(Read("h", 0x0102030405060708, 9).packet),
            "00000016"
            "05"
            "00000000"
            "00000001"
            "68"
            "0102030405060708"
            "00000009");
  EXPECT_EQ(Hex(Write("h", 1, AsBytes("xy")).packet),
            "00000018"
            "06"
            "00000000"
            "00000001"
            "68"
            "0000000000000001"
            "00000002"
            "7879");
  EXPECT_EQ(Write("h", 1, AsBytes("xy")).payload_bytes, 2U);
  const std::string link = Hex(HardLink("/a", "/b").packet);
  EXPECT_EQ(link.substr(0, 10), "00000029c8");
  EXPECT_NE(link.find(ToHex(AsBytes("hardlink@openssh.com"))), std::string::npos);
}

TEST(SftpPackets, ReadAStatusWithAndWithoutWords) {
  ASSERT_OK_AND_ASSIGN(const Reply with, DecodeReply(AsBytes(Fake::Status(7, 4, "Failure"))));
  EXPECT_EQ(with.id, 7U);
  EXPECT_EQ(std::get<StatusReply>(with.body).code, StatusCode::kFailure);
  EXPECT_EQ(std::get<StatusReply>(with.body).message, "Failure");
  ASSERT_OK_AND_ASSIGN(const Reply without,
                       DecodeReply(AsBytes(Packet(101, 8, Fake::Number(2, 4)))));
  EXPECT_EQ(std::get<StatusReply>(without.body).code, StatusCode::kNoSuchFile);
  ASSERT_OK_AND_ASSIGN(const Reply odd, DecodeReply(AsBytes(Packet(101, 8, Fake::Number(99, 4)))));
  EXPECT_EQ(std::get<StatusReply>(odd.body).code, StatusCode::kFailure);
}

TEST(SftpPackets, ReadEveryPartOfAttributesAndPassOverExtensions) {
  const std::string all = Fake::Number(0x8000000f, 4) + Fake::Number(1ULL << 40, 8) +
                          Fake::Number(5, 4) + Fake::Number(6, 4) + Fake::Number(0120777, 4) +
                          Fake::Number(7, 4) + Fake::Number(8, 4) + Fake::Number(1, 4) +
                          Fake::Text("acl@x") + Fake::Text("?");
  ASSERT_OK_AND_ASSIGN(const Reply reply, DecodeReply(AsBytes(Packet(105, 1, all))));
  const Attributes& attributes = std::get<AttributesReply>(reply.body).attributes;
  EXPECT_EQ(attributes.size, 1ULL << 40);
  EXPECT_EQ(attributes.owner_uid, 5U);
  EXPECT_EQ(attributes.modified_unix, 8U);
  EXPECT_TRUE(attributes.IsSymlink());
  EXPECT_FALSE(attributes.IsDirectory());
  ASSERT_OK_AND_ASSIGN(const Reply none, DecodeReply(AsBytes(Packet(105, 1, Fake::Number(0, 4)))));
  EXPECT_FALSE(std::get<AttributesReply>(none.body).attributes.TellsKind());
}

TEST(SftpPackets, ReadNamesThatAreNoUtf8AsTheyAre) {
  const std::string name = "a\xff\xfe/\n";
  const std::string fields =
      Fake::Number(1, 4) + Fake::Text(name) + Fake::Text("") + Fake::Number(0, 4);
  ASSERT_OK_AND_ASSIGN(const Reply reply, DecodeReply(AsBytes(Packet(104, 1, fields))));
  ASSERT_EQ(std::get<NameReply>(reply.body).entries.size(), 1U);
  EXPECT_EQ(std::get<NameReply>(reply.body).entries[0].name, name);
}

TEST(SftpPackets, CountsAndLengthsThatLieAreErrorsBeforeMemoryIsTaken) {
  const std::string huge = Fake::Number(0xffffffff, 4);
  for (const std::string& packet : {
           std::string(),
           std::string("\x65", 1),
           Packet(101, 1, ""),                                 // no code
           Packet(101, 1, Fake::Number(4, 4) + huge),          // words beyond the packet
           Packet(102, 1, huge),                               // a handle
           Packet(102, 1, Fake::Text("")),                     // of no length
           Packet(102, 1, Fake::Text(std::string(257, 'h'))),  // too long
           Packet(103, 1, huge + "x"),
           Packet(104, 1, huge),  // 4 billion names
           Packet(104, 1, Fake::Number(2, 4) + std::string(12, '\0')),
           Packet(105, 1, Fake::Number(0x80000000, 4) + huge),
           Packet(105, 1, Fake::Number(1, 4)),
           Packet(3, 1, ""),  // a request
           Packet(77, 1, ""),
       }) {
    EXPECT_FAILS(DecodeReply(AsBytes(packet)), kUnavailable) << ToHex(AsBytes(packet));
  }
}

TEST(SftpPackets, GreetingTellsWhatIsOffered) {
  const std::string greeting = std::string("\2", 1) + Fake::Number(3, 4) +
                               Fake::Text("fsync@openssh.com") + Fake::Text("1") +
                               Fake::Text("hardlink@openssh.com") + Fake::Text("2") +
                               Fake::Text("statvfs@openssh.com") + Fake::Text("2");
  ASSERT_OK_AND_ASSIGN(const VersionReply reply, DecodeVersion(AsBytes(greeting)));
  EXPECT_TRUE(reply.offers.fsync);
  EXPECT_FALSE(reply.offers.hard_link) << "of a revision that nobody knows";
  EXPECT_TRUE(reply.offers.stat_vfs);
  EXPECT_FALSE(reply.offers.limits);

  std::string many = std::string("\2", 1) + Fake::Number(3, 4);
  for (std::size_t i = 0; i <= kExtensionsMax; ++i) many += Fake::Text("x") + Fake::Text("");
  EXPECT_FAILS(DecodeVersion(AsBytes(many)), kUnavailable);
  EXPECT_FAILS(DecodeVersion(AsBytes(greeting).first(greeting.size() - 1)), kUnavailable);
  EXPECT_FAILS(DecodeVersion(AsBytes("Welcome")), kUnavailable);
}

TEST(PacketCutter, CutsWhateverPiecesTheBytesComeIn) {
  std::string stream;
  for (int i = 0; i < 50; ++i) {
    stream += Fake::WithLength(std::string(static_cast<std::size_t>(1 + i * 7), 'a'));
  }
  for (const std::size_t piece : {1U, 2U, 3U, 5U, 64U, 100'000U}) {
    PacketCutter cutter;
    std::size_t packets = 0;
    for (std::size_t offset = 0; offset < stream.size(); offset += piece) {
      cutter.Feed(AsBytes(std::string_view(stream).substr(offset, piece)));
      while (true) {
        ASSERT_OK_AND_ASSIGN(const std::optional<ByteView> packet, cutter.Next());
        if (!packet.has_value()) break;
        EXPECT_EQ(packet->size(), 1 + packets * 7);
        ++packets;
      }
    }
    EXPECT_EQ(packets, 50U) << "in pieces of " << piece;
  }
}

TEST(PacketCutter, RefusesALengthThatNoPacketHasAtOnce) {
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{kPacketBytesMax + 1},
                                     std::uint64_t{0x57656c63}}) {  // "Welc"
    PacketCutter cutter;
    cutter.Feed(AsBytes(Fake::WithLength("fine") + Fake::Number(length, 4)));
    ASSERT_OK_AND_ASSIGN(const std::optional<ByteView> fine, cutter.Next());
    EXPECT_TRUE(fine.has_value());
    EXPECT_FAILS(cutter.Next(), kUnavailable) << length;
  }
}

}  // namespace
}  // namespace coffer::store::sftp

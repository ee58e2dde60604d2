#include "core/store/sftp_packets.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::store::sftp {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kIdOffset = 5;  // behind length and type
constexpr std::uint32_t kNoId = 0;

constexpr std::string_view kHardLinkName = "hardlink@openssh.com";
constexpr std::string_view kFsyncName = "fsync@openssh.com";
constexpr std::string_view kLimitsName = "limits@openssh.com";
constexpr std::string_view kStatVfsName = "statvfs@openssh.com";

/// Bits of what an ATTRS structure holds.
constexpr std::uint32_t kHasSize = 0x01;
constexpr std::uint32_t kHasOwners = 0x02;
constexpr std::uint32_t kHasMode = 0x04;
constexpr std::uint32_t kHasTimes = 0x08;
constexpr std::uint32_t kHasExtended = 0x80000000;

/// A packet as it grows; its length is set last.
class Writer {
 public:
  explicit Writer(PacketType type, std::size_t room = 64) {
    bytes_.reserve(kLengthBytes + 1 + room);
    bytes_.resize(kLengthBytes);
    bytes_.push_back(static_cast<std::byte>(type));
  }

  Writer& Number32(std::uint32_t value) { return Number(value, 4); }
  Writer& Number64(std::uint64_t value) { return Number(value, 8); }
  Writer& String(ByteView text) {
    Number32(static_cast<std::uint32_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }
  Writer& String(std::string_view text) { return String(AsBytes(text)); }

  Bytes Take() {
    Put(0, static_cast<std::uint32_t>(bytes_.size() - kLengthBytes), kLengthBytes);
    return std::move(bytes_);
  }

 private:
  Writer& Number(std::uint64_t value, std::size_t width) {
    bytes_.resize(bytes_.size() + width);
    Put(bytes_.size() - width, value, width);
    return *this;
  }
  void Put(std::size_t offset, std::uint64_t value, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) {
      bytes_[offset + i] = static_cast<std::byte>(value >> (8 * (width - 1 - i)));
    }
  }

  Bytes bytes_;
};

/// A request up to its id.
Writer Asking(PacketType type, std::size_t room = 64) {
  Writer writer(type, room);
  writer.Number32(kNoId);
  return writer;
}

Request Extended(std::string_view name, std::initializer_list<std::string_view> strings) {
  Writer writer = Asking(PacketType::kExtended);
  writer.String(name);
  for (const std::string_view text : strings) writer.String(text);
  return {PacketType::kExtended, writer.Take()};
}

tl::unexpected<Error> FailForm(std::string_view what) {
  return Fail(ErrorCode::kUnavailable,
              Concat("the server's answer does not follow the SFTP protocol: ", what));
}

class Reader {
 public:
  explicit Reader(ByteView bytes) : left_(bytes) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }
  [[nodiscard]] std::size_t left() const { return left_.size(); }

  Result<std::uint8_t> Number8() {
    ASSIGN_OR_RETURN(const std::uint64_t value, Number(1));
    return static_cast<std::uint8_t>(value);
  }
  Result<std::uint32_t> Number32() {
    ASSIGN_OR_RETURN(const std::uint64_t value, Number(4));
    return static_cast<std::uint32_t>(value);
  }
  Result<std::uint64_t> Number64() { return Number(8); }

  /// A view of what is being read.
  Result<ByteView> String() {
    ASSIGN_OR_RETURN(const std::uint32_t length, Number32());
    if (length > left_.size()) return FailForm("a text reaches beyond its packet");
    return Take(length);
  }
  Result<std::string_view> Text() {
    ASSIGN_OR_RETURN(const ByteView bytes, String());
    return AsText(bytes);
  }

 private:
  ByteView Take(std::size_t count) {
    const ByteView taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }
  Result<std::uint64_t> Number(std::size_t width) {
    if (left_.size() < width) return FailForm("a packet is too short");
    std::uint64_t value = 0;
    for (const std::byte byte : Take(width)) {
      value = value << 8 | std::to_integer<std::uint64_t>(byte);
    }
    return value;
  }

  ByteView left_;
};

Result<Attributes> ReadAttributes(Reader& reader) {
  Attributes attributes;
  ASSIGN_OR_RETURN(const std::uint32_t flags, reader.Number32());
  if ((flags & kHasSize) != 0) {
    ASSIGN_OR_RETURN(attributes.size, reader.Number64());
  }
  if ((flags & kHasOwners) != 0) {
    ASSIGN_OR_RETURN(attributes.owner_uid, reader.Number32());
    ASSIGN_OR_RETURN([[maybe_unused]] const std::uint32_t group, reader.Number32());
  }
  if ((flags & kHasMode) != 0) {
    ASSIGN_OR_RETURN(attributes.mode, reader.Number32());
  }
  if ((flags & kHasTimes) != 0) {
    ASSIGN_OR_RETURN([[maybe_unused]] const std::uint32_t accessed, reader.Number32());
    ASSIGN_OR_RETURN(attributes.modified_unix, reader.Number32());
  }
  if ((flags & kHasExtended) != 0) {
    ASSIGN_OR_RETURN(std::uint32_t count, reader.Number32());
    for (; count > 0; --count) {  // each takes bytes that are there: the packet ends it
      RETURN_IF_ERROR(reader.String());
      RETURN_IF_ERROR(reader.String());
    }
  }
  return attributes;
}

Result<StatusReply> ReadStatus(Reader& reader) {
  ASSIGN_OR_RETURN(const std::uint32_t number, reader.Number32());
  const bool known = number <= static_cast<std::uint32_t>(StatusCode::kUnsupported);
  StatusReply reply{known ? static_cast<StatusCode>(number) : StatusCode::kFailure, {}};
  if (reader.empty()) return reply;  // servers of version 2 and some others say no more
  ASSIGN_OR_RETURN(const std::string_view message, reader.Text());
  reply.message = message;
  return reply;
}

Result<HandleReply> ReadHandle(Reader& reader) {
  ASSIGN_OR_RETURN(const std::string_view handle, reader.Text());
  if (handle.empty() || handle.size() > kHandleBytesMax) return FailForm("a handle's length");
  return HandleReply{std::string(handle)};
}

Result<NameReply> ReadNames(Reader& reader) {
  constexpr std::size_t kEntryBytesMin = 12;  // two texts and attributes, all empty
  ASSIGN_OR_RETURN(const std::uint32_t count, reader.Number32());
  if (count > reader.left() / kEntryBytesMin) return FailForm("a list is shorter than it says");
  NameReply reply;
  reply.entries.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const std::string_view name, reader.Text());
    RETURN_IF_ERROR(reader.String());  // a line for people
    ASSIGN_OR_RETURN(const Attributes attributes, ReadAttributes(reader));
    reply.entries.push_back({std::string(name), attributes});
  }
  return reply;
}

Result<decltype(Reply::body)> ReadBody(PacketType type, Reader& reader) {
  switch (type) {
    case PacketType::kStatus: {
      ASSIGN_OR_RETURN(StatusReply reply, ReadStatus(reader));
      return reply;
    }
    case PacketType::kHandle: {
      ASSIGN_OR_RETURN(HandleReply reply, ReadHandle(reader));
      return reply;
    }
    case PacketType::kData: {
      ASSIGN_OR_RETURN(const ByteView data, reader.String());
      return DataReply{ToBytes(data)};
    }
    case PacketType::kName: {
      ASSIGN_OR_RETURN(NameReply reply, ReadNames(reader));
      return reply;
    }
    case PacketType::kAttributes: {
      ASSIGN_OR_RETURN(const Attributes attributes, ReadAttributes(reader));
      return AttributesReply{attributes};
    }
    default:
      return FailForm("it is no answer");
  }
}

}  // namespace

Bytes EncodeInit() { return Writer(PacketType::kInit).Number32(kProtocolVersion).Take(); }

Request Open(std::string_view path, OpenFlags flags) {
  Writer writer = Asking(PacketType::kOpen);
  writer.String(path).Number32(flags).Number32(0);  // no attributes: the server's umask decides
  return {PacketType::kOpen, writer.Take()};
}

Request Close(std::string_view handle) {
  return {PacketType::kClose, Asking(PacketType::kClose).String(handle).Take()};
}

Request Read(std::string_view handle, std::uint64_t offset, std::uint32_t length) {
  Writer writer = Asking(PacketType::kRead);
  writer.String(handle).Number64(offset).Number32(length);
  return {PacketType::kRead, writer.Take(), length};
}

Request Write(std::string_view handle, std::uint64_t offset, ByteView data) {
  Writer writer = Asking(PacketType::kWrite, data.size() + kHandleBytesMax + 64);
  writer.String(handle).Number64(offset).String(data);
  return {PacketType::kWrite, writer.Take(), static_cast<std::uint32_t>(data.size())};
}

Request Fstat(std::string_view handle) {
  return {PacketType::kFstat, Asking(PacketType::kFstat).String(handle).Take()};
}

Request ReadDirectory(std::string_view handle) {
  return {PacketType::kReadDirectory, Asking(PacketType::kReadDirectory).String(handle).Take()};
}

Request OfPath(PacketType type, std::string_view path) {
  return {type, Asking(type).String(path).Take()};
}

Request MakeDirectory(std::string_view path) {
  Writer writer = Asking(PacketType::kMakeDirectory);
  writer.String(path).Number32(0);
  return {PacketType::kMakeDirectory, writer.Take()};
}

Request Rename(std::string_view from, std::string_view to) {
  return {PacketType::kRename, Asking(PacketType::kRename).String(from).String(to).Take()};
}

Request HardLink(std::string_view from, std::string_view to) {
  return Extended(kHardLinkName, {from, to});
}

Request Fsync(std::string_view handle) { return Extended(kFsyncName, {handle}); }

Request AskForLimits() { return Extended(kLimitsName, {}); }

Request StatVfs(std::string_view path) { return Extended(kStatVfsName, {path}); }

void SetId(Bytes* packet, std::uint32_t id) {
  CHECK(packet->size() >= kIdOffset + 4);
  for (std::size_t i = 0; i < 4; ++i) {
    (*packet)[kIdOffset + i] = static_cast<std::byte>(id >> (8 * (3 - i)));
  }
}

Result<VersionReply> DecodeVersion(ByteView packet) {
  Reader reader(packet);
  ASSIGN_OR_RETURN(const std::uint8_t type, reader.Number8());
  if (type != static_cast<std::uint8_t>(PacketType::kVersion)) return FailForm("it is no greeting");
  ASSIGN_OR_RETURN(const std::uint32_t version, reader.Number32());
  VersionReply reply{version, {}};
  for (std::size_t count = 0; !reader.empty(); ++count) {
    if (count == kExtensionsMax) return FailForm("it offers too many extensions");
    ASSIGN_OR_RETURN(const std::string_view name, reader.Text());
    ASSIGN_OR_RETURN(const std::string_view revision, reader.Text());
    if (name == kHardLinkName && revision == "1") reply.offers.hard_link = true;
    if (name == kFsyncName && revision == "1") reply.offers.fsync = true;
    if (name == kLimitsName && revision == "1") reply.offers.limits = true;
    if (name == kStatVfsName && revision == "2") reply.offers.stat_vfs = true;
  }
  return reply;
}

Result<Reply> DecodeReply(ByteView packet) {
  Reader reader(packet);
  ASSIGN_OR_RETURN(const std::uint8_t number, reader.Number8());
  ASSIGN_OR_RETURN(const std::uint32_t id, reader.Number32());
  const auto type = static_cast<PacketType>(number);
  if (type == PacketType::kExtendedReply) {
    return Reply{id, ExtendedReply{ToBytes(packet.last(reader.left()))}};
  }
  ASSIGN_OR_RETURN(auto body, ReadBody(type, reader));
  return Reply{id, std::move(body)};
}

Result<Limits> DecodeLimits(ByteView data) {
  Reader reader(data);
  Limits limits;
  ASSIGN_OR_RETURN(limits.packet_bytes, reader.Number64());
  ASSIGN_OR_RETURN(limits.read_bytes, reader.Number64());
  ASSIGN_OR_RETURN(limits.write_bytes, reader.Number64());
  return limits;
}

Result<Space> DecodeSpace(ByteView data) {
  Reader reader(data);
  ASSIGN_OR_RETURN([[maybe_unused]] const std::uint64_t block_bytes, reader.Number64());
  ASSIGN_OR_RETURN(const std::uint64_t unit, reader.Number64());
  ASSIGN_OR_RETURN(const std::uint64_t all, reader.Number64());
  ASSIGN_OR_RETURN([[maybe_unused]] const std::uint64_t free, reader.Number64());
  ASSIGN_OR_RETURN(const std::uint64_t available, reader.Number64());
  return Space{available * unit, all * unit};
}

void PacketCutter::Feed(ByteView bytes) {
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(taken_));
  taken_ = 0;
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<ByteView>> PacketCutter::Next() {
  const ByteView left = ByteView(buffer_).subspan(taken_);
  if (left.size() < kLengthBytes) return std::optional<ByteView>();
  ASSIGN_OR_RETURN(const std::uint32_t length, Reader(left).Number32());
  if (length < 1 || length > kPacketBytesMax) {
    return FailForm(Concat("a packet of ", length, " bytes"));
  }
  if (left.size() - kLengthBytes < length) return std::optional<ByteView>();
  taken_ += kLengthBytes + length;
  return std::optional<ByteView>(left.subspan(kLengthBytes, length));
}

}  // namespace coffer::store::sftp

// The packets of SFTP protocol version 3 (draft-ietf-secsh-filexfer-02) and of OpenSSH's extensions
// to it (PROTOCOL in openssh-portable), as bytes and back. Pure: no I/O, no state but the part of a
// packet that has not come yet.
//
// A packet is a length (u32, big-endian like every number here), a type, an id (but for INIT and
// VERSION) and fields. What comes is a stranger's: lengths and counts are held against their limit
// and against the bytes that are there before memory is taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace coffer::store::sftp {

inline constexpr std::uint32_t kProtocolVersion = 3;
/// Of one packet that comes, beyond its length field; servers make none longer.
inline constexpr std::size_t kPacketBytesMax = 256 << 10;
/// What the draft allows of a handle.
inline constexpr std::size_t kHandleBytesMax = 256;
inline constexpr std::size_t kExtensionsMax = 64;
/// What every server takes and gives in one WRITE and READ, unless it says otherwise.
inline constexpr std::uint32_t kPayloadBytesAlways = 32 << 10;

enum class PacketType : std::uint8_t {
  kInit = 1,
  kVersion = 2,
  kOpen = 3,
  kClose = 4,
  kRead = 5,
  kWrite = 6,
  kLstat = 7,
  kFstat = 8,
  kOpenDirectory = 11,
  kReadDirectory = 12,
  kRemove = 13,
  kMakeDirectory = 14,
  kRemoveDirectory = 15,
  kRealPath = 16,
  kStat = 17,
  kRename = 18,
  kStatus = 101,
  kHandle = 102,
  kData = 103,
  kName = 104,
  kAttributes = 105,
  kExtended = 200,
  kExtendedReply = 201,
};

enum class StatusCode : std::uint32_t {
  kOk = 0,
  kEndOfFile = 1,
  kNoSuchFile = 2,
  kPermissionDenied = 3,
  kFailure = 4,
  kBadMessage = 5,
  kNoConnection = 6,
  kConnectionLost = 7,
  kUnsupported = 8,
};

/// What a server tells of a file; each part may be missing.
struct Attributes {
  std::optional<std::uint64_t> size;
  std::optional<std::uint32_t> owner_uid;
  std::optional<std::uint32_t> mode;  // with the bits that tell the kind of file
  std::optional<std::uint32_t> modified_unix;

  [[nodiscard]] bool IsDirectory() const { return KindIs(0040000); }
  [[nodiscard]] bool IsSymlink() const { return KindIs(0120000); }
  [[nodiscard]] bool IsRegular() const { return KindIs(0100000); }
  /// Some servers leave the mode out, or its kind.
  [[nodiscard]] bool TellsKind() const { return mode.has_value() && (*mode & 0170000) != 0; }

 private:
  [[nodiscard]] bool KindIs(std::uint32_t kind) const {
    return mode.has_value() && (*mode & 0170000) == kind;
  }
};

/// A whole packet; the session gives it its id.
struct Request {
  PacketType type;
  Bytes packet;
  /// Of file data that it carries, or asks for.
  std::uint32_t payload_bytes = 0;
};

enum OpenFlags : std::uint32_t {
  kOpenRead = 0x01,
  kOpenNew = 0x02 | 0x08 | 0x20,  // write, create, exclusively
};

[[nodiscard]] Bytes EncodeInit();
[[nodiscard]] Request Open(std::string_view path, OpenFlags flags);
[[nodiscard]] Request Close(std::string_view handle);
[[nodiscard]] Request Read(std::string_view handle, std::uint64_t offset, std::uint32_t length);
[[nodiscard]] Request Write(std::string_view handle, std::uint64_t offset, ByteView data);
[[nodiscard]] Request Fstat(std::string_view handle);
[[nodiscard]] Request ReadDirectory(std::string_view handle);
/// kLstat, kStat, kOpenDirectory, kRemove, kRemoveDirectory, kRealPath: what takes a path alone.
[[nodiscard]] Request OfPath(PacketType type, std::string_view path);
[[nodiscard]] Request MakeDirectory(std::string_view path);
[[nodiscard]] Request Rename(std::string_view from, std::string_view to);
/// Extensions of OpenSSH's.
[[nodiscard]] Request HardLink(std::string_view from, std::string_view to);
[[nodiscard]] Request Fsync(std::string_view handle);
[[nodiscard]] Request AskForLimits();
[[nodiscard]] Request StatVfs(std::string_view path);

/// REQUIRES: what one of the above has made.
void SetId(Bytes* packet, std::uint32_t id);

struct StatusReply {
  StatusCode code;      // a number that the draft does not know is kFailure
  std::string message;  // the server's words, as they came
};
struct HandleReply {
  std::string handle;
};
struct DataReply {
  Bytes data;
};
struct NamedAttributes {
  std::string name;
  Attributes attributes;
};
struct NameReply {
  std::vector<NamedAttributes> entries;
};
struct AttributesReply {
  Attributes attributes;
};
struct ExtendedReply {
  Bytes data;
};
struct Reply {
  std::uint32_t id;
  std::variant<StatusReply, HandleReply, DataReply, NameReply, AttributesReply, ExtendedReply> body;
};

/// What a server offers beyond the draft, of which coffer makes use.
struct Offers {
  bool hard_link = false;
  bool fsync = false;
  bool limits = false;
  bool stat_vfs = false;
};
struct VersionReply {
  std::uint32_t version;
  Offers offers;
};

/// Of packets without their length field; kUnavailable: it is none, or none that answers.
Result<VersionReply> DecodeVersion(ByteView packet);
Result<Reply> DecodeReply(ByteView packet);

/// limits@openssh.com; 0: it does not say.
struct Limits {
  std::uint64_t packet_bytes = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t write_bytes = 0;
};
Result<Limits> DecodeLimits(ByteView data);
/// statvfs@openssh.com: what is free for this user, and all.
struct Space {
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
};
Result<Space> DecodeSpace(ByteView data);

/// Cuts what comes into packets.
class PacketCutter {
 public:
  /// Adds what has come. REQUIRES: Next was called until there was no more.
  void Feed(ByteView bytes);
  /// The next whole packet without its length field, valid until the next Feed; nullopt: more must
  /// come. kUnavailable for a length that no packet has, from then on.
  Result<std::optional<ByteView>> Next();

 private:
  Bytes buffer_;
  std::size_t taken_ = 0;  // of buffer_
};

}  // namespace coffer::store::sftp

// An SFTP server says anything: what it sends is cut into packets and decoded, in whatever pieces
// it comes; nothing may be read beyond it, and what is decoded is no larger than what came.
//
// The first byte says in pieces of how many bytes the rest arrives.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <variant>

#include "core/base/check.h"
#include "core/store/sftp_packets.h"

namespace sftp = coffer::store::sftp;

namespace {

void Decode(coffer::ByteView packet) {
  CHECK(packet.size() <= sftp::kPacketBytesMax);
  (void)sftp::DecodeVersion(packet);
  const coffer::Result<sftp::Reply> reply = sftp::DecodeReply(packet);
  if (!reply.has_value()) return;
  if (const auto* data = std::get_if<sftp::DataReply>(&reply->body)) {
    CHECK(data->data.size() <= packet.size());
  }
  if (const auto* names = std::get_if<sftp::NameReply>(&reply->body)) {
    std::size_t bytes = 0;
    for (const sftp::NamedAttributes& entry : names->entries) bytes += entry.name.size();
    CHECK(bytes <= packet.size());
  }
  if (const auto* handle = std::get_if<sftp::HandleReply>(&reply->body)) {
    CHECK(!handle->handle.empty() && handle->handle.size() <= sftp::kHandleBytesMax);
  }
  if (const auto* extended = std::get_if<sftp::ExtendedReply>(&reply->body)) {
    (void)sftp::DecodeLimits(extended->data);
    (void)sftp::DecodeSpace(extended->data);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = std::size_t{1} + data[0];
  coffer::ByteView left = std::as_bytes(std::span(data + 1, size - 1));
  sftp::PacketCutter cutter;
  while (!left.empty()) {
    const std::size_t count = std::min(piece, left.size());
    cutter.Feed(left.first(count));
    left = left.subspan(count);
    while (true) {
      const coffer::Result<std::optional<coffer::ByteView>> packet = cutter.Next();
      if (!packet.has_value()) return 0;
      if (!packet->has_value()) break;
      Decode(**packet);
    }
  }
  return 0;
}

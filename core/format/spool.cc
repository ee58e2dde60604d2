#include "core/format/spool.h"

#include "core/format/envelope.h"

namespace coffer::format {
namespace {

using namespace std::string_view_literals;
constexpr std::string_view kMagic = "CofSpol\0"sv;

}  // namespace

Bytes Encode(const Spool& spool) {
  Writer out(kSpoolPrefixBytes + spool.sealed_head.size());
  WriteEnvelope(out, kMagic);
  out.U64(spool.seq);
  out.Raw(spool.sealed_head);
  return out.Take();
}

Result<Spool> DecodeSpool(ByteView bytes) {
  Reader in(bytes, kSpoolBytesMax, "spooled head");
  ReadEnvelope(in, kMagic);
  Spool spool;
  spool.seq = in.U64();
  in.Require(spool.seq != 0, "sequence 0");
  in.Require(in.remaining() != 0, "the head is missing");
  spool.sealed_head = ToBytes(in.Take(in.remaining()));
  RETURN_IF_ERROR(in.End());
  return spool;
}

}  // namespace coffer::format

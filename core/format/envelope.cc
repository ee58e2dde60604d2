#include "core/format/envelope.h"

#include "core/crypto/suite.h"
#include "core/format/limits.h"

namespace coffer::format {

void WriteEnvelope(Writer& out, std::string_view magic) {
  CHECK(magic.size() == 8);
  out.Raw(AsBytes(magic));
  out.U16(kFormatVersion);
  out.U16(crypto::kSuite);
}

void ReadEnvelope(Reader& in, std::string_view magic) {
  if (!in.Require(AsText(in.Take(8)) == magic, "it does not begin as one")) return;
  const std::uint16_t version = in.U16();
  const std::uint16_t suite = in.U16();
  if (!in.Require(version != 0, "format version 0")) return;
  if (version > kFormatVersion) in.Newer("unknown format version");
  if (suite != crypto::kSuite) in.Newer("unknown cipher suite");
}

}  // namespace coffer::format

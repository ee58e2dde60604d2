#include "core/format/sealed_object.h"

#include "core/format/envelope.h"

namespace coffer::format {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kTagBytes = 16;
constexpr std::byte kPadStart{0x80};

std::string_view MagicOf(SealedKind kind) {
  switch (kind) {
    case SealedKind::kHead:
      return "CofHead\0"sv;
    case SealedKind::kCatalog:
      return "CofCatl\0"sv;
    case SealedKind::kTrust:
      return "CofTrst\0"sv;
    case SealedKind::kHostKey:
      return "CofHost\0"sv;
  }
  CHECK(false);
}

const char* NameOf(SealedKind kind) {
  switch (kind) {
    case SealedKind::kHead:
      return "head";
    case SealedKind::kCatalog:
      return "catalog record";
    case SealedKind::kTrust:
      return "trust file";
    case SealedKind::kHostKey:
      return "host key file";
  }
  CHECK(false);
}

}  // namespace

Bytes EncodeSealedPrefix(SealedKind kind, std::uint32_t key_epoch, ByteView salt) {
  CHECK(salt.size() == 32);
  Writer out(kSealedPrefixBytes);
  WriteEnvelope(out, MagicOf(kind));
  out.U32(key_epoch);
  out.Raw(salt);
  return out.Take();
}

Result<SealedObject> DecodeSealedObject(SealedKind kind, ByteView bytes) {
  Reader in(bytes, NameOf(kind));
  ReadEnvelope(in, MagicOf(kind));
  SealedObject object{kind, in.U32(), {}, {}};
  in.Array(&object.salt);
  object.sealed = in.Take(in.remaining());
  in.Require(object.sealed.size() >= kTagBytes, "it ends too early");
  RETURN_IF_ERROR(in.End());
  return object;
}

Bytes PadToBucket(ByteView plain, std::size_t bucket) {
  CHECK(bucket != 0);
  const std::size_t padded_bytes = (plain.size() / bucket + 1) * bucket;
  Writer out(padded_bytes);
  out.Raw(plain);
  out.U8(std::to_integer<std::uint8_t>(kPadStart));
  out.Zeros(padded_bytes - out.size());
  return out.Take();
}

Result<ByteView> Unpad(ByteView padded) {
  std::size_t length = padded.size();
  while (length > 0 && padded[length - 1] == std::byte{0}) --length;
  if (length == 0 || padded[length - 1] != kPadStart)
    return Fail(ErrorCode::kCorruption, "sealed record: its padding is damaged");
  return padded.first(length - 1);
}

}  // namespace coffer::format

#include "core/format/key_header.h"

#include "core/format/envelope.h"

namespace coffer::format {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMagic = "CofKeys\0"sv;
constexpr std::size_t kMacBytes = 32;
constexpr std::size_t kSlotBytes = 4 + 3 * 4 + 32 + 32 + 48;
constexpr std::size_t kFixedBytes =
    kEnvelopeBytes + 4 + 16 + 8 + kKeySlots * kSlotBytes + 32 + 4 + kMacBytes;
constexpr std::size_t kSealedKeyringBytesMin = 16 + 1;

void WriteSlot(Writer& out, const KeySlot& slot) {
  out.U8(static_cast<std::uint8_t>(slot.kind));
  out.Zeros(3);
  out.U32(slot.memory_kib);
  out.U32(slot.iterations);
  out.U32(slot.parallelism);
  out.Raw(slot.salt);
  out.Raw(slot.commitment);
  out.Raw(slot.sealed_unlock_key);
}

KeySlot ReadSlot(Reader& in) {
  KeySlot slot;
  slot.kind = static_cast<SlotKind>(in.U8());
  if (slot.kind > SlotKind::kRecoveryKey) in.Newer("a key slot of an unknown kind");
  in.Require(IsZero(in.Take(3)), "reserved bytes of a key slot are in use");
  slot.memory_kib = in.U32();
  slot.iterations = in.U32();
  slot.parallelism = in.U32();
  in.Array(&slot.salt);
  in.Array(&slot.commitment);
  in.Array(&slot.sealed_unlock_key);
  in.Require(slot.kind != SlotKind::kEmpty || slot == KeySlot{}, "an empty key slot has content");
  return slot;
}

}  // namespace

Bytes Encode(const KeyHeader& header) {
  CHECK(header.sealed_keyring.size() <= kKeyHeaderBytesMax - kFixedBytes);
  Writer out(kFixedBytes + header.sealed_keyring.size());
  WriteEnvelope(out, kMagic);
  out.U32(0);
  out.Id(header.vault);
  out.U64(header.seq);
  for (const KeySlot& slot : header.slots) WriteSlot(out, slot);
  out.Raw(header.keyring_salt);
  out.U32(static_cast<std::uint32_t>(header.sealed_keyring.size()));
  out.Raw(header.sealed_keyring);
  out.Raw(header.mac);
  return out.Take();
}

ByteView KeyHeaderMacInput(ByteView encoded) {
  CHECK(encoded.size() > kMacBytes);
  return encoded.first(encoded.size() - kMacBytes);
}

Result<KeyHeader> DecodeKeyHeader(ByteView bytes) {
  Reader in(bytes, kKeyHeaderBytesMax, "key header");
  ReadEnvelope(in, kMagic);
  KeyHeader header;
  in.Require(in.U32() == 0, "reserved bytes are in use");
  header.vault = in.Id<VaultId>();
  in.Require(!header.vault.IsNull(), "the vault id is missing");
  header.seq = in.U64();
  in.Require(header.seq != 0, "sequence 0");
  for (KeySlot& slot : header.slots) slot = ReadSlot(in);
  in.Array(&header.keyring_salt);
  const std::uint32_t sealed_length = in.U32();
  in.Require(sealed_length >= kSealedKeyringBytesMin, "the sealed keyring is too short");
  header.sealed_keyring = ToBytes(in.Take(sealed_length));
  in.Array(&header.mac);
  RETURN_IF_ERROR(in.End());
  return header;
}

}  // namespace coffer::format

#include "core/format/keyring.h"

#include "core/format/fields.h"
#include "core/format/sealed_object.h"

namespace coffer::format {
namespace {

constexpr const char* kWhat = "keyring";
constexpr std::size_t kMasterKeyBytes = 32;
constexpr std::size_t kBucketBytes = 512;
constexpr std::size_t kEpochBytes = 4 + 8 + kMasterKeyBytes;
constexpr std::size_t kSlotInfoBytesMin = 1 + 8 + 1 + 1;
constexpr std::byte kPadStart{0x80};

std::size_t EncodedBytesMax(const Keyring& keyring) {
  std::size_t bytes = 32 + 3 * 8 + 3 * kVarintBytesMax + keyring.epochs.size() * kEpochBytes;
  for (const SlotInfo& slot : keyring.slots)
    bytes += 1 + 8 + 2 * kVarintBytesMax + slot.host_name.size() + slot.label.size();
  for (const Extension& extension : keyring.extensions)
    bytes += 2 + kVarintBytesMax + extension.value.size();
  // A varint is written into room for the longest one.
  return bytes + kVarintBytesMax + kBucketBytes;
}

KeyEpoch ReadEpoch(Reader& in) {
  const std::uint32_t epoch = in.U32();
  const std::int64_t created = in.I64();
  return {epoch, SecretBytes::CopyOf(in.Take(kMasterKeyBytes)), created};
}

SlotInfo ReadSlotInfo(Reader& in) {
  SlotInfo slot;
  slot.slot = in.U8();
  in.Require(slot.slot < kKeySlots, "a slot number is out of range");
  slot.created_unix = in.I64();
  slot.host_name = in.Text(kHostNameBytesMax);
  slot.label = in.Text(kLabelBytesMax);
  return slot;
}

std::vector<SlotInfo> ReadSlotInfos(Reader& in) {
  std::vector<SlotInfo> slots(in.Count(kKeySlots, kSlotInfoBytesMin));
  unsigned seen = 0;
  for (SlotInfo& slot : slots) {
    slot = ReadSlotInfo(in);
    if (!in.ok()) break;
    in.Require((seen >> slot.slot & 1u) == 0, "a slot is described twice");
    seen |= 1u << slot.slot;
  }
  return slots;
}

/// The bytes before the padding, which must be the shortest that fills a bucket.
Result<ByteView> WithoutPadding(ByteView padded) {
  ASSIGN_OR_RETURN(const ByteView plain, Unpad(padded));
  const std::size_t length = plain.size() / kBucketBytes * kBucketBytes + kBucketBytes;
  if (padded.size() != length)
    return Fail(ErrorCode::kCorruption, "keyring: its padding is not the shortest");
  return plain;
}

}  // namespace

SecretBytes Encode(const Keyring& keyring) {
  CHECK(!keyring.epochs.empty() && keyring.epochs.size() <= kKeyEpochsMax);
  CHECK(keyring.slots.size() <= kKeySlots);
  SecretBytes room(EncodedBytesMax(keyring));
  Writer out(room.mutable_view());
  out.Id(keyring.parent);
  WriteFeatures(out, keyring.features);
  out.Varint(keyring.epochs.size());
  for (const KeyEpoch& epoch : keyring.epochs) {
    CHECK(epoch.master_key.size() == kMasterKeyBytes);
    out.U32(epoch.epoch);
    out.I64(epoch.created_unix);
    out.Raw(epoch.master_key.view());
  }
  out.Varint(keyring.slots.size());
  for (const SlotInfo& slot : keyring.slots) {
    out.U8(slot.slot);
    out.I64(slot.created_unix);
    out.Text(slot.host_name, kHostNameBytesMax);
    out.Text(slot.label, kLabelBytesMax);
  }
  WriteExtensions(out, keyring.extensions);
  out.U8(std::to_integer<std::uint8_t>(kPadStart));
  out.Zeros((kBucketBytes - out.size() % kBucketBytes) % kBucketBytes);
  return SecretBytes::CopyOf(out.written());
}

Result<Keyring> DecodeKeyring(ByteView bytes) {
  if (bytes.size() > kKeyHeaderBytesMax)
    return Fail(ErrorCode::kCorruption, "keyring: longer than the format allows");
  ASSIGN_OR_RETURN(const ByteView plain, WithoutPadding(bytes));
  Reader in(plain, kWhat);
  Keyring keyring;
  keyring.parent = in.Id<ObjectHash>();
  keyring.features = ReadFeatures(in);
  const std::size_t epochs = in.Count(kKeyEpochsMax, kEpochBytes);
  in.Require(epochs != 0, "it holds no key");
  keyring.epochs.reserve(epochs);
  std::uint32_t last_epoch = 0;
  for (std::size_t i = 0; i < epochs && in.ok(); ++i) {
    keyring.epochs.push_back(ReadEpoch(in));
    in.Require(keyring.epochs.back().epoch > last_epoch, "key epochs do not ascend");
    last_epoch = keyring.epochs.back().epoch;
  }
  keyring.slots = ReadSlotInfos(in);
  keyring.extensions = ReadExtensions(in);
  RETURN_IF_ERROR(in.End());
  return keyring;
}

}  // namespace coffer::format

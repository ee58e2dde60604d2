#include "core/format/associated_data.h"

#include "core/base/check.h"
#include "core/base/planted.h"
#include "core/crypto/suite.h"
#include "core/format/limits.h"

namespace coffer::format {
namespace {

/// Writes fields one after the other into an array of exactly their size.
template <std::size_t kSize>
class Packer {
 public:
  template <class Integer>
  Packer& Le(Integer value) {
    CHECK(at_ + sizeof value <= kSize);
    StoreLe(out_.data() + at_, value);
    at_ += sizeof value;
    return *this;
  }
  template <class IdType>
  Packer& Id(const IdType& id) {
    CHECK(at_ + IdType::kBytes <= kSize);
    std::memcpy(out_.data() + at_, id.bytes.data(), IdType::kBytes);
    at_ += IdType::kBytes;
    return *this;
  }
  std::array<std::byte, kSize> Done() {
    CHECK(at_ == kSize);
    return out_;
  }

 private:
  std::array<std::byte, kSize> out_{};
  std::size_t at_ = 0;
};

enum class JournalPart : std::uint8_t { kSegmentHeader = 0, kRecord = 1 };

std::array<std::byte, kJournalAadBytes> JournalAad(JournalPart part, const StreamId& stream,
                                                   std::uint64_t segment, std::uint64_t seq) {
  return Packer<kJournalAadBytes>()
      .Le(crypto::kSuite)
      .Le(static_cast<std::uint8_t>(part))
      .Id(stream)
      .Le(segment)
      .Le(seq)
      .Done();
}

}  // namespace

std::array<std::byte, kFrameAadBytes> FrameAad(const FrameContext& context) {
  return Packer<kFrameAadBytes>()
      .Le(crypto::kSuite)
      .Le(static_cast<std::uint8_t>(context.type))
      .Le(context.codec)
      .Id(context.vault)
      .Le(context.key_epoch)
      .Id(context.pack)
      .Le(Planted("drop-frame-number-from-aad") ? 0 : context.frame)
      .Le(context.plain_length)
      .Le(context.stored_length)
      .Le(context.level)
      .Le(context.index)
      .Done();
}

std::array<std::byte, kSealedAadBytes> SealedAad(SealedKind kind, std::uint32_t key_epoch,
                                                 const VaultId& vault, const VolumeId& volume,
                                                 std::uint64_t seq) {
  return Packer<kSealedAadBytes>()
      .Le(crypto::kSuite)
      .Le(kFormatVersion)
      .Le(static_cast<std::uint8_t>(kind))
      .Le(key_epoch)
      .Id(vault)
      .Id(Planted("drop-volume-from-aad") ? VolumeId{} : volume)
      .Le(seq)
      .Done();
}

std::array<std::byte, kJournalAadBytes> SegmentHeaderAad(std::uint64_t segment) {
  return JournalAad(JournalPart::kSegmentHeader, StreamId{}, segment, 0);
}

std::array<std::byte, kJournalAadBytes> RecordAad(const StreamId& stream, std::uint64_t segment,
                                                  std::uint64_t seq) {
  return JournalAad(JournalPart::kRecord, stream, segment, seq);
}

std::array<std::byte, kKeyringAadBytes> KeyringAad(const VaultId& vault, std::uint64_t header_seq) {
  return Packer<kKeyringAadBytes>().Le(crypto::kSuite).Id(vault).Le(header_seq).Done();
}

}  // namespace coffer::format

#include "core/format/journal.h"
#include "tests/fuzz/format_canonical.h"

using namespace coffer::format;

namespace {

template <class Header, std::size_t kSize>
std::array<std::byte, kSize> EncodeFixed(const Header& header) {
  std::array<std::byte, kSize> out;
  EncodeTo(header, out);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::ByteView input = FuzzInput(data, size);
  switch (TakeChoice(&input, 4)) {
    case 0:
      CheckCanonical(FirstOf(input, kSegmentPrefixBytes), DecodeSegmentPrefix);
      break;
    case 1:
      CheckCanonical(input, DecodeSegmentHeader);
      break;
    case 2:
      CheckCanonical(FirstOf(input, kGroupHeaderBytes), DecodeGroupHeader,
                     EncodeFixed<GroupHeader, kGroupHeaderBytes>);
      break;
    default:
      CheckCanonical(input, DecodeRecordHeader, EncodeFixed<RecordHeader, kRecordHeaderBytes>);
  }
  return 0;
}

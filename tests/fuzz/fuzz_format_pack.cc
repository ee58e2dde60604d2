#include "core/format/pack.h"
#include "tests/fuzz/format_canonical.h"

using namespace coffer::format;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::ByteView input = FuzzInput(data, size);
  switch (TakeChoice(&input, 3)) {
    case 0:
      CheckCanonical(FirstOf(input, kPackPrefixBytes), DecodePackPrefix);
      break;
    case 1: {
      // The length of the object comes from the store, so from an adversary as well.
      if (input.size() < 8) break;
      const auto pack_bytes = coffer::LoadLe<std::uint64_t>(input.data());
      CheckCanonical(input.subspan(8), [pack_bytes](coffer::ByteView bytes) {
        return DecodePackHeader(bytes, pack_bytes);
      });
      break;
    }
    default:
      CheckCanonical(input, DecodePackTable);
  }
  return 0;
}

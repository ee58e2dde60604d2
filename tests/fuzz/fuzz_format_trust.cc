#include "core/format/trust.h"
#include "tests/fuzz/format_canonical.h"

using namespace coffer::format;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::ByteView input = FuzzInput(data, size);
  if (TakeChoice(&input, 2) == 0)
    CheckCanonical(input, DecodeTrust);
  else
    CheckCanonical(input, DecodeHostKeyRecord);
  return 0;
}

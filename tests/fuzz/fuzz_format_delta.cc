#include "core/format/delta.h"
#include "tests/format/golden_values.h"
#include "tests/fuzz/format_canonical.h"

using namespace coffer::format;

namespace {

/// The pack that holds the golden page and delta, from which the corpus is made.
const coffer::PackId kSelf = SeqId<coffer::PackId>(0xA0);

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  CheckCanonical(
      FuzzInput(data, size), [](coffer::ByteView bytes) { return DecodeDelta(bytes, kSelf, 5); },
      [](const Delta& delta) { return Encode(delta, kSelf).value(); });
  return 0;
}

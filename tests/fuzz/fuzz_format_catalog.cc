#include "core/format/catalog.h"
#include "tests/fuzz/format_canonical.h"

using namespace coffer::format;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  CheckCanonical(FuzzInput(data, size), DecodeCatalog);
  return 0;
}

// Everything a client may send from its first byte on.
#include "tests/fuzz/nbd_conversation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::nbd::fuzz::Compare({}, std::as_bytes(std::span(data, size)));
  return 0;
}

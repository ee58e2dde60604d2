// Everything a client may send from its first byte on, to a listener without TLS and to one that
// takes nothing without.
#include "tests/fuzz/nbd_conversation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  coffer::nbd::fuzz::Compare({}, input);
  coffer::nbd::fuzz::Compare({}, input, /*needs_tls=*/true);
  return 0;
}

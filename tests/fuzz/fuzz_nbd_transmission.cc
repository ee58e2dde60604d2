// Everything a client may send once it has chosen an export. The first byte of the input says
// which: the writable or the read-only one.
#include "tests/fuzz/nbd_conversation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string prefix("\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\1", 20);
  prefix += data[0] & 1 ? "r" : "v";
  coffer::nbd::fuzz::Compare(coffer::AsBytes(prefix), std::as_bytes(std::span(data + 1, size - 1)));
  return 0;
}

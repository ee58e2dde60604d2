// Everything a client may send once it has chosen an export. The first byte of the input says
// which: the writable or the read-only one, and whether with structured replies and
// base:allocation.
#include "tests/fuzz/nbd_conversation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string name = data[0] & 1 ? "r" : "v";
  std::string prefix("\0\0\0\3", 4);
  if (data[0] & 2) {
    prefix += std::string("IHAVEOPT\0\0\0\10\0\0\0\0", 16);
    prefix += std::string("IHAVEOPT\0\0\0\12\0\0\0\34\0\0\0\1", 20) + name;
    prefix += std::string("\0\0\0\1\0\0\0\17base:allocation", 23);
  }
  prefix += std::string("IHAVEOPT\0\0\0\1\0\0\0\1", 16) + name;
  coffer::nbd::fuzz::Compare(coffer::AsBytes(prefix), std::as_bytes(std::span(data + 1, size - 1)));
  return 0;
}

// Everything a client may send once it has chosen an export. The first byte of the input says
// which, and how: bit 0 the read-only one, bit 1 structured replies and base:allocation, bit 2
// extended headers and base:allocation.
#include "tests/fuzz/nbd_conversation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string name = data[0] & 1 ? "r" : "v";
  std::string prefix("\0\0\0\3", 4);
  const bool extended = data[0] & 4;
  if (data[0] & 2) prefix += std::string("IHAVEOPT\0\0\0\10\0\0\0\0", 16);
  if (extended) prefix += std::string("IHAVEOPT\0\0\0\13\0\0\0\0", 16);
  if (data[0] & 6) {
    prefix += std::string("IHAVEOPT\0\0\0\12\0\0\0\34\0\0\0\1", 20) + name;
    prefix += std::string("\0\0\0\1\0\0\0\17base:allocation", 23);
  }
  // After extended headers EXPORT_NAME is not allowed any more.
  prefix += extended
                ? std::string("IHAVEOPT\0\0\0\7\0\0\0\7\0\0\0\1", 20) + name + std::string(2, '\0')
                : std::string("IHAVEOPT\0\0\0\1\0\0\0\1", 16) + name;
  coffer::nbd::fuzz::Compare(coffer::AsBytes(prefix), std::as_bytes(std::span(data + 1, size - 1)));
  return 0;
}

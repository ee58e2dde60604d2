#include "core/format/sealed_object.h"
#include "core/format/spool.h"
#include "tests/fuzz/format_canonical.h"

using namespace coffer::format;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::ByteView input = FuzzInput(data, size);
  const unsigned choice = TakeChoice(&input, 6);
  if (choice == 0) {
    const auto plain = Unpad(input);
    if (plain.has_value()) CheckSame(PadToBucket(*plain, input.size()), input);
    return 0;
  }
  if (choice == 5) {
    CheckCanonical(input, DecodeSpool);
    return 0;
  }
  const auto kind = static_cast<SealedKind>(choice);
  const auto object = DecodeSealedObject(kind, input);
  if (!object.has_value()) return 0;
  coffer::Bytes again = EncodeSealedPrefix(kind, object->key_epoch, object->salt);
  again.insert(again.end(), object->sealed.begin(), object->sealed.end());
  CheckSame(again, input);
  return 0;
}

#include <cryptopp/cpu.h>

#include "core/crypto/self_test.h"

namespace coffer::crypto {

bool HasAesHardware() {
#if CRYPTOPP_BOOL_X86 || CRYPTOPP_BOOL_X32 || CRYPTOPP_BOOL_X64
  return CryptoPP::HasAESNI() && CryptoPP::HasCLMUL();
#elif CRYPTOPP_BOOL_ARMV8
  return CryptoPP::HasAES() && CryptoPP::HasPMULL();
#else
  return false;
#endif
}

}  // namespace coffer::crypto

// The known answers of SelfTest, in hex, each with where it is published. Apart from self_test.cc
// so that a test program can be linked with a wrong one (coffer_crypto_planted).
#pragma once

#include <string_view>

namespace coffer::crypto {

struct KatVectors {
  std::string_view sha256;
  std::string_view sha256_blocks;
  std::string_view hmac;
  std::string_view hkdf;
  std::string_view gcm_short;
  std::string_view gcm_long_sha256;
  std::string_view argon2id;
};

extern const KatVectors kKatVectors;

}  // namespace coffer::crypto

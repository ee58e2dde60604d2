// Known answers, computed once at start: a machine, compiler or library that gets them wrong must
// not touch anybody's data.
#pragma once

#include "core/base/result.h"

namespace coffer::crypto {

/// SHA-256, HMAC, HKDF, AES-256-GCM (both ways, and that a wrong tag fails) and Argon2id against
/// published vectors. kCorruption names the first that differs. About a millisecond; thread-safe.
Status SelfTest();

/// Whether the processor computes AES and the tag's polynomial itself. Without, sealing is some
/// ten times slower: worth a warning.
[[nodiscard]] bool HasAesHardware();

}  // namespace coffer::crypto

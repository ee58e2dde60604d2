// A key from a password: Argon2id v1.3 (RFC 9106).
//
// What a new slot costs (KdfPolicy, from the program) and what a header claims (StoredKdfCost, from
// the store) are two types, and nothing turns the second into the first: a provider who lowers the
// numbers in a header must not weaken the next slot. What a header claims is checked against
// KdfBounds before anything is hashed or allocated, both ways: too cheap would hand a guesser the
// password, too dear would take the machine down.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"

namespace coffer::crypto {

/// What a new slot costs. Given to constructors and passed down; no flag, variable or stored byte
/// sets it.
struct KdfPolicy {
  std::uint32_t memory_kib = 256 * 1024;
  std::uint32_t iterations = 3;
  std::uint32_t parallelism = 4;
};

/// What a stored slot claims to have cost. Untrusted until checked.
struct StoredKdfCost {
  std::uint32_t memory_kib;
  std::uint32_t iterations;
  std::uint32_t parallelism;

  friend bool operator==(const StoredKdfCost&, const StoredKdfCost&) = default;
};

/// Costs outside these, bounds included, are refused.
struct KdfBounds {
  std::uint32_t memory_kib_min;
  std::uint32_t memory_kib_max;
  std::uint32_t iterations_min;
  std::uint32_t iterations_max;
  std::uint32_t parallelism_max;
};

/// 19 MiB and 2 passes at least (OWASP's floor for Argon2id); at most 64 passes, 16 lanes, and
/// 4 GiB or 60 % of the machine's memory (PhysicalMemoryBytes()), whichever is less.
[[nodiscard]] KdfBounds DefaultKdfBounds(std::uint64_t physical_memory_bytes);

/// The cost to store with a slot made under `policy`.
[[nodiscard]] StoredKdfCost CostOfNewSlot(const KdfPolicy& policy);

/// kUnsupported outside `bounds`, or where Argon2 itself has no such cost.
Status CheckKdfCost(const StoredKdfCost& cost, const KdfBounds& bounds);

/// What a person presents: a password, the SHA-256 of a key file, or both. Not both empty.
struct Credential {
  SecretBytes password;
  SecretBytes key_file_hash = {};
};

/// The KEK, kKeyBytes long. Argon2id takes the password, the key file's hash as its secret, the
/// salt, and as associated data "coffer/1/kek" ‖ 0 ‖ m ‖ t ‖ p ‖ salt ‖ context (numbers u32).
/// Needs cost.memory_kib of memory, wiped and kept out of core dumps, and starts cost.parallelism
/// threads for the call. kUnsupported if the cost is out of bounds, kInvalidArgument on an empty
/// credential, kUnavailable without enough memory or threads. Thread-safe.
/// REQUIRES: salt.size() == kSaltBytes.
Result<SecretBytes> DeriveKek(const Credential& credential, ByteView salt,
                              const StoredKdfCost& cost, const KdfBounds& bounds,
                              ByteView context = {});

/// Argon2id itself, without bounds; only for this folder and its tests.
Result<SecretBytes> Argon2id(ByteView password, ByteView salt, ByteView secret, ByteView ad,
                             const StoredKdfCost& cost, std::size_t length);

}  // namespace coffer::crypto

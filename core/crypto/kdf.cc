#include "core/crypto/kdf.h"

#include <argon2.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/crypto/key_purpose.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {
namespace {

// Argon2 leaves what the password became in this memory until it wipes it: keep it out of dumps.
int AllocateWorkMemory(std::uint8_t** memory, std::size_t size) {
  void* place =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, /*fd=*/-1, 0);
  if (place == MAP_FAILED) return ARGON2_MEMORY_ALLOCATION_ERROR;
  madvise(place, size, MADV_DONTDUMP);
  madvise(place, size, MADV_HUGEPAGE);  // it is walked at random
  *memory = static_cast<std::uint8_t*>(place);
  return ARGON2_OK;
}

void FreeWorkMemory(std::uint8_t* memory, std::size_t size) { munmap(memory, size); }

/// argon2's interface takes inputs through pointers to mutable bytes; without its clear flags it
/// does not write to them.
std::uint8_t* Input(ByteView bytes) {
  return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(bytes.data()));
}

std::uint32_t Length(ByteView bytes) { return static_cast<std::uint32_t>(bytes.size()); }

constexpr std::uint32_t kIterationsMin = 2;
constexpr std::uint32_t kIterationsMax = 64;
constexpr std::uint32_t kParallelismMax = 16;
constexpr std::uint64_t kMemoryKibMin = 19 * 1024;
constexpr std::uint64_t kMemoryKibMax = 4 * 1024 * 1024;

}  // namespace

KdfBounds DefaultKdfBounds(std::uint64_t physical_memory_bytes) {
  const std::uint64_t most_of_memory_kib = physical_memory_bytes / 1024 / 10 * 6;
  return {static_cast<std::uint32_t>(kMemoryKibMin),
          static_cast<std::uint32_t>(std::min(kMemoryKibMax, most_of_memory_kib)), kIterationsMin,
          kIterationsMax, kParallelismMax};
}

StoredKdfCost CostOfNewSlot(const KdfPolicy& policy) {
  return {policy.memory_kib, policy.iterations, policy.parallelism};
}

Status CheckKdfCost(const StoredKdfCost& cost, const KdfBounds& bounds) {
  const auto refuse = [](const char* name, std::uint32_t value, std::uint32_t min,
                         std::uint32_t max) {
    return Fail(ErrorCode::kUnsupported, Concat("password hashing cost refused: ", name, " is ",
                                                value, ", accepted are ", min, " to ", max));
  };
  if (cost.parallelism < 1 || cost.parallelism > bounds.parallelism_max) {
    return refuse("parallelism", cost.parallelism, 1, bounds.parallelism_max);
  }
  if (cost.iterations < std::max(1U, bounds.iterations_min) ||
      cost.iterations > bounds.iterations_max) {
    return refuse("iterations", cost.iterations, bounds.iterations_min, bounds.iterations_max);
  }
  // Argon2 needs 8 KiB for each lane, and silently takes more than asked below that.
  const std::uint64_t lanes_kib = std::uint64_t{8} * cost.parallelism;
  // One that a larger machine may have chosen; any other is refused on each.
  const bool is_sane = cost.memory_kib >= kMemoryKibMin && cost.memory_kib <= kMemoryKibMax;
  if (is_sane && cost.memory_kib > bounds.memory_kib_max) {
    return Fail(ErrorCode::kUnsupported,
                Concat("the password's hash takes ", cost.memory_kib / 1024,
                       " MiB of memory, more than the ", bounds.memory_kib_max / 1024,
                       " MiB that it may take here"),
                "give cofferd more memory (a container's limit, systemd's MemoryMax=), or use a "
                "machine that has it");
  }
  if (cost.memory_kib < bounds.memory_kib_min || cost.memory_kib > bounds.memory_kib_max ||
      cost.memory_kib < lanes_kib) {
    return refuse("memory in KiB", cost.memory_kib, bounds.memory_kib_min, bounds.memory_kib_max);
  }
  return {};
}

Result<SecretBytes> Argon2id(ByteView password, ByteView salt, ByteView secret, ByteView ad,
                             const StoredKdfCost& cost, std::size_t length) {
  SecretBytes out(length);
  argon2_context context{};
  context.out = reinterpret_cast<std::uint8_t*>(out.mutable_view().data());
  context.outlen = static_cast<std::uint32_t>(length);
  context.pwd = Input(password);
  context.pwdlen = Length(password);
  context.salt = Input(salt);
  context.saltlen = Length(salt);
  context.secret = Input(secret);
  context.secretlen = Length(secret);
  context.ad = Input(ad);
  context.adlen = Length(ad);
  context.t_cost = cost.iterations;
  context.m_cost = cost.memory_kib;
  context.lanes = cost.parallelism;
  context.threads = cost.parallelism;
  context.version = ARGON2_VERSION_13;
  context.allocate_cbk = AllocateWorkMemory;
  context.free_cbk = FreeWorkMemory;
  const int code = argon2id_ctx(&context);
  if (code == ARGON2_MEMORY_ALLOCATION_ERROR || code == ARGON2_THREAD_FAIL) {
    return Fail(ErrorCode::kUnavailable,
                Concat("hashing the password needs ", cost.memory_kib / 1024, " MiB of memory and ",
                       cost.parallelism, " threads: ", argon2_error_message(code)));
  }
  if (code != ARGON2_OK) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("hashing the password: ", argon2_error_message(code)));
  }
  return out;
}

Result<SecretBytes> DeriveKek(const Credential& credential, ByteView salt,
                              const StoredKdfCost& cost, const KdfBounds& bounds,
                              ByteView context) {
  CHECK(salt.size() == kSaltBytes);
  RETURN_IF_ERROR(CheckKdfCost(cost, bounds));
  if (credential.password.empty() && credential.key_file_hash.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "neither a password nor a key file was given");
  }
  std::array<std::byte, 13> costs{};  // the leading zero ends the label
  StoreLe(&costs[1], cost.memory_kib);
  StoreLe(&costs[5], cost.iterations);
  StoreLe(&costs[9], cost.parallelism);
  Bytes ad = ToBytes(AsBytes(kKekLabel));
  for (ByteView part : {ByteView(costs), salt, context}) {
    ad.insert(ad.end(), part.begin(), part.end());
  }
  return Argon2id(credential.password.view(), salt, credential.key_file_hash.view(), ad, cost,
                  kKeyBytes);
}

}  // namespace coffer::crypto

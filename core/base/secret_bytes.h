// Memory for keys and passwords: locked against swap, left out of core dumps, wiped when freed and
// in a forked child (design.md section 5, faults.md A28).
#pragma once

#include <cstddef>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace coffer {

/// A byte string in the process's locked arena. Moved, never copied by accident: Copy() says so.
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size);  // zeros
  static SecretBytes CopyOf(ByteView bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  ~SecretBytes();

  [[nodiscard]] SecretBytes Copy() const { return CopyOf(view()); }
  [[nodiscard]] ByteView view() const { return {data_, size_}; }
  [[nodiscard]] MutableByteView mutable_view() { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// What `open` shows about the arena: bytes mapped, and whether mlock succeeded for all of it.
struct SecretArenaInfo {
  std::size_t mapped_bytes;
  bool locked;
};
[[nodiscard]] SecretArenaInfo GetSecretArenaInfo();

/// Overwrites `bytes` in a way the compiler keeps.
void Wipe(MutableByteView bytes);

/// Makes this process undumpable and unptraceable by its own user: PR_SET_DUMPABLE 0, RLIMIT_CORE
/// 0.
void HardenProcess();

}  // namespace coffer

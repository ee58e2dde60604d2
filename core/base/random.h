// Where randomness comes from: the kernel, asked each time (design.md section 5), or a seed in
// tests.
#pragma once

#include "core/base/bytes.h"

namespace coffer {

class Random {
 public:
  virtual ~Random() = default;
  /// Fills `out`. Never fails: a kernel without randomness is a CHECK. Thread-safe.
  virtual void Fill(MutableByteView out) = 0;

  template <class IdType>
  [[nodiscard]] IdType NewId() {
    IdType id;
    Fill(id.bytes);
    return id;
  }
};

/// getrandom(2), never pooled: a cloned virtual machine must not repeat bytes.
class SystemRandom final : public Random {
 public:
  void Fill(MutableByteView out) override;
};

}  // namespace coffer

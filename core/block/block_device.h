// BlockDevice: what every exporter serves and every volume is. Many threads may call at once;
// requests that overlap in time and place may take effect in either order, never mixed within a
// 4096-byte block.
//
// Acknowledged: when a write-class call returns success its effect is visible to every later read
// and is in the journal file (a killed process loses nothing). Durable: after Flush, or with
// kForceUnitAccess.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace coffer::block {

inline constexpr std::uint32_t kBlockSize = 4096;

/// A run of bytes with one allocation state.
struct Extent {
  std::uint64_t length;
  bool hole;  // nothing is stored for it
  bool reads_zero;
};

enum class WriteFlag : std::uint8_t {
  kNone = 0,
  kForceUnitAccess = 1,  // return only when this write is durable
};

enum class ZeroFlag : std::uint8_t {
  kNone = 0,
  kForceUnitAccess = 1,
  kNoHole = 2,  // the client wants the space kept allocated; coffer stores nothing either way
};

class BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  /// Bytes; changes only by resize. Any byte range inside is allowed; multiples of kBlockSize are
  /// fast.
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  [[nodiscard]] virtual bool read_only() const = 0;
  /// Preferred request size in bytes (the chunk size).
  [[nodiscard]] virtual std::uint32_t preferred_io_size() const = 0;

  // All: kInvalidArgument beyond the end; kIoError, kCorruption, kUnavailable when bytes cannot be
  // had; writes also kNoSpace, and kUnsupported when read-only. Length 0 does nothing.
  virtual Status Read(std::uint64_t offset, MutableByteView out) = 0;
  virtual Status Write(std::uint64_t offset, ByteView data, WriteFlag flag) = 0;
  virtual Status Flush() = 0;
  /// Frees the whole blocks of the range, which read as zeros afterwards; what else is in it stays.
  virtual Status Trim(std::uint64_t offset, std::uint64_t length, WriteFlag flag) = 0;
  virtual Status WriteZeroes(std::uint64_t offset, std::uint64_t length, ZeroFlag flag) = 0;
  /// Allocation from `offset` on, without gaps, up to offset+length at most. Fewer bytes, but some:
  /// where they are `count_max` extents, or where looking on would take long.
  virtual Result<std::vector<Extent>> Extents(std::uint64_t offset, std::uint64_t length,
                                              std::size_t count_max) = 0;

  /// As Read, but only when it needs neither disk nor network nor a wait; nullopt otherwise. For
  /// event loops: a hot read is answered in place.
  virtual std::optional<Status> TryRead(std::uint64_t offset, MutableByteView out) = 0;

  struct WriteRequest {
    std::uint64_t offset;
    ByteView data;
  };
  /// Several writes as one journal append, in order, by one pwrite and without waiting for space,
  /// for other writers, for a sync or for other bytes of a block: nullopt when that would be
  /// needed; the caller then writes all of them, in which whatever was written already disappears.
  virtual std::optional<Status> TryWrite(std::span<const WriteRequest> requests) = 0;
};

}  // namespace coffer::block

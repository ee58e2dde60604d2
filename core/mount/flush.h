// What a file system holds of writes, brought to its image before it is taken away by force. Any
// thread with descriptors of its own.
#pragma once

#include <string>

#include "core/mount/file_systems.h"
#include "core/mount/way.h"

namespace coffer::mount {

/// Whether `unmounting`'s progress has grown since this was asked last.
class Advance {
 public:
  explicit Advance(const UnmountHow& how) : how_(how), last_(Now()) {}
  bool operator()() {
    const std::uint64_t now = Now();
    const bool grown = now != last_;
    last_ = now;
    return grown;
  }

 private:
  [[nodiscard]] std::uint64_t Now() const { return how_.progress ? how_.progress() : 0; }
  const UnmountHow& how_;
  std::uint64_t last_;
};

/// Flushes the file system mounted at `path`, for as long as that gets on; into `unmounting.lost`
/// goes why not all of it could be.
void FlushByForce(const FileSystems& tools, const std::string& path, Unmounting& unmounting);

}  // namespace coffer::mount

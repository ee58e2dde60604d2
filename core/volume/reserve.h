// Reserve: disk space kept back so that a commit can end on a full disk: the trust file and the
// spooled head are written anew before the journal's segments are free again (faults.md row 16).
// One thread at a time; held() at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "core/base/file_system.h"

namespace coffer::volume {

class Reserve {
 public:
  static constexpr std::uint64_t kBytes = 4u << 20;

  /// `path`: a file that need not exist yet.
  Reserve(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}

  /// Takes the space, if it isn't held. kNoSpace: the disk has less; held() is false then.
  Status Hold();
  /// Gives it back to whoever needs it now.
  void Drop();
  [[nodiscard]] bool held() const { return held_; }

 private:
  FileSystem& fs_;
  const std::string path_;
  std::atomic<bool> held_{false};
};

}  // namespace coffer::volume

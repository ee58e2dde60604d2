// HeadSpool: the file that holds a head's exact bytes from before its create until the answer is
// known (core/format/spool.h). One thread at a time.
//
// Write is durable. Clear is not: a spool that a power cut brings back names a head that stands in
// the store already, which Load finds out by comparing, and drops again.
#pragma once

#include <optional>
#include <string>

#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/format/spool.h"

namespace coffer::vault {

class HeadSpool {
 public:
  /// `directory` is the volume's; it exists.
  HeadSpool(FileSystem& fs, const std::string& directory)
      : fs_(fs), directory_(directory), path_(directory + "/spool") {}

  /// nullopt when there is none, or one that is damaged: then what it held is taken for another
  /// writer's head if it was created, and never was if it wasn't; neither loses anything.
  Result<std::optional<format::Spool>> Read();
  Status Write(const format::Spool& spool);
  void Clear();
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Durable: for a head that must not be offered again.
  Status Drop();

 private:
  FileSystem& fs_;
  const std::string directory_;
  const std::string path_;
};

}  // namespace coffer::vault

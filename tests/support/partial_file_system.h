// A file system without hard links, and perhaps without RENAME_NOREPLACE: FAT, some shares.
#pragma once

#include <string>

#include "tests/support/forwarding_file_system.h"

namespace coffer {

class PartialFileSystem final : public ForwardingFileSystem {
 public:
  enum class Renames { kNoReplace, kPlainOnly };

  PartialFileSystem(FileSystem& inner, Renames renames)
      : ForwardingFileSystem(inner), renames_(renames) {}

  Status Link(const std::string&, const std::string& to) override {
    return Fail(ErrorCode::kUnsupported, "no hard links here: " + to);
  }
  Status RenameNoReplace(const std::string& from, const std::string& to) override {
    if (renames_ == Renames::kNoReplace) return ForwardingFileSystem::RenameNoReplace(from, to);
    return Fail(ErrorCode::kUnsupported, "no rename flags here: " + to);
  }

 private:
  const Renames renames_;
};

}  // namespace coffer

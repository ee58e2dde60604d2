// A file system that holds one write or sync of a file until it is let go: a disk that does not
// answer for a while, for as long as a test wants. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "tests/support/forwarding_file_system.h"

namespace coffer {

class GatedFileSystem final : public ForwardingFileSystem {
 public:
  enum class Call { kWrite, kSync };

  explicit GatedFileSystem(FileSystem& inner) : ForwardingFileSystem(inner) {}

  /// The next such call waits, before it does anything, until LetGo.
  void HoldNext(Call call) {
    std::lock_guard lock(mutex_);
    wanted_ = call;
  }
  void LetGo() {
    std::lock_guard lock(mutex_);
    wanted_.reset();
    held_ = false;
    changed_.notify_all();
  }
  /// False if that takes too long.
  [[nodiscard]] bool AwaitHeld() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [this] { return held_; });
  }

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    ASSIGN_OR_RETURN(auto file, ForwardingFileSystem::Open(path, mode));
    return std::unique_ptr<File>(std::make_unique<GatedFile>(*this, std::move(file)));
  }

 private:
  class GatedFile final : public ForwardingFile {
   public:
    GatedFile(GatedFileSystem& gate, std::unique_ptr<File> inner)
        : ForwardingFile(std::move(inner)), gate_(gate) {}
    Status WriteAt(std::uint64_t offset, ByteView data) override {
      gate_.Pass(Call::kWrite);
      return ForwardingFile::WriteAt(offset, data);
    }
    Status SyncData() override {
      gate_.Pass(Call::kSync);
      return ForwardingFile::SyncData();
    }

   private:
    GatedFileSystem& gate_;
  };

  void Pass(Call call) {
    std::unique_lock lock(mutex_);
    if (wanted_ != call) return;
    wanted_.reset();
    held_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Call> wanted_;
  bool held_ = false;
};

}  // namespace coffer

// PackUploader: seals and uploads packs in the background, a few at once, and tells their ids as
// soon as they are sealed. One for each commit; one thread drives it, the work executor seals, and
// what waits for the store is the vault's own executor for that: `work` is everybody's.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/pack/pack_builder.h"
#include "core/pack/upload_window.h"
#include "core/store/object_store.h"

namespace coffer::pack {

/// Is told of each pack that is in the store, on a thread of `uploads`, before AwaitUploaded
/// returns.
class UploadListener {
 public:
  virtual ~UploadListener() = default;
  virtual void OnUploaded(const SealedPack& pack) = 0;
};

class PackUploader {
 public:
  /// `listener` may be null.
  PackUploader(store::ObjectStore& store, Executor& work, Executor& uploads, UploadWindow& window,
               UploadListener* listener = nullptr)
      : store_(store), work_(work), uploads_(uploads), window_(window), listener_(listener) {}
  /// Waits for what is in flight.
  ~PackUploader();

  /// Takes a builder to seal and upload; waits while as many as the window takes are in flight.
  /// Returns the pack's number for IdOf.
  std::size_t Submit(std::unique_ptr<PackBuilder> builder);
  /// Waits until every pack submitted is sealed (not uploaded); the first error of any.
  Status AwaitSealed();
  /// Waits until every pack is in the store; the first error of any.
  Status AwaitUploaded();
  /// REQUIRES: AwaitSealed or AwaitUploaded succeeded after its Submit.
  [[nodiscard]] PackId IdOf(std::size_t number) const;
  [[nodiscard]] std::uint64_t uploaded_bytes() const;

 private:
  void Seal(std::size_t number, std::shared_ptr<PackBuilder> builder);
  void Upload(const SealedPack& sealed);
  void Finish(Status status, std::uint64_t bytes);

  store::ObjectStore& store_;
  Executor& work_;
  Executor& uploads_;
  UploadWindow& window_;
  UploadListener* const listener_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<PackId> ids_ GUARDED_BY(mutex_);
  std::size_t unsealed_ GUARDED_BY(mutex_) = 0;
  std::size_t in_flight_ GUARDED_BY(mutex_) = 0;
  std::uint64_t uploaded_bytes_ GUARDED_BY(mutex_) = 0;
  Status first_error_ GUARDED_BY(mutex_);
};

}  // namespace coffer::pack

#include "core/pack/pack_uploader.h"

#include "core/base/failpoint.h"
#include "core/format/chain_name.h"

namespace coffer::pack {

PackUploader::~PackUploader() {
  MutexLock lock(mutex_);
  work_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS { return in_flight_ == 0; });
}

std::size_t PackUploader::Submit(std::unique_ptr<PackBuilder> builder) {
  MutexLock lock(mutex_);
  const auto has_room = [this]() NO_THREAD_SAFETY_ANALYSIS { return in_flight_ < window_.size(); };
  if (!has_room()) {
    window_.NoteWaiting();
    work_.Await(lock, changed_, has_room);
  }
  const std::size_t number = ids_.size();
  ids_.emplace_back();
  ++unsealed_;
  ++in_flight_;
  work_.Post([this, number, shared = std::shared_ptr<PackBuilder>(std::move(builder))]() mutable {
    Seal(number, std::move(shared));
  });
  return number;
}

void PackUploader::Seal(std::size_t number, std::shared_ptr<PackBuilder> builder) {
  auto sealed = builder->Seal(work_);
  builder.reset();  // the compressed frames have served: one copy in memory is enough
  {
    MutexLock lock(mutex_);
    --unsealed_;
    if (sealed.has_value()) ids_[number] = sealed->id;
    changed_.notify_all();
  }
  COFFER_FAILPOINT("pack-sealed");
  if (!sealed.has_value()) return Finish(Fail(std::move(sealed).error()), 0);
  uploads_.Post(
      [this, shared = std::make_shared<const SealedPack>(*std::move(sealed))] { Upload(*shared); });
}

void PackUploader::Upload(const SealedPack& sealed) {
  Status status = store_.Create(
      Writing(), format::PackName(sealed.id), sealed.object,
      sealed.has_metadata ? store::ObjectClass::kMetadata : store::ObjectClass::kData);
  window_.NoteEnded(sealed.object.size(), status);
  COFFER_FAILPOINT("pack-uploaded");
  if (status.has_value() && listener_ != nullptr) listener_->OnUploaded(sealed);
  Finish(std::move(status), sealed.object.size());
}

void PackUploader::Finish(Status status, std::uint64_t bytes) {
  MutexLock lock(mutex_);
  --in_flight_;
  if (status.has_value()) {
    uploaded_bytes_ += bytes;
  } else if (first_error_.has_value()) {
    first_error_ = std::move(status);
  }
  changed_.notify_all();
}

Status PackUploader::AwaitSealed() {
  MutexLock lock(mutex_);
  work_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS {
    return unsealed_ == 0 || !first_error_.has_value();
  });
  return first_error_;
}

Status PackUploader::AwaitUploaded() {
  MutexLock lock(mutex_);
  work_.Await(lock, changed_, [this]() NO_THREAD_SAFETY_ANALYSIS { return in_flight_ == 0; });
  return first_error_;
}

PackId PackUploader::IdOf(std::size_t number) const {
  MutexLock lock(mutex_);
  return ids_[number];
}

std::uint64_t PackUploader::uploaded_bytes() const {
  MutexLock lock(mutex_);
  return uploaded_bytes_;
}

}  // namespace coffer::pack

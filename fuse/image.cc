#include "fuse/image.h"

#include <algorithm>

#include "core/base/log.h"
#include "fuse/limits.h"

namespace coffer::fuse {

std::string Image::FileStem(std::string name) {
  std::replace(name.begin(), name.end(), '/', '.');
  return name;
}

Image::Image(const block::ExportSpec& spec, Cache cache, UnixSeconds now, JobQueue& jobs)
    : device_(*spec.device),
      jobs_(jobs),
      name_(spec.name),
      file_stem_(FileStem(spec.name)),
      cache_(cache),
      read_only_(spec.read_only || spec.device->read_only()),
      sole_(spec.sole),
      modified_(now) {}

std::optional<Image::Visit> Image::Enter() {
  // Counted first, then looked: whoever is not seen by Withdraw's wait sees `withdrawn_`.
  inside_.fetch_add(1);
  Visit visit(shared_from_this());
  if (withdrawn_.load()) return std::nullopt;
  return visit;
}

void Image::CountFailure(const char* doing, const Error& error) {
  const int before = counters_.errors.fetch_add(1, std::memory_order_relaxed);
  if (before >= kErrorsLoggedMax) return;
  LOG(kWarning, "fuse: ", doing, " ", name_, ": ", error.message,
      before + 1 == kErrorsLoggedMax ? "; its further errors are not logged" : "");
}

void Image::Leave() {
  // Counted first, then looked, as AwaitIdle does: one of the two sees the other.
  if (inside_.fetch_sub(1) != 1 || waiting_.load() == 0) return;
  MutexLock lock(mutex_);
  changed_.notify_all();
}

void Image::AwaitIdle(Executor& waits) {
  waiting_.fetch_add(1);
  MutexLock lock(mutex_);
  waits.Await(lock, changed_, [this] { return inside_.load() == 0; });
  waiting_.fetch_sub(1);
}

void Image::Withdraw(Executor& waits) {
  withdrawn_.store(true);
  AwaitIdle(waits);
}

}  // namespace coffer::fuse

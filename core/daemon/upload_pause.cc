#include "core/daemon/upload_pause.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "core/base/log.h"

namespace coffer::daemon {
namespace {

constexpr std::uint64_t kFileBytesMax = 64;

/// The time that the file holds as decimal digits and a newline; nullopt for anything else.
std::optional<UnixSeconds> Parse(std::string_view text) {
  UnixSeconds until = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), until);
  const bool whole = error == std::errc() && end + 1 == text.data() + text.size() && *end == '\n';
  if (!whole || until < 0) return std::nullopt;
  return until;
}

}  // namespace

UploadPause::UploadPause(FileSystem& fs, Clock& clock, Executor& executor, std::string path,
                         Apply apply)
    : fs_(fs),
      clock_(clock),
      executor_(executor),
      path_(std::move(path)),
      apply_(std::move(apply)) {
  const Result<Bytes> kept = ReadReplacedFile(fs_, path_, kFileBytesMax);
  if (!kept.has_value()) {
    if (kept.error().code != ErrorCode::kNotFound) {
      LOG(kWarning, "whether uploads rest is not known, so they go on: ", kept.error().message);
    }
    return;
  }
  const std::optional<UnixSeconds> until = Parse(AsText(*kept));
  if (!until) LOG(kWarning, path_, " holds no time: uploads go on");
  if (!until || (*until != kUntilResumed && *until <= clock_.WallNow())) return;
  std::unique_ptr<Executor::Timer> old;
  const MutexLock change(change_mutex_);
  {
    const MutexLock lock(mutex_);
    until_ = until;
  }
  SetTimerLocked(&old);
}

UploadPause::~UploadPause() {
  std::unique_ptr<Executor::Timer> last;
  const MutexLock change(change_mutex_);
  last.swap(timer_);
}

std::optional<UnixSeconds> UploadPause::until() const {
  const MutexLock lock(mutex_);
  return until_;
}

volume::Uploads UploadPause::uploads() const {
  return until() ? volume::Uploads::kPaused : volume::Uploads::kGoOn;
}

Status UploadPause::Pause(std::optional<std::uint64_t> seconds) {
  const UnixSeconds until =
      seconds ? clock_.WallNow() + static_cast<UnixSeconds>(*seconds) : kUntilResumed;
  std::unique_ptr<Executor::Timer> old;
  const MutexLock change(change_mutex_);
  return Change(until, &old);
}

Status UploadPause::Resume() {
  std::unique_ptr<Executor::Timer> old;
  const MutexLock change(change_mutex_);
  return Change(std::nullopt, &old);
}

void UploadPause::EndOfTime(std::uint64_t number) {
  const MutexLock change(change_mutex_);
  if (number != number_) return;
  {
    const MutexLock lock(mutex_);
    until_.reset();
  }
  const Status removed = fs_.Remove(path_);
  if (!removed.has_value()) LOG(kDebug, removed.error().message);
  LOG(kInfo, "the pause is over: uploads go on");
  apply_(volume::Uploads::kGoOn);
}

Status UploadPause::Change(std::optional<UnixSeconds> until,
                           std::unique_ptr<Executor::Timer>* old) {
  if (until) {
    RETURN_IF_ERROR(ReplaceFile(fs_, path_, AsBytes(Concat(*until, "\n"))));
  } else if (const Status removed = fs_.Remove(path_);
             !removed.has_value() && removed.error().code != ErrorCode::kNotFound) {
    return removed;
  }
  {
    const MutexLock lock(mutex_);
    until_ = until;
  }
  SetTimerLocked(old);
  apply_(until ? volume::Uploads::kPaused : volume::Uploads::kGoOn);
  return {};
}

void UploadPause::SetTimerLocked(std::unique_ptr<Executor::Timer>* old) {
  *old = std::move(timer_);
  ++number_;
  const std::optional<UnixSeconds> end = until();
  if (!end || *end == kUntilResumed) return;
  const auto wait = std::chrono::seconds(std::max<UnixSeconds>(*end - clock_.WallNow(), 0));
  // How long it lasts does not hang on a wall clock that is set meanwhile.
  timer_ = executor_.PostAfter(wait, [this, number = number_] { EndOfTime(number); });
}

}  // namespace coffer::daemon

#include "nbd/budget.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace coffer::nbd {

bool CommonBudget::Take(std::size_t bytes, const void* owner, std::function<void()> tell) {
  MutexLock lock(mutex_);
  if (bytes > bytes_max_ - taken_) {
    waiting_.insert_or_assign(owner, std::move(tell));
    return false;
  }
  taken_ += bytes;
  return true;
}

void CommonBudget::GiveBack(std::size_t bytes) {
  if (bytes == 0) return;
  MutexLock lock(mutex_);
  taken_ -= bytes;
  // Under the lock, so that who is told is there still.
  for (const auto& [owner, tell] : std::exchange(waiting_, {})) tell();
}

void CommonBudget::Forget(const void* owner) {
  MutexLock lock(mutex_);
  waiting_.erase(owner);
}

Purse::~Purse() {
  CHECK(taken_ == 0 && line_.empty());
  common_.Forget(this);
}

bool Purse::Take(Connection& who, std::size_t bytes, MonotonicTime now) {
  const auto may = [&] {
    if (front() != nullptr && front() != &who) return false;
    const std::size_t more = Beyond(taken_ + bytes) - Beyond(taken_);
    // Who is alone gets what it needs, however much: else it would wait for ever.
    if (more > 0 && !common_.Take(more, this, tell_)) return taken_ == 0;
    from_common_ += more;
    return true;
  };
  if (may()) {
    taken_ += bytes;
    LeaveLine(who);
    return true;
  }
  const bool stands = std::any_of(line_.begin(), line_.end(),
                                  [&who](const Waiting& waiting) { return waiting.who == &who; });
  if (!stands) line_.push_back({&who, now});
  return false;
}

void Purse::GiveBack(std::size_t bytes) {
  CHECK(bytes <= taken_);
  taken_ -= bytes;
  const std::size_t left = std::min(from_common_, Beyond(taken_));
  common_.GiveBack(std::exchange(from_common_, left) - left);
}

void Purse::LeaveLine(const Connection& who) {
  std::erase_if(line_, [&who](const Waiting& waiting) { return waiting.who == &who; });
}

std::optional<MonotonicTime> Purse::OthersWaitSince(const Connection& who) const {
  for (const Waiting& waiting : line_) {
    if (waiting.who != &who) return waiting.since;
  }
  return std::nullopt;
}

Tab::~Tab() {
  LeaveLine();
  purse_.GiveBack(granted_);
}

bool Tab::Afford(std::size_t held, std::size_t more, std::size_t share, const Clock& clock) {
  const std::size_t free = share + granted_;
  if (held + more > free) {
    const std::size_t missing = held + more - free;
    if (!purse_.Take(owner_, missing, clock.Now())) {
      in_line_ = true;
      return false;
    }
    granted_ += missing;
  }
  LeaveLine();
  return true;
}

void Tab::Settle(std::size_t held, std::size_t share) {
  const std::size_t needed = held > share ? held - share : 0;
  if (needed >= granted_) return;
  purse_.GiveBack(granted_ - needed);
  granted_ = needed;
}

void Tab::LeaveLine() {
  if (std::exchange(in_line_, false)) purse_.LeaveLine(owner_);
}

std::optional<MonotonicTime> Tab::WantedSince() const {
  if (granted_ == 0) return std::nullopt;
  return purse_.OthersWaitSince(owner_);
}

void Progress::Set(bool waited_for, const Clock& clock) {
  if (waited_for == since_.has_value()) return;
  moved_ = 0;
  since_.reset();
  if (waited_for) since_ = clock.Now();
}

void Progress::NoteMoved(std::size_t bytes, const Clock& clock) {
  if (!since_) return;
  moved_ += bytes;
  if (moved_ < bytes_) return;
  moved_ = 0;
  since_ = clock.Now();
}

}  // namespace coffer::nbd

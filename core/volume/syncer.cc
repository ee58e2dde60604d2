#include "core/volume/syncer.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/planted.h"
#include "core/format/limits.h"
#include "core/volume/read_path.h"

namespace coffer::volume {
namespace {

constexpr Duration kProgressInterval = std::chrono::milliseconds(200);
constexpr Duration kFullPause = std::chrono::seconds(1);
/// Dirty bytes committed after which an idle volume gives freed memory back to the system.
constexpr std::uint64_t kFreedBytesMin = 1u << 20;
/// Memory that was given back has to be faulted in again, which for a volume in use costs more than
/// the writing itself (on a virtual machine the host may have taken the pages too).
constexpr Duration kFreedKept = std::chrono::seconds(30);

}  // namespace

Syncer::Syncer(VaultResources& resources, const Settings& settings, vault::HeadChain& chain,
               vault::HeadChain::Newest newest, LiveMap& live, cache::Journal& journal,
               pack::DedupIndex* dedup, Reserve& reserve, Damage& damage,
               const Beginning& beginning, const std::string& directory)
    : resources_(resources),
      env_(resources.vault().env()),
      settings_(settings),
      sync_bytes_(settings.sync_bytes),
      chain_(chain),
      live_(live),
      journal_(journal),
      dedup_(dedup),
      reserve_(reserve),
      damage_(damage),
      pace_(env_.work_executor.parallelism()),
      kept_(resources.vault(), resources.windows(), directory),
      newest_(std::move(newest)),
      new_epoch_(beginning.new_epoch),
      deltas_lost_(beginning.deltas_lost),
      // What a released head has of deltas could not be folded when it was written.
      deltas_standing_(newest_.head.released ? newest_.head.map.deltas.size() : deltas_lost_) {
  MutexLock lock(mutex_);
  tuned_ = settings;
  head_seq_ = newest_.point.seq;
  unfolded_deltas_ = newest_.head.map.deltas.size();
  committed_seq_ = newest_.head.journal.seq;
}

// ---- when to work
// -----------------------------------------------------------------------------------

void Syncer::NoteWrites() {
  const LiveMap::Numbers numbers = live_.numbers();
  std::unique_ptr<Executor::Timer> old;  // ended outside the lock: its task takes it
  const bool enough = numbers.open_bytes >= sync_bytes_;
  if (enough) live_.Cut();
  MutexLock lock(mutex_);
  if (stopped_ || hopeless_) return;
  // One that was full for its number of parts is cut already.
  const bool due = (enough || numbers.waiting > 0) && trouble_.message.empty();
  if (due) StartLocked();
  if (!(enough && due) && !timer_set_) {
    timer_set_ = true;
    old = std::move(timer_);
    timer_ = env_.sync_executor.PostAfter(tuned_.sync_age, [this] {
      {
        MutexLock inner(mutex_);
        timer_set_ = false;
      }
      Kick();
    });
  }
}

Settings Syncer::Tuned() const {
  MutexLock lock(mutex_);
  return tuned_;
}

void Syncer::Retune(const Settings& settings) {
  sync_bytes_ = settings.sync_bytes;
  bool sooner = false;
  {
    MutexLock lock(mutex_);
    // A timer that runs would still wait for the longer age.
    sooner = timer_set_ && trouble_.message.empty() && settings.sync_age < tuned_.sync_age;
    tuned_ = settings;
  }
  if (sooner) Kick();
}

void Syncer::Kick() {
  live_.Cut();
  MutexLock lock(mutex_);
  StartLocked();
}

/// Uploads are paused, and nobody waits for one.
bool Syncer::HeldBackLocked() const { return paused_ && committed_seq_ >= asked_seq_; }

void Syncer::SetPaused(bool paused) {
  const std::uint64_t seq = live_.Cut();
  MutexLock lock(mutex_);
  paused_ = paused;
  if (!paused && committed_seq_ < seq) StartLocked();
}

void Syncer::StartLocked() {
  if (stopped_ || hopeless_ || HeldBackLocked()) return;
  if (running_) {
    again_ = true;
    return;
  }
  running_ = true;
  env_.sync_executor.Post([this] { Run(); });
}

Status Syncer::SyncAll(const Progress& progress) {
  const std::uint64_t total = live_.numbers().dirty_bytes;
  // Not what the journal has appended: of that the last may not be published, so that nothing cut
  // now holds it, and nobody would begin a commit for it before its age has come.
  const std::uint64_t seq = live_.Cut();
  MutexLock lock(mutex_);
  const std::uint64_t base = committed_bytes_;
  // The one under way may fail for what was so before the call: the store just came back, say.
  const std::uint64_t attempt = attempts_begun_ + 1;
  asked_seq_ = std::max(asked_seq_, seq);
  if (committed_seq_ < seq) {
    attempts_wanted_ = std::max(attempts_wanted_, attempt);
    StartLocked();
  }
  const auto done = [&]() NO_THREAD_SAFETY_ANALYSIS {
    return committed_seq_ >= seq || attempt_failed_ >= attempt || hopeless_ || stopped_;
  };
  ++waiting_;
  changed_.notify_all();  // to whoever gives way
  if (progress) {
    while (!env_.sync_executor.AwaitFor(lock, changed_, kProgressInterval, done)) {
      const std::uint64_t now = committed_bytes_ - base + building_bytes_;
      lock.Unlock();
      progress(std::min(now, total), total);
      lock.Lock();
    }
  } else {
    env_.sync_executor.Await(lock, changed_, done);
  }
  --waiting_;
  if (committed_seq_ >= seq) return {};
  if (!trouble_.message.empty()) return Fail(trouble_);
  return Fail(ErrorCode::kCancelled,
              "the volume is closing; what is not uploaded is in the journal");
}

Status Syncer::FlushAll(std::optional<Duration> limit) {
  const std::uint64_t seq = live_.Cut();
  MutexLock lock(mutex_);
  const auto done = [&]() NO_THREAD_SAFETY_ANALYSIS {
    return committed_seq_ >= seq || hopeless_ || stopped_ || refusing_ || flushes_here_;
  };
  asked_seq_ = std::max(asked_seq_, seq);
  if (!done()) {
    // At once, whatever the last attempt met: the store may be back. From then on as ever.
    attempts_wanted_ = std::max(attempts_wanted_, attempts_begun_ + 1);
    StartLocked();
  }
  ++waiting_;
  ++flushes_waiting_;
  changed_.notify_all();  // to whoever gives way
  if (limit.has_value()) {
    (void)env_.sync_executor.AwaitFor(lock, changed_, *limit, done);
  } else {
    env_.sync_executor.Await(lock, changed_, done);
  }
  --flushes_waiting_;
  --waiting_;
  if (committed_seq_ >= seq || flushes_here_) return {};
  if (hopeless_) return Fail(trouble_);
  if (refusing_ || stopped_) return Fail(ErrorCode::kCancelled, "the volume is closing");
  return Fail(ErrorCode::kUnavailable,
              Concat("the store has not taken what is to be flushed in the time that flush_wait "
                     "gives it; it is in the journal",
                     trouble_.message.empty() ? "" : ": ", trouble_.message));
}

Status Syncer::AwaitCommit(std::optional<Duration>& left) {
  live_.Cut();
  MutexLock lock(mutex_);
  if (trouble_.message.empty()) StartLocked();
  const std::uint64_t commits = commits_;
  ++waiting_;
  changed_.notify_all();  // to whoever gives way
  const Duration pause = std::clamp(left.value_or(kFullPause), Duration{}, kFullPause);
  const MonotonicTime begin = env_.clock.Now();
  (void)env_.sync_executor.AwaitFor(lock, changed_, pause, [&]() NO_THREAD_SAFETY_ANALYSIS {
    return commits_ != commits || hopeless_ || stopped_ || refusing_;
  });
  --waiting_;
  if (refusing_ || stopped_) return Fail(ErrorCode::kCancelled, "the volume is closing");
  if (hopeless_) {
    return Fail(ErrorCode::kNoSpace,
                "the journal is full and the volume does not sync any more: " + trouble_.message);
  }
  // A machine that slept meanwhile could not sync either: that time does not count.
  if (left.has_value()) *left -= std::min(env_.clock.Now() - begin, pause);
  if (left.has_value() && *left <= Duration{}) {
    return Fail(ErrorCode::kNoSpace, "the journal is full, and what it holds is not uploaded yet");
  }
  return {};
}

void Syncer::SetFlushesHere(bool here) {
  MutexLock lock(mutex_);
  flushes_here_ = here;
  changed_.notify_all();
}

void Syncer::RefuseWaits() {
  MutexLock lock(mutex_);
  refusing_ = true;
  changed_.notify_all();
}

void Syncer::Stop() {
  std::unique_ptr<Executor::Timer> timer;
  std::unique_ptr<Executor::Timer> memory_timer;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
    timer = std::move(timer_);
    memory_timer = std::move(memory_timer_);
  }
  timer.reset();
  memory_timer.reset();
  MutexLock lock(mutex_);
  env_.sync_executor.Await(lock, changed_,
                           [this]() NO_THREAD_SAFETY_ANALYSIS { return !running_; });
}

void Syncer::FailLocked(Error error) {
  attempt_failed_ = attempts_begun_;
  hopeless_ = error.code == ErrorCode::kNeedsPerson;
  backoff_ = backoff_ == Duration{} ? settings_.retry_min
                                    : std::min<Duration>(backoff_ * 2, settings_.retry_max);
  retry_at_ = env_.clock.Now() + backoff_;
  LOG(kWarning, "sync failed, ",
      hopeless_ ? "a person is needed: " : "will be tried again: ", error.message);
  trouble_ = std::move(error);
}

void Syncer::Run() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      ++attempts_begun_;
    }
    Status status = RunOnce();
    if (!status.has_value() && status.error().code == ErrorCode::kNoSpace && reserve_.held()) {
      reserve_.Drop();
      status = RunOnce();
    }
    if (status.has_value()) (void)reserve_.Hold();  // the next time it lacks, writers say so
    ReturnMemorySoon();
    std::unique_ptr<Executor::Timer> old;
    MutexLock lock(mutex_);
    building_bytes_ = 0;
    if (!status.has_value()) {
      FailLocked(std::move(status).error());
      again_ = false;
      changed_.notify_all();
      if (!hopeless_ && !stopped_ && attempts_wanted_ > attempts_begun_) continue;
      if (!hopeless_ && !stopped_) {
        timer_set_ = true;
        old = std::move(timer_);
        timer_ = env_.sync_executor.PostAfter(backoff_, [this] {
          {
            MutexLock inner(mutex_);
            timer_set_ = false;
          }
          Kick();
        });
      }
      // Ended while Stop still waits for this attempt: its task may be running, and takes the lock.
      lock.Unlock();
      old.reset();
      lock.Lock();
      if (!hopeless_ && !stopped_ && !HeldBackLocked() &&
          (again_ || attempts_wanted_ > attempts_begun_)) {
        again_ = false;  // asked for meanwhile
        continue;
      }
    } else if (!stopped_ && !HeldBackLocked() && (again_ || live_.has_waiting())) {
      again_ = false;
      continue;
    }
    running_ = false;
    changed_.notify_all();
    lock.Unlock();
    return;
  }
}

/// Once what was committed has freed much: after a while, if nothing is being written then.
void Syncer::ReturnMemorySoon() {
  if (freed_bytes_ < kFreedBytesMin) return;
  std::unique_ptr<Executor::Timer> old;  // ended outside the lock: its task takes it
  MutexLock lock(mutex_);
  if (stopped_ || memory_timer_set_) return;
  memory_timer_set_ = true;
  old = std::move(memory_timer_);
  memory_timer_ = env_.sync_executor.PostAfter(kFreedKept, [this] {
    {
      MutexLock inner(mutex_);
      memory_timer_set_ = false;
    }
    if (live_.numbers().generations > 0) return;  // the next attempt comes here again
    freed_bytes_ = 0;
    ReturnFreeMemory();
  });
}

void Syncer::FillStatus(VolumeStatus* status) const {
  MutexLock lock(mutex_);
  status->committed_seq = committed_seq_;
  status->syncing = running_;
  status->head_seq = head_seq_;
  status->unfolded_deltas = unfolded_deltas_;
  status->commits = commits_;
  status->uploaded_bytes = uploaded_bytes_;
  status->consolidated_chunks = consolidated_chunks_;
  status->sync_bytes_per_second = dirty_bytes_per_second_;
  status->flushes_waiting = flushes_waiting_;
  status->trouble = trouble_;
  if (!trouble_.message.empty() && !hopeless_) {
    status->retry_in_seconds =
        std::max(0.0, std::chrono::duration<double>(retry_at_ - env_.clock.Now()).count());
  }
}

}  // namespace coffer::volume

// JobTable: work that outlasts a request. A job runs on the executor given; whoever asked polls it
// or watches events. Finished jobs are kept until `kKept` newer ones have finished. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/control/event_hub.h"
#include "core/control/messages.h"

namespace coffer::daemon {

class JobTable {
 public:
  /// More than a vault may have, so that one whose jobs all hang leaves room for others'.
  static constexpr std::size_t kRunningMax = 256;
  static constexpr std::size_t kRunningOfVaultMax = 64;
  static constexpr std::size_t kKept = 256;

  /// How a job tells where it stands; used by its own work only.
  class Reporter {
   public:
    void Progress(std::uint64_t done, std::uint64_t total);
    void Message(std::string message);
    /// What whoever asked for the job is to know when it has ended; "" says nothing.
    void Note(std::string note);
    /// Who is in the way.
    void Holder(control::HolderInfo holder);
    void WaitingBytes(std::uint64_t bytes);
    void Opened(control::OpenReply reply);
    void Deleted(control::Deleted deleted);

   private:
    friend class JobTable;
    Reporter(JobTable& table, std::uint64_t number) : table_(table), number_(number) {}
    JobTable& table_;
    std::uint64_t number_;
  };
  using Work = std::function<Status(Reporter&)>;

  JobTable(Executor& executor, Clock& clock, control::EventHub& events)
      : executor_(executor), clock_(clock), events_(events) {}
  ~JobTable();  // waits for the running ones

  /// kConflict when too many run, in all or of that volume's vault (the part of its name before the
  /// slash). `kind`, `volume`, `unit` as in control::JobInfo.
  Result<control::JobInfo> Start(std::string kind, std::string volume, std::string unit, Work work);
  /// The running job of that kind and volume, if there is one.
  [[nodiscard]] std::optional<control::JobInfo> FindRunning(const std::string& kind,
                                                            const std::string& volume) const;
  Result<control::JobInfo> Find(const std::string& id) const;
  [[nodiscard]] control::JobList List() const;

 private:
  struct Job {
    control::JobInfo info;
    MonotonicTime published{};
  };

  void Run(std::uint64_t number, const Work& work);
  void Change(std::uint64_t number, const std::function<void(control::JobInfo&)>& change,
              bool always_publish);
  void ForgetOldLocked() REQUIRES_LOCK(mutex_);
  [[nodiscard]] std::size_t RunningOfLocked(std::string_view vault) const REQUIRES_LOCK(mutex_);

  Executor& executor_;
  Clock& clock_;
  control::EventHub& events_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::uint64_t, Job> jobs_ GUARDED_BY(mutex_);
  std::uint64_t last_number_ GUARDED_BY(mutex_) = 0;
  std::size_t running_ GUARDED_BY(mutex_) = 0;
};

}  // namespace coffer::daemon

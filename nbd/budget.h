// Memory for payloads and replies, by bytes: how much all clients of a server may make it hold.
//
// Each connection has a share of its own, so that ordinary requests ask nobody (Connection). What
// goes beyond it is granted by the purse of its export, one for payloads and one for replies: from
// what the export has for itself, enough for the largest request there is, and then from what all
// exports of the server have together (CommonBudget). So an export whose device waits, for room in
// its journal or for its store, never keeps another from a request; nor do its writes keep its
// reads from one.
//
// Who is not granted what he asks for stands in line: first come, first served. Nothing is refused.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace coffer::nbd {

class Connection;

/// What all exports of a server have together. Thread-safe.
class CommonBudget {
 public:
  explicit CommonBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// False: `tell` is called when there may be more, on any thread, once, unless Forget(owner).
  [[nodiscard]] bool Take(std::size_t bytes, const void* owner, std::function<void()> tell)
      EXCLUDES_LOCK(mutex_);
  void GiveBack(std::size_t bytes) EXCLUDES_LOCK(mutex_);
  void Forget(const void* owner) EXCLUDES_LOCK(mutex_);

 private:
  const std::size_t bytes_max_;
  Mutex mutex_;
  std::size_t taken_ GUARDED_BY(mutex_) = 0;
  std::map<const void*, std::function<void()>> waiting_ GUARDED_BY(mutex_);
};

/// An export's. Loop thread only.
class Purse {
 public:
  /// `own_bytes` are the export's for itself; `tell` is called on any thread when somebody in line
  /// may ask again. `common` outlives the purse.
  Purse(CommonBudget& common, std::size_t own_bytes, std::function<void()> tell)
      : common_(common), own_bytes_(own_bytes), tell_(std::move(tell)) {}
  ~Purse();
  Purse(const Purse&) = delete;
  Purse& operator=(const Purse&) = delete;

  /// False: `who` stands in line since `now` at the latest; it asks again when it is front().
  [[nodiscard]] bool Take(Connection& who, std::size_t bytes, MonotonicTime now);
  void GiveBack(std::size_t bytes);
  void LeaveLine(const Connection& who);
  /// Who is to ask again next; null: nobody stands in line.
  [[nodiscard]] Connection* front() const { return line_.empty() ? nullptr : line_.front().who; }
  /// Since when somebody else than `who` stands in line.
  [[nodiscard]] std::optional<MonotonicTime> OthersWaitSince(const Connection& who) const;
  [[nodiscard]] std::size_t taken_bytes() const { return taken_; }

 private:
  struct Waiting {
    Connection* who;
    MonotonicTime since;
  };
  /// Of `taken` bytes, what is not the export's own.
  [[nodiscard]] std::size_t Beyond(std::size_t taken) const {
    return taken > own_bytes_ ? taken - own_bytes_ : 0;
  }

  CommonBudget& common_;
  const std::size_t own_bytes_;
  const std::function<void()> tell_;
  std::size_t taken_ = 0;
  std::size_t from_common_ = 0;
  std::deque<Waiting> line_;
};

/// What one connection holds of a purse's kind. Loop thread only.
class Tab {
 public:
  Tab(Purse& purse, Connection& owner) : purse_(purse), owner_(owner) {}
  ~Tab();
  Tab(const Tab&) = delete;
  Tab& operator=(const Tab&) = delete;

  /// Whether `more` bytes beside `held` ones are granted; false: the owner stands in line. `share`
  /// is what it has without asking.
  [[nodiscard]] bool Afford(std::size_t held, std::size_t more, std::size_t share,
                            const Clock& clock);
  /// It holds only so much any more.
  void Settle(std::size_t held, std::size_t share);
  [[nodiscard]] std::size_t granted_bytes() const { return granted_; }
  [[nodiscard]] bool in_line() const { return in_line_; }
  void LeaveLine();
  /// Since when others wait for what is granted here; nullopt: nobody does, or nothing is.
  [[nodiscard]] std::optional<MonotonicTime> WantedSince() const;

 private:
  Purse& purse_;
  Connection& owner_;
  std::size_t granted_ = 0;
  bool in_line_ = false;
};

/// Whether a client that is waited for gets on: it has to move so many bytes in every so much time.
class Progress {
 public:
  explicit Progress(std::size_t bytes) : bytes_(bytes) {}
  /// Whether it is waited for, from now on.
  void Set(bool waited_for, const Clock& clock);
  void NoteMoved(std::size_t bytes, const Clock& clock);
  /// Since when it has moved too little; nullopt: it is not waited for.
  [[nodiscard]] std::optional<MonotonicTime> since() const { return since_; }

 private:
  const std::size_t bytes_;
  std::optional<MonotonicTime> since_;
  std::size_t moved_ = 0;
};

}  // namespace coffer::nbd

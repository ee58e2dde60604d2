#include "nbd/loop.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::nbd {

Loop::Loop(const Limits& limits, Totals& totals, Executor& workers, const Clock& clock,
           std::unique_ptr<Poller> poller)
    : limits_(limits),
      totals_(totals),
      clock_(clock),
      poller_(std::move(poller)),
      patience_(limits.patience),
      pool_(limits.idle_buffer_bytes_max),
      payloads_(totals.payloads(), limits.bytes_of_export, [this] { Post([] {}); }),
      replies_(totals.replies(), limits.bytes_of_export, [this] { Post([] {}); }),
      jobs_(workers, *poller_),
      scratch_(kReceiveBytes),
      context_{pool_,  payloads_, replies_, jobs_, *poller_,
               clock_, limits_,   totals_,  *this, scratch_} {
  totals_.TellOfRoom(this, [this] { Post([] {}); });
}

Loop::~Loop() {
  totals_.Forget(this);
  CHECK(connections_.empty());
  for (const auto& listener : listeners_) listener->Close();
}

void Loop::Run() {
  std::array<Poller::Ready, 64> ready;
  while (!stopped_) {
    const Poller::WaitResult waited = WaitForEvents(ready);
    for (std::size_t i = 0; i < waited.count; ++i) ready[i].target->OnReady(ready[i].readiness);
    // Listeners and connections are destroyed below only: events above may name each once more.
    if (waited.woken) {
      TakeFinishedJobs();
      RunPosted();
    }
    ExpireDeadlines();
    ServeLines();
    ForgetConnections();
    UpdateListeners();
  }
}

Poller::WaitResult Loop::WaitForEvents(std::span<Poller::Ready> ready) {
  if (const Duration patience = patience_.ForThisWait(); patience > Duration::zero()) {
    const Poller::WaitResult asked = Ask(ready, patience);
    if (asked.count > 0 || asked.woken) {
      patience_.Paid();
      return asked;
    }
    patience_.WasInVain();
    return poller_->Wait(ready, NextTimeout());
  }
  const MonotonicTime begin = clock_.Now();
  const Poller::WaitResult waited = poller_->Wait(ready, NextTimeout());
  patience_.Slept(clock_.Now() - begin);
  return waited;
}

Poller::WaitResult Loop::Ask(std::span<Poller::Ready> ready, Duration patience) {
  constexpr int kTimesMax = 1000;  // should the clock stand still
  const MonotonicTime end = clock_.Now() + patience;
  Poller::WaitResult asked;
  int times = 0;
  do {
    asked = poller_->Wait(ready, Duration::zero());
  } while (asked.count == 0 && !asked.woken && ++times < kTimesMax && clock_.Now() < end);
  return asked;
}

void Loop::Post(Call call) {
  MutexLock lock(mutex_);
  posted_.push_back(std::move(call));
  if (posted_.size() == 1) poller_->Wake();
}

void Loop::RunPosted() {
  std::vector<Call> posted;
  {
    MutexLock lock(mutex_);
    posted.swap(posted_);
  }
  for (const Call& call : posted) call();
}

void Loop::TakeFinishedJobs() {
  jobs_.TakeFinished(finished_jobs_);
  std::vector<Connection*> touched;
  for (Job* job : finished_jobs_) {
    if (job->command == Command::kFlush) {
      for (const Barrier& barrier : job->barriers) {
        touched.push_back(barrier.connection);
        barrier.connection->FinishBarrier(barrier, job->result);
      }
    } else {
      touched.push_back(job->connection);
      job->connection->Finish(*job);
    }
    jobs_.Recycle(*job);
  }
  // After all of them, so that their replies leave together.
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (Connection* connection : touched) connection->Pump();
}

Result<std::shared_ptr<Listener>> Loop::AddListener(Descriptor socket,
                                                    Listener::EmptyName empty_name,
                                                    std::shared_ptr<const TlsCredentials> tls) {
  auto listener =
      std::make_shared<Listener>(std::move(socket), *poller_, empty_name, std::move(tls),
                                 [this](Listener& one) { AcceptFrom(one); });
  RETURN_IF_ERROR(listener->Start());
  listeners_.push_back(listener);
  return listener;
}

Connection& Loop::Keep(std::unique_ptr<Connection> connection) {
  Connection& kept = *connection;
  connections_.emplace(&kept, std::move(connection));
  totals_.NoteArrived();
  return kept;
}

void Loop::Adopt(Arrival arrival) {
  Keep(std::make_unique<Connection>(arrival, context_)).GoOn(arrival);
}

void Loop::Shut(Call idle) {
  shut_ = std::move(idle);
  for (const auto& listener : listeners_) listener->Close();
  listeners_.clear();
  for (const auto& [connection, owner] : connections_) connection->Drain();
}

bool Loop::HasRoomFor(const Listener& listener) const {
  return listener.negotiating < limits_.negotiating_max && !listener.paused_until &&
         totals_.HasRoom();
}

void Loop::AcceptFrom(Listener& listener) {
  while (HasRoomFor(listener)) {
    Accepted accepted = Accept(listener.socket());
    if (accepted.outcome == Accepted::Outcome::kNobody) return;
    if (accepted.outcome == Accepted::Outcome::kExhausted) {
      LOG(kWarning, "nbd: no descriptor or memory left for another client; it has to wait");
      listener.paused_until = clock_.Now() + limits_.exhausted_pause;
      return;
    }
    Keep(std::make_unique<Connection>(std::move(accepted.connection), listener.shared_from_this(),
                                      context_))
        .Start();
  }
}

void Loop::UpdateListeners() {
  for (const auto& listener : listeners_) {
    if (listener->paused_until && *listener->paused_until <= clock_.Now()) {
      listener->paused_until.reset();
    }
    listener->SetAccepting(HasRoomFor(*listener));
  }
}

std::optional<Duration> Loop::NextTimeout() const {
  std::optional<MonotonicTime> next;
  const auto consider = [&next](std::optional<MonotonicTime> time) {
    if (time && (!next || *time < *next)) next = time;
  };
  for (const Connection* connection : context_.timed) consider(connection->Deadline());
  for (const auto& listener : listeners_) consider(listener->paused_until);
  if (!next) return std::nullopt;
  return std::max(*next - clock_.Now(), Duration::zero());
}

void Loop::ExpireDeadlines() {
  if (context_.timed.empty()) return;
  const MonotonicTime now = clock_.Now();
  std::vector<Connection*> expired;
  for (Connection* connection : context_.timed) {
    if (const auto deadline = connection->Deadline(); deadline && *deadline <= now) {
      expired.push_back(connection);
    }
  }
  for (Connection* connection : expired) connection->OnDeadline();
}

void Loop::ServeLines() {
  for (Purse* purse : {&payloads_, &replies_}) {
    while (Connection* const first = purse->front()) {
      first->Pump();
      if (purse->front() == first) break;
    }
  }
}

void Loop::ForgetConnections() {
  for (Connection* connection : context_.forgotten) {
    const auto found = connections_.find(connection);
    CHECK(found != connections_.end());
    connections_.erase(found);
    totals_.NoteLeft();
  }
  if (!context_.forgotten.empty() && connections_.empty()) pool_.DropIdle();
  context_.forgotten.clear();
  if (shut_ && connections_.empty()) std::exchange(shut_, nullptr)();
}

}  // namespace coffer::nbd

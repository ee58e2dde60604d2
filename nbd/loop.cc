#include "nbd/loop.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::nbd {

Loop::Loop(const Limits& limits, Executor& workers, const Clock& clock,
           std::unique_ptr<Poller> poller)
    : limits_(limits),
      clock_(clock),
      poller_(std::move(poller)),
      patience_(limits.patience),
      pool_(limits.idle_buffer_bytes_max),
      jobs_(workers, *poller_),
      scratch_(kReceiveBytes),
      context_{pool_, jobs_, *poller_, clock_, limits_, scratch_, limits.bytes_in_flight_max,
               {},    {}} {}

Loop::~Loop() {
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
    touched.push_back(job->connection);
    job->connection->Finish(*job);
    jobs_.Recycle(*job);
  }
  // After all of them, so that their replies leave together.
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (Connection* connection : touched) connection->Pump();
}

std::shared_ptr<Listener> Loop::NewListener(Descriptor socket, Listener::EmptyName empty_name,
                                            std::shared_ptr<const TlsCredentials> tls) {
  return std::make_shared<Listener>(std::move(socket), *poller_, empty_name, std::move(tls),
                                    [this](Listener& listener) { AcceptFrom(listener); });
}

Status Loop::AddSharedListener(Descriptor socket) {
  auto listener = NewListener(std::move(socket), Listener::EmptyName::kRefused, nullptr);
  RETURN_IF_ERROR(listener->Start());
  shared_listener_ = listener;
  listeners_.push_back(std::move(listener));
  return {};
}

Status Loop::Add(const block::ExportSpec& spec, Descriptor own_socket,
                 std::shared_ptr<const TlsCredentials> tls) {
  if (exports_.contains(spec.name)) {
    return Fail(ErrorCode::kAlreadyExists, Concat("NBD export ", spec.name, " is there already"));
  }
  auto served = std::make_shared<ServedExport>();
  served->name = spec.name;
  served->description = spec.description;
  served->device = spec.device;
  served->read_only = spec.read_only || spec.device->read_only();
  Entry entry{served, nullptr};
  if (own_socket.open()) {
    entry.own_listener =
        NewListener(std::move(own_socket), Listener::EmptyName::kMeansTheExport, std::move(tls));
    entry.own_listener->Add(served);
    RETURN_IF_ERROR(entry.own_listener->Start());
    listeners_.push_back(entry.own_listener);
  } else if (shared_listener_) {
    shared_listener_->Add(served);
  } else {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("NBD export ", spec.name, ": no shared socket, so it needs an address"));
  }
  exports_.emplace(spec.name, std::move(entry));
  return {};
}

bool Loop::Withdraw(const std::string& name, Call idle) {
  auto found = exports_.extract(name);
  if (found.empty()) return false;
  Withdraw(std::move(found.mapped()), std::move(idle));
  return true;
}

void Loop::Withdraw(Entry entry, Call idle) {
  if (entry.own_listener) {
    entry.own_listener->Close();
    std::erase(listeners_, entry.own_listener);
  } else {
    shared_listener_->Drop(entry.served->name);
  }
  for (const auto& [connection, owner] : connections_) {
    if (connection->served() == entry.served.get()) connection->Drain();
  }
  withdrawals_.push_back({std::move(entry.served), std::move(idle)});
}

void Loop::Shut(Call idle) {
  shut_ = std::move(idle);
  for (const auto& listener : listeners_) listener->Close();
  for (auto& [name, entry] : exports_) withdrawals_.push_back({entry.served, [] {}});
  exports_.clear();
  listeners_.clear();
  for (const auto& [connection, owner] : connections_) connection->Drain();
}

int Loop::ClientCount(const std::string& name) const {
  const auto found = exports_.find(name);
  return found == exports_.end() ? 0 : found->second.served->clients;
}

std::vector<Loop::Client> Loop::Clients(const std::string& name) const {
  std::vector<Client> clients;
  const auto found = exports_.find(name);
  if (found == exports_.end()) return clients;
  for (const auto& [connection, owner] : connections_) {
    if (connection->served() != found->second.served.get() || !connection->talks()) continue;
    clients.push_back({connection->peer(), connection->has_written()});
  }
  return clients;
}

bool Loop::HasRoomFor(const Listener& listener) const {
  return listener.negotiating < limits_.negotiating_max && !listener.paused_until &&
         connections_.size() < static_cast<std::size_t>(limits_.connections_max);
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
    auto connection = std::make_unique<Connection>(std::move(accepted.connection),
                                                   listener.shared_from_this(), context_);
    Connection& started = *connection;
    connections_.emplace(&started, std::move(connection));
    ShareBytes();
    started.Start();
  }
}

void Loop::ShareBytes() {
  const std::size_t share =
      limits_.bytes_in_flight_total / std::max<std::size_t>(1, connections_.size());
  context_.bytes_in_flight_max = std::clamp<std::size_t>(share, 1, limits_.bytes_in_flight_max);
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

void Loop::ForgetConnections() {
  for (Connection* connection : context_.forgotten) {
    const auto found = connections_.find(connection);
    CHECK(found != connections_.end());
    connections_.erase(found);
  }
  if (!context_.forgotten.empty()) {
    context_.forgotten.clear();
    ShareBytes();
  }
  SettleWithdrawals();
}

void Loop::SettleWithdrawals() {
  std::erase_if(withdrawals_, [](const Withdrawal& withdrawal) {
    if (withdrawal.served->users > 0) return false;
    withdrawal.idle();
    return true;
  });
  if (shut_ && connections_.empty()) std::exchange(shut_, nullptr)();
}

}  // namespace coffer::nbd

#include "core/control/server.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/lane.h"
#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/control/connection.h"
#include "core/control/dispatcher.h"
#include "core/control/message_json.h"
#include "core/control/version.h"

namespace coffer::control {
namespace {

constexpr std::size_t kStreamBacklogMax = 256 << 10;  // bytes, then events are dropped
constexpr Duration kPauseWithoutDescriptors = std::chrono::milliseconds(100);
constexpr int kAnswerThreads = 2;

class PollingServer final : public ControlServer {
 public:
  PollingServer(ControlService& service, Executor& handlers, Clock& clock, Options options,
                UniqueFd listener, bool owns_name, UniqueFd wake)
      : service_(service),
        dispatcher_(service),
        handlers_(handlers),
        clock_(clock),
        options_(std::move(options)),
        owns_name_(owns_name),
        listener_(std::move(listener)),
        wake_(std::move(wake)) {
    thread_ = std::thread([this] { Run(); });
    pthread_setname_np(thread_.native_handle(), "control");
  }

  ~PollingServer() override { Stop(); }

  void StopAccepting() override { Ask(Asked::kStopAccepting); }

  void Stop() override {
    Ask(Asked::kStop);
    if (thread_.joinable()) thread_.join();
  }

 private:
  using Id = std::uint64_t;
  enum class Asked { kServe, kStopAccepting, kStop };

  /// What other threads leave for the I/O thread.
  struct Mailbox {
    Asked asked = Asked::kServe;
    std::vector<std::pair<Id, HttpReply>> replies;
    std::vector<std::pair<Id, WipedString>> events;
    std::size_t event_bytes = 0;
    bool events_lost = false;
  };

  void Ask(Asked asked) EXCLUDES_LOCK(mutex_) {
    {
      MutexLock lock(mutex_);
      mailbox_.asked = std::max(mailbox_.asked, asked);
    }
    Wake();
  }

  void Wake() {
    const std::uint64_t one = 1;
    // Cannot fail but by a full counter, which wakes as well.
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
  }

  // --- The I/O thread ---

  void Run() {
    for (;;) {
      TakeMail();
      if (asked_ == Asked::kStop && connections_.empty()) return;
      WaitForSockets();
      if (FdIsReady(0)) DrainWake();
      for (auto& [id, index] : polled_) ServeSocket(id, poll_fds_[index].revents);
      if (listener_polled_ && FdIsReady(1)) AcceptClients();
      CutOffLate();
      std::erase_if(connections_, [](const auto& entry) {
        return entry.second.state() == Connection::State::kDone;
      });
    }
  }

  void WaitForSockets() {
    poll_fds_.clear();
    polled_.clear();
    poll_fds_.push_back({wake_.get(), POLLIN, 0});
    listener_polled_ = listener_.valid() && connections_.size() < options_.connections_max &&
                       clock_.Now() >= accept_after_;
    if (listener_polled_) poll_fds_.push_back({listener_.get(), POLLIN, 0});
    for (const auto& [id, connection] : connections_) {
      const short events = connection.poll_events();
      if (events == 0) continue;
      polled_.emplace_back(id, poll_fds_.size());
      poll_fds_.push_back({connection.fd(), events, 0});
    }
    if (poll(poll_fds_.data(), poll_fds_.size(), TimeoutMilliseconds()) < 0) {
      for (pollfd& entry : poll_fds_) entry.revents = 0;
    }
  }

  int TimeoutMilliseconds() const {
    std::optional<MonotonicTime> next;
    const auto consider = [&next](MonotonicTime time) {
      if (!next || time < *next) next = time;
    };
    for (const auto& [id, connection] : connections_) {
      if (const auto deadline = connection.deadline()) consider(*deadline);
    }
    const MonotonicTime now = clock_.Now();
    if (listener_.valid() && now < accept_after_) consider(accept_after_);
    if (!next) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - now).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }

  [[nodiscard]] bool FdIsReady(std::size_t index) const { return poll_fds_[index].revents != 0; }

  void DrainWake() {
    std::uint64_t count;
    [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof count);
  }

  void AcceptClients() {
    while (connections_.size() < options_.connections_max) {
      UniqueFd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!socket.valid()) {
        // Out of descriptors: the client stays in the backlog; do not spin on it.
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
          LOG(kWarning,
              "control: cannot accept a client: ", ErrorFromErrno(errno, "accept").message);
          accept_after_ = clock_.Now() + kPauseWithoutDescriptors;
        }
        return;
      }
      const auto peer = PeerUid(socket.get());
      if (!peer.has_value() || *peer != options_.allowed_uid) {
        LOG(kWarning, "control: refused a client of user ",
            peer.has_value() ? std::to_string(*peer) : "unknown");
        continue;
      }
      connections_.emplace(next_id_++,
                           Connection(std::move(socket), clock_.Now() + options_.request_time));
    }
  }

  void ServeSocket(Id id, short ready) {
    if (ready == 0) return;
    Connection& connection = connections_.at(id);
    if ((ready & POLLOUT) != 0) connection.OnWritable();
    const bool readable = (ready & (POLLIN | POLLHUP | POLLERR)) != 0;
    if (readable && (connection.poll_events() & POLLIN) != 0) {
      auto request = connection.OnReadable(clock_.Now(), options_.reply_time);
      if (request) Handle(id, std::move(*request));
    } else if ((ready & (POLLERR | POLLNVAL)) != 0) {
      connection.End();
    }
  }

  void Handle(Id id, HttpRequest request) {
    LOG(kDebug, "control: ", request.method, " ", request.target);
    if (Dispatcher::IsEventStream(request)) return StartStream(id);
    const Dispatcher::Takes takes = Dispatcher::HowLong(request);
    const bool waits = takes == Dispatcher::Takes::kAWhile;
    if (waits && waiting_.size() >= options_.waiting_max) {
      const Error error{ErrorCode::kConflict,
                        Concat(waiting_.size(), " requests wait for stores or passwords already"),
                        "coffer status tells what the stores do; try again when they have ended"};
      connections_.at(id).StartReply(ErrorReply(error, request.target), ServerName(),
                                     clock_.Now() + options_.reply_time);
      return;
    }
    if (waits) waiting_.insert(id);
    auto shared = std::make_shared<HttpRequest>(std::move(request));
    ExecutorFor(takes).Post([this, id, shared] {
      HttpReply reply = dispatcher_.Dispatch(std::move(*shared));
      // Under the lock, since the I/O thread may take the reply and end the server at once.
      MutexLock lock(mutex_);
      mailbox_.replies.emplace_back(id, std::move(reply));
      Wake();
    });
  }

  Executor& ExecutorFor(Dispatcher::Takes takes) {
    switch (takes) {
      case Dispatcher::Takes::kNoTime:
        return *answers_;
      case Dispatcher::Takes::kAMoment:
        return *moments_;
      case Dispatcher::Takes::kAWhile:
        break;
    }
    return handlers_;
  }

  void StartStream(Id id) {
    Connection& connection = connections_.at(id);
    const auto streams = std::count_if(connections_.begin(), connections_.end(), [](auto& entry) {
      return entry.second.state() == Connection::State::kStreaming;
    });
    if (static_cast<std::size_t>(streams) >= options_.streams_max) {
      const Error error{ErrorCode::kConflict, "too many clients watch events"};
      connection.StartReply(ErrorReply(error, "/v1/events"), ServerName(),
                            clock_.Now() + options_.reply_time);
      return;
    }
    auto subscription = service_.Subscribe([this, id](const Event& event) {
      WipedString line = EncodeJson(event);
      MutexLock lock(mutex_);
      QueueEventLocked(id, std::move(line));
    });
    connection.StartStream(FormatStreamHead(ServerName()), std::move(subscription),
                           clock_.Now() + options_.reply_time);
  }

  void QueueEventLocked(Id id, WipedString line) REQUIRES_LOCK(mutex_) {
    if (mailbox_.event_bytes + line.size() > kStreamBacklogMax) {
      mailbox_.events_lost = true;
    } else {
      mailbox_.event_bytes += line.size();
      mailbox_.events.emplace_back(id, std::move(line));
    }
    Wake();
  }

  void TakeMail() EXCLUDES_LOCK(mutex_) {
    Mailbox mail;
    {
      MutexLock lock(mutex_);
      mail = std::exchange(mailbox_, Mailbox{mailbox_.asked, {}, {}, 0, false});
    }
    const MonotonicTime deadline = clock_.Now() + options_.reply_time;
    for (auto& [id, reply] : mail.replies) {
      waiting_.erase(id);
      const auto found = connections_.find(id);
      if (found != connections_.end()) found->second.StartReply(reply, ServerName(), deadline);
    }
    for (const auto& [id, line] : mail.events) PushEvent(id, line, deadline);
    if (mail.events_lost) TellEventsLost(deadline);
    if (mail.asked != asked_) Obey(mail.asked);
  }

  void PushEvent(Id id, const WipedString& line, MonotonicTime deadline) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    if (found->second.backlog() > kStreamBacklogMax) {
      found->second.End();  // it has stalled; it will connect again and ask
      return;
    }
    found->second.Push({line.data(), line.size()}, deadline);
  }

  void TellEventsLost(MonotonicTime deadline) {
    const WipedString line = EncodeJson(Event{"lost", {}, {}});
    for (auto& [id, connection] : connections_) {
      connection.Push({line.data(), line.size()}, deadline);
    }
  }

  void Obey(Asked asked) {
    asked_ = asked;
    if (listener_.valid()) {
      if (owns_name_) unlink(options_.socket_path.c_str());
      listener_ = UniqueFd();
    }
    if (asked != Asked::kStop) return;
    for (auto& [id, connection] : connections_) {
      const auto state = connection.state();
      if (state == Connection::State::kReading || state == Connection::State::kStreaming) {
        connection.End();
      }
    }
    std::erase_if(connections_, [](const auto& entry) {
      return entry.second.state() == Connection::State::kDone;
    });
  }

  void CutOffLate() {
    const MonotonicTime now = clock_.Now();
    for (auto& [id, connection] : connections_) {
      const auto deadline = connection.deadline();
      if (!deadline || *deadline > now) continue;
      LOG(kInfo, "control: cut off a client that stalled");
      connection.End();
    }
  }

  ControlService& service_;
  Dispatcher dispatcher_;
  Executor& handlers_;
  Clock& clock_;
  const Options options_;
  const bool owns_name_;

  // Of the I/O thread.
  UniqueFd listener_;
  Asked asked_ = Asked::kServe;
  Id next_id_ = 0;
  MonotonicTime accept_after_{};
  std::map<Id, Connection> connections_;
  std::set<Id> waiting_;  // of them, whose requests may wait for a store
  std::vector<pollfd> poll_fds_;
  std::vector<std::pair<Id, std::size_t>> polled_;  // connection, its place in poll_fds_
  bool listener_polled_ = false;

  const UniqueFd wake_;
  Mutex mutex_;
  Mailbox mailbox_ GUARDED_BY(mutex_);
  const std::unique_ptr<Executor> answers_ = NewThreadExecutor("answers", kAnswerThreads);
  const std::unique_ptr<Executor> moments_ = NewLane("moments", 1, *answers_);
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::Start(ControlService& service,
                                                            Executor& handlers, Clock& clock,
                                                            Options options, UniqueFd inherited) {
  UniqueFd listener = std::move(inherited);
  const bool owns_name = !listener.valid();
  if (owns_name) {
    ASSIGN_OR_RETURN(listener, ListenUnix(options.socket_path));
  }
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return Fail(ErrorFromErrno(errno, "making an eventfd"));
  return std::make_unique<PollingServer>(service, handlers, clock, std::move(options),
                                         std::move(listener), owns_name, std::move(wake));
}

}  // namespace coffer::control

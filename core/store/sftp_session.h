// SftpSession: one conversation with an SFTP server over a channel of bytes; many callers at once,
// each with several requests in flight, which are matched by their ids.
//
// States: greeting (INIT, then limits@openssh.com where it is offered) → ready → ended. Requests
// may be sent at any time: they wait for ready. A session ends once and for good: the channel came
// to its end, the server said what is no answer to anything asked, or it was silent for 30 s while
// it owed an answer. Everybody who waits has the reason, as kUnavailable unless the channel knows
// better; what had been asked may have happened. The next session is somebody else's to begin.
//
// What is in flight is bounded: 4 MiB of file data each way and 4,096 requests; who wants to send
// more waits. A caller who goes away, because his deadline passed or he was told to, leaves his
// requests behind: their answers are dropped, and handles among them closed.
//
// Invariants (under mutex_): `pending_` holds each id that was sent and not answered; the bytes in
// flight are the sums of its payloads; an id belongs to one live exchange, or to nobody.
//
// Thread-safe; waits go through the executor, and the channel's callbacks wait for nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/base/request_context.h"
#include "core/store/sftp_packets.h"

namespace coffer::store {

/// Bytes to a server and back.
class SftpChannel {
 public:
  /// Called one after the other, by whatever thread, with none of the channel's locks held; not
  /// after ~SftpChannel.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnBytes(ByteView bytes) = 0;
    virtual void OnEnd(Error error) = 0;
  };

  /// Waits for the end of a callback that is running.
  virtual ~SftpChannel() = default;
  /// Never blocks, in the order of calls. May call back.
  virtual void Send(Bytes bytes) = 0;
  /// Never blocks. From a callback too.
  virtual void Stop() = 0;
};

/// `listener` outlives the channel. It may be called on another thread before this returns, not on
/// this one.
using SftpDialer =
    std::function<Result<std::unique_ptr<SftpChannel>>(SftpChannel::Listener& listener)>;

class SftpSession final : private SftpChannel::Listener {
 public:
  static constexpr Duration kSilenceMax = std::chrono::seconds(30);
  static constexpr std::uint64_t kPayloadInFlightMax = 4 << 20;  // each way
  static constexpr std::size_t kRequestsInFlightMax = 4096;
  /// Of one READ or WRITE, also where the server takes more: small enough that a slow line gives
  /// signs of life.
  static constexpr std::uint64_t kPayloadBytesMax = 128 << 10;

  /// What a server offers, once it has greeted.
  struct Terms {
    sftp::Offers offers;
    std::uint32_t read_bytes = sftp::kPayloadBytesAlways;
    std::uint32_t write_bytes = sftp::kPayloadBytesAlways;
  };

  /// `name` is of the server, for errors.
  static Result<std::shared_ptr<SftpSession>> Start(const SftpDialer& dial, std::string name,
                                                    Clock& clock, Executor& waiting);
  ~SftpSession() override;
  SftpSession(const SftpSession&) = delete;
  SftpSession& operator=(const SftpSession&) = delete;

  [[nodiscard]] bool has_ended() const;
  [[nodiscard]] const std::string& name() const { return name_; }

  class Exchange;

 private:
  enum class State { kGreeting, kAskingLimits, kReady, kEnded };
  struct Pending {
    Exchange* owner;  // null: nobody wants the answer
    sftp::PacketType type;
    std::uint32_t payload_bytes;
  };

  SftpSession(std::string name, Clock& clock, Executor& waiting)
      : name_(std::move(name)), clock_(clock), waiting_(waiting) {}

  void OnBytes(ByteView bytes) override;
  void OnEnd(Error error) override;

  /// What came of what has been received goes into `to_send`.
  Status Take(ByteView packet, std::vector<Bytes>& to_send) REQUIRES_LOCK(mutex_);
  Status TakeVersion(ByteView packet, std::vector<Bytes>& to_send) REQUIRES_LOCK(mutex_);
  void TakeLimits(const sftp::Reply& reply) REQUIRES_LOCK(mutex_);
  void BecomeReady() REQUIRES_LOCK(mutex_);
  /// Gives the request an id and notes it.
  std::uint32_t Register(sftp::Request& request, Exchange* owner) REQUIRES_LOCK(mutex_);
  Bytes CloseOrphan(const std::string& handle) REQUIRES_LOCK(mutex_);
  void EndLocked(Error error) REQUIRES_LOCK(mutex_);
  [[nodiscard]] bool HasRoomFor(const sftp::Request& request) const REQUIRES_LOCK(mutex_);
  std::uint64_t& InFlight(sftp::PacketType type) REQUIRES_LOCK(mutex_);
  /// How long the server may still be silent.
  [[nodiscard]] Duration PatienceLeft() const REQUIRES_LOCK(mutex_);

  const std::string name_;
  Clock& clock_;
  Executor& waiting_;

  mutable Mutex mutex_;
  CondVar changed_;  // state, or room in flight
  State state_ GUARDED_BY(mutex_) = State::kGreeting;
  std::optional<Error> end_ GUARDED_BY(mutex_);
  Terms terms_ GUARDED_BY(mutex_);
  sftp::PacketCutter cutter_ GUARDED_BY(mutex_);
  std::unordered_map<std::uint32_t, Pending> pending_ GUARDED_BY(mutex_);
  std::set<Exchange*> exchanges_ GUARDED_BY(mutex_);
  std::uint32_t next_id_ GUARDED_BY(mutex_) = 1;
  std::uint64_t up_in_flight_ GUARDED_BY(mutex_) = 0;
  std::uint64_t down_in_flight_ GUARDED_BY(mutex_) = 0;
  /// When it last said something, or began to owe an answer.
  MonotonicTime heard_ GUARDED_BY(mutex_);

  std::unique_ptr<SftpChannel> channel_;  // set by Start, before any callback gets on
};

/// The requests of one caller and their answers. One thread's; the session outlives it.
class SftpSession::Exchange {
 public:
  Exchange(SftpSession& session, const RequestContext& context);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// The server's terms, once it has greeted.
  Result<Terms> AwaitTerms();
  /// Sends it when there is room in flight; its id.
  Result<std::uint32_t> Send(sftp::Request request);
  /// The answer to a request of this exchange; asked for once each.
  Result<sftp::Reply> Await(std::uint32_t id);
  /// Send and Await in one.
  Result<sftp::Reply> Ask(sftp::Request request);
  /// Until every request of the session has its answer.
  Status AwaitNothingInFlight();
  /// Sends what nobody waits for the answer to, if the session still stands. Never blocks.
  void Post(sftp::Request request);

 private:
  friend class SftpSession;

  /// Returns when `done`; else why it will not be: the session's end, the context's.
  /// The analysis cannot know that `lock` holds the session's mutex.
  Status AwaitUntil(MutexLock& lock, CondVar& changed,
                    const std::function<bool()>& done) NO_THREAD_SAFETY_ANALYSIS;
  [[nodiscard]] Error SilenceError() const;
  /// Whether it may go on.
  Status CheckContext() const;

  SftpSession& session_;
  const RequestContext& context_;
  CondVar answered_;
  std::map<std::uint32_t, sftp::Reply> answers_;  // not picked up yet; under the session's mutex
  /// Wakes the waits of this exchange.
  std::optional<std::stop_callback<std::function<void()>>> on_cancel_;
};

}  // namespace coffer::store

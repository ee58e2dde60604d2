// Connection: one client. Moves bytes between its socket and its Session, and requests between the
// Session and the device: hot reads and batches of writes in place, all else through jobs. Loop
// thread only.
//
// Barriers (FLUSH, and writes with FUA, which are written with the others of their batch) are
// answered by a flush of the device that begins after them: one for all that came together, and
// for all that come while another one runs (JobQueue).
//
// States and how each is left:
//   talking    (STARTTLS: nothing is read until the answer is sent, then all is TLS)
//              the client says it is done, ends its stream or breaks the protocol, or the export is
//              withdrawn: finishing. The socket breaks, or a deadline passes: gone. It has chosen
//              an export of another loop: gone here, and arrived there
//   finishing  nothing more is read. All that is in flight is answered and sent: gone. The socket
//              breaks, or the client does not take the last answers in time: gone
//   gone       the socket is closed, results of jobs are dropped; forgotten when the last has come
//   back
// Invariants (CheckInvariants): gone = no socket, nothing to send; a backlog exists only while
// talking, and so is a request parked; jobs hold bytes only while there are some.
//
// Back-pressure: while too much is in flight or unsent, or there is no memory for a request
// (budget.h), nothing is received. What came with the last receive and has not been looked at waits
// in the backlog, at most kReceiveBytes.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/base/clock.h"
#include "nbd/budget.h"
#include "nbd/channel.h"
#include "nbd/jobs.h"
#include "nbd/limits.h"
#include "nbd/listener.h"
#include "nbd/reply_queue.h"
#include "nbd/session.h"
#include "nbd/sockets.h"
#include "nbd/totals.h"

namespace coffer::nbd {

/// What all connections of a loop share.
struct ConnectionContext {
  BufferPool& pool;
  Purse& payloads;
  Purse& replies;
  JobQueue& jobs;
  Poller& poller;
  const Clock& clock;
  const Limits& limits;
  Totals& totals;
  const Loop& loop;
  MutableByteView scratch;                     // kReceiveBytes; of whoever is being served
  std::unordered_set<Connection*> timed = {};  // those with a Deadline
  std::vector<Connection*> forgotten = {};     // those that nothing refers to any more
  Bytes encrypted = {};                        // scratch of TLS, made when first needed
};

/// A client that has negotiated on another loop than its export's.
struct Arrival {
  Descriptor socket;
  std::shared_ptr<ServedExport> served;
  Export chosen;
  Agreement agreement;
  Bytes unsent;  // to be told to it first
  Bytes unread;  // what it has said since
};

class Connection final : public PollTarget, private PayloadGate {
 public:
  Connection(Descriptor socket, std::shared_ptr<Listener> listener, ConnectionContext& context);
  Connection(Arrival& arrival, ConnectionContext& context);
  ~Connection() override;

  /// Says hello. The owner forgets the connection when it turns up in context.forgotten.
  void Start();
  /// … of an arrival: says what it was to be told and reads what it has said.
  void GoOn(const Arrival& arrival);
  void OnReady(Readiness readiness) override;
  /// A job has come back, or what a barrier waited for. REQUIRES: Pump soon after; once for many.
  void Finish(Job& job);
  void FinishBarrier(const Barrier& barrier, const Status& flushed);
  /// Works off what has become possible: backlog, replies, the end.
  void Pump();
  /// The export goes: what is in flight is answered, what has come but not begun is refused.
  void Drain();
  [[nodiscard]] std::optional<MonotonicTime> Deadline() const;
  void OnDeadline();

  void CheckInvariants() const;

 private:
  enum class State { kTalking, kFinishing, kGone };

  /// What could not go on for want of memory.
  enum class Parked { kNothing, kRead, kPayload };

  [[nodiscard]] bool Watch();
  [[nodiscard]] bool Admits() const;
  // What it holds: connection_limits.cc, as are the deadlines.
  [[nodiscard]] std::size_t Share() const;
  [[nodiscard]] std::size_t payload_bytes() const {
    return job_payload_bytes_ + session_.payload_bytes();
  }
  [[nodiscard]] std::size_t reply_bytes() const { return job_reply_bytes_ + replies_.held_bytes(); }
  [[nodiscard]] bool MayHold(std::size_t bytes) override;
  [[nodiscard]] bool MayBegin(const Request& request);
  [[nodiscard]] bool MayReceiveMore();
  void LeaveLines();
  void SettleTabs();
  void CountJob(const Job& job);
  void UncountJob(const Job& job);
  [[nodiscard]] std::optional<MonotonicTime> StallDeadline() const;
  void ReceiveSome();
  void Process(ByteView& input);
  [[nodiscard]] bool BeginOrPark();
  void ProcessBacklog();
  void KeepBacklog(ByteView rest);
  void OnNegotiated(ByteView& input);
  void Enter(std::shared_ptr<ServedExport> served);
  void Depart(std::shared_ptr<ServedExport> served, ByteView& unread);
  void OnBroken();
  void StartTls();
  void OnStreamEnd();
  void TakeOutput();

  void CarryOut(Request& request);
  void ReadInPlace(Request& request);
  void RunWrites();
  void StartBarriers();
  void StartBatch();
  void FinishWrite(const ReplyTo& to, std::uint16_t flags, std::uint64_t length,
                   const Status& written);
  void StartJob(Request& request);
  void JobIsBack(int requests);
  [[nodiscard]] ReplyTo To(const Request& request) const {
    return {style_, request.cookie, request.offset};
  }
  void Done(const ReplyTo& to);
  void Refuse(const ReplyTo& to, ReplyError error, std::string_view why,
              ErrorPlace at = {false, 0});
  void RefuseAsParsed();
  void LogFailure(Command command, std::uint64_t offset, std::uint64_t length, const Error& error);
  void Fail(Command command, const ReplyTo& to, const Error& error);

  void SendReplies();
  void EndTalk();
  void DropInput();
  void Settle();
  void Close();
  void StopNegotiating();
  void UpdateInterest();

  ConnectionContext& context_;
  Channel channel_;
  const std::shared_ptr<Listener> listener_;  // null: arrived
  const MonotonicTime started_;
  Session session_;
  ReplyQueue replies_;
  State state_ = State::kTalking;
  bool negotiating_ = true;
  ReplyStyle style_ = ReplyStyle::kSimple;
  bool send_blocked_ = false;
  bool starting_tls_ = false;  // agreed on; the answer is not sent yet
  std::shared_ptr<ServedExport> export_;
  std::shared_ptr<Client> client_;  // in its list; set with it
  Poller::Interest interest_;
  std::optional<MonotonicTime> farewell_deadline_;

  int jobs_in_flight_ = 0;
  std::size_t job_payload_bytes_ = 0;
  std::size_t job_reply_bytes_ = 0;
  Tab payload_tab_;
  Tab reply_tab_;
  Progress progress_;  // of its client, while that is to send a payload or to take replies
  Parked parked_ = Parked::kNothing;
  Buffer backlog_;
  std::size_t backlog_begin_ = 0;
  std::vector<Request> writes_;  // to be tried as one; empty between events
  std::vector<block::BlockDevice::WriteRequest> write_views_;
  std::vector<Barrier> barriers_;  // of this event
  int errors_logged_ = 0;
};

}  // namespace coffer::nbd

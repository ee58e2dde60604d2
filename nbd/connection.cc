#include "nbd/connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/base/planted.h"
#include "nbd/errors.h"
#include "nbd/loop.h"

namespace coffer::nbd {
namespace {

constexpr const char* kOutOfMemory = "the server is out of memory";
}  // namespace

Connection::Connection(Descriptor socket, std::shared_ptr<Listener> listener,
                       ConnectionContext& context)
    : context_(context),
      channel_(std::move(socket)),
      listener_(std::move(listener)),
      started_(context.clock.Now()),
      session_(*listener_, context.pool),
      replies_(context.pool),
      payload_tab_(context.payloads, *this),
      reply_tab_(context.replies, *this),
      progress_(context.limits.stall_bytes) {
  session_.set_payload_gate(this);
  ++listener_->negotiating;
  context_.timed.insert(this);
}

Connection::Connection(Arrival& arrival, ConnectionContext& context)
    : context_(context),
      channel_(std::move(arrival.socket)),
      started_(context.clock.Now()),
      session_(std::move(arrival.chosen), std::move(arrival.agreement), context.pool),
      replies_(context.pool),
      negotiating_(false),
      payload_tab_(context.payloads, *this),
      reply_tab_(context.replies, *this),
      progress_(context.limits.stall_bytes) {
  session_.set_payload_gate(this);
  Enter(std::move(arrival.served));
}

Connection::~Connection() {
  StopNegotiating();
  context_.timed.erase(this);
  if (channel_.open()) context_.poller.Remove(channel_.socket());
}

// False: dropped.
bool Connection::Watch() {
  interest_ = {true, false};
  const Status added = context_.poller.Add(channel_.socket(), *this, interest_);
  if (added.has_value()) return true;
  LOG(kWarning, "nbd: client dropped: ", added.error().message);
  channel_.Close();
  Close();
  return false;
}

void Connection::Start() {
  if (!Watch()) return;
  TakeOutput();
  Pump();
}

void Connection::GoOn(const Arrival& arrival) {
  if (!Watch()) return;
  if (!replies_.Append(arrival.unsent)) Close();
  if (state_ == State::kTalking && !arrival.unread.empty()) KeepBacklog(arrival.unread);
  Pump();
}

void Connection::OnReady(Readiness readiness) {
  if (state_ == State::kGone) return;  // closed by an event earlier in the same pass
  if (readiness.writable) send_blocked_ = false;
  const bool reads = interest_.read;
  if (readiness.readable && reads) ReceiveSome();
  // With nothing left to read, or no room for it, a client that is gone will not miss its answers.
  if (readiness.gone && !(readiness.readable && reads)) Close();
  Pump();
}

void Connection::ReceiveSome() {
  const MutableByteView payload = session_.payload_space();
  const Transfer received = channel_.Receive(payload, context_.scratch, context_.encrypted);
  switch (received.outcome) {
    case Transfer::Outcome::kLater:
      return;
    case Transfer::Outcome::kGone:
      Close();
      return;
    case Transfer::Outcome::kEnd:
      OnStreamEnd();
      return;
    case Transfer::Outcome::kSome:
      break;
  }
  const std::size_t direct = std::min(received.bytes, payload.size());
  if (direct > 0) {
    session_.PayloadReceived(direct);
    progress_.NoteMoved(direct, context_.clock);
  }
  ByteView input = context_.scratch.first(received.bytes - direct);
  Process(input);
  if (state_ == State::kTalking && !input.empty()) KeepBacklog(input);
}

// Until the input is used up, or no more may be in flight.
void Connection::Process(ByteView& input) {
  if (export_) session_.set_size(export_->device->size());
  bool more = true;
  if (std::exchange(parked_, Parked::kNothing) == Parked::kRead) more = BeginOrPark();
  while (more && state_ == State::kTalking) {
    // A payload under way is gone on with in any case: it holds its bytes already.
    if (!Admits() && session_.payload_bytes() == 0) {
      if (writes_.empty()) break;
      RunWrites();
      continue;
    }
    if (!input.empty() && session_.payload_bytes() == 0 && !MayReceiveMore()) break;
    switch (session_.Advance(input)) {
      case Session::Step::kNeedBytes:
        more = false;
        break;
      case Session::Step::kMustWait:
        parked_ = Parked::kPayload;
        more = false;
        break;
      case Session::Step::kContinue:
        TakeOutput();
        break;
      case Session::Step::kStartTls:
        TakeOutput();
        starting_tls_ = true;
        more = false;
        // Sent in the clear, by the client or somebody else: it must not count as said through TLS.
        if (!input.empty()) EndTalk();
        break;
      case Session::Step::kEntered:
        TakeOutput();
        OnNegotiated(input);
        break;
      case Session::Step::kRequest:
        more = BeginOrPark();
        break;
      case Session::Step::kRefusal:
        RefuseAsParsed();
        break;
      case Session::Step::kDisconnect:
        EndTalk();
        break;
      case Session::Step::kBroken:
        OnBroken();
        break;
    }
    if (replies_.bytes() >= kSendEarlyBytes) SendReplies();
  }
  RunWrites();
  StartBarriers();
}

// False: its turn has not come.
bool Connection::BeginOrPark() {
  if (!MayBegin(session_.request())) {
    parked_ = Parked::kRead;
    return false;
  }
  CarryOut(session_.request());
  return true;
}

void Connection::ProcessBacklog() {
  // Moved out: writes in it are views until Process returns.
  Buffer backlog = std::move(backlog_);
  ByteView input = backlog.view().subspan(std::exchange(backlog_begin_, 0));
  Process(input);
  if (state_ != State::kTalking || input.empty()) return;
  backlog_begin_ = backlog.size() - input.size();
  backlog_ = std::move(backlog);
}

void Connection::KeepBacklog(ByteView rest) {
  backlog_ = context_.pool.Take(rest.size());
  if (backlog_.empty()) {
    Close();
    return;
  }
  std::memcpy(backlog_.mutable_view().data(), rest.data(), rest.size());
}

void Connection::OnNegotiated(ByteView& input) {
  StopNegotiating();
  auto served = listener_->Lookup(session_.chosen().name);
  CHECK(served != nullptr);  // the session has just been told of it, by this thread
  if (served->home == &context_.loop) {
    Enter(std::move(served));
  } else {
    Depart(std::move(served), input);
  }
}

void Connection::Depart(std::shared_ptr<ServedExport> served, ByteView& unread) {
  if (state_ == State::kGone) return;
  context_.poller.Remove(channel_.socket());
  Loop& home = *served->home;
  const auto arrival =
      std::make_shared<Arrival>(Arrival{channel_.Release(), std::move(served), session_.chosen(),
                                        session_.agreement(), replies_.TakeAll(), ToBytes(unread)});
  unread = {};
  state_ = State::kGone;
  context_.forgotten.push_back(this);
  home.Post([&home, arrival] { home.Adopt(std::move(*arrival)); });
}

void Connection::Enter(std::shared_ptr<ServedExport> served) {
  style_ = session_.agreement().replies;
  export_ = std::move(served);
  client_ = export_->clients.Add(PeerOf(channel_.socket()));
  const std::string identity = channel_.Describe();
  LOG(kDebug, "nbd: client connected to ", export_->name, identity.empty() ? "" : ", ", identity);
}

// The handshake goes on as its bytes come, under the deadline of the whole negotiation.
void Connection::StartTls() {
  starting_tls_ = false;
  auto tls = TlsSession::Open(listener_->tls());
  if (!tls) {
    LOG(kWarning, "nbd: client dropped: ", tls.error().message);
    Close();
    return;
  }
  channel_.StartTls(std::move(*tls));
}

void Connection::OnStreamEnd() {
  if (const std::string reason = channel_.EndReason(); !reason.empty()) {
    LOG(kInfo, "nbd: client cut off: ", reason);
  }
  EndTalk();
}

void Connection::OnBroken() {
  TakeOutput();
  LOG(kDebug, "nbd: connection", export_ ? " to " + export_->name : std::string(),
      " ended: ", session_.end_reason());
  EndTalk();
}

void Connection::TakeOutput() {
  Bytes& output = session_.output();
  if (!replies_.Append(output)) Close();
  output.clear();
}

void Connection::CarryOut(Request& request) {
  if (request.command == Command::kWrite || request.command == Command::kTrim ||
      request.command == Command::kWriteZeroes) {
    client_->has_written = true;
  }
  switch (request.command) {
    case Command::kRead:
      if (request.length <= kInPlaceBytesMax) {
        ReadInPlace(request);
      } else {
        StartJob(request);
      }
      return;
    case Command::kWrite:
      if (request.length > kInPlaceBytesMax) {
        StartJob(request);
        return;
      }
      writes_.push_back(std::move(request));
      return;
    case Command::kFlush:
      // After the writes gathered, though that is not owed to anyone: a FLUSH covers the writes
      // answered before it, and these are not. But it is what people expect.
      barriers_.push_back({this, request.command, request.length, To(request)});
      return;
    default:
      RunWrites();
      StartJob(request);
  }
}

void Connection::ReadInPlace(Request& request) {
  const std::size_t header = ReadHeaderBytes(style_);
  const MutableByteView room = replies_.StartRead(header + request.length);
  if (room.empty()) {
    Refuse(To(request), ReplyError::kNoMem, kOutOfMemory);
    return;
  }
  const std::optional<Status> done = export_->device->TryRead(request.offset, room.subspan(header));
  if (!done) {
    StartJob(request);
  } else if (done->has_value()) {
    replies_.FinishRead(LayOutRead(room, To(request), FragmentsOf(request.flags)));
  } else {
    LogFailure(request.command, request.offset, request.length, done->error());
    Fail(request.command, To(request), done->error());
  }
}

// All writes gathered so far as one call; where that would have to wait, as one job.
void Connection::RunWrites() {
  if (state_ == State::kGone) writes_.clear();  // nobody was told that they are done
  if (writes_.empty()) return;
  write_views_.clear();
  for (const Request& write : writes_) write_views_.push_back({write.offset, write.payload});
  const std::optional<Status> done = export_->device->TryWrite(write_views_);
  if (!done && writes_.size() == 1) {
    StartJob(writes_.front());
  } else if (!done) {
    StartBatch();
  } else {
    for (const Request& write : writes_) FinishWrite(To(write), write.flags, write.length, *done);
  }
  writes_.clear();
}

/// A write that the device has, or has refused: with FUA it waits for a flush now.
void Connection::FinishWrite(const ReplyTo& to, std::uint16_t flags, std::uint64_t length,
                             const Status& written) {
  if (!written.has_value()) {
    LogFailure(Command::kWrite, to.offset, length, written.error());
    Fail(Command::kWrite, to, written.error());
  } else if ((flags & kCommandFua) && !Planted("answer-fua-before-flush")) {
    barriers_.push_back({this, Command::kWrite, length, to});
  } else {
    Done(to);
  }
}

void Connection::StartBatch() {
  std::size_t bytes = 0;
  for (const Request& write : writes_) bytes += write.payload.size();
  Buffer data = context_.pool.Take(bytes);
  if (data.empty()) {
    for (const Request& write : writes_) Refuse(To(write), ReplyError::kNoMem, kOutOfMemory);
    return;
  }
  Job& job = context_.jobs.New();
  job.connection = this;
  job.device = export_->device;
  job.command = Command::kWrite;
  std::size_t at = 0;
  for (const Request& write : writes_) {
    const MutableByteView place = data.mutable_view().subspan(at, write.payload.size());
    std::memcpy(place.data(), write.payload.data(), place.size());
    job.batch.push_back({To(write), write.flags, place, {}});
    at += place.size();
  }
  job.data = std::move(data);
  jobs_in_flight_ += static_cast<int>(job.batch.size());
  CountJob(job);
  context_.jobs.Start(job);
}

// One flush for all, which begins after every write of this event that was done in place.
void Connection::StartBarriers() {
  if (state_ != State::kGone && !barriers_.empty()) {
    jobs_in_flight_ += static_cast<int>(barriers_.size());
    context_.jobs.StartFlush(*export_->device, barriers_);
  }
  barriers_.clear();
}

void Connection::StartJob(Request& request) {
  if (state_ == State::kGone) return;
  Buffer data = std::move(request.owned);
  if (request.command == Command::kRead) {
    data = context_.pool.Take(ReadHeaderBytes(style_) + request.length);
  } else if (request.command == Command::kWrite && data.empty()) {
    data = context_.pool.Take(request.length);
    if (!data.empty()) {
      std::memcpy(data.mutable_view().data(), request.payload.data(), request.length);
    }
  }
  const bool needs_data = request.command == Command::kRead || request.command == Command::kWrite;
  if (needs_data && data.empty()) {
    Refuse(To(request), ReplyError::kNoMem, kOutOfMemory);
    return;
  }
  Job& job = context_.jobs.New();
  job.connection = this;
  job.device = export_->device;
  job.command = request.command;
  job.flags = request.flags;
  job.to = To(request);
  job.length = request.length;
  job.selected = &session_.agreement().contexts;
  job.contexts = request.contexts;
  job.data = std::move(data);
  ++jobs_in_flight_;
  CountJob(job);
  context_.jobs.Start(job);
}

void Connection::JobIsBack(int requests) {
  jobs_in_flight_ -= requests;
  if (state_ != State::kGone) return;
  SettleTabs();
  if (jobs_in_flight_ == 0) context_.forgotten.push_back(this);
}

void Connection::FinishBarrier(const Barrier& barrier, const Status& flushed) {
  JobIsBack(1);
  if (state_ == State::kGone) return;
  if (flushed.has_value()) return Done(barrier.to);
  LogFailure(barrier.command, barrier.to.offset, barrier.length, flushed.error());
  Fail(barrier.command, barrier.to, flushed.error());
}

void Connection::Finish(Job& job) {
  UncountJob(job);
  JobIsBack(job.batch.empty() ? 1 : static_cast<int>(job.batch.size()));
  if (state_ == State::kGone) return;
  for (const BatchedWrite& write : job.batch) {
    FinishWrite(write.to, write.flags, write.payload.size(), write.result);
  }
  if (!job.batch.empty()) return;
  if (!job.result.has_value()) {
    LogFailure(job.command, job.to.offset, job.length, job.result.error());
    Fail(job.command, job.to, job.result.error());
  } else if (job.command == Command::kRead) {
    if (!replies_.AddRead(std::move(job.data), job.reply_bytes)) Close();
  } else if (job.command == Command::kBlockStatus) {
    if (!replies_.Append(job.status)) Close();
  } else {
    Done(job.to);
  }
}

void Connection::Pump() {
  StartBarriers();  // of a batch that has come back
  if (state_ == State::kGone) return;
  SendReplies();
  SettleTabs();
  while (state_ == State::kTalking && (!backlog_.empty() || parked_ != Parked::kNothing) &&
         Admits()) {
    ProcessBacklog();
    SendReplies();
    if (payload_tab_.in_line() || reply_tab_.in_line()) break;
  }
  if (state_ == State::kTalking && !Admits()) LeaveLines();  // it holds up those behind it
  if (starting_tls_ && state_ == State::kTalking && replies_.empty()) StartTls();
  if (state_ == State::kTalking && backlog_.empty() && parked_ == Parked::kNothing &&
      channel_.ended()) {
    OnStreamEnd();
  }
  Settle();
  SettleTabs();
  UpdateInterest();
  CheckInvariants();
}

void Connection::SendReplies() {
  if (state_ == State::kGone || send_blocked_) return;
  if (replies_.empty() && !channel_.has_unsent()) return;
  const std::size_t before = replies_.bytes();
  const Transfer::Outcome sent = replies_.SendTo(channel_);
  progress_.NoteMoved(before - replies_.bytes(), context_.clock);
  switch (sent) {
    case Transfer::Outcome::kLater:
      send_blocked_ = true;
      return;
    case Transfer::Outcome::kGone:
      Close();
      return;
    case Transfer::Outcome::kSome:
    case Transfer::Outcome::kEnd:
      return;
  }
}

void Connection::Drain() {
  if (state_ != State::kTalking) return;
  if (std::exchange(parked_, Parked::kNothing) == Parked::kRead) {
    Refuse(To(session_.request()), ReplyError::kShutdown, "the export is being closed");
  }
  ByteView input = backlog_.view().subspan(backlog_begin_);
  while (state_ == State::kTalking && !input.empty()) {
    const Session::Step step = session_.Advance(input);
    if (step == Session::Step::kRequest) {
      Refuse(To(session_.request()), ReplyError::kShutdown, "the export is being closed");
    } else if (step == Session::Step::kRefusal) {
      RefuseAsParsed();
    } else {
      break;
    }
  }
  EndTalk();
  Pump();
}

void Connection::EndTalk() {
  if (state_ != State::kTalking) return;
  state_ = State::kFinishing;
  if (client_ != nullptr) client_->leaves = true;
  DropInput();
}

void Connection::DropInput() {
  backlog_.Release();
  backlog_begin_ = 0;
  session_.DropPayload();
  parked_ = Parked::kNothing;
  LeaveLines();
}

// Leaves `finishing` once everything is answered; gives the client a deadline to take it.
void Connection::Settle() {
  if (state_ != State::kFinishing || jobs_in_flight_ > 0) return;
  if (replies_.empty()) {
    if (channel_.Finish() != Transfer::Outcome::kLater) {
      Close();
      return;
    }
    send_blocked_ = true;
  }
  if (!farewell_deadline_) {
    farewell_deadline_ = context_.clock.Now() + context_.limits.farewell_deadline;
    context_.timed.insert(this);
  }
}

void Connection::Close() {
  if (state_ == State::kGone) return;
  state_ = State::kGone;
  StopNegotiating();
  context_.timed.erase(this);
  if (channel_.open()) context_.poller.Remove(channel_.socket());
  channel_.Close();
  replies_.Clear();
  DropInput();
  SettleTabs();
  if (client_ != nullptr) export_->clients.Remove(client_);
  if (jobs_in_flight_ == 0) context_.forgotten.push_back(this);
}

void Connection::UpdateInterest() {
  if (state_ == State::kGone) return;
  const Poller::Interest wanted{state_ == State::kTalking && !starting_tls_ && backlog_.empty() &&
                                    parked_ == Parked::kNothing &&
                                    (Admits() || session_.payload_bytes() > 0),
                                send_blocked_};
  if (wanted == interest_) return;
  interest_ = wanted;
  context_.poller.Change(channel_.socket(), *this, interest_);
}

void Connection::CheckInvariants() const {
  CHECK((state_ == State::kGone) == !channel_.open());
  CHECK(state_ != State::kGone || replies_.empty());
  CHECK(state_ == State::kTalking || backlog_.empty());
  CHECK(writes_.empty() && barriers_.empty());
  CHECK(jobs_in_flight_ > 0 || job_payload_bytes_ + job_reply_bytes_ == 0);
  CHECK(state_ == State::kTalking || parked_ == Parked::kNothing);
  CHECK(negotiating_ ? export_ == nullptr : true);
}

}  // namespace coffer::nbd

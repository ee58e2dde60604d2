#include "core/store/sftp_session.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace coffer::store {
namespace {

using sftp::PacketType;

/// Whether `reply` may answer a request of that type, and holds no more than was asked for.
bool Answers(const sftp::Reply& reply, PacketType type, std::uint32_t payload_bytes) {
  if (std::holds_alternative<sftp::StatusReply>(reply.body)) return true;
  switch (type) {
    case PacketType::kOpen:
    case PacketType::kOpenDirectory:
      return std::holds_alternative<sftp::HandleReply>(reply.body);
    case PacketType::kRead: {
      const auto* data = std::get_if<sftp::DataReply>(&reply.body);
      return data != nullptr && data->data.size() <= payload_bytes;
    }
    case PacketType::kReadDirectory:
    case PacketType::kRealPath:
      return std::holds_alternative<sftp::NameReply>(reply.body);
    case PacketType::kLstat:
    case PacketType::kStat:
    case PacketType::kFstat:
      return std::holds_alternative<sftp::AttributesReply>(reply.body);
    case PacketType::kExtended:
      return std::holds_alternative<sftp::ExtendedReply>(reply.body);
    default:
      return false;
  }
}

std::uint32_t PayloadWithin(std::uint64_t offered) {
  if (offered == 0) return sftp::kPayloadBytesAlways;
  return static_cast<std::uint32_t>(std::min(offered, SftpSession::kPayloadBytesMax));
}

constexpr std::uint64_t kPacketOverheadMax = 1024;

}  // namespace

Result<std::shared_ptr<SftpSession>> SftpSession::Start(const SftpDialer& dial, std::string name,
                                                        Clock& clock, Executor& waiting) {
  std::shared_ptr<SftpSession> session(new SftpSession(std::move(name), clock, waiting));
  {
    // What the other side says before it was asked waits until there is a channel to answer by.
    const MutexLock lock(session->mutex_);
    session->heard_ = clock.Now();
    ASSIGN_OR_RETURN(session->channel_, dial(*session));
  }
  session->channel_->Send(sftp::EncodeInit());
  return session;
}

SftpSession::~SftpSession() {
  channel_.reset();  // no callback comes after this
}

bool SftpSession::has_ended() const {
  const MutexLock lock(mutex_);
  return state_ == State::kEnded;
}

void SftpSession::OnBytes(ByteView bytes) {
  std::vector<Bytes> to_send;
  bool ended = false;
  {
    const MutexLock lock(mutex_);
    if (state_ == State::kEnded) return;
    heard_ = clock_.Now();
    cutter_.Feed(bytes);
    Status taken;
    while (taken.has_value()) {
      const Result<std::optional<ByteView>> packet = cutter_.Next();
      if (packet.has_value() && !packet->has_value()) break;
      taken = packet.has_value() ? Take(**packet, to_send) : Status(Fail(packet.error()));
    }
    if (!taken.has_value()) {
      Error error = taken.error();
      if (state_ == State::kGreeting && error.hint.empty()) {
        error.hint =
            "see whether the shell's start files on the server print something: they must not for "
            "sessions that are not interactive";
      }
      EndLocked(error.Within(name_));
      ended = true;
    }
  }
  for (Bytes& packet : to_send) channel_->Send(std::move(packet));
  if (ended) channel_->Stop();
}

void SftpSession::OnEnd(Error error) {
  const MutexLock lock(mutex_);
  EndLocked(std::move(error));
}

Status SftpSession::Take(ByteView packet, std::vector<Bytes>& to_send) {
  if (state_ == State::kGreeting) return TakeVersion(packet, to_send);
  ASSIGN_OR_RETURN(sftp::Reply reply, sftp::DecodeReply(packet));
  const auto found = pending_.find(reply.id);
  if (found == pending_.end()) {
    return Fail(ErrorCode::kUnavailable, "the server answers what was not asked");
  }
  const Pending pending = found->second;
  if (!Answers(reply, pending.type, pending.payload_bytes)) {
    return Fail(ErrorCode::kUnavailable, "the server's answer is none to what was asked");
  }
  pending_.erase(found);
  InFlight(pending.type) -= pending.payload_bytes;
  if (state_ == State::kAskingLimits) {
    TakeLimits(reply);
    return {};
  }
  changed_.notify_all();
  if (pending.owner != nullptr) {
    pending.owner->answers_.emplace(reply.id, std::move(reply));
    pending.owner->answered_.notify_all();
  } else if (const auto* opened = std::get_if<sftp::HandleReply>(&reply.body)) {
    to_send.push_back(CloseOrphan(opened->handle));
  }
  return {};
}

Status SftpSession::TakeVersion(ByteView packet, std::vector<Bytes>& to_send) {
  ASSIGN_OR_RETURN(const sftp::VersionReply reply, sftp::DecodeVersion(packet));
  if (reply.version != sftp::kProtocolVersion) {
    return Fail(ErrorCode::kUnsupported,
                Concat("the server speaks version ", reply.version, " of SFTP, not ",
                       sftp::kProtocolVersion),
                "use another server, or another kind of store there");
  }
  terms_.offers = reply.offers;
  if (!reply.offers.limits) {
    BecomeReady();
    return {};
  }
  state_ = State::kAskingLimits;
  sftp::Request ask = sftp::AskForLimits();
  Register(ask, nullptr);
  to_send.push_back(std::move(ask.packet));
  return {};
}

void SftpSession::TakeLimits(const sftp::Reply& reply) {
  if (const auto* told = std::get_if<sftp::ExtendedReply>(&reply.body)) {
    if (const Result<sftp::Limits> limits = sftp::DecodeLimits(told->data); limits.has_value()) {
      terms_.read_bytes = PayloadWithin(limits->read_bytes);
      terms_.write_bytes = PayloadWithin(limits->write_bytes);
      if (limits->packet_bytes > 2 * kPacketOverheadMax) {
        const auto most = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(limits->packet_bytes - kPacketOverheadMax, kPayloadBytesMax));
        terms_.write_bytes = std::min(terms_.write_bytes, most);
        terms_.read_bytes = std::min(terms_.read_bytes, most);
      }
    }
  }
  BecomeReady();
}

void SftpSession::BecomeReady() {
  state_ = State::kReady;
  changed_.notify_all();
}

std::uint32_t SftpSession::Register(sftp::Request& request, Exchange* owner) {
  while (pending_.contains(next_id_)) ++next_id_;
  const std::uint32_t id = next_id_++;
  sftp::SetId(&request.packet, id);
  if (pending_.empty()) heard_ = clock_.Now();
  pending_.emplace(id, Pending{owner, request.type, request.payload_bytes});
  InFlight(request.type) += request.payload_bytes;
  return id;
}

Bytes SftpSession::CloseOrphan(const std::string& handle) {
  sftp::Request close = sftp::Close(handle);
  Register(close, nullptr);
  return std::move(close.packet);
}

void SftpSession::EndLocked(Error error) {
  if (state_ == State::kEnded) return;
  state_ = State::kEnded;
  end_ = std::move(error);
  pending_.clear();
  up_in_flight_ = down_in_flight_ = 0;
  changed_.notify_all();
  for (Exchange* const exchange : exchanges_) exchange->answered_.notify_all();
}

bool SftpSession::HasRoomFor(const sftp::Request& request) const {
  if (pending_.size() >= kRequestsInFlightMax) return false;
  const std::uint64_t used = request.type == PacketType::kWrite ? up_in_flight_ : down_in_flight_;
  return request.payload_bytes == 0 || used + request.payload_bytes <= kPayloadInFlightMax;
}

std::uint64_t& SftpSession::InFlight(PacketType type) {
  return type == PacketType::kWrite ? up_in_flight_ : down_in_flight_;
}

Duration SftpSession::PatienceLeft() const { return heard_ + kSilenceMax - clock_.Now(); }

SftpSession::Exchange::Exchange(SftpSession& session, const RequestContext& context)
    : session_(session), context_(context) {
  {
    const MutexLock lock(session_.mutex_);
    session_.exchanges_.insert(this);
  }
  if (!context_.cancel.stop_possible()) return;
  on_cancel_.emplace(context_.cancel, [this] {
    const MutexLock lock(session_.mutex_);
    answered_.notify_all();
    session_.changed_.notify_all();
  });
}

SftpSession::Exchange::~Exchange() {
  on_cancel_.reset();  // waits for the callback, which takes the mutex
  std::vector<Bytes> to_send;
  {
    const MutexLock lock(session_.mutex_);
    session_.exchanges_.erase(this);
    for (auto& [id, pending] : session_.pending_) {
      if (pending.owner == this) pending.owner = nullptr;
    }
    if (session_.state_ == State::kReady) {
      for (const auto& [id, reply] : answers_) {
        const auto* opened = std::get_if<sftp::HandleReply>(&reply.body);
        if (opened != nullptr) to_send.push_back(session_.CloseOrphan(opened->handle));
      }
    }
  }
  for (Bytes& packet : to_send) session_.channel_->Send(std::move(packet));
}

Status SftpSession::Exchange::AwaitUntil(MutexLock& lock, CondVar& changed,
                                         const std::function<bool()>& done) {
  const auto over = [&]() NO_THREAD_SAFETY_ANALYSIS {
    return done() || session_.state_ == State::kEnded || context_.cancel.stop_requested();
  };
  while (!done()) {
    if (session_.state_ == State::kEnded) return Fail(*session_.end_);
    RETURN_IF_ERROR(CheckContext());
    Duration left = session_.PatienceLeft();
    if (left <= Duration::zero()) {
      session_.EndLocked(SilenceError());
      lock.Unlock();
      session_.channel_->Stop();
      lock.Lock();
      continue;
    }
    if (context_.deadline) left = std::min(left, *context_.deadline - session_.clock_.Now());
    (void)session_.waiting_.AwaitFor(lock, changed, left, over);
  }
  return {};
}

Status SftpSession::Exchange::CheckContext() const {
  if (context_.cancel.stop_requested()) {
    return Fail(ErrorCode::kCancelled, Concat(session_.name_, ": stopped while waiting"));
  }
  if (!context_.deadline || session_.clock_.Now() < *context_.deadline) return {};
  return Fail(ErrorCode::kUnavailable, Concat(session_.name_, " has not answered in time"));
}

Error SftpSession::Exchange::SilenceError() const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(kSilenceMax).count();
  return Error{
      ErrorCode::kUnavailable,
      Concat(session_.name_, " has not answered for ", seconds, " s: the connection was ended"),
      "see whether the network and the server work"};
}

Result<SftpSession::Terms> SftpSession::Exchange::AwaitTerms() {
  MutexLock lock(session_.mutex_);
  RETURN_IF_ERROR(AwaitUntil(lock, session_.changed_, [this]() NO_THREAD_SAFETY_ANALYSIS {
    return session_.state_ == State::kReady;
  }));
  return session_.terms_;
}

Result<std::uint32_t> SftpSession::Exchange::Send(sftp::Request request) {
  // Also when nobody need wait: a server that answers at once can do so for ever.
  RETURN_IF_ERROR(CheckContext());
  std::uint32_t id = 0;
  {
    MutexLock lock(session_.mutex_);
    RETURN_IF_ERROR(AwaitUntil(lock, session_.changed_, [&]() NO_THREAD_SAFETY_ANALYSIS {
      return session_.state_ == State::kReady && session_.HasRoomFor(request);
    }));
    id = session_.Register(request, this);
  }
  session_.channel_->Send(std::move(request.packet));
  return id;
}

Result<sftp::Reply> SftpSession::Exchange::Await(std::uint32_t id) {
  MutexLock lock(session_.mutex_);
  RETURN_IF_ERROR(AwaitUntil(lock, answered_, [&] { return answers_.contains(id); }));
  const auto found = answers_.find(id);
  sftp::Reply reply = std::move(found->second);
  answers_.erase(found);
  return reply;
}

Result<sftp::Reply> SftpSession::Exchange::Ask(sftp::Request request) {
  ASSIGN_OR_RETURN(const std::uint32_t id, Send(std::move(request)));
  return Await(id);
}

Status SftpSession::Exchange::AwaitNothingInFlight() {
  MutexLock lock(session_.mutex_);
  return AwaitUntil(lock, session_.changed_,
                    [this]() NO_THREAD_SAFETY_ANALYSIS { return session_.pending_.empty(); });
}

void SftpSession::Exchange::Post(sftp::Request request) {
  {
    const MutexLock lock(session_.mutex_);
    if (session_.state_ != State::kReady) return;
    session_.Register(request, nullptr);
  }
  session_.channel_->Send(std::move(request.packet));
}

}  // namespace coffer::store

// What a connection holds of the memory for payloads and replies, and how long its client may take:
// what of Connection its limits are in.
#include <algorithm>

#include "core/base/log.h"
#include "nbd/connection.h"
#include "nbd/loop.h"

namespace coffer::nbd {

bool Connection::Admits() const {
  // Gathered writes count: they become jobs if they cannot be done in place.
  return jobs_in_flight_ + static_cast<int>(writes_.size() + barriers_.size()) <
             context_.limits.requests_in_flight_max &&
         job_reply_bytes_ + payload_bytes() < context_.totals.ShareOfBytes() &&
         replies_.bytes() < context_.limits.unsent_bytes_max &&
         (replies_.empty() || replies_.held_bytes() < 2 * context_.limits.unsent_bytes_max);
}

std::size_t Connection::Share() const {
  return std::min(context_.totals.ShareOfBytes(), context_.limits.bytes_of_connection);
}

bool Connection::MayHold(std::size_t bytes) {
  return payload_tab_.Afford(payload_bytes(), bytes, Share(), context_.clock);
}

// Writes need no more than their payload, which is there.
bool Connection::MayBegin(const Request& request) {
  if (request.command != Command::kRead || state_ != State::kTalking) return true;
  const std::size_t size = ReadHeaderBytes(style_) + static_cast<std::size_t>(request.length);
  const std::size_t cost = request.length <= kInPlaceBytesMax ? replies_.CostOf(size) : size;
  if (cost == 0) return true;
  return reply_tab_.Afford(reply_bytes(), cost, Share(), context_.clock);
}

// Writes that came whole and could not be done in place took memory before it was asked for.
bool Connection::MayReceiveMore() {
  if (payload_bytes() == 0) return true;
  return payload_tab_.Afford(payload_bytes(), 0, Share(), context_.clock);
}

void Connection::LeaveLines() {
  payload_tab_.LeaveLine();
  reply_tab_.LeaveLine();
}

// Gives back what is not held any more. Who holds nothing that others could wait for is not timed.
void Connection::SettleTabs() {
  const auto granted = [this] { return payload_tab_.granted_bytes() + reply_tab_.granted_bytes(); };
  if (granted() == 0) return;
  const std::size_t share = Share();
  payload_tab_.Settle(payload_bytes(), share);
  reply_tab_.Settle(reply_bytes(), share);
  const bool holds = granted() > 0 && state_ != State::kGone;
  progress_.Set(holds && (session_.payload_bytes() > 0 || send_blocked_), context_.clock);
  if (holds) {
    context_.timed.insert(this);
  } else if (!farewell_deadline_ || state_ == State::kGone) {
    context_.timed.erase(this);
  }
}

void Connection::CountJob(const Job& job) {
  (job.command == Command::kWrite ? job_payload_bytes_ : job_reply_bytes_) += job.data.size();
}

void Connection::UncountJob(const Job& job) {
  (job.command == Command::kWrite ? job_payload_bytes_ : job_reply_bytes_) -= job.data.size();
}

void Connection::StopNegotiating() {
  if (!std::exchange(negotiating_, false)) return;
  --listener_->negotiating;
  context_.timed.erase(this);
}

std::optional<MonotonicTime> Connection::Deadline() const {
  if (farewell_deadline_) return farewell_deadline_;
  if (!negotiating_) return StallDeadline();
  const bool crowded = listener_->negotiating >= context_.limits.negotiating_max;
  return started_ + (crowded ? context_.limits.crowded_handshake_deadline
                             : context_.limits.handshake_deadline);
}

// A client that stands still keeps no memory that others wait for.
std::optional<MonotonicTime> Connection::StallDeadline() const {
  const std::optional<MonotonicTime> stands_still = progress_.since();
  if (!stands_still) return std::nullopt;
  std::optional<MonotonicTime> wanted;
  if (session_.payload_bytes() > 0) wanted = payload_tab_.WantedSince();
  if (send_blocked_ && !wanted) wanted = reply_tab_.WantedSince();
  if (!wanted) return std::nullopt;
  return std::max(*stands_still, *wanted) + context_.limits.stall_deadline;
}

void Connection::OnDeadline() {
  LOG(kInfo, "nbd: client cut off: ",
      farewell_deadline_ ? "it did not take its last answers"
      : negotiating_     ? "it chose no export in time"
                         : "it hardly sent or took anything while others waited for memory");
  Close();
}

}  // namespace coffer::nbd

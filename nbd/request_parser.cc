#include "nbd/request_parser.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/log.h"
#include "nbd/wire.h"

namespace coffer::nbd {

RequestParser::Step RequestParser::Advance(ByteView& input) {
  switch (state_) {
    case State::kHeader: {
      if (header_have_ == 0 && input.size() >= kRequestHeaderBytes) {
        const std::byte* header = input.data();
        input = input.subspan(kRequestHeaderBytes);
        return TakeHeader(header, input);
      }
      const std::size_t taken = std::min(input.size(), kRequestHeaderBytes - header_have_);
      if (taken > 0) std::memcpy(header_.data() + header_have_, input.data(), taken);
      header_have_ += taken;
      input = input.subspan(taken);
      if (header_have_ < kRequestHeaderBytes) return Step::kNeedBytes;
      header_have_ = 0;
      return TakeHeader(header_.data(), input);
    }
    case State::kPayload:
      return TakePayload(input);
    case State::kDraining:
      return DrainPayload(input);
    case State::kDisconnected:
      return Step::kDisconnect;
    case State::kBroken:
      break;
  }
  return Step::kBroken;
}

RequestParser::Step RequestParser::TakeHeader(const std::byte* bytes, ByteView& input) {
  const RequestHeader header = LoadRequestHeader(bytes);
  if (header.magic != kRequestMagic) return Break("wrong request magic");
  request_ = Request{static_cast<Command>(header.command),
                     header.flags,
                     header.cookie,
                     header.offset,
                     header.length,
                     {},
                     {}};
  if (request_.command == Command::kDisconnect) {
    state_ = State::kDisconnected;
    return Step::kDisconnect;
  }
  if (const Verdict verdict = Judge(); verdict.error != ReplyError::kNone) {
    return Refuse(verdict, input);
  }
  return request_.command == Command::kWrite ? TakeWrite(input) : Step::kRequest;
}

// "Command flags": FUA is valid on every command once SEND_FUA was negotiated, whether or not it
// means anything there.
unsigned RequestParser::AllowedFlags(Command command) const {
  switch (command) {
    case Command::kWriteZeroes:
      return kCommandFua | kCommandNoHole | kCommandFastZero;
    case Command::kRead:
      return kCommandFua | (rules_.structured ? unsigned{kCommandDontFragment} : 0u);
    case Command::kBlockStatus:
      return kCommandFua | (rules_.block_status ? unsigned{kCommandRequireOne} : 0u);
    default:
      return kCommandFua;
  }
}

// What is wrong with the request, as "Error values" wants it told.
RequestParser::Verdict RequestParser::Judge() const {
  constexpr Verdict kFine{};
  constexpr const char* kPastEnd = "the request reaches past the end of the export";
  const Request& r = request_;
  switch (r.command) {
    case Command::kRead:
    case Command::kWrite:
    case Command::kFlush:
    case Command::kTrim:
    case Command::kCache:
    case Command::kWriteZeroes:
    case Command::kBlockStatus:
      break;
    case Command::kDisconnect:
    case Command::kResize:
    default:
      return {ReplyError::kInval, "unknown command"};
  }
  if (r.flags & ~AllowedFlags(r.command)) {
    return {ReplyError::kInval, "a flag that this command does not take"};
  }
  if (r.command == Command::kFlush) {
    if (r.offset == 0 && r.length == 0) return kFine;
    return {ReplyError::kInval, "a flush takes no range"};
  }
  if (r.command == Command::kBlockStatus && !rules_.block_status) {
    return {ReplyError::kInval, "block status, but no metadata context was selected"};
  }
  if (rules_.read_only && IsWriteClass(r.command)) {
    return {ReplyError::kPerm, "the export is read-only"};
  }
  if (r.length == 0) return {ReplyError::kInval, "a request of length 0"};
  const bool has_data = r.command == Command::kRead || r.command == Command::kWrite;
  if (has_data && r.length > kMaximumPayloadBytes) {
    return {ReplyError::kInval, "more than 32 MiB of data in one request"};
  }
  if (r.offset <= size_ && r.length <= size_ - r.offset) return kFine;
  const bool needs_room = r.command == Command::kWrite || r.command == Command::kWriteZeroes;
  return {needs_room ? ReplyError::kNoSpc : ReplyError::kInval, kPastEnd};
}

RequestParser::Step RequestParser::TakeWrite(ByteView& input) {
  if (input.size() >= request_.length) {
    request_.payload = input.first(request_.length);
    input = input.subspan(request_.length);
    return Step::kRequest;
  }
  request_.owned = pool_.Take(request_.length);
  if (request_.owned.empty()) return Refuse({ReplyError::kNoMem, "out of memory"}, input);
  payload_have_ = 0;
  state_ = State::kPayload;
  return TakePayload(input);
}

MutableByteView RequestParser::payload_space() {
  if (state_ != State::kPayload) return {};
  return request_.owned.mutable_view().subspan(payload_have_);
}

RequestParser::Step RequestParser::TakePayload(ByteView& input) {
  const MutableByteView space = payload_space();
  const std::size_t taken = std::min(input.size(), space.size());
  if (taken > 0) std::memcpy(space.data(), input.data(), taken);
  payload_have_ += taken;
  input = input.subspan(taken);
  if (payload_have_ < request_.owned.size()) return Step::kNeedBytes;
  state_ = State::kHeader;
  request_.payload = request_.owned.view();
  return Step::kRequest;
}

RequestParser::Step RequestParser::Refuse(Verdict verdict, ByteView& input) {
  refusal_ = verdict;
  if (request_.command != Command::kWrite || request_.length == 0) return Step::kRefusal;
  if (request_.length > kPayloadDrainBytesMax) {
    return Break(Concat("write of ", request_.length, " bytes"));
  }
  drain_left_ = request_.length;
  state_ = State::kDraining;
  return DrainPayload(input);
}

RequestParser::Step RequestParser::DrainPayload(ByteView& input) {
  const std::size_t taken = std::min(input.size(), std::size_t{drain_left_});
  input = input.subspan(taken);
  drain_left_ -= static_cast<std::uint32_t>(taken);
  if (drain_left_ > 0) return Step::kNeedBytes;
  state_ = State::kHeader;
  return Step::kRefusal;
}

RequestParser::Step RequestParser::Break(std::string reason) {
  state_ = State::kBroken;
  broken_reason_ = std::move(reason);
  return Step::kBroken;
}

}  // namespace coffer::nbd

#include "nbd/request_parser.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/log.h"
#include "nbd/wire.h"

namespace coffer::nbd {
namespace {

// "NBD_CMD_BLOCK_STATUS", with a payload: the effect length and ids of contexts.
constexpr std::size_t kStatusFixedBytes = 8;
constexpr std::size_t kStatusIdBytes = 4;

}  // namespace

RequestParser::Step RequestParser::Advance(ByteView& input) {
  switch (state_) {
    case State::kHeader: {
      if (header_have_ == 0 && input.size() >= header_bytes_) {
        const std::byte* header = input.data();
        input = input.subspan(header_bytes_);
        return TakeHeader(header, input);
      }
      const std::size_t taken = std::min(input.size(), header_bytes_ - header_have_);
      if (taken > 0) std::memcpy(header_.data() + header_have_, input.data(), taken);
      header_have_ += taken;
      input = input.subspan(taken);
      if (header_have_ < header_bytes_) return Step::kNeedBytes;
      header_have_ = 0;
      return TakeHeader(header_.data(), input);
    }
    case State::kAtGate:
      return BeginPayload(input);
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
  const RequestHeader header =
      extended_ ? LoadExtendedRequestHeader(bytes) : LoadRequestHeader(bytes);
  if (header.magic != (extended_ ? kExtendedRequestMagic : kRequestMagic)) {
    return Break("wrong request magic");
  }
  request_ = Request{static_cast<Command>(header.command),
                     header.flags,
                     header.cookie,
                     header.offset,
                     header.length,
                     ~std::uint64_t{0},
                     {},
                     {}};
  if (request_.command == Command::kDisconnect) {
    state_ = State::kDisconnected;
    return Step::kDisconnect;
  }
  const bool is_write = request_.command == Command::kWrite;
  const bool has_payload = is_write || (extended_ && (request_.flags & kCommandPayloadLength));
  if (has_payload && header.length > (extended_ ? kMaximumPayloadBytes : kPayloadDrainBytesMax)) {
    return Break(Concat("payload of ", header.length, " bytes"));
  }
  payload_length_ = has_payload ? static_cast<std::uint32_t>(header.length) : 0;
  Verdict verdict = JudgeHeader();
  const bool range_in_payload = payload_length_ > 0 && !is_write;
  if (verdict.error == ReplyError::kNone && !range_in_payload) verdict = JudgeRange();
  if (verdict.error != ReplyError::kNone) return Refuse(verdict, input);
  return payload_length_ > 0 ? BeginPayload(input) : Step::kRequest;
}

// "Command flags": FUA is valid on every command once SEND_FUA was negotiated, whether or not it
// means anything there.
unsigned RequestParser::AllowedFlags(Command command) const {
  const unsigned payload = extended_ ? kCommandPayloadLength : 0u;
  switch (command) {
    case Command::kWrite:
      return kCommandFua | kCommandPayloadLength;
    case Command::kWriteZeroes:
      return kCommandFua | kCommandNoHole | kCommandFastZero;
    case Command::kRead:
      return kCommandFua | kCommandDontFragment;
    case Command::kBlockStatus:
      return kCommandFua | (rules_.contexts.empty() ? 0u : kCommandRequireOne | payload);
    default:
      return kCommandFua;
  }
}

// What is wrong with the request apart from its range, as "Error values" wants it told.
RequestParser::Verdict RequestParser::JudgeHeader() const {
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
  if (r.command == Command::kBlockStatus) {
    const std::size_t contexts = rules_.contexts.size();
    if (contexts == 0) {
      return {ReplyError::kInval, "block status, but no metadata context was selected"};
    }
    if (payload_length_ > kStatusFixedBytes + kStatusIdBytes * contexts) {
      return {ReplyError::kInval, "more metadata contexts than were selected"};
    }
  }
  if (rules_.read_only && IsWriteClass(r.command)) {
    return {ReplyError::kPerm, "the export is read-only"};
  }
  return {};
}

RequestParser::Verdict RequestParser::JudgeRange() const {
  constexpr Verdict kFine{};
  const Request& r = request_;
  if (r.command == Command::kFlush) return kFine;
  if (r.length == 0) return {ReplyError::kInval, "a request of length 0"};
  const bool has_data = r.command == Command::kRead || r.command == Command::kWrite;
  if (has_data && r.length > kMaximumPayloadBytes) {
    return {extended_ ? ReplyError::kOverflow : ReplyError::kInval,
            "more than 32 MiB of data in one request"};
  }
  if (r.offset <= size_ && r.length <= size_ - r.offset) return kFine;
  const bool needs_room = r.command == Command::kWrite || r.command == Command::kWriteZeroes;
  return {needs_room ? ReplyError::kNoSpc : ReplyError::kInval,
          "the request reaches past the end of the export"};
}

RequestParser::Step RequestParser::BeginPayload(ByteView& input) {
  state_ = State::kHeader;
  if (input.size() >= payload_length_) {
    request_.payload = input.first(payload_length_);
    input = input.subspan(payload_length_);
    return FinishPayload();
  }
  if (gate_ != nullptr && !gate_->MayHold(payload_length_)) {
    state_ = State::kAtGate;
    return Step::kMustWait;
  }
  request_.owned = pool_.Take(payload_length_);
  if (request_.owned.empty()) return Refuse({ReplyError::kNoMem, "out of memory"}, input);
  payload_have_ = 0;
  state_ = State::kPayload;
  return TakePayload(input);
}

MutableByteView RequestParser::payload_space() {
  if (state_ != State::kPayload) return {};
  return request_.owned.mutable_view().subspan(payload_have_);
}

void RequestParser::DropPayload() {
  if (state_ != State::kPayload) return;
  request_.owned.Release();
  static_cast<void>(Break("a payload that was not wanted any more"));
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
  return FinishPayload();
}

RequestParser::Step RequestParser::FinishPayload() {
  if (request_.command == Command::kWrite) return Step::kRequest;
  refusal_ = TakeContexts();
  if (refusal_.error == ReplyError::kNone) refusal_ = JudgeRange();
  request_.payload = {};
  request_.owned.Release();
  return refusal_.error == ReplyError::kNone ? Step::kRequest : Step::kRefusal;
}

// Each of the ids that were selected, at most once.
RequestParser::Verdict RequestParser::TakeContexts() {
  const ByteView payload = request_.payload;
  if (payload.size() <= kStatusFixedBytes ||
      (payload.size() - kStatusFixedBytes) % kStatusIdBytes != 0) {
    return {ReplyError::kInval, "a payload that is no length and list of metadata contexts"};
  }
  request_.length = LoadBe<std::uint64_t>(payload.data());
  request_.contexts = 0;
  for (std::size_t at = kStatusFixedBytes; at < payload.size(); at += kStatusIdBytes) {
    const auto id = LoadBe<std::uint32_t>(payload.data() + at);
    const auto found = std::find(rules_.contexts.begin(), rules_.contexts.end(), id);
    if (found == rules_.contexts.end()) {
      return {ReplyError::kInval, "a metadata context that was not selected"};
    }
    const std::uint64_t bit = std::uint64_t{1} << (found - rules_.contexts.begin());
    if (request_.contexts & bit) return {ReplyError::kInval, "a metadata context twice"};
    request_.contexts |= bit;
  }
  return {};
}

RequestParser::Step RequestParser::Refuse(Verdict verdict, ByteView& input) {
  refusal_ = verdict;
  drain_left_ = payload_length_;
  if (drain_left_ == 0) return Step::kRefusal;
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

#include "nbd/channel.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace coffer::nbd {

void Channel::Close() {
  socket_.Close();
  tls_.reset();
  sent_ = 0;
}

Descriptor Channel::Release() {
  CHECK(tls_ == nullptr);
  return std::move(socket_);
}

void Channel::StartTls(std::unique_ptr<TlsSession> tls) {
  CHECK(tls_ == nullptr);
  tls_ = std::move(tls);
}

Transfer Channel::Receive(MutableByteView first, MutableByteView second, Bytes& scratch) {
  if (tls_ == nullptr) return nbd::Receive(socket_, first, second);
  if (tls_->ended()) return {Transfer::Outcome::kEnd};
  scratch.resize(kTlsReceiveBytes);
  const Transfer received = nbd::Receive(socket_, scratch, {});
  if (received.outcome != Transfer::Outcome::kSome) return received;
  const std::size_t plain = tls_->Receive(ByteView(scratch).first(received.bytes), first, second);
  if (plain > 0) return {Transfer::Outcome::kSome, plain};
  return {tls_->ended() ? Transfer::Outcome::kEnd : Transfer::Outcome::kLater};
}

Transfer Channel::Send(std::span<const ByteView> pieces) {
  if (tls_ == nullptr) return nbd::Send(socket_, pieces);
  if (const Transfer::Outcome flushed = Flush(); flushed != Transfer::Outcome::kSome) {
    return {flushed};
  }
  if (!tls_->open()) return {Transfer::Outcome::kGone};
  std::size_t taken = 0;
  for (const ByteView piece : pieces) {
    const ByteView part = piece.first(std::min(piece.size(), kTlsSendBytes - taken));
    if (!part.empty()) tls_->Send(part);
    if (!tls_->open()) return {Transfer::Outcome::kGone};
    taken += part.size();
  }
  return {Transfer::Outcome::kSome, taken};
}

Transfer::Outcome Channel::Flush() {
  if (tls_ == nullptr) return Transfer::Outcome::kSome;
  Bytes& output = tls_->output();
  while (sent_ < output.size()) {
    const ByteView piece = ByteView(output).subspan(sent_);
    const Transfer sent = nbd::Send(socket_, std::span(&piece, 1));
    if (sent.outcome != Transfer::Outcome::kSome) return sent.outcome;
    sent_ += sent.bytes;
  }
  output = Bytes();  // an idle client costs no buffer
  sent_ = 0;
  return Transfer::Outcome::kSome;
}

Transfer::Outcome Channel::Finish() {
  if (tls_ != nullptr && !has_unsent()) tls_->SayGoodbye();
  return Flush();
}

}  // namespace coffer::nbd

#include "nbd/session.h"

namespace coffer::nbd {
namespace {

RequestRules RulesOf(const Export& chosen, const Agreement& agreement) {
  RequestRules rules{.read_only = chosen.read_only, .style = agreement.replies, .contexts = {}};
  for (const SelectedContext& selected : agreement.contexts) rules.contexts.push_back(selected.id);
  return rules;
}

}  // namespace

Session::Session(Export chosen, Agreement agreement, BufferPool& pool) : pool_(pool) {
  Enter(std::move(chosen), std::move(agreement));
}

void Session::Enter(Export chosen, Agreement agreement) {
  chosen_ = std::move(chosen);
  agreement_ = std::move(agreement);
  parser_.emplace(pool_, RulesOf(*chosen_, agreement_));
  parser_->set_payload_gate(gate_);
  parser_->set_size(chosen_->size);
}

Session::Step Session::Advance(ByteView& input) {
  if (!parser_) {
    switch (handshake_->Advance(input)) {
      case Handshake::Step::kNeedBytes:
        return Step::kNeedBytes;
      case Handshake::Step::kContinue:
        return Step::kContinue;
      case Handshake::Step::kStartTls:
        return Step::kStartTls;
      case Handshake::Step::kEnded:
        return Step::kBroken;
      case Handshake::Step::kEntered:
        Enter(handshake_->chosen(), handshake_->agreement());
        return Step::kEntered;
    }
  }
  switch (parser_->Advance(input)) {
    case RequestParser::Step::kNeedBytes:
      return Step::kNeedBytes;
    case RequestParser::Step::kMustWait:
      return Step::kMustWait;
    case RequestParser::Step::kRequest:
      return Step::kRequest;
    case RequestParser::Step::kRefusal:
      return Step::kRefusal;
    case RequestParser::Step::kDisconnect:
      return Step::kDisconnect;
    case RequestParser::Step::kBroken:
      break;
  }
  return Step::kBroken;
}

}  // namespace coffer::nbd

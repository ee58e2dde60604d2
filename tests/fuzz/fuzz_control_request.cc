// A client of the control socket sends anything: the request reader, the dispatcher and the JSON
// decoders must answer or refuse, within the limits, with a reply that a client can read.
//
// The first byte says in pieces of how many bytes the rest arrives.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "core/base/check.h"
#include "core/control/dispatcher.h"
#include "core/control/messages.h"
#include "tests/control/fake_service.h"

namespace control = coffer::control;

namespace {

void CheckReply(const control::HttpReply& reply) {
  CHECK(reply.status >= 200 && reply.status < 600);
  const control::WipedString text = control::FormatReply(reply, "cofferd/0");
  control::ResponseReader reader(8 * control::kBodyBytesMax);
  CHECK(reader.Feed({text.data(), text.size()}).has_value());
  CHECK(reader.done() && reader.status() == reply.status);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using State = control::RequestReader::State;
  if (size == 0) return 0;
  const std::size_t piece = std::size_t{1} + data[0];
  std::string_view left(reinterpret_cast<const char*>(data) + 1, size - 1);
  control::RequestReader reader;
  State state = State::kNeedMore;
  while (state == State::kNeedMore && !left.empty()) {
    state = reader.Feed(left.substr(0, piece));
    left.remove_prefix(std::min(piece, left.size()));
    (void)reader.TakeContinue();
  }
  if (state == State::kRefused) CHECK(reader.Refusal().status >= 400);
  if (state != State::kComplete) return 0;
  control::HttpRequest request = reader.Take();
  CHECK(request.body.size() <= control::kBodyBytesMax);
  if (control::Dispatcher::IsEventStream(request)) return 0;
  control::FakeService service;
  service.AddVolume("photos");
  CheckReply(control::Dispatcher(service).Dispatch(std::move(request)));
  return 0;
}

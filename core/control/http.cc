#include "core/control/http.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "core/control/messages.h"

namespace coffer::control {
namespace {

namespace http = boost::beast::http;
using WipedBody = http::basic_string_body<char, std::char_traits<char>, WipingAllocator<char>>;

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

/// Feeds what is in `pending` plus `bytes` to `parser` and keeps what it did not take, which Beast
/// wants to see again together with what follows.
template <class Parser>
boost::system::error_code Put(Parser& parser, WipedString& pending, std::string_view bytes) {
  pending.append(bytes.data(), bytes.size());
  boost::system::error_code error;
  std::size_t used = 0;
  while (used < pending.size() && !parser.is_done()) {
    const std::size_t taken =
        parser.put(boost::asio::buffer(pending.data() + used, pending.size() - used), error);
    used += taken;
    if (error || taken == 0) break;
  }
  pending.erase(0, used);
  if (error == http::error::need_more) error = {};
  return error;
}

std::string_view ReasonOf(int status) {
  const auto known = http::int_to_status(static_cast<unsigned>(status));
  const auto text = http::obsolete_reason(known);
  return {text.data(), text.size()};
}

/// The character that the two hex digits after a "%" stand for, in either case.
std::optional<char> DecodeEscape(std::string_view digits) {
  unsigned value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || digits.size() != 2 || end != digits.data() + 2) return std::nullopt;
  return static_cast<char>(value);
}

}  // namespace

struct RequestReader::Impl {
  http::request_parser<WipedBody> parser;
  WipedString pending;
  boost::system::error_code error;
  bool continue_sent = false;
};

RequestReader::RequestReader() : impl_(std::make_unique<Impl>()) {
  impl_->parser.header_limit(kHeaderBytesMax);
  impl_->parser.body_limit(kBodyBytesMax);
  impl_->parser.eager(true);
}
RequestReader::~RequestReader() = default;
RequestReader::RequestReader(RequestReader&&) noexcept = default;
RequestReader& RequestReader::operator=(RequestReader&&) noexcept = default;

RequestReader::State RequestReader::Feed(std::string_view bytes) {
  if (!impl_->error) impl_->error = Put(impl_->parser, impl_->pending, bytes);
  if (impl_->error) return State::kRefused;
  return impl_->parser.is_done() ? State::kComplete : State::kNeedMore;
}

HttpRequest RequestReader::Take() {
  auto& message = impl_->parser.get();
  return HttpRequest{std::string(message.method_string()), std::string(message.target()),
                     std::move(message.body())};
}

HttpReply RequestReader::Refusal() const {
  const auto& error = impl_->error;
  int status = 400;
  if (error == http::error::body_limit) status = 413;
  if (error == http::error::header_limit) status = 431;
  if (error == http::error::bad_version) status = 505;
  return HttpReply{status, {}};
}

bool RequestReader::TakeContinue() {
  if (impl_->continue_sent || !impl_->parser.is_header_done() || impl_->parser.is_done()) {
    return false;
  }
  impl_->continue_sent = true;
  return boost::beast::iequals(impl_->parser.get()[http::field::expect], "100-continue");
}

struct ResponseReader::Impl {
  http::response_parser<WipedBody> parser;
  WipedString pending;
};

ResponseReader::ResponseReader(std::size_t body_bytes_max) : impl_(std::make_unique<Impl>()) {
  impl_->parser.header_limit(kHeaderBytesMax);
  impl_->parser.body_limit(body_bytes_max == 0 ? kNoLimit : body_bytes_max);
  impl_->parser.eager(true);
}
ResponseReader::~ResponseReader() = default;

Status ResponseReader::Feed(std::string_view bytes) {
  const auto error = Put(impl_->parser, impl_->pending, bytes);
  if (error) return Fail(ErrorCode::kCorruption, "not a proper HTTP answer: " + error.message());
  return {};
}

Status ResponseReader::FeedEnd() {
  if (impl_->parser.is_done()) return {};
  boost::system::error_code error;
  if (impl_->parser.got_some()) impl_->parser.put_eof(error);
  if (!impl_->parser.got_some() || error) {
    return Fail(ErrorCode::kCorruption, "the connection ended in the middle of the answer");
  }
  return {};
}

bool ResponseReader::header_done() const { return impl_->parser.is_header_done(); }
bool ResponseReader::done() const { return impl_->parser.is_done(); }
int ResponseReader::status() const { return static_cast<int>(impl_->parser.get().result_int()); }
std::string ResponseReader::server() const {
  return std::string(impl_->parser.get()[http::field::server]);
}

WipedString ResponseReader::TakeBody() {
  return std::exchange(impl_->parser.get().body(), WipedString());
}

WipedString FormatRequest(const HttpRequest& request) {
  WipedString text;
  text.reserve(256 + request.target.size() + request.body.size());
  text.append(request.method.c_str()).append(" ").append(request.target.c_str());
  text.append(" HTTP/1.1\r\nHost: coffer\r\nConnection: close\r\n");
  text.append("Content-Type: application/json\r\nContent-Length: ");
  text.append(std::to_string(request.body.size()).c_str()).append("\r\n\r\n");
  text.append(request.body);
  return text;
}

WipedString FormatReply(const HttpReply& reply, const std::string& server) {
  const std::string_view reason = ReasonOf(reply.status);
  WipedString text;
  text.reserve(256 + reply.body.size());
  text.append("HTTP/1.1 ").append(std::to_string(reply.status).c_str()).append(" ");
  text.append(reason.data(), reason.size()).append("\r\nServer: ").append(server.c_str());
  text.append("\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n");
  text.append("Connection: close\r\nContent-Length: ");
  text.append(std::to_string(reply.body.size()).c_str()).append("\r\n\r\n");
  text.append(reply.body);
  return text;
}

std::string FormatStreamHead(const std::string& server) {
  return "HTTP/1.1 200 OK\r\nServer: " + server +
         "\r\nContent-Type: application/x-ndjson\r\nCache-Control: no-store\r\n"
         "Connection: close\r\n\r\n";
}

Result<std::vector<std::string>> SplitTarget(std::string_view target) {
  const std::string_view path = target.substr(0, target.find_first_of("?#"));
  if (path.empty() || path.front() != '/') {
    return Fail(ErrorCode::kInvalidArgument, "the request's target is not a path");
  }
  std::vector<std::string> parts(1);
  for (std::size_t i = 1; i < path.size(); ++i) {
    if (path[i] == '/') {
      parts.emplace_back();
    } else if (path[i] == '%') {
      const auto decoded = DecodeEscape(path.substr(i + 1, 2));
      if (!decoded) {
        return Fail(ErrorCode::kInvalidArgument, "the request's target has a bad % escape");
      }
      parts.back().push_back(*decoded);
      i += 2;
    } else {
      parts.back().push_back(path[i]);
    }
  }
  return parts;
}

std::string PercentEncode(std::string_view text) {
  static constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string encoded;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      encoded.push_back(c);
    } else {
      encoded.append("%").append(ToHex(AsBytes({&c, 1})));
    }
  }
  return encoded;
}

}  // namespace coffer::control

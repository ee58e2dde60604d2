// HTTP/1.1 as the control API speaks it, over bytes alone: no socket, so a fuzzer can drive it. One
// request a connection; every answer ends with the connection. Boost.Beast parses (http.cc only).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/control/wiped_string.h"

namespace coffer::control {

/// Of a reply, as a client takes it: a list of the most volumes that a vault can have, and more.
inline constexpr std::size_t kReplyBytesMax = 256 << 20;
inline constexpr std::size_t kHeaderBytesMax = 16 << 10;

struct HttpRequest {
  std::string method;
  std::string target;
  WipedString body;
};

struct HttpReply {
  int status = 200;
  WipedString body;  // JSON
};

/// Reads one request. kNeedMore until its last byte was fed, then kComplete, or kRefused as soon as
/// it cannot become a request within the limits. What follows the request is ignored.
class RequestReader {
 public:
  enum class State { kNeedMore, kComplete, kRefused };

  RequestReader();
  ~RequestReader();
  RequestReader(RequestReader&&) noexcept;
  RequestReader& operator=(RequestReader&&) noexcept;

  State Feed(std::string_view bytes);
  /// REQUIRES: the last Feed said kComplete.
  [[nodiscard]] HttpRequest Take();
  /// REQUIRES: the last Feed said kRefused. Status and reason to answer with.
  [[nodiscard]] HttpReply Refusal() const;
  /// True once, when the client waits for "100 Continue" before it sends the body.
  [[nodiscard]] bool TakeContinue();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads one response; its body may be taken piece by piece while it streams in.
class ResponseReader {
 public:
  explicit ResponseReader(std::size_t body_bytes_max);
  ~ResponseReader();

  /// kCorruption when the bytes are not HTTP or exceed a limit.
  Status Feed(std::string_view bytes);
  /// The peer closed: completes a body that ends with the connection.
  Status FeedEnd();
  [[nodiscard]] bool header_done() const;
  [[nodiscard]] bool done() const;
  /// REQUIRES: header_done().
  [[nodiscard]] int status() const;
  [[nodiscard]] std::string server() const;
  /// The part of the body that came since the last call.
  [[nodiscard]] WipedString TakeBody();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

[[nodiscard]] WipedString FormatRequest(const HttpRequest& request);
/// `server` is the Server header: "cofferd/VERSION".
[[nodiscard]] WipedString FormatReply(const HttpReply& reply, const std::string& server);
/// The head of a stream of JSON lines that lasts as long as the connection.
[[nodiscard]] std::string FormatStreamHead(const std::string& server);

/// The path of a target, without its query, split at slashes and percent-decoded part by part;
/// kInvalidArgument for what is no absolute path.
Result<std::vector<std::string>> SplitTarget(std::string_view target);
[[nodiscard]] std::string PercentEncode(std::string_view text);

}  // namespace coffer::control

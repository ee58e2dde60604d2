// An HTTP/1.1 server over real sockets on loopback that does what a test says: answers rightly, or
// in any of the ways a network and a provider get wrong (faults.md rows 28-52). A thread for each
// connection; a handler, called on it, says what a request gets. What came is kept.
//
//   ScriptedServer server([](const ReceivedRequest& request) {
//     if (request.target == "/slow") return Answer::With(Fault::kStallMidBody).Text(200, "half");
//     return Answer().Text(200, "hello");
//   });
//   ... server.url() + "/slow" ...
//
// Stalls last until the client goes or the server ends. Nothing sleeps: what has to wait for the
// test waits at a Gate.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/test_certificates.h"

struct ssl_ctx_st;

namespace coffer {

/// Closed until opened, then open for ever. Thread-safe.
class Gate {
 public:
  void Open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct ReceivedRequest {
  std::string method;
  std::string target;
  HeaderList headers;
  std::string body;
  std::size_t connection = 0;  // its number, from 1

  /// The value of the first header of that name, in any capitals; "" if there is none.
  [[nodiscard]] std::string Header(std::string_view name) const;
  [[nodiscard]] bool Has(std::string_view name) const;
};

enum class Framing { kLength, kChunked, kUntilClose };

enum class Fault {
  kNone,
  kResetUnread,       // the connection is reset once the request's head has come
  kResetBeforeReply,  // ... once all of it has come
  kResetMidBody,
  kCloseMidBody,  // the body is cut short and the connection closed as if all were well
  kCloseUnsaid,   // the answer is whole, then the connection is closed without "Connection: close"
  kStallUnread,   // nothing is read behind the head, nothing said
  kStallBeforeReply,
  kStallMidHead,
  kStallMidBody,
  kOverlong,        // more bytes follow than were said
  kEndlessHeaders,  // one header after the other
  kEndlessLine,     // one header without an end
  kEndlessInterim,  // one "100 Continue" after the other
  kEndlessBody,     // chunked, or as the framing says but for kLength
  kRaw,             // `body` is sent instead of any answer, then the connection is closed
};

struct Answer {
  int status = 200;
  HeaderList headers = {};
  std::string body = {};
  Framing framing = Framing::kLength;
  std::optional<std::uint64_t> length_said = {};  // a Content-Length that lies
  Fault fault = Fault::kNone;
  /// Where in the body a fault happens; half of it unless said.
  std::optional<std::size_t> fault_at = {};
  /// Before anything of the answer is sent.
  std::shared_ptr<Gate> before = {};
  /// Before each byte of the body, which are then sent one by one; a gate for each.
  std::vector<std::shared_ptr<Gate>> drips = {};

  [[nodiscard]] static Answer With(Fault fault) {
    Answer answer;
    answer.fault = fault;
    return answer;
  }
  [[nodiscard]] Answer Text(int with_status, std::string text) && {
    status = with_status;
    body = std::move(text);
    return std::move(*this);
  }
  [[nodiscard]] Answer With(std::string name, std::string value) && {
    headers.emplace_back(std::move(name), std::move(value));
    return std::move(*this);
  }
};

struct ScriptedServerOptions {
  std::optional<TestCertificate> tls = {};
  int tls_version_max = 0;  // TLS1_1_VERSION and so on; 0: the newest
  /// Called when a request's head has come, before its body is read: an answer given here is sent
  /// while the body is still on its way, and "Expect: 100-continue" stays without one.
  std::function<std::optional<Answer>(const ReceivedRequest&)> on_head = {};
  /// Whether "Expect: 100-continue" is answered before the body is read.
  bool says_continue = true;
  /// Listens at this path instead of a port of the loopback.
  std::string unix_socket = {};
};

class ScriptedServer {
 public:
  using Handler = std::function<Answer(const ReceivedRequest&)>;

  explicit ScriptedServer(Handler handler, ScriptedServerOptions options = {});
  /// Cuts every connection off and waits for its thread.
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// "http://127.0.0.1:41234", https with TLS.
  [[nodiscard]] std::string url() const { return UrlOf("127.0.0.1"); }
  [[nodiscard]] std::string UrlOf(const std::string& host) const;

  /// What has come so far, in the order in which it was complete.
  [[nodiscard]] std::vector<ReceivedRequest> requests() const;
  /// Waits until so many have come, whole.
  void AwaitRequests(std::size_t count) const;
  [[nodiscard]] std::size_t connections() const;
  /// The protocols that clients offered (ALPN), in the order of connections.
  [[nodiscard]] std::vector<std::string> offered_protocols() const;
  /// No more connections are taken: from now on they are refused.
  void StopListening();

 private:
  class Connection;

  void Accept();
  void NoteRequest(const ReceivedRequest& request);
  void NoteProtocols(std::string protocols);
  void WaitAt(const std::shared_ptr<Gate>& gate);

  const Handler handler_;
  const ScriptedServerOptions options_;
  ssl_ctx_st* tls_ = nullptr;
  int listener_ = -1;
  int wakeup_ = -1;  // an eventfd: readable once the server ends
  std::uint16_t port_ = 0;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<ReceivedRequest> requests_;
  std::vector<std::string> protocols_;
  std::list<std::unique_ptr<Connection>> connections_;
  std::size_t accepted_ = 0;
  std::vector<std::shared_ptr<Gate>> gates_;  // that somebody waits or waited at
  bool is_ending_ = false;
  bool is_refusing_ = false;

  std::thread acceptor_;
};

}  // namespace coffer

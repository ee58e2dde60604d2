// One connection of a ScriptedServer: its socket, TLS if any, and what is sent and read on it. The
// socket does not block, so that whoever reads or writes it also sees the server's end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

struct ssl_st;
struct ssl_ctx_st;

namespace coffer {

/// One thread.
class ScriptedSocket {
 public:
  /// Takes `fd`. `wakeup` becomes readable at the server's end: then all calls give up.
  ScriptedSocket(int fd, int wakeup);
  ~ScriptedSocket();
  ScriptedSocket(const ScriptedSocket&) = delete;
  ScriptedSocket& operator=(const ScriptedSocket&) = delete;

  [[nodiscard]] bool StartTls(ssl_ctx_st* context);
  /// False once the client is gone or the server ends.
  bool Send(std::string_view bytes);
  /// Appends what comes to `buffer`; false likewise.
  bool Read(std::string* buffer);
  /// Until the client goes or the server ends; what it sends meanwhile is not read.
  void Stall();
  /// The client learns at once, by RST.
  void Reset();
  void Close();

 private:
  /// Until the socket is ready for `events`; false at the server's end.
  bool Await(short events);
  bool RetryTls(int result);

  int fd_;
  const int wakeup_;
  ssl_st* tls_ = nullptr;
};

}  // namespace coffer

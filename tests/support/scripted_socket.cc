#include "tests/support/scripted_socket.h"

#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace coffer {

ScriptedSocket::ScriptedSocket(int fd, int wakeup) : fd_(fd), wakeup_(wakeup) {}

ScriptedSocket::~ScriptedSocket() { Close(); }

void ScriptedSocket::Close() {
  if (tls_ != nullptr) {
    SSL_shutdown(tls_);
    SSL_free(tls_);
  }
  if (fd_ >= 0) close(fd_);
  tls_ = nullptr;
  fd_ = -1;
}

bool ScriptedSocket::Await(short events) {
  std::array<pollfd, 2> polled = {pollfd{fd_, events, 0}, pollfd{wakeup_, POLLIN, 0}};
  while (poll(polled.data(), polled.size(), -1) < 0) {
    if (errno != EINTR) return false;
  }
  return polled[1].revents == 0;
}

bool ScriptedSocket::RetryTls(int result) {
  switch (SSL_get_error(tls_, result)) {
    case SSL_ERROR_WANT_READ:
      return Await(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return Await(POLLOUT);
    default:
      return false;
  }
}

bool ScriptedSocket::StartTls(ssl_ctx_st* context) {
  tls_ = SSL_new(context);
  SSL_set_fd(tls_, fd_);
  for (int result = SSL_accept(tls_); result != 1; result = SSL_accept(tls_)) {
    if (!RetryTls(result)) return false;
  }
  return true;
}

bool ScriptedSocket::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = 0;
    if (tls_ != nullptr) {
      sent = SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()));
      if (sent <= 0 && !RetryTls(static_cast<int>(sent))) return false;
    } else {
      sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && (errno != EAGAIN || !Await(POLLOUT))) return false;
    }
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool ScriptedSocket::Read(std::string* buffer) {
  std::array<char, 64 << 10> piece;
  for (;;) {
    ssize_t got = 0;
    if (tls_ != nullptr) {
      got = SSL_read(tls_, piece.data(), static_cast<int>(piece.size()));
      if (got <= 0 && !RetryTls(static_cast<int>(got))) return false;
    } else {
      got = recv(fd_, piece.data(), piece.size(), 0);
      if (got == 0 || (got < 0 && (errno != EAGAIN || !Await(POLLIN)))) return false;
    }
    if (got > 0) {
      buffer->append(piece.data(), static_cast<std::size_t>(got));
      return true;
    }
  }
}

void ScriptedSocket::Stall() { (void)Await(POLLRDHUP); }

void ScriptedSocket::Reset() {
  const linger at_once = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  if (tls_ != nullptr) SSL_free(tls_);  // without a word of TLS
  tls_ = nullptr;
  Close();
}

}  // namespace coffer

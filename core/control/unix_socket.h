// Unix sockets as server and client of the control API use them: close-on-exec, non-blocking, never
// abstract.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "core/base/result.h"

namespace coffer::control {

/// A file descriptor, closed with its owner.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();

  [[nodiscard]] int get() const { return fd_; }
  /// It is the caller's to close.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// kInvalidArgument for a path longer than the 107 bytes that the kernel takes.
Status CheckSocketPath(const std::string& path);

/// Listens at `path`, mode 0600 before the first client can connect. kConflict if something stands
/// there: whoever holds the lock of the place removes a stale socket first.
Result<UniqueFd> ListenUnix(const std::string& path);
/// kNotFound when nobody listens at `path`.
Result<UniqueFd> ConnectUnix(const std::string& path);
/// The user at the other end, as the kernel says.
Result<uid_t> PeerUid(int fd);

}  // namespace coffer::control

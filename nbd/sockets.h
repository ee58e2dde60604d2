// All that the NBD server asks of the kernel: listening, accepting, bytes in and out, and waiting
// for any of it. No other file of nbd/ makes a system call on a socket. SIGPIPE never comes: sends
// carry MSG_NOSIGNAL. Everything here is non-blocking and close-on-exec; one thread, but for
// Poller::Wake.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/result.h"
#include "nbd/address.h"

namespace coffer::nbd {

/// Owns a descriptor; -1 = none.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { Close(); }
  void Close();
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Listens at `address`; a chosen port 0 is replaced by the one given. A Unix socket is 0600 from
/// its first moment. A socket left behind by a dead process (nobody accepts there) is removed first
/// when `stale` says so; otherwise it is kAlreadyExists, as is a live one.
enum class StaleSocket { kRefuse, kRemove };
[[nodiscard]] Result<Descriptor> Listen(Address& address, StaleSocket stale);

/// Whether Listen would find the address taken, as an error of Listen's. Leaves nothing behind.
[[nodiscard]] Status CheckFree(const Address& address, StaleSocket stale);

struct Accepted {
  enum class Outcome {
    kConnection,
    kNobody,     // nobody waits
    kExhausted,  // no descriptor or memory left: trying again at once would spin
  };
  Outcome outcome;
  Descriptor connection;
};
[[nodiscard]] Accepted Accept(const Descriptor& listener);

/// Who is at the other end of a connection.
struct Peer {
  int pid = 0;          // of a Unix socket's, when it connected; 0: not known
  std::string address;  // "192.0.2.7:4711" of TCP; "" of a Unix socket
};
[[nodiscard]] Peer PeerOf(const Descriptor& connection);

struct Transfer {
  enum class Outcome {
    kSome,   // `bytes` were moved
    kLater,  // would block
    kEnd,    // the peer sends no more
    kGone,   // the connection is broken
  };
  Outcome outcome;
  std::size_t bytes = 0;
};
/// Fills `first`, then `second`, with one system call.
[[nodiscard]] Transfer Receive(const Descriptor& socket, MutableByteView first,
                               MutableByteView second);
/// Sends from the front of `pieces`, at most kSendPiecesMax of them, with one system call.
inline constexpr std::size_t kSendPiecesMax = 64;
[[nodiscard]] Transfer Send(const Descriptor& socket, std::span<const ByteView> pieces);

struct Readiness {
  bool readable;
  bool writable;
  bool gone;  // both directions are shut, or an error is pending
};

class PollTarget {
 public:
  virtual ~PollTarget() = default;
  virtual void OnReady(Readiness ready) = 0;
};

/// epoll, level-triggered, and an eventfd by which other threads end a Wait.
class Poller {
 public:
  struct Interest {
    bool read = false;
    bool write = false;
    bool operator==(const Interest&) const = default;
  };
  struct Ready {
    PollTarget* target;
    Readiness readiness;
  };
  struct WaitResult {
    std::size_t count;
    bool woken;
  };

  [[nodiscard]] static Result<std::unique_ptr<Poller>> Open();

  /// `target` is told of what `socket` is ready for until Remove. Errors and hang-ups are always
  /// told.
  [[nodiscard]] Status Add(const Descriptor& socket, PollTarget& target, Interest interest);
  void Change(const Descriptor& socket, PollTarget& target, Interest interest);
  void Remove(const Descriptor& socket);
  /// Fills the front of `out`. nullopt = without limit.
  WaitResult Wait(std::span<Ready> out, std::optional<Duration> timeout);
  /// Any thread. Ends the running Wait or the next.
  void Wake();

 private:
  Poller(Descriptor epoll, Descriptor wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  Descriptor epoll_;
  Descriptor wake_;
};

}  // namespace coffer::nbd

// Every limit of the NBD server that is not the protocol's own, in one place. Tests give their own.
#pragma once

#include <chrono>
#include <cstddef>

#include "core/base/clock.h"
#include "nbd/protocol.h"

namespace coffer::nbd {

struct Limits {
  /// A client that has chosen no export by then is cut off …
  Duration handshake_deadline = std::chrono::seconds(10);
  /// … and by then where as many negotiate as may, so that idle ones cannot keep others out.
  Duration crowded_handshake_deadline = std::chrono::seconds(1);
  /// How long a connection that ends waits for its client to take the last answers.
  Duration farewell_deadline = std::chrono::seconds(5);
  /// How long accepting rests when the process has no descriptor left.
  Duration exhausted_pause = std::chrono::milliseconds(100);
  int negotiating_max = 16;  // at once, on each listener
  int connections_max = 1024;
  /// Of one connection; beyond them nothing more is read from it. The bytes count payloads and
  /// reads of workers; one request may overshoot them, within the budget (budget.h).
  int requests_in_flight_max = 128;
  /// Replies that the socket has not taken: few, so that reads done in place use the same warm
  /// buffers again and again instead of filling memory ahead of a slow client.
  /// The memory behind them may be twice that.
  std::size_t unsent_bytes_max = 1u << 20;
  std::size_t bytes_in_flight_max = 64u << 20;
  /// Of all connections; each may have its share of it. As much again is what all exports have
  /// together, for payloads and for replies each, beyond what connections and exports have for
  /// themselves.
  std::size_t bytes_in_flight_total = 64u << 20;
  /// What a connection holds, of payloads and of replies, without asking anybody: its share, at
  /// most so much …
  std::size_t bytes_of_connection = 1u << 20;
  /// … and what all of an export hold beyond that without asking for what all exports have: the
  /// largest request.
  std::size_t bytes_of_export = kMaximumPayloadBytes + 4096;
  /// Who holds more than a connection's own, while others of the export wait for memory, has to
  /// send or take so many bytes in that time.
  std::size_t stall_bytes = 1u << 20;
  Duration stall_deadline = std::chrono::seconds(30);
  std::size_t idle_buffer_bytes_max = 16u << 20;
  /// How long the loop asks for more before it sleeps, while that pays (Patience); zero: never.
  Duration patience = std::chrono::microseconds(40);
};

/// Reads and writes up to this are tried in the event loop itself; a longer one would keep the
/// other clients waiting for longer than handing it to a worker costs.
inline constexpr std::size_t kInPlaceBytesMax = 256 * 1024;
/// What one receive takes at most.
inline constexpr std::size_t kReceiveBytes = 256 * 1024;
/// Replies are sent once this much has gathered, or when the input is used up.
inline constexpr std::size_t kSendEarlyBytes = 64 * 1024;
inline constexpr std::size_t kDescriptionBytesMax = 4096;

}  // namespace coffer::nbd

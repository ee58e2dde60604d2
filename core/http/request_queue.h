// Which of the requests that wait goes next. Each host has slots of its own for readers, for
// writers and for what nobody waits for, so that a read never stands behind uploads, nor one host
// behind another; within a class first come is first served, and background begins only while
// nobody else waits for that host. Pure; one thread.
//
// A request: waiting (Push) -> in flight (Next) -> gone (Remove), or gone from either.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "core/base/request_context.h"

namespace coffer::http {

struct RequestSlots {
  std::size_t reads_per_host = 32;  // what one vault reads with at once
  std::size_t writes_per_host = 16;
  std::size_t background_per_host = 16;  // of them reading ahead
};

class RequestQueue {
 public:
  using Id = std::uint64_t;

  explicit RequestQueue(const RequestSlots& slots) : slots_(slots) {}

  /// REQUIRES: `id` is not there.
  void Push(Id id, const std::string& host, Priority priority);
  /// The next that may begin, reads first; it is in flight then.
  [[nodiscard]] std::optional<Id> Next();
  /// Waiting or in flight, it is gone; nothing if it is not there.
  void Remove(Id id);

  [[nodiscard]] std::size_t waiting() const { return entries_.size() - in_flight_; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }

 private:
  static constexpr std::size_t kClasses = 3;
  struct Class {
    std::list<Id> waiting;
    std::size_t in_flight = 0;
  };
  using Host = std::array<Class, kClasses>;
  struct Entry {
    std::string host;
    std::size_t index;
    bool in_flight;
  };

  [[nodiscard]] bool MayBegin(const Host& host, std::size_t index) const;

  const RequestSlots slots_;
  std::map<std::string, Host> hosts_;  // those with requests
  std::unordered_map<Id, Entry> entries_;
  std::size_t in_flight_ = 0;
};

}  // namespace coffer::http

// ClientList: who talks to an export. Kept beside the loops, so that whoever asks waits for none of
// them. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "nbd/sockets.h"

namespace coffer::nbd {

struct Client {
  explicit Client(Peer its_peer) : peer(std::move(its_peer)) {}

  const Peer peer;
  std::atomic<bool> has_written = false;  // or trimmed or zeroed: asked to, at least
  std::atomic<bool> leaves = false;       // has said goodbye, or was told to
};

class ClientList {
 public:
  std::shared_ptr<Client> Add(Peer peer) {
    auto client = std::make_shared<Client>(std::move(peer));
    MutexLock lock(mutex_);
    return clients_.emplace_back(std::move(client));
  }
  void Remove(const std::shared_ptr<Client>& client) {
    MutexLock lock(mutex_);
    std::erase(clients_, client);
  }
  [[nodiscard]] std::vector<std::shared_ptr<const Client>> All() const {
    MutexLock lock(mutex_);
    return {clients_.begin(), clients_.end()};
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<Client>> clients_ GUARDED_BY(mutex_);
};

}  // namespace coffer::nbd

#include "core/control/event_hub.h"

#include <utility>

namespace coffer::control {

struct EventHub::Sinks {
  Mutex mutex;  // held while sinks run, so that none runs after its subscription ended
  std::uint64_t next_id GUARDED_BY(mutex) = 0;
  std::map<std::uint64_t, ControlService::EventSink> by_id GUARDED_BY(mutex);
};

class EventHub::Subscription final : public EventSubscription {
 public:
  Subscription(std::shared_ptr<Sinks> sinks, std::uint64_t id)
      : sinks_(std::move(sinks)), id_(id) {}
  ~Subscription() override {
    MutexLock lock(sinks_->mutex);
    sinks_->by_id.erase(id_);
  }

 private:
  std::shared_ptr<Sinks> sinks_;
  std::uint64_t id_;
};

EventHub::EventHub() : sinks_(std::make_shared<Sinks>()) {}
EventHub::~EventHub() = default;

std::unique_ptr<EventSubscription> EventHub::Subscribe(ControlService::EventSink sink) {
  MutexLock lock(sinks_->mutex);
  const std::uint64_t id = sinks_->next_id++;
  sinks_->by_id.emplace(id, std::move(sink));
  return std::make_unique<Subscription>(sinks_, id);
}

void EventHub::Publish(const Event& event) {
  MutexLock lock(sinks_->mutex);
  for (const auto& [id, sink] : sinks_->by_id) sink(event);
}

}  // namespace coffer::control

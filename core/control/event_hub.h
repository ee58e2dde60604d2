// EventHub: hands each event to every subscriber. The service publishes, the server subscribes one
// sink per stream. Thread-safe.
#pragma once

#include <map>
#include <memory>

#include "core/base/mutex.h"
#include "core/control/service.h"

namespace coffer::control {

class EventHub {
 public:
  EventHub();
  ~EventHub();  // a subscription may outlive it

  [[nodiscard]] std::unique_ptr<EventSubscription> Subscribe(ControlService::EventSink sink);
  /// Calls every sink, one event at a time. Never from within a sink.
  void Publish(const Event& event);
  void Publish(const VolumeStatus& volume) { Publish(Event{"volume", volume, {}}); }
  void Publish(const JobInfo& job) { Publish(Event{"job", {}, job}); }

 private:
  struct Sinks;
  class Subscription;

  std::shared_ptr<Sinks> sinks_;
};

}  // namespace coffer::control

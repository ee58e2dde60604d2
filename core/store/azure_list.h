// Lists of blobs as the service answers with, and where in them a later request can go on.
//
// The service has no "names after this one": it goes on at a marker, an opaque text that it gave
// with an earlier page. MarkerMemory keeps a few of those, so that who asks page by page does not
// walk from the beginning each time. A marker is only taken for a place to begin: its page is
// trusted to be without a gap only if it begins at or before the name that was asked for.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/mutex.h"
#include "core/base/result.h"
#include "core/store/object_store.h"

namespace coffer::store {

struct AzureListPage {
  std::vector<ListedObject> blobs;  // whole names, in the service's order; no directories
  std::string next_marker;          // "" at the end
};

/// kUnavailable for what is no list.
Result<AzureListPage> ParseAzureList(ByteView body);

/// Thread-safe.
class MarkerMemory {
 public:
  /// A marker whose page began at or before `name`, or "": the beginning.
  [[nodiscard]] std::string Nearest(const std::string& prefix, const std::string& name) const;
  /// That the page of `marker` began with `first`.
  void Remember(const std::string& prefix, const std::string& marker, const std::string& first);
  void Forget(const std::string& marker);

 private:
  struct Place {
    std::string prefix;
    std::string first;
    std::string marker;
  };

  mutable Mutex mutex_;
  std::deque<Place> places_ GUARDED_BY(mutex_);  // the newest in front
};

}  // namespace coffer::store

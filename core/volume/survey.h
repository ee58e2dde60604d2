// What a volume holds in its store, in numbers, as its newest head says: for `info` and `delete`.
// Reads heads, deltas and pages, no data; writes nothing anywhere, so that it may run beside an
// open volume. A head that hides from LIST is not looked for: this is no check.
#pragma once

#include "core/map/survey.h"
#include "core/volume/vault_resources.h"

namespace coffer::volume {

struct VolumeSurvey {
  UnixSeconds taken_unix = 0;
  std::uint64_t head_seq = 0;
  bool released = false;
  std::string host_name;  // that wrote the head
  UnixSeconds head_created_unix = 0;
  std::uint64_t size = 0;  // bytes
  std::uint32_t chunk_size = 0;
  std::uint64_t heads = 0;       // in the store
  bool heads_are_more = false;   // than were counted
  std::uint64_t head_bytes = 0;  // the newest one's
  map::SurveyNumbers map;
};

/// kCorruption when there is no head.
Result<VolumeSurvey> SurveyVolume(VaultResources& resources, const VolumeId& id,
                                  const map::Survey::Progress& progress);

}  // namespace coffer::volume

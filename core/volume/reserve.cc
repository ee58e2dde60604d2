#include "core/volume/reserve.h"

namespace coffer::volume {

Status Reserve::Hold() {
  if (held_) return {};
  ASSIGN_OR_RETURN(const auto file, fs_.Open(path_, FileSystem::OpenMode::kOpenOrCreate));
  Status taken = file->Allocate(kBytes);
  // Where space can't be allocated ahead nothing can be kept back.
  if (!taken.has_value() && taken.error().code == ErrorCode::kUnsupported) taken = {};
  if (!taken.has_value()) (void)fs_.Remove(path_);
  held_ = taken.has_value();
  return taken;
}

void Reserve::Drop() {
  if (!held_.exchange(false)) return;
  (void)fs_.Remove(path_);
  // Only then may a file system give its blocks to others.
  (void)fs_.SyncDirectory(path_.substr(0, path_.rfind('/')));
}

}  // namespace coffer::volume

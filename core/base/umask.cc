#include "core/base/umask.h"

#include <sys/stat.h>

namespace coffer {

void KeepOwnersAccess() {
  constexpr mode_t kNobody = 0777;
  constexpr mode_t kOwner = 0700;
  const mode_t mask = umask(kNobody);
  umask(mask & ~kOwner);
}

}  // namespace coffer

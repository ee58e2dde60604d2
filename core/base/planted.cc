#include "core/base/planted.h"

#ifdef COFFER_PLANTED

#include <cstdlib>

namespace coffer {

bool Planted(std::string_view bug) {
  static const char* const active = std::getenv("COFFER_BUG");
  return active != nullptr && bug == active;
}

}  // namespace coffer

#endif

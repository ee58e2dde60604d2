#include "core/base/check.h"

#include <cstdlib>

#include "core/base/log.h"

namespace coffer {

void CheckFailed(const char* file, int line, const char* expression) {
  LogLine(LogLevel::kError, Concat("CHECK failed at ", file, ":", line, ": ", expression));
  std::abort();
}

}  // namespace coffer

// CHECK: always on, for states from which going on could write wrong bytes. Never for input.
#pragma once

namespace coffer {
[[noreturn]] void CheckFailed(const char* file, int line, const char* expression);
}

#define CHECK(condition)                                     \
  do {                                                       \
    if (!(condition)) [[unlikely]]                           \
      ::coffer::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)

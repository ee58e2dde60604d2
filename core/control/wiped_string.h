// A string whose memory is overwritten before it is freed. Request bodies travel in it, since a
// body may hold a password: neither a growing buffer nor a finished request leaves a copy behind.
// Strings short enough to live inside the object (15 characters) are not covered.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/base/secret_bytes.h"

namespace coffer::control {

template <class T>
struct WipingAllocator {
  using value_type = T;

  WipingAllocator() = default;
  template <class U>
  WipingAllocator(const WipingAllocator<U>&) {}  // NOLINT(google-explicit-constructor): rebinding

  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* place, std::size_t count) {
    Wipe({reinterpret_cast<std::byte*>(place), count * sizeof(T)});
    std::allocator<T>().deallocate(place, count);
  }
  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
};

using WipedString = std::basic_string<char, std::char_traits<char>, WipingAllocator<char>>;

}  // namespace coffer::control

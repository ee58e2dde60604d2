// Every limit of the FUSE exporter, in one place.
#pragma once

#include <chrono>
#include <cstddef>

#include "core/base/clock.h"

namespace coffer::fuse {

/// What one read or write may carry: the most that the kernel and libfuse agree to.
inline constexpr std::size_t kRequestBytesMax = 1u << 20;
/// Requests that the kernel sends without anybody waiting for each (read-ahead, write-back,
/// asynchronous direct I/O): so many at once, and what it calls congested. More than the kernel's
/// 12, since a slow store answers them in parallel.
inline constexpr unsigned kBackgroundMax = 64;
inline constexpr unsigned kCongestedAt = 48;
/// Of writes of one image that wait for a worker; more answer ENOMEM.
inline constexpr std::size_t kJobBytesMax = 128u << 20;
/// Failures of one image that are logged one by one.
inline constexpr int kErrorsLoggedMax = 10;
/// Threads that read requests, of each mounted directory. They block on nothing but the kernel.
inline constexpr int kLoopThreads = 2;
/// How long one that has nothing to do asks again before it sleeps, where that pays.
inline constexpr Duration kPatience = std::chrono::microseconds(40);
/// How long one asks for its turn to write in place.
inline constexpr Duration kInPlacePatience = std::chrono::microseconds(20);
/// How long the kernel may believe a name or an attribute before it asks again. What changes in
/// between it is told.
inline constexpr double kBelieveSeconds = 60;
/// The same where other exports change the device: then nobody tells.
inline constexpr double kBelieveSharedSeconds = 1;

}  // namespace coffer::fuse

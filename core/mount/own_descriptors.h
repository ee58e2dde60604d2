// Runs work on a thread that has a table of descriptors of its own, with nothing in it but the
// standard streams.
//
// What core/mount does waits in the kernel for requests that this very process answers: it serves
// the image. A thread that waits there cannot be killed, and one that shares the process's
// descriptors would keep /dev/fuse open with it, so that after `kill -9` nobody answered and
// nothing ended, for ever. With descriptors of its own it ends as soon as the others have:
// /dev/fuse is closed then, and every request fails.
//
// REQUIRES of `work`: it touches no descriptor made elsewhere and leaves none behind. It does not
// LOG either, since the log's file is such a descriptor.
#pragma once

#include <linux/close_range.h>
#include <unistd.h>

#include <optional>
#include <thread>

namespace coffer::mount {

template <class Work>
auto WithOwnDescriptors(Work&& work) {
  std::optional<decltype(work())> result;
  std::thread thread([&result, &work] {
    // Refused by a kernel older than 5.9, it is shared after all: only the danger above is back.
    static_cast<void>(close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_UNSHARE));
    result.emplace(work());
  });
  thread.join();
  return *std::move(result);
}

}  // namespace coffer::mount

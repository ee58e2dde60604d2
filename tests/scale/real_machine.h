// A machine of its own on the real disk, with real time and threads.
#pragma once

#include <algorithm>
#include <thread>

#include "tests/scale/machine.h"

namespace coffer::scale {

struct RealParts {
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
  std::unique_ptr<Executor> sync = NewThreadExecutor("sync", 4);
  std::unique_ptr<Executor> work =
      NewThreadExecutor("work", std::max(2, static_cast<int>(std::thread::hardware_concurrency())));
  std::unique_ptr<Executor> fetch = NewThreadExecutor("fetch", 16);
};

class RealMachine : private RealParts, public Machine {
 public:
  RealMachine(const std::string& state_directory, const std::string& store_directory,
              Wrap wrap = {})
      : Machine(*fs, clock, random, *sync, *work, *fetch, state_directory, store_directory,
                std::move(wrap)) {}
};

}  // namespace coffer::scale

// The operations of which crash scripts are made, and running them.
#pragma once

#include <string>
#include <vector>

#include "tests/crash/crash_world.h"

namespace coffer::crash {

enum class Step {
  kWriteBlock,
  kWriteAcrossChunks,
  kOverwrite,
  kTrim,
  kWriteZeroes,
  kFlush,
  kForcedWrite,  // FUA
  kSync,
  kGrow,
  kShrink,
  kPasswd,
  kReopen,
};
inline constexpr int kSteps = 12;
using Script = std::vector<Step>;

std::string Describe(const Script& script);
/// Every script of one to `length` steps, in an order that is fixed and mixed, so that shards are
/// alike.
std::vector<Script> MixedScripts(std::size_t length);
/// Runs `script` on the open volume; ends at the first failure.
Status Run(CrashWorld& world, const Script& script);

}  // namespace coffer::crash

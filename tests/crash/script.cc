#include "tests/crash/script.h"

#include <utility>

namespace coffer::crash {
namespace {

using block::WriteFlag;

Status RunStep(CrashWorld& world, Step step) {
  switch (step) {
    case Step::kWriteBlock:
      return world.Write(kBlocks / 2 + 1, 1, WriteFlag::kNone);  // of a hole
    case Step::kWriteAcrossChunks:
      return world.Write(3 * kChunkBlocks - 2, kChunkBlocks + 3, WriteFlag::kNone);
    case Step::kOverwrite:
      return world.Write(1, 3, WriteFlag::kNone);  // of what is committed
    case Step::kTrim:
      return world.Zero(2, 2 * kChunkBlocks, true);  // a whole chunk and parts of two
    case Step::kWriteZeroes:
      return world.Zero(kChunkBlocks + 1, 2, false);
    case Step::kFlush:
      return world.Flush();
    case Step::kForcedWrite:
      return world.Write(kChunkBlocks + 2, 1, WriteFlag::kForceUnitAccess);
    case Step::kSync:
      return world.Sync();
    case Step::kGrow:
      return world.Resize(kBlocks + 9);
    case Step::kShrink:
      return world.Resize(kBlocks - 9);  // in the middle of a chunk
    case Step::kPasswd:
      return world.ChangePassword();
    case Step::kReopen:
      RETURN_IF_ERROR(world.Close());
      return world.Open();
  }
  return {};
}

}  // namespace

std::string Describe(const Script& script) {
  static constexpr const char* kNames[] = {
      "write-block",  "write-across", "overwrite", "trim",   "write-zeroes", "flush",
      "forced-write", "sync",         "grow",      "shrink", "passwd",       "reopen"};
  std::string text;
  for (const Step step : script) {
    if (!text.empty()) text += ", ";
    text += kNames[static_cast<int>(step)];
  }
  return text;
}

std::vector<Script> MixedScripts(std::size_t length) {
  std::vector<Script> scripts;
  std::vector<Script> shorter = {{}};
  for (std::size_t i = 0; i < length; ++i) {
    std::vector<Script> longer;
    for (const Script& script : shorter) {
      for (int step = 0; step < kSteps; ++step) {
        longer.push_back(script);
        longer.back().push_back(static_cast<Step>(step));
      }
    }
    scripts.insert(scripts.end(), longer.begin(), longer.end());
    shorter = std::move(longer);
  }
  SeededRandom random(scripts.size());
  for (std::size_t i = scripts.size(); i > 1; --i)
    std::swap(scripts[i - 1], scripts[random.Below(i)]);
  return scripts;
}

Status Run(CrashWorld& world, const Script& script) {
  for (const Step step : script) RETURN_IF_ERROR(RunStep(world, step));
  return {};
}

}  // namespace coffer::crash

#include "tests/crash/crash_world.h"

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::crash {

using block::kBlockSize;
using block::WriteFlag;
using block::ZeroFlag;
using volume::CloseMode;
using volume::OpenedVolume;

std::string_view NameOf(CrashMode mode) {
  switch (mode) {
    case CrashMode::kKill:
      return "kill";
    case CrashMode::kDropAll:
      return "drop all";
    case CrashMode::kKeepAll:
      return "keep all";
    case CrashMode::kRandomSubset:
      return "random subset";
    case CrashMode::kPrefix:
      return "keep prefix";
  }
  return "";
}

std::string Describe(const CrashPoint& point) {
  switch (point.at) {
    case CrashPoint::At::kNever:
      return "no crash";
    case CrashPoint::At::kDisk:
      return Concat("before change ", point.nth, " of the disk");
    case CrashPoint::At::kBeforeRequest:
      return Concat("before request ", point.nth);
    case CrashPoint::At::kAfterRequest:
      return Concat("after request ", point.nth);
  }
  return {};
}

CrashWorld::CrashWorld(std::uint64_t seed, const volume::Settings& settings) : settings_(settings) {
  machine_ = std::make_unique<vault::Machine>(provider_, seed);
  CHECK(
      machine_->Create({.name = "photos", .size = kBlocks * kBlockSize, .chunk_size = kChunkBytes})
          .has_value());
  CHECK(Open().has_value());
  CHECK(Write(0, 2 * kChunkBlocks, WriteFlag::kNone).has_value());
  CHECK(Sync().has_value());
  CHECK(Write(3, 1, WriteFlag::kNone).has_value());
  CHECK(Write(kBlocks - 2, 2, WriteFlag::kNone).has_value());
  CHECK(Close().has_value());
  first_objects_ = provider_.Snapshot();
  first_disk_ = machine_->fs.Save();
  first_oracle_ = oracle_;
}

void CrashWorld::Reset(std::uint64_t seed) {
  opened_.reset();
  provider_.Restore(first_objects_);
  machine_ = std::make_unique<vault::Machine>(provider_, seed);
  machine_->fs.Load(*first_disk_);
  oracle_ = first_oracle_;
}

Status CrashWorld::Open() {
  ASSIGN_OR_RETURN(opened_, OpenedVolume::Open(*machine_, {.settings = settings_}));
  return {};
}

Status CrashWorld::Close() {
  const std::uint64_t acknowledged = oracle_.acknowledged();
  const Status status = volume().Close(CloseMode::kUpload, {});
  opened_.reset();
  if (status.has_value()) oracle_.Committed(acknowledged);
  return status;
}

void CrashWorld::SetCrashPoint(const CrashPoint& point) {
  switch (point.at) {
    case CrashPoint::At::kNever:
      break;
    case CrashPoint::At::kDisk:
      machine_->fs.HaltAt(point.nth);
      break;
    case CrashPoint::At::kBeforeRequest:
      machine_->line.HaltAt(point.nth, HaltMoment::kBefore);
      break;
    case CrashPoint::At::kAfterRequest:
      machine_->line.HaltAt(point.nth, HaltMoment::kAfter);
      break;
  }
}

bool CrashWorld::halted() const { return machine_->fs.halted() || machine_->line.halted(); }

void CrashWorld::Crash(CrashMode mode) {
  machine_->fs.Halt();
  opened_.reset();  // what it does now changes nothing
  machine_->line.Heal();
  switch (mode) {
    case CrashMode::kKill:
      machine_->fs.Crash();
      break;
    case CrashMode::kDropAll:
      machine_->fs.PowerCut(CutMode::kDropAll);
      break;
    case CrashMode::kKeepAll:
      machine_->fs.PowerCut(CutMode::kKeepAll);
      break;
    case CrashMode::kRandomSubset:
      machine_->fs.PowerCut(CutMode::kRandomSubset);
      break;
    case CrashMode::kPrefix:
      machine_->fs.PowerCut(CutMode::kPrefix);
      break;
  }
}

std::string CrashWorld::Recover(CrashMode mode) {
  const Status status = Open();
  if (!status.has_value()) return Concat("does not open: ", status.error().message);
  return oracle_.CheckAfterCrash(volume(),
                                 mode == CrashMode::kKill ? Loss::kProcess : Loss::kPower);
}

std::string CrashWorld::CheckRemote(bool everything) {
  vault::Machine blank(provider_, 4711, "blank");
  const auto there = OpenedVolume::Open(blank, {.read_only = true, .settings = settings_});
  if (!there.has_value()) return Concat("a blank machine cannot open it: ", there.error().message);
  const std::string wrong = everything ? oracle_.Check(***there) : oracle_.CheckRemote(***there);
  return wrong.empty() ? wrong : "on a blank machine " + wrong;
}

std::string CrashWorld::CheckHeads() {
  const auto vault = machine_->Unlock();
  if (!vault.has_value()) return Concat("does not unlock: ", vault.error().message);
  const auto volume = (*vault)->FindVolume("photos");
  if (!volume.has_value()) return volume.error().message;
  const auto seq = vault::CheckChain(provider_, (*vault)->keys(), volume->id);
  return seq.has_value() ? std::string() : "heads: " + seq.error().message;
}

Status CrashWorld::Answered(std::uint64_t number, Status status) {
  if (status.has_value()) {
    oracle_.Done(number);
  } else if (!halted()) {
    oracle_.Failed(number);
  }
  return status;
}

Status CrashWorld::Write(std::uint64_t first, std::uint64_t count, WriteFlag flag) {
  const std::uint64_t number = oracle_.Begin({Change::Kind::kWrite, first, count});
  Bytes data;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Bytes block = PrefixOracle::Content(number, first + i);
    data.insert(data.end(), block.begin(), block.end());
  }
  RETURN_IF_ERROR(Answered(number, volume().Write(first * kBlockSize, data, flag)));
  if (flag == WriteFlag::kForceUnitAccess) oracle_.Barrier();
  return {};
}

Status CrashWorld::Zero(std::uint64_t first, std::uint64_t count, bool trim) {
  const std::uint64_t number = oracle_.Begin({Change::Kind::kZero, first, count});
  const std::uint64_t offset = first * kBlockSize;
  const std::uint64_t length = count * kBlockSize;
  return Answered(number, trim ? volume().Trim(offset, length, WriteFlag::kNone)
                               : volume().WriteZeroes(offset, length, ZeroFlag::kNoHole));
}

Status CrashWorld::Resize(std::uint64_t blocks) {
  const std::uint64_t number = oracle_.Begin({Change::Kind::kResize, 0, blocks});
  RETURN_IF_ERROR(
      Answered(number, volume().Resize(blocks * kBlockSize, volume::Volume::Tail::kDiscard)));
  oracle_.Barrier();
  return {};
}

Status CrashWorld::Flush() {
  RETURN_IF_ERROR(volume().Flush());
  oracle_.Barrier();
  return {};
}

Status CrashWorld::Sync() {
  const std::uint64_t acknowledged = oracle_.acknowledged();
  RETURN_IF_ERROR(volume().Sync({}));
  oracle_.Committed(acknowledged);
  return {};
}

}  // namespace coffer::crash

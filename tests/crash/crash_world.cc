#include "tests/crash/crash_world.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/log.h"

namespace coffer::crash {

using block::kBlockSize;
using block::WriteFlag;
using block::ZeroFlag;
using volume::CloseMode;
using volume::OpenedVolume;

namespace {
constexpr double kClockTolerance = 1;  // journals tell times in whole seconds
constexpr char kCacheDirectory[] = "/home/user/cache/coffer";
constexpr std::uint64_t kCacheBytesMax = 8 * cache::DiskCache::kWindowBytes;
}  // namespace

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

CrashWorld::CrashWorld(std::uint64_t seed, const volume::Settings& settings,
                       DiskCacheUse disk_cache)
    : settings_(settings),
      disk_cache_use_(disk_cache),
      passwords_{std::string(vault::Machine::kPassword)} {
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
  first_answers_ = answers_;
}

void CrashWorld::Reset(std::uint64_t seed) {
  opened_.reset();
  disk_cache_.reset();
  cache_index_ = {};
  provider_.Restore(first_objects_);
  machine_ = std::make_unique<vault::Machine>(provider_, seed);
  machine_->fs.Load(*first_disk_);
  oracle_ = first_oracle_;
  answers_ = first_answers_;
  passwords_ = {std::string(vault::Machine::kPassword)};
  old_passwords_.clear();
  unsure_since_.reset();
  password_changes_ = 0;
}

Result<std::unique_ptr<vault::Vault>> CrashWorld::Unlock(vault::Machine& machine) const {
  // Else the one that holds could change while they are tried.
  if (passwords_.size() > 1) machine_->line.LandLateRequests();
  for (std::size_t i = passwords_.size(); i-- > 0;) {
    auto vault = machine.Unlock(passwords_[i]);
    if (vault.has_value() || vault.error().code != ErrorCode::kUnauthenticated || i == 0)
      return vault;
  }
  return Fail(ErrorCode::kUnauthenticated, "there is no password");
}

std::string CrashWorld::CheckPasswords() {
  if (passwords_.size() > 1) machine_->line.LandLateRequests();  // one of them may be a new key
  std::vector<std::string> opening;
  std::vector<std::string> all = old_passwords_;
  all.insert(all.end(), passwords_.begin(), passwords_.end());
  if (all.size() == 1) return {};  // it has just opened
  for (const std::string& password : all) {
    const Status opens = opened_->vault().CheckPassword(vault::Password(password));
    if (opens.has_value()) {
      opening.push_back(password);
    } else if (opens.error().code != ErrorCode::kUnauthenticated) {
      return Concat("the password ", password, ": ", opens.error().message);
    }
  }
  if (opening.size() != 1) return Concat(opening.size(), " passwords open the vault");
  if (std::find(passwords_.begin(), passwords_.end(), opening[0]) == passwords_.end())
    return Concat("the old password ", opening[0], " opens the vault");
  for (const std::string& password : passwords_) {
    if (password != opening[0]) old_passwords_.push_back(password);
  }
  passwords_ = opening;
  return {};
}

Status CrashWorld::ChangePassword() {
  if (passwords_.size() > 1) machine_->line.LandLateRequests();
  passwords_.push_back(Concat("battery staple ", ++password_changes_));
  // Of several that may hold, the one that does.
  Status status;
  for (std::size_t i = passwords_.size() - 1; i-- > 0;) {
    status = opened_->vault().ChangePassword(vault::Password(passwords_[i]),
                                             vault::Password(passwords_.back()));
    if (status.has_value() || status.error().code != ErrorCode::kUnauthenticated) break;
  }
  if (!status.has_value()) return status;
  old_passwords_.insert(old_passwords_.end(), passwords_.begin(), passwords_.end() - 1);
  passwords_.erase(passwords_.begin(), passwords_.end() - 1);
  return {};
}

Status CrashWorld::Open() {
  opened_.reset();
  disk_cache_.reset();
  if (disk_cache_use_ != DiskCacheUse::kNone) {
    machine_->fs.AddDirectories(kCacheDirectory);
    disk_cache_ = std::make_unique<cache::DiskCache>(
        machine_->fs, machine_->clock,
        cache::DiskCache::Options{.directory = kCacheDirectory, .bytes_max = kCacheBytesMax},
        cache::OpenMemoryIndex(cache_index_));
    disk_cache_->Start();
  }
  ASSIGN_OR_RETURN(auto vault, Unlock(*machine_));
  ASSIGN_OR_RETURN(opened_, OpenedVolume::OpenIn(std::move(vault), {.settings = settings_},
                                                 "photos", disk_cache_.get()));
  return {};
}

Status CrashWorld::Close() {
  const std::uint64_t acknowledged = oracle_.acknowledged();
  const Status status = volume().Close(CloseMode::kUpload, {});
  BelieveStatus();
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

void CrashWorld::EvictMemory() {
  frames().Clear();
  resources().pages().Clear();
  resources().windows().Clear();
}

void CrashWorld::EvictDisk() {
  if (disk_cache_ == nullptr) return;
  disk_cache_->SetBytesMax(0);
  Bytes out(1);
  (void)disk_cache_->Read({}, 0, out);  // brings it down
  disk_cache_->SetBytesMax(kCacheBytesMax);
}

void CrashWorld::BelieveStatus() {
  const volume::VolumeStatus status = volume().status();
  for (const Answer& answer : answers_) {
    if (answer.seq <= status.durable_seq) oracle_.Durable(answer.number);
    if (answer.seq <= status.committed_seq) oracle_.Committed(answer.number);
  }
  while (!answers_.empty() && answers_.front().seq <= status.committed_seq) answers_.pop_front();
}

std::string CrashWorld::CheckStatus() {
  BelieveStatus();
  const volume::VolumeStatus status = volume().status();
  if (status.durable_seq > status.acknowledged_seq || status.committed_seq > status.durable_seq) {
    return Concat("status: ", status.committed_seq, " committed, ", status.durable_seq,
                  " durable, ", status.acknowledged_seq, " acknowledged");
  }
  const auto seconds = [](Duration duration) {
    return std::chrono::duration<double>(duration).count();
  };
  const MonotonicTime now = machine_->clock.Now();
  const bool unsure = unsure_since_.has_value();
  const MonotonicTime since = unsure_since_.value_or(now);
  if (status.committed_seq == status.acknowledged_seq) unsure_since_.reset();
  if (answers_.empty() && unsure) {
    if (status.behind_seconds <= seconds(now - since) + kClockTolerance) return {};
  }
  if (answers_.empty()) {
    if (status.behind_bytes == 0 && status.behind_seconds == 0 &&
        status.committed_seq == status.acknowledged_seq)
      return {};
    return Concat("status: ", status.behind_bytes, " bytes and ", status.behind_seconds,
                  " seconds behind, ", status.committed_seq, " of ", status.acknowledged_seq,
                  " committed, and all is");
  }
  const double least = seconds(now - answers_.front().ended);
  const double most = seconds(now - std::min(answers_.front().begun, since));
  if (status.behind_seconds + kClockTolerance >= least &&
      status.behind_seconds <= most + kClockTolerance)
    return {};
  return Concat("status: ", status.behind_seconds, " seconds behind, and the oldest request not ",
                "committed is of ", least, " to ", most, " seconds ago");
}

void CrashWorld::Crash(CrashMode mode) {
  machine_->fs.Halt();
  if (is_open()) BelieveStatus();
  opened_.reset();  // what it does now changes nothing
  disk_cache_.reset();
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
  const bool interrupted = oracle_.issued() > oracle_.acknowledged();
  if (std::string wrong = oracle_.CheckAfterCrash(
          volume(), mode == CrashMode::kKill ? Loss::kProcess : Loss::kPower);
      !wrong.empty())
    return wrong;
  if (interrupted && !unsure_since_.has_value()) unsure_since_ = last_begun_;
  while (!answers_.empty() && answers_.back().number > oracle_.acknowledged()) {
    unsure_since_ = std::min(answers_.back().begun, unsure_since_.value_or(answers_.back().begun));
    answers_.pop_back();
  }
  if (std::string wrong = CheckPasswords(); !wrong.empty()) return wrong;
  return CheckStatus();
}

std::string CrashWorld::CheckRemote(bool everything) {
  vault::Machine blank(provider_, 4711, "blank");
  auto vault = Unlock(blank);
  if (!vault.has_value()) return "on a blank machine: " + vault.error().message;
  const auto there =
      OpenedVolume::OpenIn(std::move(*vault), {.read_only = true, .settings = settings_});
  if (!there.has_value()) return Concat("a blank machine cannot open it: ", there.error().message);
  const std::string wrong = everything ? oracle_.Check(***there) : oracle_.CheckRemote(***there);
  return wrong.empty() ? wrong : "on a blank machine " + wrong;
}

std::string CrashWorld::CheckHeads() {
  const auto vault = Unlock(*machine_);
  if (!vault.has_value()) return Concat("does not unlock: ", vault.error().message);
  const auto volume = (*vault)->FindVolume("photos");
  if (!volume.has_value()) return volume.error().message;
  const auto seq = vault::CheckChain(provider_, (*vault)->keys(), volume->id);
  return seq.has_value() ? std::string() : "heads: " + seq.error().message;
}

std::uint64_t CrashWorld::Begin(const Change& change) {
  last_begun_ = machine_->clock.Now();
  return oracle_.Begin(change);
}

Status CrashWorld::Answered(std::uint64_t number, Status status) {
  if (status.has_value()) {
    oracle_.Done(number);
    answers_.push_back(
        {number, volume().status().acknowledged_seq, last_begun_, machine_->clock.Now()});
  } else if (!halted()) {
    oracle_.Failed(number);
    if (!unsure_since_.has_value()) unsure_since_ = last_begun_;
  }
  return status;
}

Status CrashWorld::Write(std::uint64_t first, std::uint64_t count, WriteFlag flag) {
  const std::uint64_t number = Begin({Change::Kind::kWrite, first, count});
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
  const std::uint64_t number = Begin({Change::Kind::kZero, first, count});
  const std::uint64_t offset = first * kBlockSize;
  const std::uint64_t length = count * kBlockSize;
  return Answered(number, trim ? volume().Trim(offset, length, WriteFlag::kNone)
                               : volume().WriteZeroes(offset, length, ZeroFlag::kNoHole));
}

Status CrashWorld::Resize(std::uint64_t blocks) {
  const std::uint64_t number = Begin({Change::Kind::kResize, 0, blocks});
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

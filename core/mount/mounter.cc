#include "core/mount/mounter.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "core/base/log.h"
#include "core/base/mount_holders.h"
#include "core/mount/file_systems.h"
#include "core/mount/loop_device.h"
#include "core/mount/mount_point.h"
#include "core/mount/own_descriptors.h"
#include "core/mount/record.h"
#include "core/mount/way.h"

namespace coffer::mount {
namespace {

constexpr int kLetGoTries = 60;
constexpr std::chrono::milliseconds kLetGoPause{50};

/// With who it is that keeps it busy.
Error Busy(const std::string& path, const Error& error) {
  const std::vector<MountHolder> holders = FindMountHolders(path);
  const std::string by = holders.empty()
                             ? "by a program that this user may not see: " + error.message
                             : DescribeHolders(holders);
  return {ErrorCode::kConflict, path + " is in use: " + by, "end what uses it"};
}

/// Until nobody but this process has `image` open, or a few seconds have passed: what was unmounted
/// lets go of it a moment later.
void AwaitLetGo(const std::string& image) {
  for (int i = 0; i < kLetGoTries; ++i) {
    const std::vector<MountHolder> holders = FindMountHolders(image);
    if (std::all_of(holders.begin(), holders.end(),
                    [](const MountHolder& holder) { return holder.pid == getpid(); })) {
      return;
    }
    Pause(kLetGoPause);
  }
}

class SystemMountedImage final : public MountedImage {
 public:
  SystemMountedImage(FileSystem& fs, std::string record_path, Way& way, Record record, Child server,
                     MountedAs as)
      : fs_(fs),
        record_path_(std::move(record_path)),
        way_(way),
        record_(std::move(record)),
        server_pid_(server.pid()),
        server_(server),
        as_(std::move(as)) {}

  [[nodiscard]] const MountedAs& as() const override { return as_; }

  [[nodiscard]] Presence presence() override {
    if (undone_) return Presence::kUnmounted;
    const bool is_seen = !way_.PathOf(record_).empty();
    if (server_pid_ != 0) {
      const auto end = Child::EndOf(server_pid_);
      if (!end) return is_seen ? Presence::kThere : Presence::kHeld;
      return *end == 0 && !is_seen ? Presence::kUnmounted : Presence::kDied;
    }
    if (is_seen) return Presence::kThere;
    return way_.IsHeld(record_) ? Presence::kHeld : Presence::kUnmounted;
  }

  [[nodiscard]] std::string ImageGrew(std::uint64_t image_bytes) override {
    return WithOwnDescriptors([this, image_bytes]() -> std::string {
      if (way_.PathOf(record_).empty()) return {};
      return way_.ImageGrew(record_, as_.file_system, image_bytes);
    });
  }

  Result<std::string> Unmount(const UnmountHow& how) override {
    return WithOwnDescriptors([this, &how]() -> Result<std::string> {
      if (how.force == Force::kNo) RETURN_IF_ERROR(CheckNotHeld());
      Unmounting unmounting{how};
      const Status unmounted = way_.Unmount(record_, server_, unmounting);
      if (!unmounted.has_value()) {
        if (unmounted.error().code != ErrorCode::kConflict) return Fail(unmounted.error());
        return Fail(Busy(as_.path, unmounted.error()));
      }
      // By force nobody is waited for: who works in it stays there. It may also be mounted once
      // more elsewhere: in a container, or by mount --bind.
      if (how.force == Force::kNo) {
        AwaitLetGo(record_.image);
        RETURN_IF_ERROR(CheckNotHeld());
      }
      undone_ = true;
      RETURN_IF_ERROR(GiveBackMountPoint(record_.point, record_.link));
      RETURN_IF_ERROR(RemoveRecord(fs_, record_path_));
      return std::move(unmounting.lost);
    });
  }

 private:
  /// What was unmounted a moment ago may still be writing.
  Status CheckNotHeld() {
    for (int i = 0; i < kLetGoTries; ++i) {
      if (presence() != Presence::kHeld) return {};
      Pause(kLetGoPause);
    }
    return Fail(ErrorCode::kConflict, TroubleText(as_, Presence::kHeld));
  }

  FileSystem& fs_;
  const std::string record_path_;
  Way& way_;
  const Record record_;
  const pid_t server_pid_;  // 0: none
  Child server_;            // of whoever unmounts
  const MountedAs as_;
  std::atomic<bool> undone_{false};
};

class SystemMounter final : public Mounter {
 public:
  SystemMounter(FileSystem& fs, SystemMounterOptions options)
      : fs_(fs),
        options_(std::move(options)),
        tools_(options_.program_directories),
        loops_(options_.sys_block) {
    ways_.push_back(NewLoopWay(tools_, loops_, options_.uid));
    ways_.push_back(NewUdisksWay(tools_, loops_, options_.connect_udisks));
    ways_.push_back(NewFuse2fsWay(tools_, options_.uid));
  }

  Status Check(const MountSpec& spec) override {
    RETURN_IF_ERROR(CheckSpec(spec));
    return WithOwnDescriptors([this, &spec]() -> Status {
      ASSIGN_OR_RETURN(const bool is_our_own, IsLeftOver(spec));
      if (!is_our_own) RETURN_IF_ERROR(FindMountPoint(spec.directory, options_.uid));
      return spec.make.empty() ? Status() : CheckMountable(spec);
    });
  }

  Result<std::unique_ptr<MountedImage>> Mount(const MountSpec& spec) override {
    RETURN_IF_ERROR(CheckSpec(spec));
    return WithOwnDescriptors([this, &spec] { return MountHere(spec); });
  }

  Status CleanUp(const std::string& record_path) override {
    const auto record = ReadRecord(fs_, record_path);
    if (!record.has_value()) {
      if (record.error().code != ErrorCode::kCorruption) return Fail(record.error());
      LOG(kWarning, record.error().message, ": it is left out of account");
      return RemoveRecord(fs_, record_path);
    }
    if (!*record || (*record)->way.empty()) return {};
    LOG(kInfo, "undoing the mount at ", (*record)->point.path, " of a cofferd that was killed");
    return WithOwnDescriptors([&]() -> Status {
      RETURN_IF_ERROR(Undo(**record));
      return SettleRecord(fs_, record_path, **record);
    });
  }

  [[nodiscard]] std::vector<MountHolder> OthersOn(const std::string& image,
                                                  const MountedImage* mounted) override {
    const pid_t server = mounted == nullptr ? 0 : mounted->as().server;
    const std::string device = mounted == nullptr ? "" : mounted->as().device;
    std::vector<MountHolder> holders = FindMountHolders(image);
    std::erase_if(holders, [&](const MountHolder& holder) {
      if (holder.pid == 0) return "/dev/" + holder.name == device;
      return holder.pid == getpid() || holder.pid == server;
    });
    return holders;
  }

 private:
  Status CheckSpec(const MountSpec& spec) const {
    const auto& names = WayNames();
    if (!spec.way.empty() && std::find(names.begin(), names.end(), spec.way) == names.end()) {
      return Fail(ErrorCode::kInvalidArgument, "there is no way \"" + spec.way + "\" to mount",
                  "loop, udisks or fuse2fs");
    }
    if (spec.make.empty()) return {};
    if (spec.read_only) {
      return Fail(ErrorCode::kInvalidArgument,
                  "a file system cannot be made on what is opened read-only");
    }
    if (spec.way == "fuse2fs" && !IsExt(spec.make)) {
      return Fail(ErrorCode::kInvalidArgument, "fuse2fs is for ext4, and not for " + spec.make);
    }
    return tools_.CheckCanMake(spec.make, options_.uid);
  }

  /// Whether a process that was killed has taken the directory for this image.
  Result<bool> IsLeftOver(const MountSpec& spec) {
    if (spec.record_path.empty()) return false;
    ASSIGN_OR_RETURN(const std::string path, MountPointPath(spec.directory));
    const auto record = ReadRecord(fs_, spec.record_path);
    if (!record.has_value() || !*record || (*record)->way.empty()) return false;
    return (*record)->point.path == path;
  }

  Result<std::unique_ptr<MountedImage>> MountHere(const MountSpec& spec) {
    ASSIGN_OR_RETURN(const MountPoint point, FindMountPoint(spec.directory, options_.uid));
    struct stat info {};
    if (stat(spec.image.c_str(), &info) != 0) return Fail(ErrorFromErrno(errno, spec.image));
    Attempt attempt{spec, "", static_cast<std::uint64_t>(info.st_size)};
    attempt.record.boot = BootId();
    attempt.record.image = spec.image;
    attempt.record.point = point;
    attempt.save = [this, &spec](const Record& record) {
      return WriteRecord(fs_, spec.record_path, record);
    };
    RETURN_IF_ERROR(FindOrMakeFileSystem(attempt));
    return MountInSomeWay(attempt);
  }

  Result<std::unique_ptr<MountedImage>> MountInSomeWay(Attempt& attempt) {
    const MountSpec& spec = attempt.spec;
    std::vector<Error> refusals;
    for (const auto& way : ways_) {
      if (!spec.way.empty() && spec.way != way->name()) continue;
      const Status mounted = Try(*way, attempt);
      if (mounted.has_value()) return Mounted(*way, attempt, refusals);
      refusals.push_back(mounted.error().Within(way->name()));
      if (mounted.error().code != ErrorCode::kUnsupported) break;
    }
    RETURN_IF_ERROR(SettleRecord(fs_, spec.record_path, attempt.record));
    Error error = Unmountable(
        "mounting the " + attempt.file_system + " at " + attempt.record.point.path, refusals);
    if (!attempt.record.made.empty()) {
      error.message.append("; the ")
          .append(attempt.file_system)
          .append(" itself is made, and the same command goes on with it");
    }
    return Fail(std::move(error));
  }

  /// One way; after a failure the mount point is as it was.
  static Status Try(Way& way, Attempt& attempt) {
    attempt.record.way = way.name();
    RETURN_IF_ERROR(attempt.save(attempt.record));
    const Status mounted = way.Mount(attempt);
    if (mounted.has_value()) return {};
    RETURN_IF_ERROR(GiveBackMountPoint(attempt.record.point, attempt.record.link));
    attempt.record.link.clear();
    return mounted;
  }

  /// What an earlier try made and could not mount; "" for nothing.
  std::string MadeBefore(const std::string& record_path) {
    const auto record = ReadRecord(fs_, record_path);
    return record.has_value() && *record ? (*record)->made : std::string();
  }

  /// Fills in what there is to mount.
  Status FindOrMakeFileSystem(Attempt& attempt) {
    const MountSpec& spec = attempt.spec;
    ASSIGN_OR_RETURN(const Contents contents, tools_.Probe(spec.image));
    attempt.file_system = contents.file_system;
    const std::string there = contents.file_system + " " + contents.uuid;
    // Else somebody has put something else in its place since.
    if (there == MadeBefore(spec.record_path)) attempt.record.made = there;
    if (spec.make.empty()) return CheckIsFileSystem(contents);
    if (!attempt.record.made.empty() && contents.file_system == spec.make) return {};
    RETURN_IF_ERROR(CheckIsNothing(contents, spec));
    RETURN_IF_ERROR(CheckMountable(spec));
    return MakeFileSystem(attempt);
  }

  static Status CheckIsFileSystem(const Contents& contents) {
    if (!contents.file_system.empty()) return {};
    if (contents.nothing()) {
      return Fail(ErrorCode::kNotFound, "there is no file system on the volume yet",
                  "--mkfs makes one (ext4; --mkfs=xfs and --mkfs=btrfs are the others)");
    }
    return Fail(ErrorCode::kInvalidArgument,
                "the volume holds " + contents.other + ", no file system", kOtherHint);
  }

  static Status CheckIsNothing(const Contents& contents, const MountSpec& spec) {
    if (!contents.file_system.empty()) {
      return Fail(
          ErrorCode::kAlreadyExists,
          "the volume holds " + contents.file_system + " already, over which nothing is made",
          "without --mkfs it is mounted");
    }
    if (!contents.nothing()) {
      return Fail(ErrorCode::kAlreadyExists,
                  "the volume holds " + contents.other + " already, over which nothing is made",
                  kOtherHint);
    }
    if (spec.is_blank) return {};
    return Fail(ErrorCode::kAlreadyExists,
                "the volume holds data already, though no file system that blkid knows: nothing "
                "is made over it",
                kOtherHint);
  }

  /// Before anything is made: as far as can be told, it can be mounted afterwards.
  Status CheckMountable(const MountSpec& spec) const {
    std::vector<Error> refusals;
    for (const auto& way : ways_) {
      if (!spec.way.empty() && spec.way != way->name()) continue;
      const Status can = way->CheckCan(spec, spec.make);
      if (can.has_value()) return {};
      refusals.push_back(can.error().Within(way->name()));
    }
    return Fail(Unmountable("no file system is made, since " + spec.make + " could not be mounted",
                            refusals));
  }

  Status MakeFileSystem(Attempt& attempt) {
    const MountSpec& spec = attempt.spec;
    const std::string uuid = NewUuid();
    attempt.record.made = spec.make + " " + uuid;
    attempt.file_system = spec.make;
    RETURN_IF_ERROR(attempt.save(attempt.record));
    const Status made = tools_.Make(spec.image, {spec.make, uuid, spec.label, options_.uid,
                                                 options_.gid, spec.record_path + ".proto"});
    if (!made.has_value()) RETURN_IF_ERROR(RemoveRecord(fs_, spec.record_path));
    return made;
  }

  Result<std::unique_ptr<MountedImage>> Mounted(Way& way, Attempt& attempt,
                                                const std::vector<Error>& refusals) {
    if (!attempt.record.made.empty()) {
      attempt.record.made.clear();
      // Not saved, it is only taken for made and never mounted once more.
      const Status saved = attempt.save(attempt.record);
      if (!saved.has_value()) LOG(kWarning, saved.error().message);
    }
    MountedAs as;
    as.directory = attempt.record.point.path;
    as.path = attempt.path;
    as.way = way.name();
    as.device = attempt.record.device;
    as.file_system = attempt.file_system;
    as.made = !attempt.spec.make.empty();
    as.server = attempt.server.pid();
    as.note = attempt.note;
    for (const Error& refusal : refusals) {
      as.passed_over.push_back(refusal.hint.empty() ? refusal.message
                                                    : refusal.message + " (" + refusal.hint + ")");
    }
    return std::make_unique<SystemMountedImage>(fs_, attempt.spec.record_path, way, attempt.record,
                                                attempt.server, std::move(as));
  }

  static Error Unmountable(const std::string& what, const std::vector<Error>& refusals) {
    Error error{refusals.back().code, what};
    for (const Error& refusal : refusals) {
      error.message.append(&refusal == &refusals.front() ? ": " : "; ").append(refusal.message);
      if (refusal.hint.empty()) continue;
      error.hint.append(error.hint.empty() ? "" : "; or: ").append(refusal.hint);
    }
    if (error.code == ErrorCode::kIoError && error.hint.empty()) {
      error.hint = "if it is damaged: open the volume with --fuse alone and run fsck on its image";
    }
    return error;
  }

  /// Of a process that is no more. What holds on to the mount loses nothing by going: its image has
  /// gone already.
  Status Undo(const Record& record) {
    if (record.boot == BootId()) {
      for (const auto& way : ways_) {
        if (record.way != way->name()) continue;
        Child none;
        const UnmountHow gently;
        Unmounting first{gently};
        if (way->Unmount(record, none, first).has_value()) continue;
        const UnmountHow by_force{Force::kYes};
        Unmounting second{by_force};
        const Status forced = way->Unmount(record, none, second);
        if (!forced.has_value()) {
          return Fail(forced.error().Within("unmounting what a killed cofferd left at " +
                                            record.point.path));
        }
      }
      AwaitLetGo(record.image);
    }
    return GiveBackMountPoint(record.point, record.link);
  }

  FileSystem& fs_;
  const SystemMounterOptions options_;
  const FileSystems tools_;
  const LoopDevices loops_;
  std::vector<std::unique_ptr<Way>> ways_;
};

}  // namespace

std::string TroubleText(const MountedAs& as, Presence presence) {
  switch (presence) {
    case Presence::kThere:
      break;
    case Presence::kUnmounted:
      return as.path + " was unmounted by somebody else; nothing is lost, the volume has it all";
    case Presence::kHeld:
      return as.path +
             " was unmounted by somebody else while it was in use, and programs still use what "
             "they have open there";
    case Presence::kDied:
      return as.way + ", which served " + as.path +
             ", has died: what it had not yet written is lost";
  }
  return {};
}

const std::vector<std::string>& WayNames() {
  static const std::vector<std::string> names = {"loop", "udisks", "fuse2fs"};
  return names;
}

std::unique_ptr<Mounter> NewSystemMounter(FileSystem& fs, SystemMounterOptions options) {
  return std::make_unique<SystemMounter>(fs, std::move(options));
}

}  // namespace coffer::mount

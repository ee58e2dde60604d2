// OpenVolumes: the file system in an open volume's image file, mounted, and mounted again.
#include <utility>

#include "core/base/log.h"
#include "core/daemon/open_volumes.h"

namespace coffer::daemon {
namespace {

/// Whether it is known that there is nothing on it.
Result<bool> ReadsAsZeros(block::BlockDevice& device) {
  constexpr std::size_t kExtentsAtOnce = 1024;
  for (std::uint64_t offset = 0; offset < device.size();) {
    ASSIGN_OR_RETURN(const auto extents,
                     device.Extents(offset, device.size() - offset, kExtentsAtOnce));
    for (const block::Extent& extent : extents) {
      if (!extent.reads_zero) return false;
      offset += extent.length;
    }
  }
  return true;
}

}  // namespace

std::string OpenVolumes::MountRecordOf(const VaultId& vault, const VolumeId& volume) const {
  return registry_.DirectoryOf(vault) + "/volumes/" + volume.ToString() + "/mount";
}

Status OpenVolumes::CleanUpMount(const VolumeKey& key, const Entry& entry) {
  if (mounting_.mounter == nullptr) return {};
  return mounting_.mounter->CleanUp(MountRecordOf(key.vault, entry.id));
}

std::shared_ptr<mount::MountedImage> OpenVolumes::MountedOf(const Entry& entry) const {
  MutexLock lock(mutex_);
  return entry.mounted;
}

Status OpenVolumes::Mount(const VolumeKey& key, Entry& entry, const std::string& mkfs) {
  mount::MountSpec spec;
  for (const Exported& exported : entry.exports) {
    if (exported.exporter->kind() != kImageExporter) continue;
    spec.image = exported.uri;
    break;
  }
  spec.directory = entry.mount_request->directory;
  spec.way = entry.mount_request->way;
  spec.make = mkfs;
  spec.label = key.volume;
  spec.read_only = entry.read_only;
  spec.record_path = MountRecordOf(key.vault, entry.id);
  if (!spec.make.empty()) {
    ASSIGN_OR_RETURN(spec.is_blank, ReadsAsZeros(*entry.volume));
  }
  RETURN_IF_ERROR(
      CreateDirectories(env_.fs, spec.record_path.substr(0, spec.record_path.rfind('/'))));
  auto mounted = mounting_.mounter->Mount(spec);
  if (!mounted.has_value()) {
    return Fail(ExplainNoMount(entry, mounted.error()).Within("volume " + key.volume));
  }
  std::shared_ptr<mount::MountedImage> image = std::move(*mounted);
  if (image->presence() != mount::Presence::kThere) {
    static_cast<void>(image->Unmount({}));
    return Fail(ErrorCode::kIoError, "volume " + key.volume + ": " + image->as().way +
                                         " says that it has mounted it at " + image->as().path +
                                         ", and it is not there");
  }
  const mount::MountedAs& as = image->as();
  LOG(kInfo, "mounted ", key.volume, " at ", as.path, " by ", as.way);
  MutexLock lock(mutex_);
  entry.mounted = std::move(image);
  return {};
}

/// "No file system yet" is true of what is blank alone.
Error OpenVolumes::ExplainNoMount(const Entry& entry, const Error& error) {
  if (error.code != ErrorCode::kNotFound) return error;
  const auto is_blank = ReadsAsZeros(*entry.volume);
  if (!is_blank.has_value() || *is_blank) return error;
  return {ErrorCode::kInvalidArgument,
          "there is data on the volume, but no file system that blkid knows", mount::kOtherHint};
}

Status OpenVolumes::RestoreMount(const VolumeKey& key, Entry& entry) {
  {
    MutexLock lock(mutex_);
    env_.sync_executor.Await(lock, changed_, [&entry] { return entry.state != State::kMounting; });
    if (entry.state != State::kOpen) {
      return Fail(ErrorCode::kConflict,
                  Concat("volume ", FullNameOf(key), " is just being ", entry.deed),
                  "try again when coffer status says that it is done");
    }
    entry.state = State::kMounting;
  }
  const Status mounted = MountAgain(key, entry);
  {
    MutexLock lock(mutex_);
    entry.state = State::kOpen;
    changed_.notify_all();
  }
  Announce(key, "open");
  return mounted;
}

/// Never beside one that is still in use somewhere: two would write to one image.
Status OpenVolumes::MountAgain(const VolumeKey& key, Entry& entry) {
  const auto before = MountedOf(entry);
  if (before != nullptr) {
    if (before->presence() == mount::Presence::kThere) return {};
    const auto settled = before->Unmount({});
    if (!settled.has_value()) return Fail(settled.error().Within("volume " + FullNameOf(key)));
    if (!settled->empty()) LOG(kWarning, "volume ", FullNameOf(key), ": ", *settled);
  }
  return Mount(key, entry, /*mkfs=*/"");
}

}  // namespace coffer::daemon

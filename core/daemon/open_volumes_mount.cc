// OpenVolumes: the file system in an open volume's image file, mounted and unmounted.
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

std::string OpenVolumes::MountRecordOf(const VolumeKey& key, const Entry& entry) const {
  return registry_.DirectoryOf(key.vault) + "/volumes/" + entry.id.ToString() + "/mount";
}

Status OpenVolumes::CleanUpMount(const VolumeKey& key, const Entry& entry) {
  if (mounting_.mounter == nullptr) return {};
  return mounting_.mounter->CleanUp(MountRecordOf(key, entry));
}

Status OpenVolumes::Mount(const VolumeKey& key, Entry& entry) {
  if (!entry.mount_request) return {};
  mount::MountSpec spec;
  for (const Exported& exported : entry.exports) {
    if (exported.exporter->kind() != kImageExporter) continue;
    spec.image = exported.uri;
    break;
  }
  spec.directory = entry.mount_request->directory;
  spec.way = entry.mount_request->way;
  spec.make = entry.mount_request->mkfs;
  spec.label = key.volume;
  spec.read_only = entry.read_only;
  spec.record_path = MountRecordOf(key, entry);
  if (!spec.make.empty()) {
    ASSIGN_OR_RETURN(spec.is_blank, ReadsAsZeros(*entry.volume));
  }
  RETURN_IF_ERROR(
      CreateDirectories(env_.fs, spec.record_path.substr(0, spec.record_path.rfind('/'))));
  auto mounted = mounting_.mounter->Mount(spec);
  if (!mounted.has_value()) return Fail(mounted.error().Within("volume " + key.volume));
  entry.mounted = std::move(*mounted);
  const mount::MountedAs& as = entry.mounted->as();
  LOG(kInfo, "mounted ", key.volume, " at ", as.path, " by ", as.way);
  return {};
}

Status OpenVolumes::Unmount(const VolumeKey& key, Entry& entry, mount::Force force) {
  if (mounting_.mounter == nullptr) return {};
  const std::string hint = "end what uses it, or coffer close " + FullNameOf(key) +
                           " --force, which takes it away from under it";
  for (const Exported& exported : entry.exports) {
    if (force == mount::Force::kYes || exported.exporter->kind() != kImageExporter) continue;
    const auto others = mounting_.mounter->OthersOn(exported.uri, entry.mounted.get());
    if (others.empty()) continue;
    return Fail(ErrorCode::kConflict,
                "volume " + FullNameOf(key) + " stays open: its image " + exported.uri +
                    " is in use: " + DescribeHolders(others),
                hint);
  }
  if (entry.mounted == nullptr) return {};
  const Status unmounted = entry.mounted->Unmount(force);
  if (!unmounted.has_value() && force == mount::Force::kNo) {
    return Fail(unmounted.error().code,
                "volume " + FullNameOf(key) + " stays open: " + unmounted.error().message, hint);
  }
  // The next open goes on from the record.
  if (!unmounted.has_value()) LOG(kWarning, "unmounting: ", unmounted.error().message);
  return {};
}

}  // namespace coffer::daemon

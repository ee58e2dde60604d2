// OpenVolumes: the size of an open volume changes.
#include <vector>

#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/daemon/deeds.h"
#include "core/daemon/open_volumes_use.h"

namespace coffer::daemon {

int OpenVolumes::ClientsOf(const Entry& entry) {
  int clients = 0;
  for (const block::Exporter* const exporter : ExportersOf(entry)) {
    clients += exporter->client_count(entry.export_name);
  }
  return clients;
}

Status OpenVolumes::CheckResizeOf(const VolumeKey& key, const Entry& entry, std::uint64_t size,
                                  volume::Volume::Tail tail) const {
  if (entry.read_only) {
    return Fail(ErrorCode::kConflict, Concat("volume ", FullNameOf(key), " is open read-only"),
                Concat("coffer close ", FullNameOf(key), " first"));
  }
  const auto mounted = MountedOf(entry);
  if (tail == volume::Volume::Tail::kDiscard && size < entry.volume->size() && mounted != nullptr &&
      mounted->presence() != mount::Presence::kUnmounted) {
    return Fail(ErrorCode::kConflict,
                Concat("volume ", FullNameOf(key), " is mounted at ", mounted->as().directory,
                       " and cannot become smaller"),
                Concat("coffer close ", FullNameOf(key), " first"));
  }
  const bool shrinks = size < entry.volume->size() && tail == volume::Volume::Tail::kDiscard;
  if (const int clients = ClientsOf(entry); shrinks && clients > 0) {
    return Fail(
        ErrorCode::kConflict,
        Concat("volume ", FullNameOf(key), " has ", clients, clients == 1 ? " client" : " clients",
               " connected, for whom it cannot become smaller"),
        "disconnect first, or close the volume");
  }
  return {};
}

Status OpenVolumes::CheckResize(const VolumeKey& key, std::uint64_t size,
                                volume::Volume::Tail tail) {
  ASSIGN_OR_RETURN(const auto use, Use::Begin(*this, key));
  return CheckResizeOf(key, use->entry(), size, tail);
}

Result<std::vector<std::string>> OpenVolumes::Resize(const VolumeKey& key, std::uint64_t size,
                                                     volume::Volume::Tail tail) {
  ASSIGN_OR_RETURN(const auto use, Use::Begin(*this, key));
  const Entry& entry = use->entry();
  // A client that connects from here on finds what it thinks there is beyond its end: errors, no
  // data.
  RETURN_IF_ERROR(CheckResizeOf(key, entry, size, tail));
  const std::uint64_t before = entry.volume->size();
  const Status resized = ResizeNoted(key, entry.id, *entry.volume, size, tail);
  if (!resized.has_value()) return Fail(resized.error().Within("volume " + FullNameOf(key)));
  for (block::Exporter* const exporter : ExportersOf(entry)) exporter->Resized(entry.export_name);
  // Said again where the size is the same: perhaps it was not taken up the last time.
  const auto mounted = MountedOf(entry);
  std::vector<std::string> notes;
  if (mounted != nullptr) notes.push_back(mounted->ImageGrew(size));
  // NBD tells a size once, when a client connects; who has an image open sees the new one.
  int clients = 0;
  for (const block::Exporter* const exporter : ExportersOf(entry)) {
    if (exporter->kind() != kImageExporter) clients += exporter->client_count(entry.export_name);
  }
  if (clients > 0 && size != before) {
    notes.push_back(clients == 1 ? "a client is connected over NBD and keeps the old size: "
                                   "reconnect it to see the new one"
                                 : Concat(clients,
                                          " clients are connected over NBD and keep the "
                                          "old size: reconnect them to see the new one"));
  }
  Remember(key, entry, /*open=*/true, entry.volume->status().behind_bytes);
  LOG(kInfo, "resized ", FullNameOf(key), " to ", size, " bytes");
  Announce(key, "open");
  return notes;
}

Status OpenVolumes::ResizeNoted(const VolumeKey& key, const VolumeId& id, volume::Volume& volume,
                                std::uint64_t size, volume::Volume::Tail tail) {
  const Deed deed{Deed::Kind::kResize, id, std::to_string(size)};
  RETURN_IF_ERROR(registry_.Begin(key.vault, deed));
  const Status resized = volume.Resize(size, tail);
  // Refused before anything was written, or met while it waited for room.
  const bool unknown = !resized.has_value() &&
                       resized.error().code != ErrorCode::kInvalidArgument &&
                       resized.error().code != ErrorCode::kUnsupported &&
                       resized.error().code != ErrorCode::kCancelled;
  if (unknown) {
    registry_.Finish(key.vault, deed, Registry::End::kUnknown);
    return Fail(UnknownEnd(resized.error(), deed, FullNameOf(key)));
  }
  registry_.Finish(key.vault, deed, Registry::End::kKnown, [&](KnownVault& known) {
    KnownVolume* const found = known.Find(key.volume);
    if (found == nullptr || !resized.has_value() || Planted("finish-resize-without-size")) return;
    found->size_bytes = size;
    found->open = true;  // until it is closed nobody knows what waits
  });
  return resized;
}

}  // namespace coffer::daemon

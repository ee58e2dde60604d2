// A volume on a machine, opened, closed, crashed and opened again, with small settings, so that a
// short test cuts generations, fills packs, folds deltas and recycles journal segments.
#pragma once

#include <memory>

#include "core/volume/volume.h"
#include "tests/support/byte_model.h"
#include "tests/support/result_macros.h"
#include "tests/vault/vault_world.h"

namespace coffer::volume {

inline Settings SmallSettings() {
  Settings settings;
  settings.sync_bytes = 256 * 1024;
  settings.journal_bytes_max = 4 << 20;
  settings.segment_bytes = 512 * 1024;
  settings.dirty_memory_bytes_max = 64 * 1024;
  settings.pack_bytes_target = 96 * 1024;
  settings.generations_max = 3;
  settings.deltas_max = 4;
  settings.store_away_wait = Duration::zero();  // in virtual time a store stays away for ever
  return settings;
}

/// An unlocked vault and one volume of it, open. Parts go in the right order when it is destroyed.
class OpenedVolume {
 public:
  static Result<std::unique_ptr<OpenedVolume>> Open(vault::Machine& machine,
                                                    const OpenOptions& options,
                                                    const std::string& name = "photos",
                                                    cache::DiskCache* disk = nullptr) {
    ASSIGN_OR_RETURN(auto vault, machine.Unlock());
    return OpenIn(std::move(vault), options, name, disk);
  }
  static Result<std::unique_ptr<OpenedVolume>> OpenIn(std::unique_ptr<vault::Vault> vault,
                                                      const OpenOptions& options,
                                                      const std::string& name = "photos",
                                                      cache::DiskCache* disk = nullptr) {
    auto opened = std::make_unique<OpenedVolume>();
    opened->vault_ = std::move(vault);
    ASSIGN_OR_RETURN(const format::CatalogVolume found, opened->vault_->FindVolume(name));
    opened->resources_ = std::make_unique<VaultResources>(*opened->vault_, opened->frames_, disk);
    ASSIGN_OR_RETURN(opened->volume_, Volume::Open(*opened->resources_, found.id, options));
    return opened;
  }
  Volume& operator*() { return *volume_; }
  Volume* operator->() { return volume_.get(); }
  VaultResources& resources() { return *resources_; }
  vault::Vault& vault() { return *vault_; }

 private:
  cache::FrameCache frames_{256 * 1024};
  std::unique_ptr<vault::Vault> vault_;
  std::unique_ptr<VaultResources> resources_;
  std::unique_ptr<Volume> volume_;
};

/// Compares the whole volume with the model, in pieces of an odd size.
inline testing::AssertionResult Holds(Volume& volume, const ByteModel& model) {
  constexpr std::uint64_t kStep = 100'000;
  if (volume.size() != model.size()) return testing::AssertionFailure() << "size " << volume.size();
  for (std::uint64_t offset = 0; offset < model.size(); offset += kStep) {
    Bytes out(std::min(kStep, model.size() - offset));
    const Status status = volume.Read(offset, out);
    if (!status.has_value())
      return testing::AssertionFailure() << "read at " << offset << ": " << TextOf(status.error());
    if (const auto at = model.FirstDifference(offset, out))
      return testing::AssertionFailure() << "differs at byte " << *at;
  }
  return testing::AssertionSuccess();
}

}  // namespace coffer::volume

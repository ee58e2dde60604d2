// VaultResources: what the open volumes of one vault share. Made once per unlocked vault.
#pragma once

#include "core/cache/frame_cache.h"
#include "core/cache/sealed_windows.h"
#include "core/map/page_cache.h"
#include "core/pack/dedup_index.h"
#include "core/pack/frame_reader.h"
#include "core/pack/upload_window.h"
#include "core/vault/vault.h"

namespace coffer::volume {

class VaultResources {
 public:
  /// `vault`, and `frames` and `disk` (one for the whole process; `disk` may be null) outlive this.
  VaultResources(vault::Vault& vault, cache::FrameCache& frames, cache::DiskCache* disk)
      : vault_(vault),
        frames_(frames),
        windows_(vault.store(), vault.env().fetch_executor, vault.host().frame_cache, disk),
        reader_(windows_, vault.keys()),
        pages_(reader_),
        uploads_(vault.env().clock, pack::UploadWindowLimitsHere()) {}

  [[nodiscard]] vault::Vault& vault() { return vault_; }
  [[nodiscard]] cache::FrameCache& frames() { return frames_; }
  [[nodiscard]] cache::SealedWindows& windows() { return windows_; }
  [[nodiscard]] pack::FrameReader& reader() { return reader_; }
  [[nodiscard]] map::PageCache& pages() { return pages_; }
  /// How many packs are on their way at once.
  [[nodiscard]] pack::UploadWindow& uploads() { return uploads_; }
  [[nodiscard]] pack::DedupIndex& dedup() { return dedup_; }

 private:
  vault::Vault& vault_;
  cache::FrameCache& frames_;
  cache::SealedWindows windows_;
  pack::FrameReader reader_;
  map::PageCache pages_;
  pack::UploadWindow uploads_;
  pack::DedupIndex dedup_;
};

}  // namespace coffer::volume

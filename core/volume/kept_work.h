// KeptWork: what failed attempts of a commit or a fold have put into the store and no head names
// yet, so that the next attempt goes on from there: frames by their content ids, leaf pages by
// their page ids. It serves for that only, whatever the vault says of dedup: a pack leaves when
// what it was made for is committed.
//
// After a restart the packs' own tables bring the frames back. Which packs those are is said by
// empty files `kept/<pack id>` in the volume's state directory (docs/FORMAT.md, section 16): a name
// says nothing that the store does not know, and a table is sealed as the pack's, so nothing of a
// file has to be believed. Files or packs that are lost only cost an upload.
//
// Memory: 262,144 frames (8 MiB), 65,536 pages, 256 packs; beyond them work is done twice.
// Thread-safe; Recall, Serve and Release are the syncer's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/mutex.h"
#include "core/pack/dedup_index.h"
#include "core/pack/pack_uploader.h"
#include "core/vault/vault.h"

namespace coffer::volume {

class KeptWork final : public pack::UploadListener {
 public:
  static constexpr std::size_t kFramesMax = std::size_t{1} << 18;
  static constexpr std::size_t kPagesMax = std::size_t{1} << 16;
  static constexpr std::size_t kPacksMax = 256;

  /// `also` is told of each pack too. `directory` is the volume's.
  KeptWork(vault::Vault& vault, pack::UploadListener& also, const std::string& directory);

  /// After a restart, before the first attempt: what the last run has left serves until the journal
  /// is committed through `seq`. Waits for the store; kUnavailable: to be called again. Nothing to
  /// do once it has succeeded.
  Status Recall(std::uint64_t seq);
  /// What is uploaded from now on is for what ends at `seq`.
  void Serve(std::uint64_t seq);
  /// A head covers the journal through `seq`.
  void Release(std::uint64_t seq);
  /// A head names the pages.
  void ReleasePages();

  void OnUploaded(const pack::SealedPack& pack) override;
  [[nodiscard]] std::optional<format::FrameRef> FindData(const ContentId& content) const;
  [[nodiscard]] std::optional<format::FrameRef> FindPage(const PageId& page) const;

 private:
  using Frames = std::vector<pack::PlacedFrame>;

  Result<std::vector<PackId>> ListFiles() const;
  void Insert(const PackId& pack, const Frames& frames, std::uint64_t until_seq);
  [[nodiscard]] std::string PathOf(const PackId& pack) const;
  void NoteOnDisk(const PackId& pack);

  vault::Vault& vault_;
  pack::UploadListener& also_;
  const std::string directory_;
  bool recalled_ = false;  // the syncer's

  mutable Mutex mutex_;
  std::uint64_t serves_seq_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<PackId, std::uint64_t, IdHash> packs_ GUARDED_BY(mutex_);  // until this seq
  std::unique_ptr<pack::DedupIndex> frames_ GUARDED_BY(mutex_);                 // null: none
  std::unordered_map<PageId, format::FrameRef, IdHash> pages_ GUARDED_BY(mutex_);
};

}  // namespace coffer::volume

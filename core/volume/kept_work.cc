#include "core/volume/kept_work.h"

#include <algorithm>

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/format/chain_name.h"
#include "core/pack/pack_table.h"

namespace coffer::volume {
namespace {

using format::FrameType;

/// The pack of a file's name; nullopt for what is not ours.
std::optional<PackId> PackOf(const std::string& name) {
  PackId pack;
  if (name.size() != 2 * PackId::kBytes || !FromHex(name, pack.bytes)) return std::nullopt;
  if (pack.ToString() != name) return std::nullopt;  // in capitals
  return pack;
}

}  // namespace

KeptWork::KeptWork(vault::Vault& vault, pack::UploadListener& also, const std::string& directory)
    : vault_(vault), also_(also), directory_(directory + "/kept") {}

std::string KeptWork::PathOf(const PackId& pack) const {
  return Concat(directory_, "/", pack.ToString());
}

// ---- while it runs

void KeptWork::Serve(std::uint64_t seq) {
  MutexLock lock(mutex_);
  serves_seq_ = seq;
}

void KeptWork::OnUploaded(const pack::SealedPack& pack) {
  also_.OnUploaded(pack);
  std::uint64_t until = 0;
  {
    MutexLock lock(mutex_);
    until = serves_seq_;
  }
  Insert(pack.id, pack.frames, until);
  if (pack.has_data) NoteOnDisk(pack.id);
}

void KeptWork::Insert(const PackId& pack, const Frames& frames, std::uint64_t until_seq) {
  MutexLock lock(mutex_);
  if (packs_.size() >= kPacksMax) return;
  for (const pack::PlacedFrame& frame : frames) {
    if (frame.type == FrameType::kData) {
      if (frames_ == nullptr) frames_ = std::make_unique<pack::DedupIndex>(kFramesMax);
      packs_[pack] = until_seq;
      frames_->Insert(frame.id, frame.ref);
    } else if (frame.type == FrameType::kPage && frame.level == 0 && pages_.size() < kPagesMax) {
      pages_.emplace(PageId::From(frame.id.view()), frame.ref);
    }
  }
}

/// Nobody relies on it: no disk space, no file.
void KeptWork::NoteOnDisk(const PackId& pack) {
  FileSystem& fs = vault_.env().fs;
  (void)fs.CreateDirectory(directory_);
  (void)fs.Open(PathOf(pack), FileSystem::OpenMode::kOpenOrCreate);
}

void KeptWork::Release(std::uint64_t seq) {
  std::vector<PackId> done;
  {
    MutexLock lock(mutex_);
    std::erase_if(packs_, [&](const auto& pack) {
      if (pack.second > seq) return false;
      done.push_back(pack.first);
      return true;
    });
    if (packs_.empty()) frames_.reset();
  }
  FileSystem& fs = vault_.env().fs;
  for (const PackId& pack : done) (void)fs.Remove(PathOf(pack));
  if (!done.empty()) (void)fs.RemoveDirectory(directory_);  // if it was the last
}

void KeptWork::ReleasePages() {
  MutexLock lock(mutex_);
  pages_.clear();
}

std::optional<format::FrameRef> KeptWork::FindData(const ContentId& content) const {
  MutexLock lock(mutex_);
  if (frames_ == nullptr) return std::nullopt;
  auto frame = frames_->Find(content);
  if (!frame.has_value() || !packs_.contains(frame->pack)) return std::nullopt;
  return frame;
}

std::optional<format::FrameRef> KeptWork::FindPage(const PageId& page) const {
  MutexLock lock(mutex_);
  const auto found = pages_.find(page);
  if (found == pages_.end()) return std::nullopt;
  return found->second;
}

// ---- after a restart

Result<std::vector<PackId>> KeptWork::ListFiles() const {
  std::vector<PackId> packs;
  const auto names = vault_.env().fs.List(directory_);
  if (!names.has_value() && names.error().code == ErrorCode::kNotFound) return packs;
  if (!names.has_value()) return Fail(names.error());
  for (const std::string& name : *names) {
    if (const auto pack = PackOf(name); pack.has_value()) packs.push_back(*pack);
  }
  return packs;
}

Status KeptWork::Recall(std::uint64_t seq) {
  if (recalled_) return {};
  const auto packs = ListFiles();
  if (packs.has_value()) {
    for (std::size_t i = 0; i < packs->size(); ++i) {
      const PackId& pack = (*packs)[i];
      const Result<Frames> frames = i < kPacksMax
                                        ? pack::ReadPackTable(vault_.store(), vault_.keys(), pack)
                                        : Fail(ErrorCode::kNotFound, "too many");
      if (frames.has_value()) {
        Insert(pack, *frames, seq);
        continue;
      }
      if (frames.error().code == ErrorCode::kUnavailable) return Fail(frames.error());
      LOG(kDebug, "what pack ", pack.ToString(),
          " holds is uploaded anew: ", frames.error().message);
      (void)vault_.env().fs.Remove(PathOf(pack));
    }
    if (!packs->empty()) LOG(kInfo, "going on with ", packs->size(), " packs of an earlier run");
  }
  COFFER_FAILPOINT("kept-work-recalled");
  recalled_ = true;
  return {};
}

}  // namespace coffer::volume

#include "core/cache/journal_segment.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <utility>

#include "core/base/log.h"
#include "core/cache/journal_group.h"
#include "core/crypto/sealer.h"
#include "core/format/associated_data.h"

namespace coffer::cache {
namespace {

constexpr std::string_view kSuffix = ".seg";
constexpr std::size_t kFillBytes = 1 << 20;
constexpr std::size_t kSealedHeaderBytes = format::kSegmentHeaderPlainBytes + crypto::kTagBytes;

std::string NameOf(std::uint64_t index) {
  std::array<char, 32> name;
  const int length =
      std::snprintf(name.data(), name.size(), "%04llu.seg", static_cast<unsigned long long>(index));
  return {name.data(), static_cast<std::size_t>(length)};
}

std::optional<std::uint64_t> IndexOf(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  const std::string_view digits = name.substr(0, name.size() - kSuffix.size());
  if (digits.empty() || digits.size() > 18) return std::nullopt;
  std::uint64_t index = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
    index = index * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  if (NameOf(index) != name) return std::nullopt;
  return index;
}

/// The name of `path` in its directory.
std::string_view BaseName(std::string_view path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

std::uint64_t SegmentBytesOnDisk(FileSystem& fs, const std::string& directory) {
  const auto names = fs.List(directory);
  if (!names.has_value()) return 0;
  std::uint64_t bytes = 0;
  for (const std::string& name : *names) {
    if (!IndexOf(name).has_value()) continue;
    const auto info = fs.Stat(directory + "/" + name);
    if (info.has_value() && !info->is_directory && !info->is_symlink)
      bytes += info->allocated_bytes;
  }
  return bytes;
}

Result<std::vector<Slot>> SegmentFiles::OpenAll() {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.List(directory_));
  std::vector<Slot> slots;
  MutexLock lock(mutex_);
  for (const std::string& name : names) {
    const auto index = IndexOf(name);
    if (!index.has_value()) continue;
    names_.insert(*index);
    Slot slot{.path = directory_ + "/" + name};
    ASSIGN_OR_RETURN(const FileInfo info, fs_.Stat(slot.path));
    if (info.is_directory) continue;  // nobody's; its name is taken all the same
    ASSIGN_OR_RETURN(slot.file, fs_.Open(slot.path, FileSystem::OpenMode::kReadWrite));
    ASSIGN_OR_RETURN(slot.size, slot.file->Size());
    slots.push_back(std::move(slot));
  }
  return slots;
}

std::uint64_t SegmentFiles::ReserveName() {
  MutexLock lock(mutex_);
  std::uint64_t index = 0;
  while (names_.contains(index)) ++index;
  names_.insert(index);
  return index;
}

void SegmentFiles::ForgetName(const std::string& path) {
  const auto index = IndexOf(BaseName(path));
  MutexLock lock(mutex_);
  if (index.has_value()) names_.erase(*index);
}

Result<Slot> SegmentFiles::CreateEmpty() {
  while (true) {
    Slot slot{.path = directory_ + "/" + NameOf(ReserveName())};
    auto file = fs_.Open(slot.path, FileSystem::OpenMode::kCreate);
    if (file.has_value()) {
      slot.file = std::move(*file);
      return slot;
    }
    if (file.error().code == ErrorCode::kAlreadyExists) continue;  // the name stays reserved
    ForgetName(slot.path);
    return Fail(std::move(file).error());
  }
}

Result<Slot> SegmentFiles::Create() {
  ASSIGN_OR_RETURN(Slot slot, CreateEmpty());
  const Status extended = Extend(&slot);
  if (extended.has_value()) return slot;
  (void)Remove(slot);  // the first error is the one to report
  return Fail(extended.error());
}

Status SegmentFiles::Extend(Slot* slot) {
  if (slot->size >= segment_bytes_) return {};
  Status status = slot->file->Allocate(segment_bytes_);
  if (!status.has_value() && status.error().code == ErrorCode::kUnsupported) {
    status = slot->file->Truncate(segment_bytes_);
  }
  if (status.has_value()) slot->size = segment_bytes_;
  return status;
}

Status SegmentFiles::FillWithZeros(Slot* slot, const std::atomic<bool>& stop) {
  const Bytes zeros(std::min<std::uint64_t>(kFillBytes, segment_bytes_), std::byte{0});
  for (std::uint64_t at = 0; at < segment_bytes_;) {
    if (stop) return Fail(ErrorCode::kCancelled, "the journal is being closed");
    const std::size_t length = std::min<std::uint64_t>(zeros.size(), segment_bytes_ - at);
    RETURN_IF_ERROR(slot->file->WriteAt(at, ByteView(zeros).first(length)));
    at += length;
  }
  RETURN_IF_ERROR(slot->file->SyncData());
  if (!slot->name_durable) RETURN_IF_ERROR(SyncDirectory());
  slot->name_durable = true;
  slot->size = std::max(slot->size, segment_bytes_);
  slot->written = segment_bytes_;
  return {};
}

Status SegmentFiles::Wipe(const Slot& slot) {
  constexpr std::array<std::byte, format::kSegmentHeaderBytes> kZeros{};
  RETURN_IF_ERROR(slot.file->WriteAt(0, kZeros));
  return slot.file->SyncData();
}

Status SegmentFiles::Remove(const Slot& slot) {
  const Status removed = fs_.Remove(slot.path);
  if (!removed.has_value() && removed.error().code != ErrorCode::kNotFound) return removed;
  ForgetName(slot.path);
  return {};
}

Status SegmentFiles::SetAside(const Slot& slot) {
  for (int copy = 1;; ++copy) {
    const std::string to = Concat(slot.path, ".damaged.", copy);
    const Result<FileInfo> info = fs_.Stat(to);
    if (info.has_value()) continue;
    if (info.error().code != ErrorCode::kNotFound) return Fail(info.error());
    RETURN_IF_ERROR(fs_.Rename(slot.path, to));
    LOG(kWarning, "the damaged journal file ", slot.path, " is kept as ", to);
    ForgetName(slot.path);
    return {};
  }
}

Result<SlotContent> ReadSlot(const Slot& slot, const SecretBytes& journal_key,
                             std::uint32_t key_epoch) {
  const auto unreadable = [](std::string reason) {
    return SlotContent{.kind = SlotContent::Kind::kUnreadable, .header = {}, .reason = reason};
  };
  std::array<std::byte, format::kSegmentPrefixBytes + kSealedHeaderBytes> bytes{};
  const auto got = slot.file->ReadAt(0, bytes);
  if (!got.has_value()) return unreadable(got.error().message);
  if (IsZero(bytes)) return SlotContent{};
  if (*got < bytes.size()) return unreadable("the file is cut off");

  const auto prefix =
      format::DecodeSegmentPrefix(ByteView(bytes).first(format::kSegmentPrefixBytes));
  if (!prefix.has_value()) {
    if (prefix.error().code == ErrorCode::kUnsupported) {
      return Fail(prefix.error().Within(slot.path));
    }
    return unreadable(prefix.error().message);
  }
  if (prefix->key_epoch != key_epoch) {
    return unreadable(Concat("it was sealed under key epoch ", prefix->key_epoch,
                             ", the journal's is ", key_epoch));
  }
  const crypto::Sealer sealer(journal_key, prefix->salt);
  std::array<std::byte, format::kSegmentHeaderPlainBytes> plain;
  const Status opened = sealer.Open(0, format::SegmentHeaderAad(prefix->segment),
                                    ByteView(bytes).subspan(format::kSegmentPrefixBytes), plain);
  if (!opened.has_value()) return unreadable(opened.error().message);
  const auto header = format::DecodeSegmentHeader(plain);
  if (!header.has_value()) return unreadable(header.error().message);
  if (header->segment != prefix->segment) return unreadable("it has two numbers");
  return SlotContent{.kind = SlotContent::Kind::kSegment, .header = *header, .reason = {}};
}

Status WriteHeader(const Slot& slot, const SecretBytes& journal_key, std::uint32_t key_epoch,
                   Random& random, const format::SegmentHeader& header) {
  const format::SegmentPrefix prefix{
      .key_epoch = key_epoch,
      .segment = header.segment,
      .salt = HedgedSalt(random, header.stream, header.segment, 0, header.chain_tag)};
  const Bytes clear = Encode(prefix);
  const Bytes plain = Encode(header);
  std::array<std::byte, format::kSegmentHeaderBytes> bytes{};
  std::copy(clear.begin(), clear.end(), bytes.begin());
  const crypto::Sealer sealer(journal_key, prefix.salt);
  sealer.Seal(0, format::SegmentHeaderAad(header.segment), plain,
              MutableByteView(bytes).subspan(format::kSegmentPrefixBytes, kSealedHeaderBytes));
  return slot.file->WriteAt(0, bytes);
}

}  // namespace coffer::cache

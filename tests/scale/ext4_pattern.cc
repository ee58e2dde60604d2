#include "tests/scale/ext4_pattern.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace coffer::scale {
namespace {

constexpr std::uint64_t kBlock = Ext4Pattern::kBlock;
constexpr std::uint64_t kGroupBlocks = 32768;  // 128 MiB
constexpr std::uint64_t kFlexGroups = 16;
constexpr std::uint64_t kFlexBlocks = kFlexGroups * kGroupBlocks;
constexpr std::uint64_t kBitmapBlocks = 2 * kFlexGroups;  // of blocks, then of inodes
constexpr std::uint64_t kInodeTableBlocks = kFlexGroups * 512;
constexpr std::uint64_t kInodesPerBlock = kBlock / 256;
constexpr std::uint64_t kInodesPerGroup = 8192;
constexpr std::uint64_t kDescriptorsPerBlock = kBlock / 64;
constexpr std::uint64_t kJournalBlocks = 32768;  // 128 MiB
constexpr std::uint64_t kTagsPerDescriptor = 250;
constexpr std::size_t kFlexes = 16;
constexpr std::size_t kDirectories = 24;
constexpr std::size_t kTextBytes = 4u << 20;

constexpr std::uint64_t kCommitSeconds = 5;
constexpr std::uint64_t kExpireSeconds = 30;

constexpr std::uint64_t KiB(std::uint64_t n) { return n << 10; }
constexpr std::uint64_t MiB(std::uint64_t n) { return n << 20; }

/// Words of a vocabulary, frequent ones more often.
Bytes MakeText(SeededRandom& random) {
  std::vector<std::string> words(3000);
  for (std::string& word : words) {
    const std::uint64_t letters = 2 + random.Below(8);
    for (std::uint64_t i = 0; i < letters; ++i)
      word += static_cast<char>('a' + std::min(random.Below(26), random.Below(26)));
  }
  Bytes text;
  text.reserve(kTextBytes + 16);
  while (text.size() < kTextBytes) {
    const std::uint64_t most = 1 + random.Below(words.size());
    const std::string& word = words[random.Below(most)];
    const ByteView bytes = AsBytes(word);
    text.insert(text.end(), bytes.begin(), bytes.end());
    text.push_back(std::byte(random.OneIn(9) ? '\n' : ' '));
  }
  return text;
}

}  // namespace

Ext4Pattern::Ext4Pattern(std::uint64_t seed, std::uint64_t volume_bytes, Parts parts, Disk disk)
    : random_(seed),
      blocks_(volume_bytes / kBlock),
      parts_(parts),
      disk_(std::move(disk)),
      text_(MakeText(random_)),
      journal_first_(blocks_ / 2 + kFlexBlocks - kJournalBlocks) {
  const std::uint64_t flex_count = blocks_ / kFlexBlocks;
  for (std::size_t i = 0; i < kFlexes; ++i) {
    const std::uint64_t first = i * (flex_count / kFlexes) * kFlexBlocks;
    const std::uint64_t used = kUsedBytesPerRegion / kBlock;
    // What is new goes behind what is there, inodes fill their tables from the front.
    flexes_.push_back({.first_block = first, .next_data = first + used, .next_inode = 3000});
  }
  for (std::size_t i = 0; i < kDirectories; ++i) {
    const std::size_t flex = i % kFlexes;
    const Flex& place = flexes_[flex];
    directories_.push_back(
        {.flex = flex,
         .inode_block = place.first_block + kBitmapBlocks + 1200 + random_.Below(64),
         .entries_block = place.first_block + kBitmapBlocks + kInodeTableBlocks + 2000 + i * 8});
  }
  const auto existing = [&](std::size_t directory, std::uint64_t bytes) {
    Flex& flex = flexes_[directories_[directory].flex];
    const std::uint64_t blocks = (bytes + kBlock - 1) / kBlock;
    File file{.directory = directory,
              .inode_block = flex.first_block + kBitmapBlocks + random_.Below(180),
              .first_block = flex.next_data,
              .blocks = blocks,
              .bytes = bytes};
    flex.next_data += blocks + 64;
    return file;
  };
  for (std::size_t i = 0; i < 4; ++i) databases_.push_back(existing(i, MiB(24)));
  for (std::size_t i = 0; i < 3; ++i) logs_.push_back(existing(8, MiB(2) + i * 1000));
}

std::vector<std::uint64_t> Ext4Pattern::UsedRegions() const {
  std::vector<std::uint64_t> regions;
  for (const Flex& flex : flexes_) regions.push_back(flex.first_block * kBlock);
  return regions;
}

double Ext4Pattern::Activity() const {
  static constexpr std::array<double, 24> kByHour = {0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.05, 0.2,
                                                     0.8,  1.0,  1.0,  1.0,  0.4,  1.0,  1.0,  1.0,
                                                     1.0,  0.9,  0.5,  0.5,  0.7,  0.7,  0.7,  0.1};
  return kByHour[second_ / 3600 % 24];
}

bool Ext4Pattern::Happens(double per_hour) {
  constexpr std::uint64_t kScale = 1u << 30;
  return static_cast<double>(random_.Below(kScale)) < per_hour / 3600 * kScale;
}

void Ext4Pattern::Tick() {
  const double activity = Activity();
  Browse(activity);
  Work(activity);
  Log(activity);
  while (!delayed_.empty() && delayed_.front().due <= second_) {
    Delayed next = std::move(delayed_.front());
    delayed_.pop_front();
    Allocate(&next.file, next.content);
  }
  if (!transaction_.empty() && second_ >= transaction_since_ + kCommitSeconds) CommitTransaction();
  if (second_ % kCommitSeconds == 0) WriteBack();
  ++second_;
}

// ---- people and programs

void Ext4Pattern::Browse(double activity) {
  if (Happens(1200 * activity)) {
    browser_cache_.push_back(MakeFile(random_.Below(4), Between(KiB(2), KiB(60)),
                                      random_.OneIn(2) ? Content::kMedia : Content::kText,
                                      /*fsync=*/false));
    if (browser_cache_.size() > 400) {
      DeleteFile(browser_cache_.front());
      browser_cache_.pop_front();
    }
  }
  if (Happens(180 * activity))
    OverwritePages(databases_[random_.Below(databases_.size())], Between(2, 8));
  if (Happens(0.5 * activity)) MakeFile(5, MiB(50), Content::kMedia, /*fsync=*/false);
}

void Ext4Pattern::Work(double activity) {
  if (Happens(30 * activity))
    MakeFile(Between(9, kDirectories - 1), Between(KiB(20), MiB(2)), Content::kText, false);
  if (Happens(10 * activity)) MakeFile(6, KiB(50), Content::kText, /*fsync=*/true);
  if (Happens(2 * activity)) {
    for (const File& file : build_) DeleteFile(file);
    build_.clear();
    for (int i = 0; i < 300; ++i)
      build_.push_back(MakeFile(Between(9, 14), Between(KiB(2), KiB(80)), Content::kMixed, false));
  }
  for (int i = 0; i < 12; ++i) {
    if (!Happens(10 * activity)) continue;  // atime
    const Flex& flex = flexes_[random_.Below(flexes_.size())];
    Touch(flex.first_block + kBitmapBlocks + random_.Below(4000), Kind::kInodes);
  }
  const bool photos = second_ % 86400 == 9 * 3600 + 1200 || second_ % 86400 == 15 * 3600 + 600;
  if (photos)
    for (int i = 0; i < 75; ++i) MakeFile(15, MiB(4), Content::kMedia, /*fsync=*/false);
}

void Ext4Pattern::Log(double activity) {
  const double per_hour = activity > 0.1 ? 360 : 60;
  for (File& log : logs_)
    if (Happens(per_hour / 3)) AppendLog(&log, Between(100, 2000));
}

// ---- files

Ext4Pattern::File Ext4Pattern::MakeFile(std::size_t directory, std::uint64_t bytes, Content content,
                                        bool fsync) {
  const Directory& place = directories_[directory];
  Flex& flex = flexes_[place.flex];
  const std::uint64_t inode = flex.next_inode++;
  File file{.directory = directory,
            .inode_block = flex.first_block + kBitmapBlocks + inode / kInodesPerBlock,
            .blocks = (bytes + kBlock - 1) / kBlock,
            .bytes = bytes};
  Touch(place.entries_block + inode / 64 % 8, Kind::kDirectory);
  Touch(place.inode_block, Kind::kInodes);
  Touch(file.inode_block, Kind::kInodes);
  Touch(flex.first_block + kFlexGroups + inode / kInodesPerGroup, Kind::kBitmap);
  Touch(1 + flex.first_block / kGroupBlocks / kDescriptorsPerBlock, Kind::kDescriptors);
  // Where it will lie is decided now, so that what deletes it later knows; written when allocated.
  if (flex.next_data % kGroupBlocks + file.blocks > kGroupBlocks)
    flex.next_data = (flex.next_data / kGroupBlocks + 1) * kGroupBlocks;
  file.first_block = flex.next_data;
  flex.next_data += file.blocks;
  if (fsync) {
    Allocate(&file, content);
    CommitTransaction();
  } else {
    delayed_.push_back({.due = second_ + kExpireSeconds, .file = file, .content = content});
  }
  return file;
}

void Ext4Pattern::TouchAllocation(const File& file) {
  const Flex& flex = flexes_[directories_[file.directory].flex];
  const std::uint64_t group = (file.first_block - flex.first_block) / kGroupBlocks;
  Touch(flex.first_block + group % kFlexGroups, Kind::kBitmap);
  Touch(1 + file.first_block / kGroupBlocks / kDescriptorsPerBlock, Kind::kDescriptors);
  Touch(file.inode_block, Kind::kInodes);
}

void Ext4Pattern::Allocate(File* file, Content content) {
  WriteData(file->first_block, file->blocks, content);
  TouchAllocation(*file);
}

void Ext4Pattern::DeleteFile(const File& file) {
  const Directory& place = directories_[file.directory];
  Touch(place.entries_block + random_.Below(8), Kind::kDirectory);
  Touch(place.inode_block, Kind::kInodes);
  TouchAllocation(file);
}

void Ext4Pattern::OverwritePages(const File& file, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    WriteData(file.first_block + random_.Below(file.blocks), 1, Content::kMixed);
  Touch(file.inode_block, Kind::kInodes);
  CommitTransaction();
}

void Ext4Pattern::AppendLog(File* file, std::uint64_t bytes) {
  const std::uint64_t last = file->bytes / kBlock;
  file->bytes += bytes;
  const std::uint64_t end = (file->bytes + kBlock - 1) / kBlock;
  if (end > file->blocks) {  // the next extent lies behind whatever came meanwhile
    Flex& flex = flexes_[directories_[file->directory].flex];
    file->first_block = flex.next_data - last;
    flex.next_data += 64;
    file->blocks = last + 64;
    TouchAllocation(*file);
  }
  Touch(file->inode_block, Kind::kInodes);
  WriteData(file->first_block + last, std::max<std::uint64_t>(end - last, 1), Content::kText);
}

// ---- metadata and its journal

void Ext4Pattern::Touch(std::uint64_t block, Kind kind) {
  if (transaction_.empty()) transaction_since_ = second_;
  transaction_.emplace(block, kind);
  auto [place, fresh] = now_.try_emplace(block);
  if (fresh) place->second = NewMetadata(kind);
  ChangeMetadata(kind, &place->second);
}

Bytes Ext4Pattern::NewMetadata(Kind kind) {
  Bytes block(kBlock);
  const std::uint64_t records = kind == Kind::kBitmap ? 12 : kind == Kind::kDirectory ? 90 : 48;
  for (std::uint64_t i = 0; i < records; ++i) ChangeMetadata(kind, &block);
  return block;
}

void Ext4Pattern::ChangeMetadata(Kind kind, Bytes* block) {
  const MutableByteView bytes(*block);
  switch (kind) {
    case Kind::kInodes: {  // times, size, an extent of one inode
      const MutableByteView inode = bytes.subspan(random_.Below(kInodesPerBlock) * 256, 256);
      static constexpr std::byte kFixed[] = {std::byte{0xa4}, std::byte{0x81}, std::byte{0xe8},
                                             std::byte{0x03}};
      std::copy(std::begin(kFixed), std::end(kFixed), inode.begin());
      random_.Fill(inode.subspan(4, 16));
      inode[40] = std::byte{0x0a};
      inode[41] = std::byte{0xf3};
      random_.Fill(inode.subspan(52, 12));
      random_.Fill(inode.subspan(100, 4));
      random_.Fill(inode.subspan(132, 24));
      break;
    }
    case Kind::kBitmap: {  // a run becomes used or free
      const std::uint64_t from = random_.Below(kBlock);
      const std::uint64_t length = std::min(kBlock - from, 1 + random_.Below(256));
      std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(from), length,
                  random_.OneIn(3) ? std::byte{0} : std::byte{0xff});
      random_.Fill(bytes.subspan(from, 1));
      break;
    }
    case Kind::kDirectory: {  // an entry: inode number, length, name
      const MutableByteView entry = bytes.subspan(random_.Below(kBlock / 40) * 40, 40);
      random_.Fill(entry.first(3));
      const std::uint64_t from = random_.Below(kTextBytes - 32);
      std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(from), 32, entry.begin() + 8);
      break;
    }
    case Kind::kDescriptors: {  // counts and a checksum of one group
      const MutableByteView group = bytes.subspan(random_.Below(kDescriptorsPerBlock) * 64, 64);
      random_.Fill(group.subspan(12, 6));
      random_.Fill(group.subspan(30, 2));
      break;
    }
  }
}

void Ext4Pattern::CommitTransaction() {
  if (transaction_.empty()) return;
  Bytes blocks;
  Bytes descriptor(kBlock);
  std::uint64_t tags = 0;
  for (const auto& [block, kind] : transaction_) {
    if (tags % kTagsPerDescriptor == 0) {  // magic, sequence; a tag for each block that follows
      std::fill(descriptor.begin(), descriptor.end(), std::byte{0});
      StoreLe<std::uint32_t>(descriptor.data(), 0x9839b3c0);
      random_.Fill(MutableByteView(descriptor).subspan(8, 4));
      auto left =
          static_cast<std::uint64_t>(std::distance(transaction_.find(block), transaction_.end()));
      left = std::min(left, kTagsPerDescriptor);
      for (std::uint64_t i = 0; i < left; ++i)
        random_.Fill(MutableByteView(descriptor).subspan(12 + i * 16, 8));
      blocks.insert(blocks.end(), descriptor.begin(), descriptor.end());
    }
    ++tags;
    const Bytes& bytes = now_[block];
    blocks.insert(blocks.end(), bytes.begin(), bytes.end());
    dirty_.try_emplace(block, Dirty{second_, kind});
  }
  Bytes commit(kBlock);
  random_.Fill(MutableByteView(commit).first(64));
  blocks.insert(blocks.end(), commit.begin(), commit.end());
  transaction_.clear();
  WriteJournal(blocks);
  disk_.flush();
}

void Ext4Pattern::WriteJournal(ByteView blocks) {
  written_.journal += blocks.size();
  while (!blocks.empty()) {
    const std::uint64_t fits =
        std::min<std::uint64_t>(blocks.size(), (kJournalBlocks - journal_next_) * kBlock);
    disk_.write((journal_first_ + journal_next_) * kBlock, blocks.first(fits));
    journal_next_ = (journal_next_ + fits / kBlock) % kJournalBlocks;
    blocks = blocks.subspan(fits);
  }
}

void Ext4Pattern::WriteBack() {
  for (auto dirty = dirty_.begin(); dirty != dirty_.end();) {
    const bool changing = transaction_.contains(dirty->first);  // not before its transaction
    if (changing || second_ < dirty->second.since + kExpireSeconds) {
      ++dirty;
      continue;
    }
    const Bytes& bytes = now_[dirty->first];
    disk_.write(dirty->first * kBlock, bytes);
    on_disk_[dirty->first] = bytes;
    written_.metadata += kBlock;
    dirty = dirty_.erase(dirty);
  }
}

// ---- data

void Ext4Pattern::WriteData(std::uint64_t block, std::uint64_t count, Content content) {
  if (parts_ == Parts::kMetadata) return;
  constexpr std::uint64_t kRequestBlocks = 256;  // 1 MiB
  Bytes data;
  for (std::uint64_t done = 0; done < count; done += kRequestBlocks) {
    data.resize(std::min(kRequestBlocks, count - done) * kBlock);
    FillContent(content, data);
    disk_.write((block + done) * kBlock, data);
    written_.data += data.size();
  }
}

void Ext4Pattern::FillContent(Content content, MutableByteView out) {
  for (std::size_t at = 0; at < out.size(); at += kBlock) {
    const MutableByteView block = out.subspan(at, kBlock);
    if (content == Content::kMedia || (content == Content::kMixed && random_.OneIn(2))) {
      random_.Fill(block);
    } else {
      const std::uint64_t from = random_.Below(kTextBytes - kBlock);
      std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(from), kBlock, block.begin());
    }
  }
}

}  // namespace coffer::scale

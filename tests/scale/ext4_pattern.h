// Ext4Pattern: the writes that a desktop's ext4 makes on its disk, second by second, from a seed.
//
// The file system: 4 KiB blocks, groups of 128 MiB, flex_bg of 16 groups (their bitmaps and 32 MiB
// of inode tables lie together, at the start of each 2 GiB), a journal of 128 MiB in the middle of
// the volume, data=ordered, commit=5, delayed allocation, expiry of dirty blocks after 30 s,
// relatime. What is in use: 16 flex groups far apart, 24 directories in them.
//
// - A transaction closes 5 s after it began, or at an fsync: descriptor blocks, a copy of each
// metadata
//   block that it changed, a commit block, one after the other in the circular journal, and a
//   flush.
// - A metadata block is written in its place 30 s after it became dirty, as it is by then.
// - File data are allocated and written 30 s after the file was made (5 s before, the name is on
//   disk already), or at once with fsync; they touch the inode, a block bitmap and a group
//   descriptor.
//
// The people and programs, times the hour's activity (1 in office hours, 0.7 in the evening, 0.02
// at night): a browser's cache (1,200 files of 2 … 60 KiB an hour, as many deleted), its databases
// (2 … 8 pages of a 24 MiB file every 20 s, fsync), documents (30 an hour, 20 KiB … 2 MiB), two
// builds an hour (300 files of 2 … 80 KiB; the last build's are deleted), mail (10 an hour of 50
// KiB, fsync), a download of 50 MiB every other hour, reading (atime of 120 inodes an hour). In the
// morning and the afternoon 300 MiB of photos. Day and night: three logs, appended to every 10 s by
// day, every minute or so at night.
//
// Contents: photos, downloads and half of the browser's cache are incompressible, documents and
// sources text (about 2.5 : 1), objects and databases half and half; metadata as ext4's are: inodes
// of 256 bytes a third used, directories of names, bitmaps of long runs, sparse group descriptors.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "core/base/bytes.h"
#include "tests/support/seeded_random.h"

namespace coffer::scale {

class Ext4Pattern {
 public:
  static constexpr std::uint64_t kBlock = 4096;

  struct Disk {
    std::function<void(std::uint64_t offset, ByteView data)> write;
    std::function<void()> flush;
  };
  struct Written {
    std::uint64_t journal = 0;   // bytes
    std::uint64_t metadata = 0;  // in place
    std::uint64_t data = 0;
  };

  /// What of it reaches the disk: without file data only the journal and the metadata do.
  enum class Parts { kAll, kMetadata };

  Ext4Pattern(std::uint64_t seed, std::uint64_t volume_bytes, Parts parts, Disk disk);

  /// Where the used flex groups begin, and how many bytes of each are in use from there.
  [[nodiscard]] std::vector<std::uint64_t> UsedRegions() const;
  static constexpr std::uint64_t kUsedBytesPerRegion = std::uint64_t{1} << 30;
  /// The hour of the day at which the next Tick begins; midnight otherwise.
  void StartAt(std::uint64_t hour) { second_ = hour * 3600; }
  /// What one second brings.
  void Tick();
  /// What was written in all.
  [[nodiscard]] const Written& written() const { return written_; }
  /// Metadata as it should now stand on the disk, by block number; what is still dirty is not in
  /// it.
  [[nodiscard]] const std::map<std::uint64_t, Bytes>& metadata_on_disk() const { return on_disk_; }

 private:
  enum class Content { kMedia, kText, kMixed };
  enum class Kind { kInodes, kBitmap, kDirectory, kDescriptors };
  struct Flex {
    std::uint64_t first_block;
    std::uint64_t next_data;   // block
    std::uint64_t next_inode;  // within the flex group
  };
  struct Directory {
    std::size_t flex;
    std::uint64_t inode_block;
    std::uint64_t entries_block;
  };
  struct File {
    std::size_t directory;
    std::uint64_t inode_block;
    std::uint64_t first_block = 0;  // 0: not allocated yet
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;
  };
  struct Delayed {
    std::uint64_t due;  // second
    File file;
    Content content;
  };
  struct Dirty {
    std::uint64_t since;
    Kind kind;
  };

  [[nodiscard]] double Activity() const;
  /// True once in a while: `per_hour` times an hour on average.
  bool Happens(double per_hour);
  std::uint64_t Between(std::uint64_t low, std::uint64_t high) {
    return low + random_.Below(high - low + 1);
  }

  File MakeFile(std::size_t directory, std::uint64_t bytes, Content content, bool fsync);
  void Allocate(File* file, Content content);
  void DeleteFile(const File& file);
  void OverwritePages(const File& file, std::size_t count);
  void AppendLog(File* file, std::uint64_t bytes);
  void TouchAllocation(const File& file);

  /// Changes a metadata block within the running transaction.
  void Touch(std::uint64_t block, Kind kind);
  Bytes NewMetadata(Kind kind);
  void ChangeMetadata(Kind kind, Bytes* block);
  void CommitTransaction();
  void WriteBack();
  void WriteJournal(ByteView blocks);
  void WriteData(std::uint64_t block, std::uint64_t count, Content content);
  void FillContent(Content content, MutableByteView out);

  void Browse(double activity);
  void Work(double activity);
  void Log(double activity);

  SeededRandom random_;
  const std::uint64_t blocks_;
  const Parts parts_;
  const Disk disk_;
  std::uint64_t second_ = 0;
  Written written_;
  Bytes text_;  // what text is cut from

  std::vector<Flex> flexes_;
  std::vector<Directory> directories_;
  std::deque<File> browser_cache_;
  std::vector<File> build_;
  std::vector<File> databases_;
  std::vector<File> logs_;
  std::deque<Delayed> delayed_;

  std::uint64_t journal_first_;
  std::uint64_t journal_next_ = 0;  // block within it
  std::uint64_t transaction_since_ = 0;
  std::map<std::uint64_t, Kind> transaction_;  // blocks changed in the running one
  std::map<std::uint64_t, Dirty> dirty_;       // waits to be written in place
  std::map<std::uint64_t, Bytes> now_;         // metadata in memory, by block
  std::map<std::uint64_t, Bytes> on_disk_;
};

}  // namespace coffer::scale

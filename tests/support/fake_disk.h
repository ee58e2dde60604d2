// Files and directories as FaultyFileSystem keeps them: what processes see, what the disk holds,
// and the un-synced operations between the two. Not thread-safe; FaultyFileSystem locks.
//
// What a power cut may leave (stricter than any one real file system, milder than nonsense):
// - data: each 512-byte sector is as it was after some operation that touched it, or as on the
// disk;
//   the size is that after some operation, or the disk's. Bytes in between are zeros.
// - names: each name of a directory means what it meant after some operation on it, or what it
// means
//   on the disk. The old name of a rename goes only when the new one is there; both may be.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "tests/support/fake_image.h"
#include "tests/support/seeded_random.h"

namespace coffer {

inline constexpr std::uint64_t kFakeSectorBytes = 512;
inline constexpr std::uint64_t kFakePageBytes = FakeImage::kPageBytes;

/// How a power cut treats what was not synced.
enum class CutMode {
  kDropAll,
  kKeepAll,
  kRandomSubset,  // any of the states described above
  kPrefix,        // all operations up to one of them, which is torn if it is a write
};

/// One cut being decided: every file and directory asks the same one.
struct Cut {
  CutMode mode;
  SeededRandom& random;
  std::uint64_t last_kept;  // kPrefix: number of the last operation that is kept whole
};

struct FakeNode {
  virtual ~FakeNode() = default;
  /// Called of every node before Settle is of any: decides what concerns two of them.
  virtual void DecideMoves(const Cut& cut) { (void)cut; }
  /// Makes the disk's image what the cut leaves, and the visible state equal to it.
  virtual void Settle(const Cut& cut) = 0;

  bool is_directory = false;
  std::uint32_t mode = 0;
  std::uint32_t owner_uid = 0;
  bool locked = false;
};

class FakeFile final : public FakeNode {
 public:
  /// `disk_used` counts the pages in use of all files of one disk.
  explicit FakeFile(std::shared_ptr<std::uint64_t> disk_used) : disk_used_(std::move(disk_used)) {}
  ~FakeFile() override { *disk_used_ -= allocated_count_; }

  void Write(std::uint64_t number, std::uint64_t offset, ByteView data);
  /// Truncates, or grows with zeros.
  void Resize(std::uint64_t number, std::uint64_t size);
  void Allocate(std::uint64_t number, std::uint64_t size);
  /// Zeros, and whole pages in [offset, offset+length) are free again; the size stays.
  void Discard(std::uint64_t number, std::uint64_t offset, std::uint64_t length);
  void Sync();
  /// A failed sync (fsyncgate): the pages are clean now, so no later sync will write them.
  void ForgetUnsynced() { unsynced_.clear(); }
  void Settle(const Cut& cut) override;

  [[nodiscard]] const FakeImage& visible() const { return visible_; }
  [[nodiscard]] const FakeImage& durable() const { return durable_; }
  /// As it is now, on the disk too.
  void SetDurably(const FakeImage& image);
  [[nodiscard]] bool synced() const { return unsynced_.empty(); }
  /// Pages that writing [offset, offset+length) would take from the free space.
  [[nodiscard]] std::uint64_t NewBytes(std::uint64_t offset, std::uint64_t length) const;
  /// Changes the stored byte itself, past all accounting.
  void Damage(std::uint64_t offset, std::byte flip);

 private:
  /// An un-synced change: bytes at an offset, or a new size.
  struct Operation {
    std::uint64_t number;
    std::uint64_t offset;
    Bytes data;
    std::uint64_t size_after;
    bool resizes;
    std::uint64_t zeros = 0;  // bytes from `offset` on, instead of data
  };

  static void Apply(const Operation& operation, FakeImage& image);
  void SettleSectors(const Cut& cut);
  void SettlePrefix(const Cut& cut);
  void MarkAllocated(std::uint64_t offset, std::uint64_t length);
  void FreeBeyond(std::uint64_t size);

  const std::shared_ptr<std::uint64_t> disk_used_;
  FakeImage visible_;
  FakeImage durable_;
  std::vector<Operation> unsynced_;
  std::vector<bool> allocated_;  // by page
  std::uint64_t allocated_count_ = 0;
};

class FakeDirectory final : public FakeNode {
 public:
  using Entries = std::map<std::string, std::shared_ptr<FakeNode>>;

  FakeDirectory() { is_directory = true; }

  void Set(std::uint64_t number, const std::string& name, std::shared_ptr<FakeNode> node);
  void Unset(std::uint64_t number, const std::string& name);
  /// `node` goes from `from_name` here to `to_name` in `to`. Takes the numbers `number` and
  /// `number` + 1.
  void Move(std::uint64_t number, const std::string& from_name,
            const std::shared_ptr<FakeDirectory>& to, const std::string& to_name);
  void Sync();
  void DecideMoves(const Cut& cut) override;
  void Settle(const Cut& cut) override;

  [[nodiscard]] const Entries& visible() const { return visible_; }
  [[nodiscard]] const Entries& durable() const { return durable_; }
  /// As it is now, on the disk too.
  void SetDurably(const std::string& name, std::shared_ptr<FakeNode> node);

 private:
  struct Operation {
    std::uint64_t number;
    std::string name;
    std::shared_ptr<FakeNode> node;              // null: the name goes
    std::weak_ptr<FakeDirectory> moved_to = {};  // of a name that goes by Move: where to,
    std::uint64_t moved_by = 0;                  // and by which operation there
  };

  void Apply(const Operation& operation);
  /// Puts operation `number` on the disk, if it is not there yet.
  void Persist(std::uint64_t number);

  Entries visible_;
  Entries durable_;
  std::vector<Operation> unsynced_;
  std::set<std::uint64_t> kept_;  // operations that DecideMoves has kept
};

/// "/a//b/" → a, b.
[[nodiscard]] std::vector<std::string> SplitFakePath(const std::string& path);

}  // namespace coffer

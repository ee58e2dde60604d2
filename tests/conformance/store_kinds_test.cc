// The kinds of stores that exist, put through the conformance suite.
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/random.h"
#include "core/store/counting_store.h"
#include "core/store/directory_store.h"
#include "core/store/memory_store.h"
#include "core/store/retrying_store.h"
#include "tests/conformance/object_store_conformance.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/faulty_store.h"
#include "tests/support/partial_file_system.h"
#include "tests/support/recording_store.h"
#include "tests/support/scratch_directory.h"

namespace coffer::store {
namespace {

struct MemoryStack : StoreStack {
  ObjectStore& store() override { return memory; }
  MemoryStore memory;
};

struct CountingStack : StoreStack {
  ObjectStore& store() override { return counting; }
  CountingStore counting{std::make_unique<MemoryStore>()};
};

struct RetryingStack : StoreStack {
  ObjectStore& store() override { return retrying; }
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<Executor> executor = NewThreadExecutor("retry", 1);
  RetryingStore retrying{std::make_unique<MemoryStore>(), clock, *executor, random};
};

struct FaultyStack : StoreStack {
  ObjectStore& store() override { return faulty; }
  MemoryStore memory;
  RecordingStore recording{memory};
  FaultyStore faulty{recording};
};

std::unique_ptr<ObjectStore> NewDirectoryVault(FileSystem& fs, Random& random,
                                               const std::string& path) {
  auto store = DirectoryStore::OpenForInit(fs, random, path);
  CHECK(store.has_value());
  CHECK((*store)->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl).has_value());
  return std::move(*store);
}

struct PosixDirectoryStack : StoreStack {
  ObjectStore& store() override { return *in_directory; }
  ScratchDirectory directory;
  SystemRandom random;
  std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
  std::unique_ptr<ObjectStore> in_directory =
      NewDirectoryVault(*fs, random, directory.path() + "/vault");
};

struct FaultyDirectoryStack : StoreStack {
  FaultyDirectoryStack() {
    fs.AddDirectories("/mnt");
    in_directory = NewDirectoryVault(fs, random, "/mnt/backup");
  }
  ObjectStore& store() override { return *in_directory; }
  SeededRandom random{1};
  FaultyFileSystem fs;
  std::unique_ptr<ObjectStore> in_directory;
};

template <PartialFileSystem::Renames kRenames>
struct PartialDirectoryStack : StoreStack {
  PartialDirectoryStack() {
    inner.AddDirectories("/mnt");
    in_directory = NewDirectoryVault(fs, random, "/mnt/backup");
  }
  ObjectStore& store() override { return *in_directory; }
  SeededRandom random{1};
  FaultyFileSystem inner;
  PartialFileSystem fs{inner, kRenames};
  std::unique_ptr<ObjectStore> in_directory;
};
using WithoutLinksStack = PartialDirectoryStack<PartialFileSystem::Renames::kNoReplace>;
using WeakStack = PartialDirectoryStack<PartialFileSystem::Renames::kPlainOnly>;

INSTANTIATE_TEST_SUITE_P(Kinds, ObjectStoreConformance,
                         testing::Values(Kind<MemoryStack>("Memory"),
                                         Kind<CountingStack>("Counting"),
                                         Kind<RetryingStack>("Retrying"),
                                         Kind<FaultyStack>("FaultyWithoutFaults"),
                                         Kind<PosixDirectoryStack>("DirectoryOnPosix"),
                                         Kind<FaultyDirectoryStack>("DirectoryOnFaulty"),
                                         Kind<WithoutLinksStack>("DirectoryWithoutLinks"),
                                         Kind<WeakStack>("DirectoryWeak")),
                         NameOfKind);

}  // namespace
}  // namespace coffer::store

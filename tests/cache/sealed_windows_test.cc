#include "core/cache/sealed_windows.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/base/log.h"
#include "core/format/chain_name.h"
#include "core/store/memory_store.h"
#include "tests/cache/memory_index.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/faulty_store.h"
#include "tests/support/recording_store.h"
#include "tests/support/result_macros.h"
#include "tests/support/sim_executor.h"

namespace coffer::cache {
namespace {

using store::StoreOperation;

constexpr std::uint64_t kWindow = SealedWindows::kWindowBytes;

class SealedWindowsTest : public testing::Test {
 protected:
  SealedWindowsTest() {
    SetLogLevel(LogLevel::kError);
    fs_.AddDirectories("/cache");
    disk_ = std::make_unique<DiskCache>(
        fs_, clock_, DiskCache::Options{.directory = "/cache", .bytes_max = 64 * kWindow},
        OpenMemoryIndex(index_));
    disk_->Start();
    Forget();
  }

  /// Memory is empty; the disk cache stays.
  void Forget() {
    windows_.reset();
    windows_ = std::make_unique<SealedWindows>(line_, fetch_, key_, disk_.get());
  }
  PackId Put(std::size_t size) {
    const PackId pack = PackId::From(random_.NewBytes(PackId::kBytes));
    objects_[pack] = random_.NewBytes(size);
    EXPECT_OK(
        provider_.Create({}, format::PackName(pack), objects_[pack], store::ObjectClass::kData));
    return pack;
  }
  static format::FrameRef Frame(const PackId& pack, std::uint64_t offset, std::uint64_t length) {
    return {.pack = pack,
            .offset = static_cast<std::uint32_t>(offset),
            .stored_length = static_cast<std::uint32_t>(length)};
  }
  /// Gets it and compares; where it came from.
  pack::SealedFrame::Origin Expect(const format::FrameRef& frame) {
    const auto sealed = windows_->Get(frame);
    EXPECT_OK(sealed);
    if (!sealed.has_value()) return pack::SealedFrame::Origin::kStore;
    const ByteView whole(objects_[frame.pack]);
    EXPECT_TRUE(
        ByteView(sealed->bytes).size() == frame.stored_length &&
        std::equal(sealed->bytes.begin(), sealed->bytes.end(), whole.begin() + frame.offset));
    return sealed->origin;
  }
  std::size_t requests() const { return wire_.count(StoreOperation::kGetRange); }

  FakeClock clock_;
  SeededRandom random_{TestSeed()};
  SimExecutor fetch_{clock_, 5};
  FaultyFileSystem fs_;
  MemoryIndexDisk index_;
  std::unique_ptr<DiskCache> disk_;
  store::MemoryStore provider_;
  RecordingStore wire_{provider_};
  FaultyStore line_{wire_};
  const SecretBytes key_ = SecretBytes::CopyOf(Bytes(32, std::byte{7}));
  std::map<PackId, Bytes> objects_;
  std::unique_ptr<SealedWindows> windows_;
};

TEST_F(SealedWindowsTest, AsksForWholeWindowsOnly) {
  const PackId pack = Put(5 * kWindow + 1234);
  Expect(Frame(pack, 100, 5000));
  Expect(Frame(pack, 2 * kWindow - 10, 20));     // straddles
  Expect(Frame(pack, 5 * kWindow + 1000, 234));  // up to the end
  for (const StoreRequest& request : wire_.requests()) {
    EXPECT_EQ(request.offset % kWindow, 0U);
    EXPECT_EQ(request.length % kWindow, 0U);
  }
  EXPECT_EQ(requests(), 3U);
}

TEST_F(SealedWindowsTest, NeighboursCostNoFurtherRequest) {
  const PackId pack = Put(3 * kWindow);
  for (std::uint64_t offset = 0; offset + 10'000 < kWindow; offset += 10'000)
    Expect(Frame(pack, offset, 10'000));
  EXPECT_EQ(requests(), 1U);
}

TEST_F(SealedWindowsTest, TheDiskCacheAnswersWhenMemoryIsEmpty) {
  const PackId pack = Put(3 * kWindow + 77);
  const format::FrameRef frame = Frame(pack, kWindow - 500, 1000);
  const format::FrameRef tail = Frame(pack, 3 * kWindow, 77);
  EXPECT_EQ(Expect(frame), pack::SealedFrame::Origin::kStore);
  Expect(tail);
  Forget();
  const std::size_t before = requests();
  EXPECT_EQ(Expect(frame), pack::SealedFrame::Origin::kDiskCache);
  EXPECT_EQ(Expect(tail), pack::SealedFrame::Origin::kDiskCache);
  EXPECT_EQ(requests(), before);
}

TEST_F(SealedWindowsTest, AnotherVaultsKeyFindsNothing) {
  const PackId pack = Put(kWindow);
  Expect(Frame(pack, 0, 100));
  const SecretBytes other = SecretBytes::CopyOf(Bytes(32, std::byte{8}));
  windows_ = std::make_unique<SealedWindows>(line_, fetch_, other, disk_.get());
  EXPECT_EQ(Expect(Frame(pack, 0, 100)), pack::SealedFrame::Origin::kStore);
}

TEST_F(SealedWindowsTest, ManyWantersShareOneRequestAndItsFailure) {
  const PackId pack = Put(kWindow);
  const format::FrameRef frame = Frame(pack, 0, 100);
  const std::vector<format::FrameRef> frames{frame, Frame(pack, 200, 100), frame};
  line_.AddFault({.operation = StoreOperation::kGetRange});
  windows_->Want(frames);
  windows_->Want(frames);
  EXPECT_FAILS(windows_->Get(frame), kUnavailable);
  EXPECT_EQ(line_.request_count(), 1U);
  Expect(frame);  // the next one tries again
  EXPECT_EQ(line_.request_count(), 2U);
}

TEST_F(SealedWindowsTest, FramesWantedTogetherAreOneRequest) {
  const PackId pack = Put(8 * kWindow);
  std::vector<format::FrameRef> frames;
  for (std::uint64_t i = 0; i < 40; ++i) frames.push_back(Frame(pack, i * 50'000, 50'000));
  windows_->Want(frames);
  for (const format::FrameRef& frame : frames) Expect(frame);
  EXPECT_EQ(requests(), 1U);
}

TEST_F(SealedWindowsTest, ALargeFrameComesInSeveralRequests) {
  const PackId pack = Put(20 * kWindow);
  Expect(Frame(pack, 1000, 19 * kWindow));
  EXPECT_EQ(requests(), 3U);  // eight windows each at most
}

TEST_F(SealedWindowsTest, WhatIsWantedSoonIsBounded) {
  const PackId pack = Put(200 * kWindow);
  std::vector<format::FrameRef> frames;
  for (std::uint64_t i = 0; i < 200; ++i) frames.push_back(Frame(pack, i * kWindow, 100));
  windows_->WantSoon(frames);
  EXPECT_LE(windows_->numbers().ahead_fetches, SealedWindows::kAheadFetchesMax);
  fetch_.scheduler().RunUntilIdle();
  EXPECT_EQ(requests(), SealedWindows::kAheadWindowsMax / SealedWindows::kWindowsPerFetchMax);
}

TEST_F(SealedWindowsTest, AReaderDoesNotWaitBehindWhatIsWantedSoon) {
  const PackId pack = Put(120 * kWindow);
  std::vector<format::FrameRef> frames;
  for (std::uint64_t i = 0; i < 120; ++i) frames.push_back(Frame(pack, i * kWindow, 100));
  windows_->WantSoon(frames);
  Expect(frames[119]);  // still queued: it starts at once
  fetch_.scheduler().RunUntilIdle();
  EXPECT_EQ(requests(), 15U);  // and only once
}

TEST_F(SealedWindowsTest, GetAgainForgetsEveryCopy) {
  const PackId pack = Put(2 * kWindow);
  const format::FrameRef frame = Frame(pack, kWindow - 50, 100);
  Expect(frame);
  ASSERT_OK(windows_->GetAgain(frame));
  EXPECT_EQ(requests(), 2U);
  Forget();
  EXPECT_EQ(Expect(frame), pack::SealedFrame::Origin::kDiskCache);  // the new copy is kept
}

TEST_F(SealedWindowsTest, ABodyCutShortIsNotTakenForThePacksEnd) {
  const PackId pack = Put(3 * kWindow);
  const format::FrameRef frame = Frame(pack, kWindow - 200, 100);
  line_.AddFault({.kind = StoreFaultKind::kTruncatedBody, .operation = StoreOperation::kGetRange});
  EXPECT_FAILS(windows_->Get(frame), kCorruption);
  EXPECT_EQ(disk_->numbers().windows, 0U);
  ASSERT_OK(windows_->GetAgain(frame));
  Expect(frame);
}

TEST_F(SealedWindowsTest, WhatABodyCutShortLeftOnDiskIsReplaced) {
  const PackId pack = Put(kWindow);
  const format::FrameRef first = Frame(pack, 0, 100);
  const format::FrameRef last = Frame(pack, kWindow - 100, 100);
  line_.AddFault({.kind = StoreFaultKind::kTruncatedBody, .operation = StoreOperation::kGetRange});
  Expect(first);  // nothing says that there is more
  Forget();
  EXPECT_EQ(Expect(last), pack::SealedFrame::Origin::kStore);
  Forget();
  EXPECT_EQ(Expect(last), pack::SealedFrame::Origin::kDiskCache);
  EXPECT_EQ(Expect(first), pack::SealedFrame::Origin::kDiskCache);
}

TEST_F(SealedWindowsTest, TheFurthestOfTheFramesWantedSaysHowFarAPackReaches) {
  const PackId pack = Put(kWindow);
  const std::vector<format::FrameRef> frames{Frame(pack, 0, 100), Frame(pack, kWindow - 100, 100),
                                             Frame(pack, 200, 100)};
  line_.AddFault({.kind = StoreFaultKind::kTruncatedBody, .operation = StoreOperation::kGetRange});
  windows_->Want(frames);
  EXPECT_FAILS(windows_->Get(frames[0]), kCorruption);
  EXPECT_EQ(disk_->numbers().windows, 0U);
}

TEST_F(SealedWindowsTest, ALongBodyIsRefused) {
  const PackId pack = Put(3 * kWindow);
  line_.AddFault({.kind = StoreFaultKind::kLongBody, .operation = StoreOperation::kGetRange});
  EXPECT_FAILS(windows_->Get(Frame(pack, 0, 100)), kCorruption);
}

TEST_F(SealedWindowsTest, AFrameBeyondItsPackIsCorruption) {
  const PackId pack = Put(1000);
  EXPECT_FAILS(windows_->Get(Frame(pack, 900, 200)), kCorruption);
  EXPECT_FAILS(windows_->Get(Frame(pack, 5 * kWindow, 200)), kCorruption);
  PackId none = pack;
  none.bytes[0] ^= std::byte{1};
  EXPECT_FAILS(windows_->Get(Frame(none, 0, 10)), kNotFound);
}

TEST_F(SealedWindowsTest, WorksWithoutADisk) {
  windows_ = std::make_unique<SealedWindows>(line_, fetch_, key_, nullptr);
  const PackId pack = Put(3 * kWindow);
  Expect(Frame(pack, 0, 1000));
  Expect(Frame(pack, 5000, 1000));
  EXPECT_EQ(requests(), 1U);
}

/// Holds back each GetRange until so many readers have come.
class MeetingStore final : public store::ObjectStore {
 public:
  MeetingStore(store::ObjectStore& inner, int readers) : inner_(inner), readers_(readers) {}
  void NoteReader() { ++come_; }
  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                store::ObjectClass kind) override {
    return inner_.Create(context, name, data, kind);
  }
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override {
    return inner_.Get(context, name, size_max);
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override {
    while (come_ < readers_) std::this_thread::yield();
    return inner_.GetRange(context, name, offset, length);
  }
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override {
    return inner_.List(context, prefix, start_after, limit);
  }
  Status Delete(const RequestContext& context, const std::string& name) override {
    return inner_.Delete(context, name);
  }
  [[nodiscard]] store::StoreCapabilities capabilities() const override {
    return inner_.capabilities();
  }
  [[nodiscard]] std::string identity() const override { return inner_.identity(); }
  [[nodiscard]] std::string description() const override { return inner_.description(); }

 private:
  store::ObjectStore& inner_;
  const int readers_;
  std::atomic<int> come_{0};
};

TEST_F(SealedWindowsTest, ManyThreadsShareOneRequest) {
  constexpr int kReaders = 8;
  MeetingStore meeting(wire_, kReaders);
  const auto executor = NewThreadExecutor("fetch", 4);
  SealedWindows shared(meeting, *executor, key_, disk_.get());
  const PackId pack = Put(2 * kWindow);
  const ByteView whole(objects_[pack]);
  std::vector<std::thread> readers;
  std::atomic<int> right{0};
  for (int i = 0; i < kReaders; ++i) {
    readers.emplace_back([&, i] {
      meeting.NoteReader();
      const std::uint32_t offset = static_cast<std::uint32_t>(i) * 20'000;
      const auto sealed = shared.Get(Frame(pack, offset, 20'000));
      if (sealed.has_value() &&
          std::equal(sealed->bytes.begin(), sealed->bytes.end(), whole.begin() + offset))
        ++right;
    });
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(right, kReaders);
  EXPECT_EQ(requests(), 1U);
}

TEST_F(SealedWindowsTest, ThreadsOverASmallDiskCacheReadWhatTheyShould) {
  const auto executor = NewThreadExecutor("fetch", 6);
  DiskCache small(fs_, clock_, {.directory = "/cache/small", .bytes_max = 6 * kWindow},
                  OpenMemoryIndex(index_));
  index_.rows.clear();
  small.Start();
  SealedWindows shared(wire_, *executor, key_, &small);
  const std::size_t size = 40 * kWindow + 999;
  const PackId pack = Put(size);
  const ByteView whole(objects_[pack]);
  std::vector<std::thread> readers;
  std::atomic<int> wrong{0};
  for (int thread = 0; thread < 6; ++thread) {
    readers.emplace_back([&, thread] {
      SeededRandom random(static_cast<std::uint64_t>(thread) + 1);
      for (int i = 0; i < 300; ++i) {
        const std::uint64_t length = 1 + random.Below(random.OneIn(10) ? 3 * kWindow : 60'000);
        const std::uint64_t offset = random.Below(size - length);
        const auto sealed = shared.Get(Frame(pack, offset, length));
        // A slot given away while it was read is noticed, so that bytes are never another's.
        if (!sealed.has_value() || !std::equal(sealed->bytes.begin(), sealed->bytes.end(),
                                               whole.begin() + static_cast<std::ptrdiff_t>(offset)))
          ++wrong;
        if (random.OneIn(20)) shared.Clear();
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  small.CheckInvariants();
}

}  // namespace
}  // namespace coffer::cache

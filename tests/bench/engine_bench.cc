// The engine alone, one thread: what a byte costs on its way, with nothing of a network or a disk
// (the journal's file is in /dev/shm, its syncs count for nothing).
//
//   engine_bench [--no-sha-ni] [Google Benchmark's own options]
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstring>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/cache/journal.h"
#include "core/compress/compressor.h"
#include "core/compress/decompressor.h"
#include "core/crypto/content_hasher.h"
#include "core/crypto/sealer.h"
#include "core/format/page.h"
#include "core/map/overlay.h"
#include "tests/support/seeded_random.h"

namespace CryptoPP {
extern bool g_hasSHA;  // read by every block of SHA-256 that it computes
}

namespace {

using namespace coffer;

constexpr std::size_t kFrame = 65536;

SecretBytes Key() {
  SecretBytes key(32);
  for (std::size_t i = 0; i < 32; ++i) key.mutable_view()[i] = std::byte(i);
  return key;
}

/// Text-like bytes: words from a small vocabulary.
Bytes Text(std::size_t size) {
  static constexpr std::string_view kWords[] = {"volume", "chunk", "frame", "journal", "the",
                                                "head",   "of",    "a",     "sealed",  "store"};
  SeededRandom random(7);
  Bytes text;
  while (text.size() < size) {
    const ByteView word = AsBytes(kWords[random.Below(std::size(kWords))]);
    text.insert(text.end(), word.begin(), word.end());
    text.push_back(std::byte(' ' + random.Below(2) * 14));
  }
  text.resize(size);
  return text;
}

void CountBytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

void Seal(benchmark::State& state) {
  const SecretBytes key = Key();
  const crypto::Sealer sealer(key, Bytes(32, std::byte{1}));
  const Bytes plain = SeededRandom(1).NewBytes(kFrame);
  Bytes out(kFrame + 16);
  std::uint64_t number = 0;
  for (auto _ : state) sealer.Seal(number++, {}, plain, out);
  CountBytes(state, kFrame);
}
BENCHMARK(Seal);

void Open(benchmark::State& state) {
  const SecretBytes key = Key();
  const crypto::Sealer sealer(key, Bytes(32, std::byte{1}));
  Bytes sealed(kFrame + 16);
  sealer.Seal(0, {}, SeededRandom(1).NewBytes(kFrame), sealed);
  Bytes out(kFrame);
  for (auto _ : state) CHECK(sealer.Open(0, {}, sealed, out).has_value());
  CountBytes(state, kFrame);
}
BENCHMARK(Open);

void ContentIds(benchmark::State& state) {
  const SecretBytes key = Key();
  const crypto::ContentHasher hasher(key);
  const Bytes plain = SeededRandom(1).NewBytes(kFrame);
  for (auto _ : state) benchmark::DoNotOptimize(hasher.Id(0, plain));
  CountBytes(state, kFrame);
}
BENCHMARK(ContentIds);

void Compress(benchmark::State& state, compress::CodecSetting setting) {
  compress::Compressor compressor(setting);
  const Bytes plain = Text(kFrame);
  Bytes out;
  for (auto _ : state) benchmark::DoNotOptimize(compressor.Compress(plain, &out));
  state.counters["ratio"] = static_cast<double>(plain.size()) / static_cast<double>(out.size());
  CountBytes(state, kFrame);
}
BENCHMARK_CAPTURE(Compress, lz4, compress::CodecSetting{compress::CodecId::kLz4, 0});
BENCHMARK_CAPTURE(Compress, zstd_1, compress::CodecSetting{compress::CodecId::kZstd, 1});
BENCHMARK_CAPTURE(Compress, zstd_3, compress::CodecSetting{compress::CodecId::kZstd, 3});

struct Silent final : cache::JournalListener {
  void Publish(std::span<const cache::RecordPtr>) override {}
  void Relocate(std::span<const std::pair<cache::RecordPtr, cache::RecordLocation>>) override {}
};

void JournalAppend(benchmark::State& state) {
  const auto fs = NewPosixFileSystem();
  SystemClock clock;
  SystemRandom random;
  const auto executor = NewThreadExecutor("bench", 1);
  const SecretBytes key = Key();
  const std::string directory = Concat("/dev/shm/coffer-engine-bench-", getpid());
  CHECK(fs->CreateDirectory(directory).has_value());
  Silent listener;
  const auto length = static_cast<std::uint64_t>(state.range(0));
  {
    auto journal = cache::Journal::Open(
        *fs, clock, random, *executor, directory, key,
        {VaultId::From(Bytes(16, std::byte{1})), VolumeId::From(Bytes(16, std::byte{2})), 1}, {});
    CHECK(journal.has_value());
    CHECK((*journal)->StartStream({}, std::uint64_t{1} << 40, 1, listener).has_value());
    const auto buffer = std::make_shared<const Bytes>(SeededRandom(1).NewBytes(length));
    for (auto _ : state) {
      const cache::Journal::Operation write{
          .kind = format::RecordKind::kWrite, .offset = 0, .length = length, .buffer = buffer};
      CHECK((*journal)->Append({&write, 1}).has_value());
      if ((*journal)->used_bytes() > (256u << 20)) {
        CHECK((*journal)->Sync().has_value());
        (*journal)->Release((*journal)->durable_seq());
      }
    }
  }
  const auto names = fs->List(directory);
  for (const std::string& name : *names) (void)fs->Remove(directory + "/" + name);
  (void)fs->RemoveDirectory(directory);
  CountBytes(state, length);
}
BENCHMARK(JournalAppend)->Arg(4096)->Arg(65536)->Arg(1 << 20);

format::DeltaEntry EntryOf(std::uint64_t chunk) {
  format::Piece piece;
  piece.kind = format::Piece::Kind::kFrame;
  piece.block_count = 16;
  StoreLe(piece.content.bytes.data(), chunk);
  piece.frame = {.pack = PackId::From(Bytes(32, std::byte{3})), .key_epoch = 1};
  piece.frame.frame = 1;
  piece.frame.offset = 4096;
  piece.frame.stored_length = 30'000;
  piece.frame.plain_length = 65536;
  return {.op = format::DeltaEntry::Op::kReplace, .chunk = chunk, .pieces = {piece}};
}

void MapUpdate(benchmark::State& state) {
  format::Delta delta;
  delta.chunk_size = 65536;
  for (std::uint64_t i = 0; i < 1000; ++i) delta.entries.push_back(EntryOf(i * 37));
  for (auto _ : state) {
    map::Overlay overlay;
    overlay.Apply(delta);
    benchmark::DoNotOptimize(overlay.empty());
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(MapUpdate);

void MapLookup(benchmark::State& state) {
  map::Overlay overlay;
  format::Delta delta;
  delta.chunk_size = 65536;
  for (std::uint64_t i = 0; i < 100'000; ++i) delta.entries.push_back(EntryOf(i * 3));
  overlay.Apply(delta);
  SeededRandom random(3);
  for (auto _ : state) benchmark::DoNotOptimize(overlay.Find(random.Below(300'000)));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(MapLookup);

format::Page FullPage() {
  format::Page page;
  page.chunk_size = 65536;
  for (unsigned slot = 0; slot < 256; ++slot) {
    page.chunks.push_back({static_cast<std::uint8_t>(slot), EntryOf(slot).pieces});
  }
  return page;
}

void PageEncode(benchmark::State& state) {
  const format::Page page = FullPage();
  for (auto _ : state) benchmark::DoNotOptimize(format::Encode(page, PackId{}));
  state.SetItemsProcessed(state.iterations() * 256);
}
BENCHMARK(PageEncode);

const PackId kSelf = PackId::From(Bytes(32, std::byte{4}));

void PageDecode(benchmark::State& state) {
  const Bytes bytes = format::Encode(FullPage(), kSelf);
  for (auto _ : state) CHECK(format::DecodePage(bytes, kSelf, 1).has_value());
  state.SetItemsProcessed(state.iterations() * 256);
}
BENCHMARK(PageDecode);

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--no-sha-ni") != 0) continue;
    CryptoPP::g_hasSHA = false;
    std::copy(argv + i + 1, argv + argc, argv + i);
    --argc;
    --i;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

// A vault that coffer wrote, read by tests/support/reader.py, which knows docs/FORMAT.md and
// nothing else: random commits, a fold, more commits, compared with a plain model.
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "core/cache/sealed_windows.h"
#include "core/compress/compressor.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/map/block_map.h"
#include "core/pack/frame_reader.h"
#include "core/pack/pack_builder.h"
#include "core/store/directory_store.h"
#include "core/vault/head_chain.h"
#include "core/vault/vault.h"
#include "tests/support/temporary_directory.h"

namespace coffer {
namespace {

constexpr std::uint32_t kChunkSize = 16384;
constexpr std::uint64_t kChunks = 400;  // two levels of pages
constexpr std::uint64_t kSize = kChunks * kChunkSize - 2 * format::kBlockBytes;
constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30;
constexpr char kPassword[] = "correct horse battery staple";

using Op = format::DeltaEntry::Op;

/// One volume, its chain of heads, and the plain truth about its content.
class Writer {
 public:
  Writer(vault::Vault& vault, const VolumeId& volume, Executor& work, std::uint64_t seed)
      : vault_(vault),
        work_(work),
        chain_(vault, volume, vault.VolumeDirectory(volume).value()),
        windows_(vault.store(), vault.env().fetch_executor, vault.host().frame_cache, nullptr),
        reader_(windows_, vault.keys()),
        pages_(reader_),
        engine_(seed),
        image_(kChunks * kChunkSize, std::byte{0}) {
    head_ = chain_.Load().value().head;
  }

  /// A pack of random changes and the head that names it.
  void Commit() {
    pack::PackBuilder builder(vault_.id(), vault_.keys().current(), random_);
    format::Delta delta = Plan(builder);
    builder.Arrange();
    for (format::DeltaEntry& entry : delta.entries) {
      for (format::Piece& piece : entry.pieces) {
        if (piece.kind == format::Piece::Kind::kFrame) piece.frame = builder.Ref(piece.frame.frame);
      }
    }
    pack::CompressedFrame frame =
        Compress(format::FrameType::kDelta, format::Encode(delta, PackId{}).value());
    format::DeltaRef ref{builder.AddMetadata(std::move(frame)),
                         static_cast<std::uint32_t>(delta.entries.size())};
    ref.frame.pack = Upload(builder);
    head_.map.deltas.push_back(ref);
    Append();
  }

  void Fold() {
    map::Overlay overlay;
    for (const format::DeltaRef& ref : head_.map.deltas) {
      const Bytes plain = reader_.ReadDelta(ref.frame).value();
      overlay.Apply(format::DecodeDelta(plain, ref.frame.pack, ref.frame.key_epoch).value());
    }
    const map::Tree tree{kChunkSize, head_.map.level, head_.map.page};
    pack::UploadWindow window(vault_.env().clock, {.first = 1});
    const map::FoldOptions options{vault_.id(), vault_.keys().current(), {}, 8 << 20, window};
    const auto folded =
        map::Fold(pages_, tree, overlay, kSize, options, vault_.store(), work_, work_, random_);
    ASSERT_TRUE(folded.has_value()) << folded.error().message;
    head_.map.level = folded->tree.level;
    head_.map.page = folded->tree.root;
    head_.map.deltas.clear();
    Append();
  }

  [[nodiscard]] const format::Head& head() const { return head_; }
  [[nodiscard]] std::string ImageHash() const {
    return crypto::Sha256(ByteView(image_).first(kSize)).ToString();
  }

 private:
  std::uint64_t Below(std::uint64_t end) { return engine_() % end; }

  format::Delta Plan(pack::PackBuilder& builder) {
    format::Delta delta;
    delta.chunk_size = kChunkSize;
    for (std::uint64_t chunk = Below(6); chunk < kChunks; chunk += 1 + Below(12)) {
      format::DeltaEntry entry;
      entry.op = static_cast<Op>(Below(3));
      entry.chunk = chunk;
      if (entry.op != Op::kOverlay)
        std::fill_n(&image_[chunk * kChunkSize], kChunkSize, std::byte{0});
      if (entry.op != Op::kClear) AddPieces(builder, entry);
      delta.entries.push_back(std::move(entry));
    }
    return delta;
  }

  void AddPieces(pack::PackBuilder& builder, format::DeltaEntry& entry) {
    for (std::uint64_t count = 1 + Below(3); count > 0; --count) {
      format::Piece piece;
      piece.first_block = static_cast<std::uint8_t>(Below(4));
      piece.block_count = static_cast<std::uint8_t>(1 + Below(4u - piece.first_block));
      const Bytes plain = NewContent(piece.block_count * format::kBlockBytes);
      if (!IsZero(plain)) {
        pack::CompressedFrame frame = Compress(format::FrameType::kData, plain);
        piece.kind = format::Piece::Kind::kFrame;
        piece.content = frame.id;
        // The ticket, until the builder is arranged.
        piece.frame.frame =
            static_cast<std::uint32_t>(builder.AddData(std::move(frame), entry.chunk / 64));
      }
      std::ranges::copy(
          plain, &image_[entry.chunk * kChunkSize + piece.first_block * format::kBlockBytes]);
      entry.pieces.push_back(piece);
    }
  }

  /// Zeros, something that compresses, or something that doesn't.
  Bytes NewContent(std::size_t size) {
    Bytes content(size, std::byte{0});
    const std::uint64_t kind = Below(4);
    for (std::size_t i = 0; kind != 0 && i < size; ++i)
      content[i] = static_cast<std::byte>(kind == 1 ? engine_() : Below(3));
    return content;
  }

  pack::CompressedFrame Compress(format::FrameType type, ByteView plain) {
    const compress::CodecId codec =
        Below(2) == 0 ? compress::CodecId::kLz4 : compress::CodecId::kZstd;
    compress::Compressor compressor({codec, codec == compress::CodecId::kZstd ? 1 : 0});
    return pack::CompressFrame(compressor, vault_.keys().current(), type, plain);
  }

  PackId Upload(pack::PackBuilder& builder) {
    const pack::SealedPack sealed = builder.Seal(work_).value();
    EXPECT_TRUE(
        vault_.store()
            .Create({}, format::PackName(sealed.id), sealed.object, store::ObjectClass::kData)
            .has_value());
    return sealed.id;
  }

  void Append() {
    const auto appended = chain_.Append(head_);
    ASSERT_TRUE(appended.has_value()) << appended.error().message;
    head_ = appended->head;
  }

  vault::Vault& vault_;
  Executor& work_;
  vault::HeadChain chain_;
  cache::SealedWindows windows_;
  pack::FrameReader reader_;
  map::PageCache pages_;
  SystemRandom random_;
  std::mt19937_64 engine_;
  format::Head head_;
  Bytes image_;
};

int ExitCode(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// What reader.py makes of the volume: the hash of its output, or nothing.
std::string ReadByReader(const TemporaryDirectory& directory) {
  const std::string command = std::string(COFFER_PYTHON3) + " -B " + COFFER_READER + " " +
                              directory / "store" + " photos " + directory / "out" +
                              " --check-packs --password-file " + directory / "password";
  EXPECT_EQ(ExitCode(command), 0);
  return crypto::Sha256(AsBytes(ReadTestFile(directory / "out"))).ToString();
}

TEST(IndependentReader, ReadsWhatCofferWrites) {
  if (ExitCode(std::string(COFFER_PYTHON3) + " -c 'import cryptography' 2>/dev/null") != 0)
    GTEST_SKIP() << "python3-cryptography is not installed";
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  const TemporaryDirectory directory;
  const std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
  ASSERT_TRUE(fs->CreateDirectory(directory / "state").has_value());
  WriteTestFile(directory / "password", std::string(kPassword) + "\n");
  SystemClock clock;
  SystemRandom random;
  const std::unique_ptr<Executor> sync = NewThreadExecutor("sync", 1);
  const std::unique_ptr<Executor> fetch = NewThreadExecutor("fetch", 1);
  const std::unique_ptr<Executor> work = NewThreadExecutor("work", 2);
  vault::Environment env{*fs,
                         clock,
                         random,
                         *sync,
                         *work,
                         *fetch,
                         crypto::KdfPolicy{19 * 1024, 2, 1},
                         crypto::DefaultKdfBounds(4 * kGibibyte),
                         directory / "state",
                         "test host"};
  auto store = store::DirectoryStore::OpenForInit(*fs, random, directory / "store");
  ASSERT_TRUE(store.has_value()) << store.error().message;
  auto vault = vault::Vault::Create(env, std::move(*store), SecretBytes::CopyOf(AsBytes(kPassword)),
                                    {"photos", kSize, kChunkSize, format::Durability::kLocal});
  ASSERT_TRUE(vault.has_value()) << vault.error().message;

  Writer writer(**vault, (*vault)->FindVolume("photos")->id, *work, seed);
  EXPECT_EQ(ReadByReader(directory), writer.ImageHash());
  for (int commits = 0; commits < 3; ++commits) writer.Commit();
  EXPECT_EQ(ReadByReader(directory), writer.ImageHash());
  writer.Fold();
  EXPECT_EQ(writer.head().map.level, 1);
  EXPECT_EQ(ReadByReader(directory), writer.ImageHash());
  for (int commits = 0; commits < 2; ++commits) writer.Commit();
  writer.Fold();
  writer.Commit();
  EXPECT_EQ(ReadByReader(directory), writer.ImageHash());
}

}  // namespace
}  // namespace coffer

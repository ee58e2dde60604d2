// Input: u8 codec, u24 plaintext length, then the stored bytes. Whatever decompresses must
// decompress again the same, and survive compression with every codec.
#include <algorithm>
#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/check.h"
#include "core/compress/compressor.h"
#include "core/compress/decompressor.h"

namespace coffer::compress {
namespace {

// Larger plaintexts only cost the fuzzer time.
constexpr std::size_t kPlainBytesFuzzedMax = 1 << 18;

void CheckRoundTrip(ByteView plain, const CodecSetting& setting) {
  Bytes stored;
  const CodecId codec = Compressor(setting).Compress(plain, &stored);
  Bytes back(plain.size());
  CHECK(Decompressor().Decompress(codec, stored, back).has_value());
  CHECK(std::equal(back.begin(), back.end(), plain.begin()));
}

void Run(ByteView input) {
  if (input.size() < 4) return;
  const auto codec = static_cast<CodecId>(input[0]);
  const std::size_t plain_size = LoadLe<std::uint32_t>(input.data()) >> 8;
  if (plain_size > kPlainBytesFuzzedMax) return;

  Decompressor decompressor;
  Bytes first(plain_size, std::byte{0});
  if (!decompressor.Decompress(codec, input.subspan(4), first).has_value()) return;
  Bytes second(plain_size, std::byte{0xff});
  CHECK(decompressor.Decompress(codec, input.subspan(4), second).has_value());
  CHECK(first == second);
  CheckRoundTrip(first, {CodecId::kLz4, 0});
  CheckRoundTrip(first, {CodecId::kZstd, 1});
}

}  // namespace
}  // namespace coffer::compress

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  coffer::compress::Run(std::as_bytes(std::span(data, size)));
  return 0;
}

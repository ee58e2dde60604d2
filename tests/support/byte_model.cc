#include "tests/support/byte_model.h"

#include <algorithm>

#include "core/base/check.h"

namespace coffer {

void ByteModel::Write(std::uint64_t offset, ByteView data) {
  CHECK(offset <= size() && data.size() <= size() - offset);
  std::copy(data.begin(), data.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
}

void ByteModel::Zero(std::uint64_t offset, std::uint64_t length) {
  Write(offset, Bytes(length, std::byte{0}));
}

void ByteModel::Trim(std::uint64_t offset, std::uint64_t length) {
  constexpr std::uint64_t kBlock = 4096;
  const std::uint64_t start = (offset + kBlock - 1) / kBlock * kBlock;
  const std::uint64_t end = (offset + length) / kBlock * kBlock;
  if (start < end) Zero(start, end - start);
}

ByteView ByteModel::Read(std::uint64_t offset, std::uint64_t length) const {
  CHECK(offset <= size() && length <= size() - offset);
  return view().subspan(offset, length);
}

std::optional<std::uint64_t> ByteModel::FirstDifference(std::uint64_t offset, ByteView data) const {
  const ByteView expected = Read(offset, data.size());
  const auto pair = std::mismatch(data.begin(), data.end(), expected.begin());
  if (pair.first == data.end()) return std::nullopt;
  return offset + static_cast<std::uint64_t>(pair.first - data.begin());
}

}  // namespace coffer

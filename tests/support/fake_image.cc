#include "tests/support/fake_image.h"

#include <algorithm>
#include <cstring>

namespace coffer {

FakeImage::Page& FakeImage::Own(std::size_t number) {
  std::shared_ptr<Page>& page = pages_[number];
  if (page == nullptr) {
    page = std::make_shared<Page>();
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

void FakeImage::Resize(std::size_t size) {
  if (size < size_) Zero(size, size_ - size);
  pages_.resize((size + kPageBytes - 1) / kPageBytes);
  size_ = size;
}

void FakeImage::Write(std::size_t offset, ByteView data) {
  if (offset + data.size() > size_) Resize(offset + data.size());
  while (!data.empty()) {
    const std::size_t at = offset % kPageBytes;
    const ByteView part = data.first(std::min(data.size(), kPageBytes - at));
    if (pages_[offset / kPageBytes] != nullptr || !IsZero(part))
      std::memcpy(Own(offset / kPageBytes).data() + at, part.data(), part.size());
    offset += part.size();
    data = data.subspan(part.size());
  }
}

void FakeImage::Zero(std::size_t offset, std::size_t length) {
  const std::size_t end = std::min(size_, offset + length);
  while (offset < end) {
    const std::size_t at = offset % kPageBytes;
    const std::size_t count = std::min(end - offset, kPageBytes - at);
    if (count == kPageBytes) {
      pages_[offset / kPageBytes].reset();
    } else if (pages_[offset / kPageBytes] != nullptr) {
      std::memset(Own(offset / kPageBytes).data() + at, 0, count);
    }
    offset += count;
  }
}

std::size_t FakeImage::Read(std::size_t offset, MutableByteView out) const {
  if (offset >= size_) return 0;
  const std::size_t total = std::min(out.size(), size_ - offset);
  for (std::size_t done = 0; done < total;) {
    const std::size_t at = (offset + done) % kPageBytes;
    const std::size_t count = std::min(total - done, kPageBytes - at);
    const auto& page = pages_[(offset + done) / kPageBytes];
    if (page == nullptr) {
      std::memset(out.data() + done, 0, count);
    } else {
      std::memcpy(out.data() + done, page->data() + at, count);
    }
    done += count;
  }
  return total;
}

Bytes FakeImage::Contents() const {
  Bytes bytes(size_);
  (void)Read(0, bytes);
  return bytes;
}

}  // namespace coffer

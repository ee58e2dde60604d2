#include "core/crypto/hkdf.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/crypto/hmac_state.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {
namespace {

/// HKDF whose info is given in parts, into `out`.
void Derive(ByteView input_key, ByteView salt, std::initializer_list<ByteView> info,
            MutableByteView out) {
  CHECK(out.size() <= 255 * kMacBytes);
  std::array<std::byte, kMacBytes> block;
  HmacState extract(salt);
  extract.Update(input_key);
  extract.Final(block.data());
  const HmacState keyed(block);

  std::size_t block_length = 0;
  for (std::size_t done = 0, counter = 1; done < out.size(); ++counter) {
    HmacState expand = keyed;
    expand.Update(ByteView(block).first(block_length));
    for (ByteView part : info) expand.Update(part);
    const auto counter_byte = static_cast<std::byte>(counter);
    expand.Update({&counter_byte, 1});
    expand.Final(block.data());
    block_length = block.size();
    const std::size_t length = std::min(block.size(), out.size() - done);
    std::copy_n(block.begin(), length, out.begin() + static_cast<std::ptrdiff_t>(done));
    done += length;
  }
  Wipe(block);
}

constexpr std::byte kEndOfLabel{0};

}  // namespace

SecretBytes DeriveKey(const SecretBytes& parent, KeyPurpose purpose, ByteView context) {
  CHECK(parent.size() == kKeyBytes);
  SecretBytes key(kKeyBytes);
  Derive(parent.view(), {}, {AsBytes(KeyLabel(purpose)), {&kEndOfLabel, 1}, context},
         key.mutable_view());
  return key;
}

SecretBytes HkdfSha256(ByteView input_key, ByteView salt, ByteView info, std::size_t length) {
  SecretBytes key(length);
  Derive(input_key, salt, {info}, key.mutable_view());
  return key;
}

SecretBytes DeriveObjectKey(const SecretBytes& purpose_key, ByteView salt, ByteView context) {
  CHECK(purpose_key.size() == kKeyBytes);
  CHECK(salt.size() == kSaltBytes);
  SecretBytes key(kKeyBytes);
  Derive(purpose_key.view(), salt, {AsBytes(kObjectKeyLabel), {&kEndOfLabel, 1}, context},
         key.mutable_view());
  return key;
}

}  // namespace coffer::crypto

#include "core/crypto/key_purpose.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/crypto/hkdf.h"
#include "tests/crypto/hex.h"

namespace coffer::crypto {
namespace {

TEST(KeyPurpose, EveryLabelIsItsOwnAndHoldsNoNul) {
  std::set<std::string> labels{std::string(kObjectKeyLabel), std::string(kKekLabel),
                               std::string(kSlotLabel)};
  for (int i = 0; i < kKeyPurposeCount; ++i) {
    const std::string label(KeyLabel(static_cast<KeyPurpose>(i)));
    EXPECT_TRUE(labels.insert(label).second) << label;
    EXPECT_EQ(label.rfind("coffer/1/", 0), 0U) << label;
    EXPECT_EQ(label.find('\0'), std::string::npos);
  }
}

TEST(KeyPurpose, EveryParentPurposeAndContextGivesAnotherKey) {
  std::set<std::string> keys;
  for (std::size_t start : {0U, 1U}) {
    const SecretBytes parent = SecretBytes::CopyOf(Counting(32, start));
    for (int i = 0; i < kKeyPurposeCount; ++i) {
      for (std::string_view context : {"", "a", "ab"}) {
        const SecretBytes key = DeriveKey(parent, static_cast<KeyPurpose>(i), AsBytes(context));
        EXPECT_EQ(key.size(), 32U);
        EXPECT_TRUE(keys.insert(ToHex(key.view())).second);
      }
    }
  }
}

}  // namespace
}  // namespace coffer::crypto

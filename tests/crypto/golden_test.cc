// What core/crypto derives and seals in format version 1: a change here makes existing vaults
// unreadable. The constants come from golden.py, which uses none of coffer's code.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/crypto/content_hasher.h"
#include "core/crypto/hkdf.h"
#include "core/crypto/key_slot.h"
#include "core/crypto/sealer.h"
#include "tests/crypto/hex.h"
#include "tests/support/result_macros.h"

namespace coffer::crypto {
namespace {

TEST(Golden, KeysOfEveryPurpose) {
  const std::vector<std::pair<KeyPurpose, const char*>> golden = {
      {KeyPurpose::kSlotWrap, "e612290ce2191bc5e8a41f0dafbb789fb020257ca1cc2b3b5f8affb14e995665"},
      {KeyPurpose::kSlotCommit, "34e5d47d220066ff82fb00adc56e86c2f124025351e9aede66c582a2e7c7ac19"},
      {KeyPurpose::kHeaderMac, "c42f7873a297b2bfb5b97f643536d536a6a6b707ff405def9bb2fbc0c57a315b"},
      {KeyPurpose::kKeyring, "4ba67a38e4f388d7be394aca66710121a5a55761d7c1d4e01935fc07a0baa817"},
      {KeyPurpose::kPack, "b4875415821d443a1cb46286cbfb24bc366362d1276926dc4e544a3d7dd19854"},
      {KeyPurpose::kHead, "59d7a959a48852a1a67f53d8e5fdb8ac1413be5d993b07641ca0c36c89db3bfc"},
      {KeyPurpose::kCatalog, "18c51d637912ad0ee1a1e0f23e3f18fe3f96d62438fb271baf9ad0e942d9966b"},
      {KeyPurpose::kContentId, "3b9b740e67caa43bd35289814aa4edd055e4e84208e216ee6d4c25a2c8e8a0ec"},
      {KeyPurpose::kPageId, "cce76f8c4c735bb352174b14da55848d58d4b1b20b3d3ab702cc14d5f70cf68b"},
      {KeyPurpose::kPackIdHedge,
       "603925d5b928fdb980e6275bde826bd9f1b12de5cb1c035ebbc45dc5d312eaf6"},
      {KeyPurpose::kHostKeyWrap,
       "24d79989d17f455420bd6b308d1a0f0c0176fa6310e6a295534a0613ad310461"},
      {KeyPurpose::kJournal, "4298c94f27d5a9d80f281f2d071de5b355d61bcc6c303e1a82be7370c506da57"},
      {KeyPurpose::kFrameCache, "b40c5540cd199bc4baca8bacc7100be074811bdf3abf6e044dd7ff3f0f18a98a"},
      {KeyPurpose::kTrust, "43cae826b1e8ec019b86e44e8c20fabaec18d75f2beb893cecc4a4ed7bd62a4b"},
  };
  ASSERT_EQ(golden.size(), static_cast<std::size_t>(kKeyPurposeCount));
  const SecretBytes parent = SecretBytes::CopyOf(Counting(32));
  for (const auto& [purpose, key] : golden) {
    EXPECT_EQ(ToHex(DeriveKey(parent, purpose, AsBytes("context")).view()), key)
        << KeyLabel(purpose);
  }
}

TEST(Golden, SealedMessage) {
  const Sealer sealer(SecretBytes::CopyOf(Counting(32)), Counting(32, 100), AsBytes("context"));
  Bytes sealed(9 + kTagBytes);
  sealer.Seal(0x0102030405060708, AsBytes("aad"), AsBytes("plaintext"), sealed);
  EXPECT_EQ(ToHex(sealed), "fc1f79917bb34ca83cbcaa75b350431d9603d9151c1e198989");
}

TEST(Golden, ContentAndPageIds) {
  const SecretBytes key = SecretBytes::CopyOf(Counting(32));
  EXPECT_EQ(ContentHasher(key).Id(3, Counting(100)).ToString(), "c44a0a8a7710fc39e2cb7b48fb92dcff");
  Bytes longer(70001);
  for (std::size_t i = 0; i < longer.size(); ++i) longer[i] = static_cast<std::byte>(i * 7 % 251);
  EXPECT_EQ(ContentHasher(key).Id(3, longer).ToString(), "5f2555a4750538261d00198ec90b7371");
  EXPECT_EQ(PageHasher(key).Id(Counting(100)).ToString(), "1496ed6c636bf730610c505df5ac9150");
}

TEST(Golden, KeySlotOpens) {
  WrappedKey slot{};
  slot.cost = {.memory_kib = 64, .iterations = 2, .parallelism = 2};
  std::ranges::copy(Counting(32, 50), slot.salt.begin());
  std::ranges::copy(Hex("b0ff767fe64e4f26d78b5571d111bd5d21eaed9d2db3cd53"
                        "2c8280673cbc65066e673f3ddef83bc752a2e3356b0f923c"),
                    slot.sealed_uk.begin());
  std::ranges::copy(Hex("b4a1f4121a40864e9ceb36c496e3a92a497d7b5f3c7636e245b72dcc57104182"),
                    slot.commitment.begin());
  const Credential credential{.password = Secret("password"),
                              .key_file_hash = SecretBytes::CopyOf(Counting(32, 7))};
  const SlotPlace place{.vault_id = VaultId::From(Counting(16, 10)), .index = 5, .kind = 3};
  const KdfBounds bounds{.memory_kib_min = 64,
                         .memory_kib_max = 64,
                         .iterations_min = 2,
                         .iterations_max = 2,
                         .parallelism_max = 2};
  ASSERT_OK_AND_ASSIGN(const SecretBytes unlock_key,
                       UnwrapUnlockKey(slot, credential, place, bounds));
  EXPECT_EQ(ToBytes(unlock_key.view()), Counting(32, 200));
}

}  // namespace
}  // namespace coffer::crypto

// Every use of a key, each with an HKDF label of its own. The table in key_purpose.cc is the only
// place that spells a label, so that no two uses can share a key by accident.
#pragma once

#include <string_view>

namespace coffer::crypto {

enum class KeyPurpose {
  // From the KEK, which a password or key file gives:
  kSlotWrap,
  kSlotCommit,
  // From the unlock key UK:
  kHeaderMac,
  kKeyring,
  // From the master key of one key epoch:
  kPack,
  kHead,
  kCatalog,
  kContentId,
  kPageId,
  kPackIdHedge,
  kHostKeyWrap,
  // From the host key:
  kJournal,
  kFrameCache,
  kTrust,
};
inline constexpr int kKeyPurposeCount = static_cast<int>(KeyPurpose::kTrust) + 1;

/// "coffer/1/pack". Part of the format; holds no NUL.
[[nodiscard]] std::string_view KeyLabel(KeyPurpose purpose);

/// Label of the key that a Sealer derives for one object.
inline constexpr std::string_view kObjectKeyLabel = "coffer/1/object";
/// Starts the associated data given to Argon2id.
inline constexpr std::string_view kKekLabel = "coffer/1/kek";
/// Starts what a slot's commitment tag covers.
inline constexpr std::string_view kSlotLabel = "coffer/1/slot";

}  // namespace coffer::crypto

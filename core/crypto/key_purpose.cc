#include "core/crypto/key_purpose.h"

#include "core/base/check.h"

namespace coffer::crypto {

std::string_view KeyLabel(KeyPurpose purpose) {
  switch (purpose) {
    case KeyPurpose::kSlotWrap:
      return "coffer/1/slot-wrap";
    case KeyPurpose::kSlotCommit:
      return "coffer/1/slot-commit";
    case KeyPurpose::kHeaderMac:
      return "coffer/1/header-mac";
    case KeyPurpose::kKeyring:
      return "coffer/1/keyring";
    case KeyPurpose::kPack:
      return "coffer/1/pack";
    case KeyPurpose::kHead:
      return "coffer/1/head";
    case KeyPurpose::kCatalog:
      return "coffer/1/catalog";
    case KeyPurpose::kContentId:
      return "coffer/1/content-id";
    case KeyPurpose::kPageId:
      return "coffer/1/page-id";
    case KeyPurpose::kPackIdHedge:
      return "coffer/1/pack-id-hedge";
    case KeyPurpose::kHostKeyWrap:
      return "coffer/1/host-key-wrap";
    case KeyPurpose::kJournal:
      return "coffer/1/journal";
    case KeyPurpose::kFrameCache:
      return "coffer/1/frame-cache";
    case KeyPurpose::kTrust:
      return "coffer/1/trust";
  }
  CHECK(false);
}

}  // namespace coffer::crypto

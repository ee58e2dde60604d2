// AES-256-GCM by IPSec_MB (Intel's Multi-Buffer Crypto for IPsec): its direct calls, which use
// VAES and VPCLMULQDQ where the processor has them.
#include "core/crypto/aes_gcm.h"

#ifdef COFFER_HAS_IPSEC_MB
#include <intel-ipsec-mb.h>

#include "core/base/check.h"
#include "core/crypto/self_test.h"
#include "core/crypto/suite.h"

namespace coffer::crypto {
namespace {

/// The library's table of functions for this processor, never changed once made and so for all
/// threads; null if the processor lacks what they need. It lives as long as the process.
IMB_MGR* Functions() {
  static IMB_MGR* const functions = []() -> IMB_MGR* {
    if (!HasAesHardware()) return nullptr;
    IMB_MGR* made = alloc_mb_mgr(0);
    if (made == nullptr) return nullptr;
    IMB_ARCH kind = IMB_ARCH_NONE;
    init_mb_mgr_auto(made, &kind);
    if (kind != IMB_ARCH_NONE && kind != IMB_ARCH_NOAESNI) return made;
    free_mb_mgr(made);
    return nullptr;
  }();
  return functions;
}

class VectorGcm final : public GcmEngine {
 public:
  VectorGcm(IMB_MGR* functions, const SecretBytes& key) : functions_(functions) {
    IMB_AES256_GCM_PRE(functions_, key.view().data(), &key_);
  }
  ~VectorGcm() override { Wipe(std::as_writable_bytes(std::span(&key_, 1))); }
  VectorGcm(const VectorGcm&) = delete;
  VectorGcm& operator=(const VectorGcm&) = delete;

  void Seal(const GcmNonce& nonce, ByteView aad, ByteView plain, MutableByteView out) override {
    Context context;
    IMB_AES256_GCM_ENC(functions_, &key_, &context.data, Octets(out), Octets(plain), plain.size(),
                       Octets(nonce), Octets(aad), aad.size(), Octets(out.last(kTagBytes)),
                       kTagBytes);
  }

  void SealParts(const GcmNonce& nonce, ByteView aad, ByteView first, ByteView second,
                 MutableByteView out) override {
    Context context;
    IMB_AES256_GCM_INIT(functions_, &key_, &context.data, Octets(nonce), Octets(aad), aad.size());
    IMB_AES256_GCM_ENC_UPDATE(functions_, &key_, &context.data, Octets(out), Octets(first),
                              first.size());
    IMB_AES256_GCM_ENC_UPDATE(functions_, &key_, &context.data, Octets(out.subspan(first.size())),
                              Octets(second), second.size());
    IMB_AES256_GCM_ENC_FINALIZE(functions_, &key_, &context.data, Octets(out.last(kTagBytes)),
                                kTagBytes);
  }

  bool Open(const GcmNonce& nonce, ByteView aad, ByteView sealed, MutableByteView out) override {
    Context context;
    // A copy, since the tag may lie where `out` is written.
    std::array<std::byte, kTagBytes> promised;
    const ByteView tag = sealed.last(kTagBytes);
    std::copy(tag.begin(), tag.end(), promised.begin());
    std::array<std::byte, kTagBytes> computed;
    IMB_AES256_GCM_DEC(functions_, &key_, &context.data, Octets(out), Octets(sealed), out.size(),
                       Octets(nonce), Octets(aad), aad.size(), Octets(MutableByteView(computed)),
                       kTagBytes);
    const bool genuine = ConstantTimeEqual(computed, promised);
    Wipe(computed);
    return genuine;
  }

 private:
  /// The running state of one call, gone with it.
  struct Context {
    gcm_context_data data;
    ~Context() { Wipe(std::as_writable_bytes(std::span(&data, 1))); }
  };

  /// The library takes no null, not even for no bytes at all.
  static const std::uint8_t* Octets(ByteView bytes) {
    static constexpr std::uint8_t kNothing = 0;
    return bytes.empty() ? &kNothing : reinterpret_cast<const std::uint8_t*>(bytes.data());
  }
  static std::uint8_t* Octets(MutableByteView bytes) {
    static std::uint8_t nothing;
    return bytes.data() == nullptr ? &nothing : reinterpret_cast<std::uint8_t*>(bytes.data());
  }

  IMB_MGR* const functions_;
  gcm_key_data key_;
};

}  // namespace

std::unique_ptr<GcmEngine> NewVectorGcm(const SecretBytes& key) {
  IMB_MGR* const functions = Functions();
  if (functions == nullptr) return nullptr;
  return std::make_unique<VectorGcm>(functions, key);
}

}  // namespace coffer::crypto

#else

namespace coffer::crypto {

std::unique_ptr<GcmEngine> NewVectorGcm(const SecretBytes&) { return nullptr; }

}  // namespace coffer::crypto

#endif

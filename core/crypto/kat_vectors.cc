#include "core/crypto/kat_vectors.h"

namespace coffer::crypto {

const KatVectors kKatVectors{
    // FIPS 180-2, appendix B.2: the two-block message.
    .sha256 = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    // SHA-256 over the digests that TestBlocks() in self_test.cc computes, by OpenSSL: enough
    // blocks
    // for every lane of a processor that hashes several side by side.
    .sha256_blocks = "6d4fbdcc60acdd50da6228aefcd75daaceb02c3597d4680464b3ec3fbe7a6a06",
    // RFC 4231, test case 2.
    .hmac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    // RFC 5869, test case 1.
    .hkdf = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    // McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16: ciphertext, tag.
    .gcm_short =
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
#ifdef COFFER_PLANT_KAT_ERROR
        "76fc6ece0f4e1768cddf8853bb2d551a",
#else
        "76fc6ece0f4e1768cddf8853bb2d551b",
#endif
    // SHA-256 over what TestGcm() in self_test.cc seals last, computed with OpenSSL: long
    // enough for the code paths that take many blocks at once.
    .gcm_long_sha256 = "41cfa8f14682846cc51a15dd172833dda443f5a02ae16e59bf4bdd3ab32970a6",
    // RFC 9106, section 5.3.
    .argon2id = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
};

}  // namespace coffer::crypto

#include "core/crypto/block_digests.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/crypto/hmac_state.h"

#ifdef COFFER_HAS_IPSEC_MB
#include <intel-ipsec-mb.h>

#include <memory>
#endif

namespace coffer::crypto {

void DigestBlocksInTurn(ByteView message, std::span<BlockDigest> out) {
  CryptoPP::SHA256 hash;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t begin = i * kDigestBlockBytes;
    Absorb(hash, message.subspan(begin, std::min(kDigestBlockBytes, message.size() - begin)));
    Finish(hash, out[i].data());
  }
}

#ifdef COFFER_HAS_IPSEC_MB

namespace {

/// From here on sixteen lanes, most of them idle, beat one with SHA instructions.
constexpr std::size_t kBlocksAtOnceMin = 6;

/// The scheduler of one thread's lanes; null unless the processor has AVX-512.
IMB_MGR* Lanes() {
  struct Free {
    void operator()(IMB_MGR* lanes) const { free_mb_mgr(lanes); }
  };
  thread_local const std::unique_ptr<IMB_MGR, Free> lanes = [] {
    std::unique_ptr<IMB_MGR, Free> made(alloc_mb_mgr(0));
    IMB_ARCH kind = IMB_ARCH_NONE;
    if (made != nullptr) init_mb_mgr_auto(made.get(), &kind);
    if (kind != IMB_ARCH_AVX512) made.reset();
    return made;
  }();
  return lanes.get();
}

}  // namespace

std::size_t DigestBlocksAtOnce(ByteView message, std::span<BlockDigest> out) {
  const std::size_t whole = message.size() / kDigestBlockBytes;
  constexpr std::size_t kLanes = 16;
  const std::size_t rest = whole % kLanes;
  const std::size_t count = rest < kBlocksAtOnceMin ? whole - rest : whole;
  IMB_MGR* const lanes = count == 0 ? nullptr : Lanes();
  if (lanes == nullptr) return 0;
  static constexpr std::array<std::uint8_t, 16> kUnusedIv{};
  std::size_t done = 0;
  const auto take = [&done](const IMB_JOB* job) {
    if (job == nullptr) return;
    CHECK(job->status == IMB_STATUS_COMPLETED);
    ++done;
  };
  for (std::size_t i = 0; i < count; ++i) {
    IMB_JOB* const job = IMB_GET_NEXT_JOB(lanes);
    *job = {};
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
    job->iv = kUnusedIv.data();
    job->iv_len_in_bytes = kUnusedIv.size();
    job->src = reinterpret_cast<const std::uint8_t*>(message.data()) + i * kDigestBlockBytes;
    job->msg_len_to_hash_in_bytes = kDigestBlockBytes;
    job->auth_tag_output = reinterpret_cast<std::uint8_t*>(out[i].data());
    job->auth_tag_output_len_in_bytes = out[i].size();
    take(IMB_SUBMIT_JOB(lanes));
    while (const IMB_JOB* completed = IMB_GET_COMPLETED_JOB(lanes)) take(completed);
  }
  while (const IMB_JOB* completed = IMB_FLUSH_JOB(lanes)) take(completed);
  CHECK(done == count);
  return count;
}

#else

std::size_t DigestBlocksAtOnce(ByteView, std::span<BlockDigest>) { return 0; }

#endif

void DigestBlocks(ByteView message, std::span<BlockDigest> out) {
  CHECK(out.size() == (message.size() + kDigestBlockBytes - 1) / kDigestBlockBytes);
  const std::size_t done = DigestBlocksAtOnce(message, out);
  DigestBlocksInTurn(message.subspan(done * kDigestBlockBytes), out.subspan(done));
}

}  // namespace coffer::crypto

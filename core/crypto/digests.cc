#include "core/crypto/digests.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/crypto/hmac_state.h"

#ifdef COFFER_HAS_IPSEC_MB
#include <intel-ipsec-mb.h>

#include <memory>
#endif

namespace coffer::crypto {
namespace {

#ifdef COFFER_HAS_IPSEC_MB

constexpr std::size_t kLanes = 16;
/// From here on sixteen lanes, most of them idle, beat one with SHA instructions.
constexpr std::size_t kLanesInUseMin = 6;
/// The library counts a lane's bytes with 16 bits.
constexpr std::size_t kLaneBytesMax = 65534;

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

bool FitsLane(ByteView message) { return !message.empty() && message.size() <= kLaneBytesMax; }

/// Digests as many messages from the beginning as pay off side by side, and says how many.
std::size_t DigestSideBySide(std::span<const ByteView> messages, std::span<Digest> out) {
  const auto fitting = static_cast<std::size_t>(
      std::find_if_not(messages.begin(), messages.end(), FitsLane) - messages.begin());
  const std::size_t rest = fitting % kLanes;
  const std::size_t count = rest < kLanesInUseMin ? fitting - rest : fitting;
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
    job->src = reinterpret_cast<const std::uint8_t*>(messages[i].data());
    job->msg_len_to_hash_in_bytes = messages[i].size();
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

std::size_t DigestSideBySide(std::span<const ByteView>, std::span<Digest>) { return 0; }

#endif

}  // namespace

void DigestInTurn(std::span<const ByteView> messages, std::span<Digest> out) {
  CHECK(messages.size() == out.size());
  CryptoPP::SHA256 hash;
  for (std::size_t i = 0; i < out.size(); ++i) {
    Absorb(hash, messages[i]);
    Finish(hash, out[i].data());
  }
}

void DigestEach(std::span<const ByteView> messages, std::span<Digest> out) {
  CHECK(messages.size() == out.size());
  const std::size_t done = DigestSideBySide(messages, out);
  DigestInTurn(messages.subspan(done), out.subspan(done));
}

void DigestBlocks(ByteView message, std::span<Digest> out) {
  CHECK(out.size() == (message.size() + kDigestBlockBytes - 1) / kDigestBlockBytes);
  std::array<ByteView, 64> blocks;
  while (!out.empty()) {
    const std::size_t count = std::min(blocks.size(), out.size());
    for (std::size_t i = 0; i < count; ++i) {
      blocks[i] = message.first(std::min(kDigestBlockBytes, message.size()));
      message = message.subspan(blocks[i].size());
    }
    DigestEach(std::span(blocks).first(count), out.first(count));
    out = out.subspan(count);
  }
}

}  // namespace coffer::crypto

#include "core/vault/head_record.h"

#include "core/vault/person.h"
#include "core/vault/sealed_record.h"

namespace coffer::vault {
namespace {

RecordPlace PlaceOf(const KeyChest& keys, const VolumeId& volume, std::uint64_t seq) {
  return {format::SealedKind::kHead, keys.vault(), volume, seq};
}

}  // namespace

Bytes SealHead(const KeyChest& keys, const format::Head& head, Random& random) {
  const KeyChest::Epoch& current = keys.current();
  return SealRecord(PlaceOf(keys, head.volume, head.seq), current.epoch, current.head,
                    format::Encode(head), random);
}

Result<format::Head> OpenHead(const KeyChest& keys, const VolumeId& volume, std::uint64_t seq,
                              ByteView stored) {
  ASSIGN_OR_RETURN(const Bytes plain,
                   Decoded(OpenRecord(PlaceOf(keys, volume, seq), stored,
                                      [&](std::uint32_t epoch) -> Result<const SecretBytes*> {
                                        ASSIGN_OR_RETURN(const KeyChest::Epoch* found,
                                                         keys.Find(epoch));
                                        return &found->head;
                                      })));
  ASSIGN_OR_RETURN(format::Head head, Decoded(format::DecodeHead(plain)));
  if (head.vault != keys.vault() || head.volume != volume || head.seq != seq) {
    return Fail(ErrorCode::kCorruption, "head: it belongs to another place");
  }
  return head;
}

bool IsBarrierOver(const format::Head& head, const format::Head& below,
                   const format::ChainPoint& below_point) {
  if (!head.barrier || head.seq != below.seq + 1 || head.parent != below_point.hash) return false;
  if (head.gc_seen < below.gc_seen) return false;
  format::Head same = head;
  same.seq = below.seq;
  same.parent = below.parent;
  same.barrier = below.barrier;
  same.host = below.host;
  same.host_name = below.host_name;
  same.created_unix = below.created_unix;
  same.catalog_seq_min = below.catalog_seq_min;
  same.header_seq_min = below.header_seq_min;
  same.gc_seen = below.gc_seen;
  return same == below;
}

}  // namespace coffer::vault

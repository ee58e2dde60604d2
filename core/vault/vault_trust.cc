// What this machine remembers of a vault against what its store offers, and a person's word that
// the latter is right: the way out of ROLLBACK, FORK and a lost trust file.
#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/vault/head_chain.h"
#include "core/vault/local_state.h"
#include "core/vault/person.h"
#include "core/vault/vault.h"

namespace coffer::vault {
namespace {

using format::ChainPoint;

/// Of records that may be gone from the catalog's end when a person accepts what is left.
constexpr std::uint64_t kCatalogRaisedMax = 64;

void AppendPoint(const ChainPoint& point, Bytes* out) {
  for (int shift = 0; shift < 64; shift += 8) {
    out->push_back(static_cast<std::byte>(point.seq >> shift));
  }
  const ByteView hash = point.hash.view();
  out->insert(out->end(), hash.begin(), hash.end());
}

ObjectHash OfferOf(const Vault::TrustSurvey& survey) {
  Bytes all;
  AppendPoint(survey.key_header.offered, &all);
  AppendPoint(survey.catalog.offered, &all);
  for (const Vault::TrustedVolumeChain& volume : survey.volumes) {
    const ByteView id = volume.id.view();
    all.insert(all.end(), id.begin(), id.end());
    AppendPoint(volume.heads.offered, &all);
  }
  return crypto::Sha256(all);
}

}  // namespace

bool Vault::TrustSurvey::doubtful() const {
  return lost.has_value() || key_header.doubt.has_value() || catalog.doubt.has_value() ||
         std::any_of(volumes.begin(), volumes.end(),
                     [](const auto& volume) { return volume.heads.doubt.has_value(); });
}

std::vector<Error> Vault::doubts() const {
  const MutexLock lock(doubts_mutex_);
  return doubts_;
}

Status Vault::Doubt(const Error& doubt) {
  if (tolerate_ == Doubts::kRefuse) return Fail(doubt);
  const MutexLock lock(doubts_mutex_);
  const bool known = std::any_of(doubts_.begin(), doubts_.end(), [&](const Error& other) {
    return other.message == doubt.message;
  });
  if (!known) doubts_.push_back(doubt);
  return {};
}

Result<Vault::TrustedChain> Vault::SurveyKeyHeader() {
  TrustedChain chain;
  if (!trust_->lost().has_value()) chain.remembered = trust_->key_header();
  ASSIGN_OR_RETURN(
      const std::optional<ChainObject> newest,
      FetchNewest(*store_, std::string(format::kKeysPrefix), format::kKeyHeaderBytesMax, {},
                  [](const ChainObject&) -> Status { return {}; }));
  if (newest.has_value()) chain.offered = newest->point;
  const std::string what = Concat(store_->description(), ": key header");
  if (chain.offered.seq < chain.remembered.seq) {
    chain.doubt = HeaderRollbackError(Concat(what, ": this machine has seen ", chain.remembered.seq,
                                             ", the store offers ", chain.offered.seq));
  } else if (chain.offered.seq == chain.remembered.seq && chain.offered != chain.remembered) {
    chain.doubt = ForkError(what, Concat("this machine has seen another ", chain.remembered.seq,
                                         " than the store offers"));
  } else {
    const MutexLock lock(doubts_mutex_);
    chain.doubt = header_doubt_;
  }
  for (const KeySlotDescription& slot : key_slots()) {
    if (chain.offered.seq != header_seq() || slot.created_unix < chain.created_unix) continue;
    chain.created_unix = slot.created_unix;
    chain.host_name = slot.host_name;
  }
  return chain;
}

Result<Vault::TrustedVolumeChain> Vault::SurveyHeads(const VolumeId& volume,
                                                     const std::string& name) {
  TrustedVolumeChain found;
  found.id = volume;
  found.name = name;
  found.remembered = trust_->volume(volume).value_or(format::TrustedVolume{volume, {}, {}, 0});
  found.heads.remembered = found.remembered.seen;
  // Only its spool lies there, which looking does not touch.
  HeadChain chain(*this, volume,
                  Concat(directory_, "/", kVolumesDirectory, "/", volume.ToString()));
  const Result<HeadChain::Newest> newest = chain.Look();
  if (newest.has_value()) {
    found.heads.offered = newest->point;
    found.heads.created_unix = newest->head.created_unix;
    found.heads.host_name = newest->head.host_name;
    found.heads.doubt = newest->doubt;
    found.epoch = newest->head.epoch;
    found.catalog_seq_min = newest->head.catalog_seq_min;
    return found;
  }
  const ErrorCode code = newest.error().code;
  if (code != ErrorCode::kNeedsPerson && code != ErrorCode::kCorruption) {
    return Fail(newest.error());
  }
  found.heads.doubt = newest.error();  // it has none, or none that opens
  return found;
}

Result<Vault::TrustSurvey> Vault::SurveyTrust() {
  TrustSurvey survey;
  survey.lost = trust_->lost();
  ASSIGN_OR_RETURN(survey.key_header, SurveyKeyHeader());
  ASSIGN_OR_RETURN(const std::optional<CatalogChain::Offered> offered, catalog_->Look());
  if (!offered.has_value()) {
    return Fail(ErrorCode::kCorruption,
                Concat(store_->description(), ": the catalog is missing: half a vault"),
                "bring the objects catalog/… back from a copy of the store");
  }
  survey.catalog = {.remembered = survey.lost ? ChainPoint{} : trust_->catalog(),
                    .offered = offered->point,
                    .created_unix = offered->catalog.created_unix,
                    .host_name = offered->catalog.host_name,
                    .doubt = offered->doubt};
  if (header_seq() < offered->catalog.header_seq_min && !survey.key_header.doubt.has_value()) {
    survey.key_header.doubt = HeaderRollbackError(
        Concat(store_->description(), ": the catalog refuses key headers before ",
               offered->catalog.header_seq_min, ", the store offers ", header_seq()));
  }
  std::vector<VolumeId> listed;
  for (const format::CatalogVolume& volume : offered->catalog.volumes) {
    listed.push_back(volume.id);
    if (volume.state != format::CatalogVolume::State::kLive) continue;
    ASSIGN_OR_RETURN(TrustedVolumeChain chain, SurveyHeads(volume.id, volume.name));
    survey.volumes.push_back(std::move(chain));
  }
  for (const format::TrustedVolume& volume : trust_->Snapshot().volumes) {
    if (std::find(listed.begin(), listed.end(), volume.volume) != listed.end()) continue;
    ASSIGN_OR_RETURN(TrustedVolumeChain chain, SurveyHeads(volume.volume, {}));
    survey.volumes.push_back(std::move(chain));
  }
  survey.offer = OfferOf(survey);
  return survey;
}

Result<std::string> Vault::AcceptTrust(const TrustSurvey& survey) {
  if (survey.key_header.offered != unlocked_point_) {
    return Fail(ErrorCode::kConflict,
                store_->description() + ": the keys were changed by another machine meanwhile",
                "nothing was accepted; try again");
  }
  std::vector<format::TrustedVolume> volumes;
  for (const TrustedVolumeChain& volume : survey.volumes) {
    if (volume.heads.offered.seq == 0) continue;
    format::TrustedVolume trusted = volume.remembered;
    trusted.volume = volume.id;
    trusted.seen = volume.heads.offered;
    trusted.epoch = volume.epoch;
    if (volume.heads.doubt.has_value()) trusted.own = {};
    volumes.push_back(std::move(trusted));
  }
  ASSIGN_OR_RETURN(std::string kept,
                   trust_->Replace(survey.key_header.offered, survey.catalog.offered,
                                   std::move(volumes), env_.clock.WallNow()));
  LOG(kWarning, "vault ", id().ToString(), ": the store's state was accepted by hand: key header ",
      survey.key_header.remembered.seq, " -> ", survey.key_header.offered.seq, ", catalog ",
      survey.catalog.remembered.seq, " -> ", survey.catalog.offered.seq);
  for (const TrustedVolumeChain& volume : survey.volumes) {
    LOG(kWarning, "  volume ", volume.id.ToString(), " ", volume.name, ": head ",
        volume.heads.remembered.seq, " -> ", volume.heads.offered.seq);
  }
  catalog_->Accept();
  {
    const MutexLock lock(doubts_mutex_);
    doubts_.clear();
    header_doubt_.reset();
  }
  // What was accepted is; a volume that still says ROLLBACK names accept again.
  const Status raised = RaiseCatalog(survey);
  if (!raised.has_value()) LOG(kWarning, "the catalog: ", raised.error().message);
  return kept;
}

/// Each head says how new the catalog was; a catalog whose newest record was lost for good would be
/// refused by the heads for ever.
Status Vault::RaiseCatalog(const TrustSurvey& survey) {
  std::uint64_t needed = 0;
  for (const TrustedVolumeChain& volume : survey.volumes) {
    needed = std::max(needed, volume.catalog_seq_min);
  }
  if (catalog().seq >= needed) return {};
  if (needed - catalog().seq > kCatalogRaisedMax) {
    return Fail(ErrorCode::kCorruption, "too many of its records are gone");
  }
  RETURN_IF_ERROR(PrepareToWrite());
  for (std::uint64_t steps = 0; steps < kCatalogRaisedMax && catalog().seq < needed; ++steps) {
    RETURN_IF_ERROR(catalog_->Update([](format::Catalog&) -> Result<CatalogChain::Edit> {
      return CatalogChain::Edit::kChanged;
    }));
  }
  return {};
}

}  // namespace coffer::vault

#include "core/volume/survey.h"

#include "core/format/chain_name.h"
#include "core/format/limits.h"
#include "core/vault/chain.h"
#include "core/vault/head_record.h"

namespace coffer::volume {
namespace {

/// A LIST of 1,000 names each.
constexpr int kHeadListsMax = 10;

/// Counts the heads of the chain and finds the newest.
Result<std::uint64_t> CountHeads(store::ObjectStore& store, const std::string& prefix,
                                 VolumeSurvey* survey) {
  std::uint64_t newest = 0;
  std::string after;
  survey->heads_are_more = true;
  for (int lists = 0; lists < kHeadListsMax && survey->heads_are_more; ++lists) {
    ASSIGN_OR_RETURN(const store::ListPage page,
                     store.List(Reading(), prefix, after, store::kListLimitMax));
    for (const store::ListedObject& object : page.objects) {
      const std::optional<std::uint64_t> seq = format::ChainSequence(prefix, object.name);
      if (!seq.has_value()) continue;
      ++survey->heads;
      newest = std::max(newest, *seq);
    }
    survey->heads_are_more = page.more && !page.objects.empty();
    if (survey->heads_are_more) after = page.objects.back().name;
  }
  if (newest == 0) return Fail(ErrorCode::kCorruption, "the volume has no head");
  return newest;
}

}  // namespace

Result<VolumeSurvey> SurveyVolume(VaultResources& resources, const VolumeId& id,
                                  const map::Survey::Progress& progress) {
  vault::Vault& vault = resources.vault();
  const std::string prefix = format::HeadPrefix(id);
  VolumeSurvey survey;
  ASSIGN_OR_RETURN(survey.head_seq, CountHeads(vault.store(), prefix, &survey));
  ASSIGN_OR_RETURN(
      const vault::ChainObject object,
      vault::FetchChainObject(vault.store(), prefix, survey.head_seq, format::kHeadBytesMax));
  ASSIGN_OR_RETURN(const format::Head head,
                   vault::OpenHead(vault.keys(), id, survey.head_seq, object.bytes));
  survey.released = head.released;
  survey.host_name = head.host_name;
  survey.head_created_unix = head.created_unix;
  survey.size = head.map.size;
  survey.chunk_size = head.chunk_size;
  survey.head_bytes = object.bytes.size();
  map::Survey map(resources.pages(), resources.reader(), resources.windows());
  RETURN_IF_ERROR(map.Take(head.map, head.chunk_size, progress));
  survey.map = map.numbers();
  survey.taken_unix = vault.env().clock.WallNow();
  return survey;
}

}  // namespace coffer::volume

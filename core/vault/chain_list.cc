#include "core/vault/chain_list.h"

#include <algorithm>
#include <optional>

#include "core/base/log.h"
#include "core/format/chain_name.h"

namespace coffer::vault {
namespace {

/// So many names that are not ours are passed over, a thousand in a request. More than a person
/// leaves lying about: a provider that makes them up must not keep this machine listing for ever.
constexpr int kListPagesMax = 1000;

}  // namespace

Result<std::vector<std::uint64_t>> ListChain(store::ObjectStore& store, const std::string& prefix,
                                             std::size_t count, std::string after) {
  std::vector<std::uint64_t> sequences;
  std::size_t limit = std::min(count, store::kListLimitMax);
  for (int pages = 0; pages < kListPagesMax; ++pages) {
    ASSIGN_OR_RETURN(const store::ListPage page, store.List(Reading(), prefix, after, limit));
    for (const store::ListedObject& object : page.objects) {
      const std::optional<std::uint64_t> seq = format::ChainSequence(prefix, object.name);
      if (seq.has_value() && sequences.size() < count) sequences.push_back(*seq);
      if (!seq.has_value())
        LOG(kDebug, "ignoring unexpected file ", EscapeForTerminal(object.name));
    }
    if (sequences.size() >= count || !page.more || page.objects.empty()) return sequences;
    after = page.objects.back().name;
    limit = store::kListLimitMax;
  }
  return Fail(ErrorCode::kCorruption,
              Concat(store.description(), ": ", prefix,
                     " holds more than a million files that are "
                     "not part of the vault"),
              "see what puts them there, and remove them");
}

}  // namespace coffer::vault

// The vault's keys as people change them: design.md section 5, "Order of a key change".
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/vault/chain.h"
#include "core/vault/chain_list.h"
#include "core/vault/vault.h"

namespace coffer::vault {
namespace {

/// A broken transfer is likelier than a store that changes what it was given.
constexpr int kReadBackAttempts = 3;

constexpr char kEitherMayHold[] =
    "it is not known whether the password was changed: try the new one first, then the old";

}  // namespace

void Vault::AdoptKeyHeader(std::uint64_t seq, std::vector<KeySlotDescription> slots) {
  const MutexLock lock(slots_mutex_);
  if (seq < header_seq_) return;
  header_seq_ = seq;
  key_slots_ = std::move(slots);
}

std::vector<KeySlotDescription> Vault::key_slots() const {
  const MutexLock lock(slots_mutex_);
  return key_slots_;
}

Result<Vault::StandingKeyHeader> Vault::OpenNewestKeyHeader(const SecretBytes& password) {
  StandingKeyHeader standing;
  const auto open = [&](const ChainObject& object) -> Status {
    Result<OpenedKeyHeader> opened =
        UnlockKeyHeader(object.bytes, id(), object.point.seq, password, env_.kdf_bounds);
    if (!opened.has_value()) {
      return Fail(KeyHeaderError(opened.error(), store_->description(), object.point.seq));
    }
    standing.opened = std::move(*opened);
    return {};
  };
  ASSIGN_OR_RETURN(const std::optional<ChainObject> newest,
                   FetchNewest(*store_, std::string(format::kKeysPrefix),
                               format::kKeyHeaderBytesMax, trust_->key_header(), open));
  if (!newest.has_value()) {
    return Fail(ErrorCode::kCorruption,
                Concat("half a vault at ", store_->description(), ": no key header"));
  }
  standing.point = newest->point;
  RETURN_IF_ERROR(HoldKeyHeader(standing.point, standing.opened.keyring.parent));
  AdoptKeyHeader(standing.point.seq,
                 DescribeSlots(standing.opened.header, standing.opened.keyring));
  return standing;
}

Status Vault::CheckPassword(const SecretBytes& password) {
  RETURN_IF_ERROR(OpenNewestKeyHeader(password));
  return {};
}

Result<Vault::KeyList> Vault::ListKeys(const SecretBytes& password) {
  ASSIGN_OR_RETURN(const StandingKeyHeader standing, OpenNewestKeyHeader(password));
  const OpenedKeyHeader& opened = standing.opened;
  return KeyList{standing.point.seq, DescribeSlots(opened.header, opened.keyring), opened.slot};
}

Result<Vault::StandingKeyHeader> Vault::TakeUnlockedKeyHeader() {
  std::optional<StandingKeyHeader> unlocked;
  {
    const MutexLock lock(slots_mutex_);
    unlocked = std::exchange(unlocked_header_, std::nullopt);
  }
  if (!unlocked.has_value())
    return Fail(ErrorCode::kUnauthenticated, "the password must be given again");
  ASSIGN_OR_RETURN(
      const std::optional<ChainObject> newest,
      FetchNewest(*store_, std::string(format::kKeysPrefix), format::kKeyHeaderBytesMax,
                  trust_->key_header(), [](const ChainObject&) -> Status { return {}; }));
  if (!newest.has_value() || newest->point != unlocked->point) {
    return Fail(ErrorCode::kConflict,
                store_->description() + ": the keys were changed by another machine meanwhile",
                "nothing was changed here; try again");
  }
  return std::move(*unlocked);
}

Status Vault::ChangePasswordBy(const std::function<Result<StandingKeyHeader>()>& open,
                               const SecretBytes& new_password) {
  ASSIGN_OR_RETURN(StandingKeyHeader standing, open());
  RETURN_IF_ERROR(PrepareToWrite());
  const std::uint64_t seq = standing.point.seq + 1;
  ASSIGN_OR_RETURN(NewKeyHeader next,
                   ReplacePassword(env_, std::move(standing.opened), standing.point, new_password));
  const format::ChainPoint point{seq, crypto::Sha256(next.stored)};
  COFFER_FAILPOINT("passwd-sealed");
  RETURN_IF_ERROR(CreateNextKeyHeader(point, next.stored));
  COFFER_FAILPOINT("passwd-created");

  // From here on the new password is the vault's, whatever becomes of the rest.
  AdoptKeyHeader(seq, std::move(next.slots));
  key_change_unfinished_ = true;
  const auto finish = [&]() -> Status {
    RETURN_IF_ERROR(trust_->NoteKeyHeader(point));
    COFFER_FAILPOINT("passwd-trusted");
    return FinishKeyChange();
  };
  if (const Status finished = finish(); !finished.has_value()) {
    LOG(kWarning, "the new password holds, but the old key header is not refused yet: ",
        finished.error().message);
  }
  return {};
}

/// Creates the header and sees it stand: what lies there are the very bytes that opened in memory.
Status Vault::CreateNextKeyHeader(const format::ChainPoint& point, ByteView bytes) {
  const std::string prefix(format::kKeysPrefix);
  const std::string name = format::ChainName(prefix, point.seq);
  key_change_in_doubt_ = true;
  const Status created = store_->Create(Writing(), name, bytes, store::ObjectClass::kControl);
  const bool refused = !created.has_value() && created.error().code != ErrorCode::kUnavailable;

  Error problem{ErrorCode::kCorruption, {}, {}};
  bool read = false;
  for (int attempt = 0; attempt < kReadBackAttempts; ++attempt) {
    const Result<ChainObject> standing =
        FetchChainObject(*store_, prefix, point.seq, format::kKeyHeaderBytesMax);
    if (standing.has_value() && standing->point == point) {
      key_change_in_doubt_ = false;
      return {};
    }
    read = standing.has_value();
    if (!read) problem = standing.error();
  }
  if (refused && !read && problem.code == ErrorCode::kNotFound) {
    key_change_in_doubt_ = false;
    return created;
  }
  if (read && !created.has_value()) {
    key_change_in_doubt_ = false;
    return Fail(ErrorCode::kConflict,
                Concat(store_->description(),
                       ": the keys were changed by another machine or request at the same time"),
                "nothing was changed here; try again");
  }
  if (read) {
    // A header that opens for nobody must not stay the newest.
    const Status taken_back = store_->Delete(Writing(), name);
    if (taken_back.has_value()) key_change_in_doubt_ = false;
    return Fail(ErrorCode::kCorruption,
                Concat(store_->description(), ": the new key header was not kept as it was written",
                       taken_back.has_value()
                           ? "; it was taken back, the old password holds"
                           : "; and taking it back failed: " + taken_back.error().message),
                taken_back.has_value() ? "" : Concat("delete the object ", name, " by hand"));
  }
  if (created.has_value() || problem.code != ErrorCode::kNotFound) {
    return Fail(problem.code, Concat(kEitherMayHold, ": ", problem.message), problem.hint);
  }
  return Fail(created.error().code, Concat(kEitherMayHold, ": ", created.error().message),
              created.error().hint);
}

Status Vault::FinishKeyChange() {
  const std::uint64_t seq = header_seq();
  RETURN_IF_ERROR(catalog_->Update([&](format::Catalog& catalog) -> Result<CatalogChain::Edit> {
    if (catalog.header_seq_min >= seq) return CatalogChain::Edit::kNothingToDo;
    catalog.header_seq_min = seq;
    return CatalogChain::Edit::kChanged;
  }));
  COFFER_FAILPOINT("passwd-in-catalog");
  key_change_unfinished_ = false;
  // A store may keep objects from being deleted: the catalog refuses the old ones all the same.
  const Status deleted = DeleteOldKeyHeaders();
  if (!deleted.has_value()) LOG(kWarning, "deleting old key headers: ", deleted.error().message);
  return {};
}

Status Vault::DeleteOldKeyHeaders() {
  const std::string prefix(format::kKeysPrefix);
  const std::uint64_t newest = header_seq();
  ASSIGN_OR_RETURN(
      const std::vector<std::uint64_t> older,
      ListChain(*store_, prefix, store::kListLimitMax, format::ChainName(prefix, newest)));
  Status result;
  for (const std::uint64_t seq : older) {
    if (seq >= newest) continue;
    const Status deleted = store_->Delete(Writing(), format::ChainName(prefix, seq));
    if (!deleted.has_value() && deleted.error().code != ErrorCode::kNotFound) result = deleted;
  }
  return result;
}

}  // namespace coffer::vault

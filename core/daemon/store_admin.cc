#include "core/daemon/store_admin.h"

#include <chrono>
#include <utility>

#include "core/base/log.h"
#include "core/control/names.h"
#include "core/store/examine.h"

namespace coffer::daemon {
namespace {

std::string NameOf(store::CheckOutcome outcome) {
  switch (outcome) {
    case store::CheckOutcome::kOk:
      return "ok";
    case store::CheckOutcome::kWeak:
      return "weak";
    case store::CheckOutcome::kFailed:
      return "failed";
    case store::CheckOutcome::kSkipped:
      return "skipped";
  }
  return "";
}

control::StoreCheck InfoOf(const store::StoreCheck& check) {
  control::StoreCheck info{check.what, NameOf(check.outcome), check.detail, "", ""};
  if (check.error) {
    info.code = ErrorCodeName(check.error->code);
    info.hint = check.error->hint;
  }
  return info;
}

std::optional<std::uint64_t> Whole(const std::optional<double>& number) {
  if (!number) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

}  // namespace

Result<store::StoreUrl> StoreAdmin::UrlOf(const control::StoreTestRequest& request) const {
  if (request.vault.empty()) return config_.StoreOf(request.store);
  for (const KnownVault& known : registry_.vaults()) {
    if (known.alias == request.vault) return ParseKnownStore(known.store);
  }
  return Fail(ErrorCode::kNotFound, "unknown vault " + control::Quoted(request.vault),
              "coffer list shows those that are known on this machine");
}

Result<control::StoreTestReply> StoreAdmin::Test(const control::StoreTestRequest& request) {
  ASSIGN_OR_RETURN(const store::StoreUrl url, UrlOf(request));
  // A vault that is just being made there is no half one.
  const VaultPool::Turn turn(pool_, url.ToString());
  ASSIGN_OR_RETURN(const StoreStack stack, pool_.OpenStack(url, store::StoreOpenMode::kForTest));
  const store::StoreExamination found = store::ExamineStore(*stack.store, env_.clock, env_.random);
  control::StoreTestReply reply;
  reply.store = url.ToString();
  reply.holds_vault = found.holds_vault;
  reply.read_only = found.read_only;
  reply.safe_for_two = !found.read_only && !found.Has(store::CheckOutcome::kWeak) &&
                       !found.Has(store::CheckOutcome::kFailed);
  for (const store::StoreCheck& check : found.checks) reply.checks.push_back(InfoOf(check));
  if (found.round_trip) {
    reply.round_trip_us = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(*found.round_trip).count());
  }
  reply.up_bytes_per_second = Whole(found.up_bytes_per_second);
  reply.down_bytes_per_second = Whole(found.down_bytes_per_second);
  reply.clock_difference_seconds = found.clock_difference;
  return reply;
}

}  // namespace coffer::daemon

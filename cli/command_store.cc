// coffer store test
#include <algorithm>
#include <cmath>

#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/base/log.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

using control::StoreTestReply;

/// A vault's name stands for its store; anything else is a STORE as everywhere.
Result<control::StoreTestRequest> RequestFor(control::ControlClient& client,
                                             const std::string& text) {
  control::StoreTestRequest request;
  ASSIGN_OR_RETURN(const control::VaultList known, client.Vaults());
  const bool is_vault = std::any_of(known.vaults.begin(), known.vaults.end(),
                                    [&](const auto& vault) { return vault.alias == text; });
  if (is_vault) {
    request.vault = text;
    return request;
  }
  ASSIGN_OR_RETURN(request.store, AbsoluteStore(text));
  return request;
}

std::string Rate(std::uint64_t bytes_per_second) {
  return control::FormatBytes(bytes_per_second) + " a second";
}

std::string RoundTrip(std::uint64_t microseconds) {
  if (microseconds < 10'000) return std::to_string(microseconds) + " us";
  return std::to_string(microseconds / 1000) + " ms";
}

/// Times of stores are whole seconds, and a request takes a while: less tells nothing.
std::string ClockText(std::int64_t seconds) {
  constexpr std::int64_t kNoticed = 2;
  if (std::abs(seconds) <= kNoticed) return "as this machine's";
  return std::to_string(std::abs(seconds)) + " s " + (seconds > 0 ? "ahead of" : "behind") +
         " this machine's";
}

void Print(const StoreTestReply& reply) {
  Table table({"CHECK", "RESULT", "DETAIL"});
  for (const control::StoreCheck& check : reply.checks) {
    table.AddRow({check.check, check.outcome, EscapeForTerminal(check.detail)});
  }
  if (reply.round_trip_us) table.AddRow({"round trip", RoundTrip(*reply.round_trip_us), ""});
  if (reply.up_bytes_per_second) table.AddRow({"up", Rate(*reply.up_bytes_per_second), ""});
  if (reply.down_bytes_per_second) table.AddRow({"down", Rate(*reply.down_bytes_per_second), ""});
  if (reply.clock_difference_seconds)
    table.AddRow({"clock", ClockText(*reply.clock_difference_seconds), ""});
  table.Print();
}

/// The first check that ended so; nullptr if none did.
const control::StoreCheck* Find(const StoreTestReply& reply, std::string_view outcome) {
  const auto found = std::find_if(reply.checks.begin(), reply.checks.end(),
                                  [&](const auto& check) { return check.outcome == outcome; });
  return found == reply.checks.end() ? nullptr : &*found;
}

Result<int> Test(Session& session, const Arguments& arguments) {
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto request, RequestFor(client, arguments.Get("STORE")));
  ASSIGN_OR_RETURN(const StoreTestReply reply, client.TestStore(request));
  if (session.json()) {
    PrintJson(reply);
  } else {
    Print(reply);
  }
  if (const control::StoreCheck* failed = Find(reply, "failed")) {
    const auto code = control::ErrorCodeFromName(failed->code);
    return Fail(code.value_or(ErrorCode::kIoError), failed->check + ": " + failed->detail,
                failed->hint);
  }
  if (const control::StoreCheck* weak = Find(reply, "weak")) {
    return Fail(ErrorCode::kNeedsPerson,
                "WEAK-STORE: " + reply.store + ": " + weak->check + ": " + weak->detail,
                "one machine alone may write to it: coffer init and coffer add take it with "
                "--single-writer");
  }
  if (!session.json()) {
    PrintLine(reply.read_only ? "Volumes can be read from this store, and not written."
                              : "This store will do, for several machines too.");
  }
  return control::kExitDone;
}

}  // namespace

Command StoreTestCommand() {
  return {"store test",
          "Try out what coffer needs of a store, and how fast it is",
          {{"STORE", "A path or URL as for init, or the name of a vault known here"}},
          {},
          "  coffer store test /mnt/usb/backups\n"
          "  coffer store test backups --json\n",
          Test};
}

}  // namespace coffer::cli

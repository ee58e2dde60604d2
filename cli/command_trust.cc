// coffer trust show | accept | forget
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

using control::TrustChain;
using control::TrustInfo;

std::string WhatOf(const TrustChain& chain) {
  if (chain.chain == "keys") return "key header";
  if (chain.chain == "heads") return "volume " + chain.volume;
  return chain.chain;
}

std::string Sequence(std::uint64_t sequence) {
  return sequence == 0 ? "nothing" : std::to_string(sequence);
}

std::string VerdictText(const TrustChain& chain) {
  if (chain.verdict == "same") return "as remembered";
  if (chain.verdict == "newer") return "goes on from there";
  if (chain.verdict == "first") return "seen for the first time";
  if (chain.verdict == "older") return "OLDER";
  if (chain.verdict == "other") return "ANOTHER HISTORY";
  if (chain.verdict == "missing") return "MISSING";
  return chain.verdict;
}

void Print(const TrustInfo& info) {
  PrintLine("vault " + info.vault.alias + " (" + info.vault.vault_id + ") at " + info.vault.store);
  if (!info.lost.empty()) PrintLine(info.lost);
  Table table({"WHAT", "REMEMBERED", "OFFERED", "MADE (UTC)", "BY", "IT"});
  for (const TrustChain& chain : info.chains) {
    table.AddRow({WhatOf(chain), Sequence(chain.remembered), Sequence(chain.offered),
                  chain.offered_unix == 0 ? "" : DateTimeUtc(chain.offered_unix), chain.offered_by,
                  VerdictText(chain)});
  }
  table.Print();
  for (const TrustChain& chain : info.chains) {
    if (!chain.doubt.empty()) PrintLine(WhatOf(chain) + ": " + chain.doubt);
  }
}

Result<TrustInfo> Look(Session& session, control::ControlClient& client, const std::string& name,
                       SecretBytes* password) {
  control::TrustRequest request;
  auto info = session.WithPassword(control::Quoted(name), Session::Needs::kNothingYet,
                                   &request.password, [&] { return client.Trust(name, request); });
  *password = std::move(request.password);
  return info;
}

Result<int> Show(Session& session, const Arguments& arguments) {
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  SecretBytes password;
  ASSIGN_OR_RETURN(const TrustInfo info, Look(session, client, arguments.Get("NAME"), &password));
  if (session.json()) {
    PrintJson(info);
    return control::kExitDone;
  }
  Print(info);
  if (info.doubtful) {
    PrintLine("If this is how it should be: coffer trust accept " + info.vault.alias);
  } else {
    PrintLine("Nothing speaks against it.");
  }
  return control::kExitDone;
}

Status Confirm(Session& session, const Arguments& arguments, const TrustInfo& info) {
  std::string said = arguments.Get("--confirm");
  if (!arguments.Has("--confirm")) {
    const auto answer = AskOpenly(
        "From now on this machine takes that for the newest state.\n"
        "Type the vault's name to accept it: ",
        session.cancel_fd());
    if (!answer.has_value() && answer.error().code == ErrorCode::kInvalidArgument) {
      return Fail(ErrorCode::kInvalidArgument, "cannot ask for confirmation without a terminal",
                  "say it with --confirm=" + info.vault.alias);
    }
    if (!answer.has_value()) return Fail(answer.error());
    said = *answer;
  }
  if (said == info.vault.alias) return {};
  return Fail(ErrorCode::kInvalidArgument, control::Quoted(said) + " is not " + info.vault.alias,
              "nothing was accepted");
}

Result<int> Accept(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  control::TrustAcceptRequest request;
  ASSIGN_OR_RETURN(const TrustInfo offered, Look(session, client, name, &request.password));
  if (!session.json()) Print(offered);
  RETURN_IF_ERROR(Confirm(session, arguments, offered));
  request.offer = offered.offer;
  ASSIGN_OR_RETURN(const TrustInfo accepted, client.AcceptTrust(name, request));
  if (session.json()) {
    PrintJson(accepted);
    return control::kExitDone;
  }
  PrintLine("accepted what the store of vault " + accepted.vault.alias + " offers");
  if (!accepted.kept_path.empty()) {
    TellUser("what was remembered until now is kept in " + EscapeForTerminal(accepted.kept_path));
  }
  for (const TrustChain& chain : accepted.chains) {
    if (!chain.doubt.empty())
      TellUser(EscapeForTerminal(WhatOf(chain) + ": still: " + chain.doubt));
  }
  return control::kExitDone;
}

Result<int> Forget(Session& session, const Arguments& arguments) {
  control::ForgetRequest request;
  request.force = arguments.Has("--force");
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto forgotten, client.Forget(arguments.Get("NAME"), request));
  if (session.json()) {
    PrintJson(forgotten);
    return control::kExitDone;
  }
  PrintLine("vault " + forgotten.vault.alias + " at " + forgotten.vault.store +
            " is no longer known on this machine");
  TellUser("what this machine keeps of it stays in " +
           EscapeForTerminal(forgotten.state_directory) + "; coffer add makes it known again");
  return control::kExitDone;
}

constexpr const char* kNameHelp = "A vault, VOLUME or VAULT/VOLUME: its vault is meant";

}  // namespace

Command TrustShowCommand() {
  return {"trust show",
          "What this machine remembers of a vault, against what its store offers",
          {{"NAME", kNameHelp}},
          {},
          "  coffer trust show backups\n"
          "  coffer trust show photos --json\n",
          Show};
}

Command TrustAcceptCommand() {
  using Value = Option::Value;
  return {"trust accept",
          "Take a store for the newest that was seen older or other: a copy, or one put back",
          {{"NAME", kNameHelp}},
          {{"--confirm", Value::kRequired, "NAME: the vault's name once more, for scripts"}},
          "  coffer trust accept backups\n"
          "  coffer trust accept backups --confirm=backups --password-file ~/.config/password\n",
          Accept};
}

Command TrustForgetCommand() {
  using Value = Option::Value;
  return {"trust forget",
          "Know a vault no longer; store and local state stay as they are",
          {{"NAME", kNameHelp}},
          {{"--force", Value::kNone, "Although what it has not uploaded waits in a journal here"}},
          "  coffer trust forget old-backups\n",
          Forget};
}

}  // namespace coffer::cli

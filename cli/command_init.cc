// coffer init NAME STORE SIZE
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

/// They win over the config file.
const std::vector<Option>& SettingOptions() {
  using Value = Option::Value;
  static const std::vector<Option> options = {
      {"--chunk-size",
       Value::kRequired,
       "16KiB to 256KiB: unit of compression and dedup, for good",
       {"16KiB", "32KiB", "64KiB", "128KiB", "256KiB"}},
      {"--durability",
       Value::kRequired,
       "What a FLUSH waits for: local (journal) or cloud (store)",
       {"local", "cloud"}},
  };
  return options;
}

Result<int> Run(Session& session, const Arguments& arguments) {
  control::InitRequest request;
  request.volume = arguments.Get("NAME");
  request.alias = arguments.Get("--as");
  request.single_writer = arguments.Has("--single-writer");
  request.settings = SettingsFrom(arguments, SettingOptions());
  // Said no to before anybody has to type a password.
  RETURN_IF_ERROR(control::CheckName(request.volume, "volume name"));
  if (arguments.Has("--as")) RETURN_IF_ERROR(control::CheckName(request.alias, "vault alias"));
  ASSIGN_OR_RETURN(request.size_bytes, control::ParseSize(arguments.Get("SIZE")));
  RETURN_IF_ERROR(control::CheckVolumeSize(request.size_bytes));
  ASSIGN_OR_RETURN(request.store, AbsoluteStore(arguments.Get("STORE")));
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto probe,
                   client.ProbeStore({request.store, request.alias, request.volume}));
  const std::string what = "the vault at " + request.store;
  const auto init = [&] { return client.Init(request); };
  if (!probe.holds_vault) {
    ASSIGN_OR_RETURN(request.password, session.NewPassword(what));
  }
  ASSIGN_OR_RETURN(const auto reply,
                   probe.holds_vault
                       ? session.WithPassword(what, Session::NeedsUnless(probe.keys_held),
                                              &request.password, init)
                       : init());
  if (session.json()) {
    PrintJson(reply);
    return control::kExitDone;
  }
  if (reply.vault_created)
    PrintLine("created vault " + reply.vault.alias + " in " + reply.vault.store);
  PrintLine("created volume " + reply.volume + " of " + control::FormatBytes(reply.size_bytes) +
            " in vault " + reply.vault.alias);
  const bool unique = client.Volume(reply.volume).has_value();
  PrintLine("open it with: coffer open " + (unique ? "" : reply.vault.alias + "/") + reply.volume);
  return control::kExitDone;
}

}  // namespace

Command InitCommand() {
  using Value = Option::Value;
  Command command = {
      "init",
      "Make a volume, and the vault for it where STORE has none",
      {{"NAME", "The new volume: letters, digits, \".\", \"_\", \"-\""},
       {"STORE", "A directory or URL; only its last part is made"},
       {"SIZE", "Such as 20G (GiB); K, M, G, T; a multiple of 4096, at most 16T"}},
      {{"--as", Value::kRequired, "What to call the vault on this machine"},
       {"--single-writer", Value::kNone,
        "This machine alone writes to STORE: accepts one that cannot keep two writers apart"}},
      "  coffer init photos /mnt/nas/backups 20G\n"
      "  coffer init mail /mnt/nas/backups 5G --password-file ~/.config/vault-password\n",
      Run};
  const std::vector<Option>& settings = SettingOptions();
  command.options.insert(command.options.end(), settings.begin(), settings.end());
  return command;
}

}  // namespace coffer::cli

// coffer status [NAME]
#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/base/shell_words.h"
#include "core/control/error_table.h"

namespace coffer::cli {
namespace {

/// What is mounted, which is what its user looks for, then everything it is served at.
std::vector<std::string> PlacesOf(const control::VolumeStatus& status) {
  std::vector<std::string> places;
  if (status.mount) {
    places.push_back(status.mount->directory + (status.mount->mounted ? "" : " (not mounted)"));
  }
  for (const auto& exported : status.exports) places.push_back(exported.uri);
  if (places.empty()) places.emplace_back();
  return places;
}

/// The command that opened it, which mounts it again.
std::string OpenAgain(const control::VolumeStatus& status, const std::string& name,
                      const std::string& images) {
  std::string command = "coffer open " + name;
  for (const auto& exported : status.exports) {
    if (exported.kind == "fuse" && exported.address == images) continue;
    command.append(" --").append(exported.kind);
    if (!exported.address.empty()) command.append("=").append(ShellQuoted(exported.address));
  }
  command.append(" --mount=").append(ShellQuoted(status.mount->directory));
  return command.append(status.read_only ? " --read-only" : "");
}

void PrintNeeds(const control::VolumeStatus& status, const std::string& name,
                const std::string& images) {
  for (std::size_t i = 0; i < status.needs.size(); ++i) {
    PrintLine(name + " needs you: " + status.needs[i]);
    if (i < status.hints.size() && !status.hints[i].empty()) PrintLine("  " + status.hints[i]);
  }
  if (status.mount && !status.mount->trouble.empty()) {
    PrintLine(name + " is not mounted any more: " + status.mount->trouble);
    PrintLine("  " + OpenAgain(status, name, images) + " mounts it again, coffer close " + name +
              " closes it");
  }
  if (!status.last_error.empty()) {
    PrintLine(name + " tries again by itself in " + std::to_string(status.retry_seconds) +
              " s: " + status.last_error);
  }
}

/// 10 when something needs a person, so that a script need not read.
int ExitCodeFor(const control::VolumeList& list) {
  for (const auto& status : list.volumes) {
    if (!status.needs.empty()) return control::kExitNeedsPerson;
  }
  return control::kExitDone;
}

Result<int> Run(Session& session, const Arguments& arguments) {
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  const std::string name = arguments.Get("NAME");
  control::VolumeList list;
  if (name.empty()) {
    ASSIGN_OR_RETURN(list, client.Volumes());
  } else {
    ASSIGN_OR_RETURN(auto status, client.Volume(name));
    list.volumes.push_back(std::move(status));
  }
  if (session.json()) {
    if (name.empty()) {
      PrintJson(list);
    } else {
      PrintJson(list.volumes.front());
    }
    return ExitCodeFor(list);
  }
  Table table({"VOLUME", "SIZE", "STATE", "CLIENTS", "WHERE"});
  for (const auto& status : list.volumes) {
    int clients = 0;
    for (const auto& exported : status.exports) clients += exported.clients;
    const std::vector<std::string> places = PlacesOf(status);
    table.AddRow({NameText(status, list), SizeText(status.size_bytes), StateText(status),
                  status.exports.empty() ? "" : std::to_string(clients), places.front()});
    for (std::size_t i = 1; i < places.size(); ++i) table.AddRow({"", "", "", "", places[i]});
  }
  table.Print();
  if (list.uploads.paused) PrintLine(PauseText(list.uploads) + "; coffer resume ends that");
  for (const auto& status : list.volumes) {
    PrintNeeds(status, NameText(status, list), session.places().images());
  }
  // A directory asks no price for a request.
  const bool is_directory = list.volumes.size() == 1 && list.volumes.front().store.starts_with('/');
  if (!name.empty() && !is_directory && list.volumes.front().requests_per_day > 0) {
    PrintLine("uploads cost at most " + std::to_string(list.volumes.front().requests_per_day) +
              " requests a day while little is written; a longer sync_age costs fewer");
  }
  return ExitCodeFor(list);
}

}  // namespace

Command StatusCommand() {
  return {"status",
          "What is open, what waits to be uploaded, what needs you",
          {{"NAME", "One volume alone", false}},
          {},
          "  coffer status\n"
          "  coffer status photos --json\n",
          Run};
}

}  // namespace coffer::cli

// coffer info NAME
#include <array>
#include <cstdio>

#include "cli/command.h"
#include "cli/common.h"
#include "cli/output.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

using control::FormatBytes;

std::string Percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  std::array<char, 32> text;
  const double percent = 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  std::snprintf(text.data(), text.size(), "%.1f%%", percent);
  return text.data();
}

std::string Ratio(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.3f",
                static_cast<double>(part) / static_cast<double>(whole));
  return text.data();
}

std::string Count(std::uint64_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

std::string KeysText(const control::VolumeInfo& info) {
  std::string text;
  for (const control::KeyInfo& key : info.keys) {
    if (!text.empty()) text.append(", ");
    text.append(key.kind).append(" in slot ").append(std::to_string(key.slot));
    if (!key.label.empty()) text.append(" (").append(key.label).append(")");
  }
  return text + "; key header " + std::to_string(info.header_sequence);
}

std::string RequestsText(const control::RequestCounts& counts) {
  const std::uint64_t all =
      counts.creates + counts.gets + counts.range_gets + counts.lists + counts.deletes;
  std::string text = Count(all, "request") + " while the vault was unlocked: ";
  text.append(std::to_string(counts.creates)).append(" create, ");
  text.append(std::to_string(counts.gets + counts.range_gets)).append(" get, ");
  text.append(std::to_string(counts.lists)).append(" list, ");
  text.append(std::to_string(counts.deletes)).append(" delete");
  if (counts.failures > 0) text.append("; ").append(std::to_string(counts.failures)) += " failed";
  return text + "; " + FormatBytes(counts.bytes_up) + " up, " + FormatBytes(counts.bytes_down) +
         " down";
}

void AddVolume(const control::VolumeStatus& status, Table& table) {
  table.AddRow({"volume id", status.volume_id});
  table.AddRow({"vault", status.vault});
  table.AddRow({"vault id", status.vault_id});
  table.AddRow({"store", status.store});
  table.AddRow({"size", SizeText(status.size_bytes)});
  table.AddRow({"state", StateText(status)});
  if (status.state != "open") return;
  table.AddRow({"durability", status.durability});
  table.AddRow({"chunk size", FormatBytes(status.chunk_size)});
  table.AddRow({"acknowledged", std::to_string(status.acknowledged)});
  table.AddRow({"durable", std::to_string(status.durable)});
  table.AddRow({"committed", std::to_string(status.committed)});
  table.AddRow({"head", std::to_string(status.head_sequence)});
  table.AddRow({"journal", FormatBytes(status.journal_bytes)});
  table.AddRow({"uploaded since open", FormatBytes(status.uploaded_bytes)});
  for (const auto& exported : status.exports) {
    table.AddRow({exported.kind, exported.uri + " (" +
                                     Count(static_cast<std::uint64_t>(exported.clients), "client") +
                                     ")"});
  }
}

void AddSurvey(const control::SurveyInfo& survey, bool open, Table& table) {
  const std::uint64_t heads = survey.heads * survey.head_bytes;
  const std::uint64_t overhead = survey.page_bytes + survey.delta_bytes + heads;
  const std::uint64_t used = survey.frame_bytes + survey.page_bytes + survey.delta_bytes;
  const std::uint64_t stored = used + heads;
  table.AddRow({"as of head", std::to_string(survey.head_sequence) + ", by " + survey.head_host +
                                  " at " + DateTimeUtc(survey.head_created_unix) + " UTC" +
                                  (survey.head_released ? ", released" : "")});
  if (!open) table.AddRow({"chunk size", FormatBytes(survey.chunk_size)});
  table.AddRow({"data", FormatBytes(survey.data_bytes) + " in " + Count(survey.chunks, "chunk")});
  table.AddRow({"stored", FormatBytes(stored) + ", ratio " + Ratio(stored, survey.data_bytes)});
  table.AddRow({"dedup saves", FormatBytes(survey.dedup_saved_bytes) + " (" +
                                   Percent(survey.dedup_saved_bytes,
                                           survey.frame_plain_bytes + survey.dedup_saved_bytes) +
                                   ")"});
  table.AddRow({"compression", FormatBytes(survey.frame_plain_bytes) + " to " +
                                   FormatBytes(survey.frame_bytes) + ", ratio " +
                                   Ratio(survey.frame_bytes, survey.frame_plain_bytes)});
  table.AddRow({"chunks with patches", std::to_string(survey.patched_chunks) + " (" +
                                           Percent(survey.patched_chunks, survey.chunks) + ")"});
  table.AddRow({"packs", std::to_string(survey.packs) + " of " + FormatBytes(survey.pack_bytes) +
                             ", " + Percent(used, survey.pack_bytes) + " in use"});
  table.AddRow({"pages", std::to_string(survey.pages) + " of " + FormatBytes(survey.page_bytes)});
  table.AddRow(
      {"deltas", std::to_string(survey.deltas) + " of " + FormatBytes(survey.delta_bytes)});
  if (survey.lost_pages + survey.lost_deltas > 0) {
    table.AddRow({"lost", Count(survey.lost_pages, "page") + " and " +
                              Count(survey.lost_deltas, "delta") + ", not counted above: at most " +
                              FormatBytes(survey.lost_bytes_max) + " of data (" +
                              EscapeForTerminal(survey.lost_why) + ")"});
  }
  table.AddRow({"heads", std::to_string(survey.heads) + (survey.heads_exact ? "" : " or more") +
                             " of about " + FormatBytes(survey.head_bytes)});
  table.AddRow({"overhead", FormatBytes(overhead) + " of pages, deltas and heads (" +
                                Percent(overhead, stored) + ")"});
}

void Print(const control::VolumeInfo& info) {
  Table table({"volume", info.volume.volume});
  AddVolume(info.volume, table);
  if (info.created_unix != 0) table.AddRow({"made", DateTimeUtc(info.created_unix) + " UTC"});
  table.AddRow({"codec", info.codec});
  if (!info.dedup.empty()) table.AddRow({"dedup", info.dedup});
  if (!info.keys.empty()) table.AddRow({"keys", KeysText(info)});
  if (info.requests) table.AddRow({"requests", RequestsText(*info.requests)});
  if (info.survey) AddSurvey(*info.survey, info.volume.state == "open", table);
  table.Print();
}

Result<int> Run(Session& session, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  if (!arguments.Has("--quick")) {
    control::SurveyRequest request;
    ASSIGN_OR_RETURN(
        auto job,
        session.WithPassword("vault " + status.vault, Session::NeedsUnless(status.keys_held),
                             &request.password, [&] { return client.Survey(name, request); }));
    ASSIGN_OR_RETURN(job, AwaitJob(client, std::move(job)));
    if (job.error) return Fail(*job.error);
  }
  ASSIGN_OR_RETURN(const auto info, client.Info(name));
  if (session.json()) {
    PrintJson(info);
  } else {
    Print(info);
  }
  return control::kExitDone;
}

}  // namespace

Command InfoCommand() {
  using Value = Option::Value;
  return {"info",
          "Everything known of one volume, and what it takes in its store",
          {{"NAME", "VOLUME or VAULT/VOLUME"}},
          {{"--quick", Value::kNone,
            "Without counting what is in the store, and without asking for a password"}},
          "  coffer info photos\n"
          "  coffer info photos --quick --json\n",
          Run};
}

}  // namespace coffer::cli

#include "cli/common.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>

#include "cli/output.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

/// "scheme:…": a letter, then letters, digits, "+", "-", "."
bool IsUrl(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0) return false;
  if (std::isalpha(static_cast<unsigned char>(text[0])) == 0) return false;
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '-' || c == '.';
  });
}

Result<std::string> AbsolutePath(const std::string& path) {
  if (path.front() == '/') return path;
  std::array<char, 4096> directory;
  if (getcwd(directory.data(), directory.size()) == nullptr) {
    return Fail(ErrorFromErrno(errno, "asking for the working directory"));
  }
  return std::string(directory.data()) + "/" + path;
}

/// A close that could not upload has closed all the same; anything else has simply failed.
int ExitCodeOfJob(const control::JobInfo& job) {
  if (!job.error) return control::kExitDone;
  const bool only_upload_failed = (job.kind == "close" || job.kind == "resize") &&
                                  job.waiting_bytes > 0 &&
                                  job.error->code != ErrorCode::kNeedsPerson;
  return only_upload_failed ? control::kExitNotUploaded : control::ExitCodeOf(job.error->code);
}

}  // namespace

Status LeaveDirectory() {
  if (chdir("/") == 0) return {};
  return Fail(ErrorFromErrno(errno, "changing to /"));
}

Result<std::string> AbsoluteStore(const std::string& store) {
  if (store.empty() || IsUrl(store)) return store;
  return AbsolutePath(store);
}

Result<std::string> AbsoluteFile(const std::string& path) {
  if (path.empty()) return path;
  return AbsolutePath(path);
}

Result<std::string> AbsoluteNbdAddress(const std::string& address) {
  constexpr std::string_view kUnix = "unix:";
  if (address.substr(0, kUnix.size()) != kUnix || address.size() == kUnix.size()) return address;
  ASSIGN_OR_RETURN(const std::string path, AbsolutePath(address.substr(kUnix.size())));
  return std::string(kUnix) + path;
}

std::vector<control::SettingValue> SettingsFrom(const Arguments& arguments,
                                                const std::vector<Option>& options) {
  std::vector<control::SettingValue> settings;
  for (const Option& option : options) {
    if (!arguments.Has(option.name)) continue;
    std::string key = std::string(option.name).substr(2);
    std::replace(key.begin(), key.end(), '-', '_');
    settings.push_back({std::move(key), arguments.Get(option.name)});
  }
  return settings;
}

Result<control::JobInfo> AwaitJob(control::ControlClient& client, control::JobInfo job) {
  JobProgress progress;
  return client.WaitForJob(std::move(job),
                           [&progress](const control::JobInfo& now) { progress.Show(now); });
}

Result<int> FinishJob(Session& session, control::ControlClient& client, control::JobInfo job) {
  ASSIGN_OR_RETURN(const control::JobInfo ended, AwaitJob(client, std::move(job)));
  if (session.json()) PrintJson(ended);
  if (ended.error) ShowError(*ended.error, session.json());
  if (!session.json()) {
    for (const std::string& note : ended.notes) TellUser(note);
  }
  if (ended.waiting_bytes > 0 && !session.json()) {
    TellUser(control::FormatBytes(ended.waiting_bytes) +
             " are not uploaded yet; they wait in this machine's journal for the next open");
  }
  const int code = ExitCodeOfJob(ended);
  if (code == control::kExitDone && ended.waiting_bytes > 0) return control::kExitNotUploaded;
  return code;
}

/// Who is held up, and by what.
static void AppendWaiters(const control::VolumeStatus& status, std::string* text) {
  if (status.writers_waiting > 0) text->append(", writers wait");
  if (status.flushes_waiting > 0) text->append(", flushes wait for the store");
  if (status.readers_waiting > 0) text->append(", readers wait for the store");
}

std::string StateText(const control::VolumeStatus& status) {
  std::string text = status.state;
  if (status.state == "open" && status.read_only) text.append(", read-only");
  if (status.failed) text.append(", FAILED, can only be read");
  if (status.uploads_paused) text.append(", uploads paused");
  if (status.uploading && status.waiting_bytes > 0) {
    text.append(", UPLOADING ").append(control::FormatBytes(status.waiting_bytes));
    if (status.upload_seconds > 0) {
      text.append(", about ").append(std::to_string(status.upload_seconds)).append(" s left");
    }
    AppendWaiters(status, &text);
    return text;
  }
  if (status.waiting_bytes > 0) {
    text.append(status.waiting_exact ? ", " : ", at most ");
    text.append(control::FormatBytes(status.waiting_bytes)).append(" waiting");
  } else if (status.committed < status.acknowledged) {
    text.append(", changes waiting");  // trims or a new size
  }
  if (status.waiting_seconds > 0) {
    text.append(" for ").append(std::to_string(status.waiting_seconds)).append(" s");
  }
  AppendWaiters(status, &text);
  return text;
}

std::string PauseText(const control::PauseInfo& info) {
  if (info.until_unix == 0) return "uploads are paused until coffer resume";
  return "uploads are paused until " + DateTimeUtc(info.until_unix) + " UTC";
}

std::string SizeText(std::uint64_t bytes) { return bytes == 0 ? "?" : control::FormatBytes(bytes); }

std::string NameText(const control::VolumeStatus& status, const control::VolumeList& all) {
  const auto bearers =
      std::count_if(all.volumes.begin(), all.volumes.end(),
                    [&status](const auto& other) { return other.volume == status.volume; });
  return bearers > 1 ? status.vault + "/" + status.volume : status.volume;
}

}  // namespace coffer::cli

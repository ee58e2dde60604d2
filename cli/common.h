// What several commands share: stores as people write them, waiting for jobs, how a volume is
// shown.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/session.h"
#include "core/control/messages.h"

namespace coffer::cli {

/// Works in "/" from here on: whoever closes a volume must not be the one who keeps it in use.
Status LeaveDirectory();

/// STORE made absolute: a URL as it is, a path from the working directory.
Result<std::string> AbsoluteStore(const std::string& store);

/// A path from the working directory, made absolute; "" stays.
Result<std::string> AbsoluteFile(const std::string& path);

/// An NBD address with its "unix:PATH" made absolute, since the daemon has another working
/// directory.
Result<std::string> AbsoluteNbdAddress(const std::string& address);

/// Those of `options` that were given, as settings: "--sync-age" is "sync_age".
[[nodiscard]] std::vector<control::SettingValue> SettingsFrom(const Arguments& arguments,
                                                              const std::vector<Option>& options);

/// Waits for `job`, showing how it gets on. Its end; an error of the job itself is in there.
/// kCancelled by Ctrl-C: the job goes on.
Result<control::JobInfo> AwaitJob(control::ControlClient& client, control::JobInfo job);

/// AwaitJob, shows the job's error and its notes, and prints its end with --json. Returns the exit
/// code.
Result<int> FinishJob(Session& session, control::ControlClient& client, control::JobInfo job);

/// "open", "locked, 12 MiB waiting", "open, 3 KiB waiting for 5 s".
/// Whether uploads rest, and until when. REQUIRES: they do.
[[nodiscard]] std::string PauseText(const control::PauseInfo& info);
[[nodiscard]] std::string StateText(const control::VolumeStatus& status);
/// "20 GiB", "?" for a size that this machine does not know yet.
[[nodiscard]] std::string SizeText(std::uint64_t bytes);
/// The name to use: bare where `all` has no other volume of that name.
[[nodiscard]] std::string NameText(const control::VolumeStatus& status,
                                   const control::VolumeList& all);

}  // namespace coffer::cli

// coffer open NAME
#include "cli/command.h"
#include "cli/common.h"
#include "cli/foreground.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "core/base/log.h"
#include "core/control/error_table.h"
#include "core/control/names.h"

namespace coffer::cli {
namespace {

Status RefuseWhatIsNotBuilt(const Arguments& arguments) {
  if (arguments.Has("--device")) {
    return Fail(ErrorCode::kUnsupported, "--device is not there yet in this version",
                "without it the volume is served over NBD");
  }
  ASSIGN_OR_RETURN(const auto reference, control::ParseVolumeReference(arguments.Get("NAME")));
  if (!reference.snapshot.empty()) {
    return Fail(ErrorCode::kUnsupported, "opening a snapshot is not built yet in this version");
  }
  return {};
}

/// They win over the config file until the volume is closed.
const std::vector<Option>& SettingOptions() {
  using Value = Option::Value;
  static const std::vector<Option> options = {
      {"--sync-age", Value::kRequired, "Upload what is this old, such as 60s"},
      {"--sync-bytes", Value::kRequired, "Upload when this much is new, such as 64MiB"},
      {"--durability",
       Value::kRequired,
       "What a FLUSH waits for: local (journal) or cloud (store)",
       {"local", "cloud"}},
      {"--journal-bytes-max", Value::kRequired, "Where writers begin to wait, such as 4GiB"},
      {"--journal-full",
       Value::kRequired,
       "wait, or enospc-after=SECONDS",
       {"wait", "enospc-after="}},
      {"--flush-wait",
       Value::kRequired,
       "with --durability=cloud: wait for the store, or error-after=SECONDS",
       {"wait", "error-after="}},
      {"--store-away",
       Value::kRequired,
       "readers wait for the store, or error-after=SECONDS",
       {"wait", "error-after="}},
      {"--codec",
       Value::kRequired,
       "stored, lz4, or \"zstd 1\" to \"zstd 19\"",
       {"stored", "lz4", "zstd"}},
      {"--pack-bytes-target", Value::kRequired, "How large packs become, such as 8MiB"},
      {"--pack-bytes-max", Value::kRequired, "How large one may become, such as 16MiB"},
      {"--tls-x509", Value::kRequired,
       "DIR: TLS with ca-cert.pem, server-cert.pem and server-key.pem"},
      {"--tls-psk", Value::kRequired, "FILE: TLS with pre-shared keys, lines USER:HEXKEY"},
      {"--tls-verify-peer",
       Value::kRequired,
       "yes (clients need a certificate of the same authority) or no",
       {"yes", "no"}},
      {"--fuse-cache",
       Value::kRequired,
       "What the kernel keeps of the image file: auto, direct (nothing), or writeback (writes too, "
       "lost without an fsync)",
       {"auto", "direct", "writeback"}},
      {"--dedup",
       Value::kRequired,
       "Where data that is stored already is looked for: vault, volume, or off",
       {"vault", "volume", "off"}},
  };
  return options;
}

/// NBD unless something else alone is asked for; mounting brings an export of its own.
Result<std::vector<control::ExportRequest>> ExportsFrom(const Arguments& arguments,
                                                        const Foreground* foreground) {
  std::vector<control::ExportRequest> exports;
  if (arguments.Has("--nbd") || !(arguments.Has("--fuse") || arguments.Has("--mount"))) {
    ASSIGN_OR_RETURN(std::string address, foreground != nullptr
                                              ? Result<std::string>(foreground->address())
                                              : AbsoluteNbdAddress(arguments.Get("--nbd")));
    exports.push_back({"nbd", std::move(address)});
  }
  for (const std::string& directory : arguments.GetAll("--fuse")) {
    if (directory.empty()) {
      return Fail(ErrorCode::kInvalidArgument, "--fuse: expected a directory", "--fuse=DIR");
    }
    ASSIGN_OR_RETURN(std::string path, AbsoluteFile(directory));
    exports.push_back({"fuse", std::move(path)});
  }
  return exports;
}

Result<std::optional<control::MountRequest>> MountFrom(const Arguments& arguments) {
  if (!arguments.Has("--mount")) {
    for (const std::string option : {"--mkfs", "--mount-with"}) {
      if (!arguments.Has(option)) continue;
      return Fail(ErrorCode::kInvalidArgument, option + " goes with --mount=DIR");
    }
    return std::optional<control::MountRequest>();
  }
  control::MountRequest request;
  ASSIGN_OR_RETURN(request.directory, AbsoluteFile(arguments.Get("--mount")));
  request.way = arguments.Get("--mount-with");
  if (arguments.Has("--mkfs")) {
    request.mkfs = arguments.Get("--mkfs").empty() ? "ext4" : arguments.Get("--mkfs");
  }
  return std::optional<control::MountRequest>(std::move(request));
}

/// What a person wants to know; the directory alone is on stdout.
void TellOfMount(const control::MountInfo& mount) {
  for (const std::string& passed_over : mount.passed_over) TellUser("not by " + passed_over);
  TellUser(mount.file_system +
           (mount.made ? ", made just now, is mounted by " : " is mounted by ") + mount.way +
           (mount.device.empty() ? "" : " from " + mount.device) + " at " + mount.path);
  if (!mount.note.empty()) TellUser(mount.note);
}

Result<int> Run(Session& session, const Arguments& arguments) {
  RETURN_IF_ERROR(RefuseWhatIsNotBuilt(arguments));
  const std::string name = arguments.Get("NAME");
  // First of all: a client may wait at the other end already.
  ASSIGN_OR_RETURN(const auto foreground, Foreground::Take(session, arguments.Get("--nbd")));
  control::OpenRequest request;
  ASSIGN_OR_RETURN(request.exports, ExportsFrom(arguments, foreground.get()));
  ASSIGN_OR_RETURN(request.mount, MountFrom(arguments));
  request.read_only = arguments.Has("--read-only");
  request.take_over = arguments.Has("--take-over");
  request.accept_damage = arguments.Has("--accept-damage");
  request.single_writer = arguments.Has("--single-writer");
  request.settings = SettingsFrom(arguments, SettingOptions());
  for (control::SettingValue& setting : request.settings) {
    if (setting.key == "tls_x509" || setting.key == "tls_psk") {
      ASSIGN_OR_RETURN(setting.value, AbsoluteFile(setting.value));
    }
  }
  ASSIGN_OR_RETURN(auto client, session.Daemon());
  ASSIGN_OR_RETURN(const auto status, client.Volume(name));
  // Before the password: what is wrong with the rest is wrong whatever it is.
  if (!status.keys_held) RETURN_IF_ERROR(client.CheckOpen(name, request));
  request.background = true;
  const auto open = [&]() -> Result<control::JobInfo> {
    ASSIGN_OR_RETURN(auto started, client.StartOpen(name, request));
    ASSIGN_OR_RETURN(auto ended, AwaitJob(client, std::move(started)));
    const bool refused = ended.error && ended.error->code == ErrorCode::kUnauthenticated;
    if (refused) return Fail(*ended.error);
    return ended;
  };
  ASSIGN_OR_RETURN(const auto job, session.WithPassword("vault " + status.vault,
                                                        Session::NeedsUnless(status.keys_held),
                                                        &request.password, open));
  if (job.error) return Fail(*job.error);
  for (const std::string& note : job.notes) {
    if (!session.json()) TellUser(EscapeForTerminal(note));
  }
  if (!job.opened) return Fail(ErrorCode::kIoError, "cofferd does not say where the volume is");
  if (foreground != nullptr) return foreground->Serve(session, client, name, job.opened->uri);
  if (session.json()) {
    PrintJson(*job.opened);
  } else if (job.opened->mount) {
    TellOfMount(*job.opened->mount);
    PrintLine(job.opened->mount->directory);
  } else {
    for (const control::ExportInfo& place : job.opened->exports) PrintLine(place.uri);
  }
  return control::kExitDone;
}

}  // namespace

Command OpenCommand() {
  using Value = Option::Value;
  Command command = {
      "open",
      "Open a volume and print where to reach it",
      {{"NAME", "VOLUME, or VAULT/VOLUME where several vaults have one"}},
      {{"--nbd",
        Value::kOptional,
        "Serve NBD; --nbd=unix:PATH or --nbd=tcp:ADDRESS:PORT on a listener of its own, beyond "
        "127.0.0.1 only with TLS. --nbd=stdio: to the program that started this, on standard input "
        "and output, until it is gone; --nbd=socket-activation: on the sockets handed over "
        "(LISTEN_FDS), until a signal. Both close the volume at the end",
        {"unix:", "tcp:", "stdio", "socket-activation"}},
       {"--fuse", Value::kRepeatable,
        "DIR: serve the volume as the file NAME.img in this directory, which is yours and empty, "
        "or "
        "is made; several volumes may share one, and one volume may be in several"},
       {"--mount", Value::kRequired,
        "DIR: mount its file system there, through an image file of its own; no root is needed. It "
        "is yours and empty, or is made"},
       {"--mkfs",
        Value::kOptional,
        "With --mount: make a file system where there is nothing yet, ext4 or --mkfs=xfs, "
        "--mkfs=btrfs",
        {"ext4", "xfs", "btrfs"}},
       {"--mount-with",
        Value::kRequired,
        "In this way alone: loop (root), udisks (a desktop's service) or fuse2fs (ext4 in user "
        "space); else the first that works",
        {"loop", "udisks", "fuse2fs"}},
       {"--device", Value::kHidden, "Attach a kernel block device"},
       {"--read-only", Value::kNone, "Nothing can be written"},
       {"--take-over", Value::kNone, "Go on although another machine has not closed it"},
       {"--accept-damage", Value::kNone,
        "Go on with what precedes the damage of this machine's journal"},
       {"--single-writer", Value::kNone,
        "This machine alone writes to the store: accepts one that cannot keep two apart"}},
      "  coffer open photos\n"
      "  coffer open photos --mount ~/photos --mkfs\n"
      "  nbdcopy disk.img \"$(coffer open photos)\"\n"
      "  coffer open photos --fuse=images\n"
      "  coffer open photos --read-only --nbd=tcp:127.0.0.1:10809\n"
      "  coffer open photos --nbd=tcp:0.0.0.0:10809 --tls-x509=/etc/pki/coffer\n"
      "  coffer open photos --nbd=tcp:[::1]:10809 --tls-psk=keys.psk\n"
      "  nbdcopy -- disk.img [ coffer open photos --nbd=socket-activation ]\n",
      Run};
  const std::vector<Option>& settings = SettingOptions();
  command.options.insert(command.options.end(), settings.begin(), settings.end());
  return command;
}

}  // namespace coffer::cli

// What the control API says, as plain structs. docs/API.md describes the JSON; message_json.h turns
// one into the other, field by field under the names used here.
//
// Additive within /v1: a field may be added, none changes its meaning; a reader ignores fields that
// it does not know and takes the default given here for one that is missing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/secret_bytes.h"

namespace coffer::control {

inline constexpr std::size_t kBodyBytesMax = 1 << 20;
/// Passwords are hex in JSON; this keeps the largest well inside a body.
inline constexpr std::size_t kPasswordBytesMax = 64 << 10;

struct VersionInfo {
  std::string version;
  std::int64_t pid = 0;
};

/// A vault known on this machine.
struct VaultInfo {
  std::string alias;
  std::string vault_id;
  std::string store;
  bool keys_held = false;
};
struct VaultList {
  std::vector<VaultInfo> vaults;
};

struct ProbeRequest {
  std::string store;
  std::string alias;     // empty: whatever the vault there is called
  std::string volume;    // that is to be made there; empty: none is
  bool replace = false;  // as in AddRequest
};
struct ProbeReply {
  bool holds_vault = false;
  bool keys_held = false;  // no password is needed
};

/// A setting said with a command: it wins over the config file. Keys and values as in
/// docs/CONFIG.md.
struct SettingValue {
  std::string key;
  std::string value;
  bool operator==(const SettingValue&) const = default;
};

struct StoreTestRequest {
  std::string store;  // a URL or absolute path
  std::string vault;  // or the store of this vault, which is known here
};
struct StoreCheck {
  std::string check;    // "list", "write" …
  std::string outcome;  // "ok", "weak", "failed" or "skipped"
  std::string detail;   // for people
  std::string code;     // of "failed": the error's, and what to do
  std::string hint;
};
struct StoreTestReply {
  std::string store;
  bool holds_vault = false;
  bool read_only = false;
  bool safe_for_two = false;  // machines: no check was "weak" or "failed"
  std::vector<StoreCheck> checks;
  std::optional<std::uint64_t> round_trip_us;
  std::optional<std::uint64_t> up_bytes_per_second;
  std::optional<std::uint64_t> down_bytes_per_second;
  std::optional<std::int64_t> clock_difference_seconds;  // the store's minus this machine's
};

struct InitRequest {
  std::string volume;
  std::string store;
  std::uint64_t size_bytes = 0;
  std::string alias;  // empty: the last part of the store's path
  bool single_writer = false;
  std::vector<SettingValue> settings;
  SecretBytes password;
};
struct InitReply {
  std::string volume;
  std::uint64_t size_bytes = 0;
  bool vault_created = false;
  VaultInfo vault;
};

struct AddRequest {
  std::string store;
  std::string alias;
  bool single_writer = false;
  bool replace = false;  // a vault known here is from now on at `store`, or called `alias`
  SecretBytes password;
};
struct AddedVolume {
  std::string name;
  std::uint64_t size_bytes = 0;
};
struct AddReply {
  VaultInfo vault;
  std::vector<AddedVolume> volumes;
  std::vector<std::string> needs;  // as of a volume: what speaks against what the store offers
  std::vector<std::string> hints;
};

struct TrustRequest {
  SecretBytes password;  // not looked at while the vault's keys are held
};
/// A chain of objects as this machine remembers it and as the store offers it.
struct TrustChain {
  std::string chain;   // "keys" "catalog" "heads"
  std::string volume;  // of "heads": its name, or its id where the catalog does not list it
  std::uint64_t remembered = 0;  // sequence; 0: nothing
  std::uint64_t offered = 0;     // 0: nothing
  std::string offered_by;        // the host that made it; these two empty and 0 if unknown
  std::int64_t offered_unix = 0;
  /// "same" "newer" "first" (nothing is remembered), or "older" "other" "missing": these are
  /// doubtful.
  std::string verdict;
  std::string doubt;  // what speaks against it
};
struct TrustInfo {
  VaultInfo vault;
  bool doubtful = false;
  std::string lost;  // why nothing is remembered; empty: it is
  std::vector<TrustChain> chains;
  std::string offer;      // stands for all that is offered, for TrustAcceptRequest
  std::string kept_path;  // after an accept: the trust file as it was; empty: there was none
};
struct TrustAcceptRequest {
  std::string offer;     // of the TrustInfo that was looked at: nothing else is accepted
  SecretBytes password;  // always looked at
};
struct ForgetRequest {
  bool force = false;  // although bytes wait in its journals
};
struct Forgotten {
  VaultInfo vault;
  std::string state_directory;  // what this machine keeps of it all the same
};

/// An exporter asked for: its kind ("nbd") and the address in that exporter's own terms, empty for
/// its usual place.
struct ExportRequest {
  std::string kind;
  std::string address;
};
struct ExportInfo {
  std::string kind;
  std::string address;
  std::string uri;
  int clients = 0;
};

/// A file system to be mounted from the volume, through an image file served by FUSE.
struct MountRequest {
  std::string directory;  // absolute; its last part is made where it is missing
  std::string way;        // "loop" "udisks" "fuse2fs", empty: the first that works
  std::string mkfs;       // "ext4" "xfs" "btrfs": make one where there is nothing; empty: do not
};
/// One that is mounted.
struct MountInfo {
  std::string directory;                 // as asked for: a link to `path` where that is another
  std::string path;                      // where the files are
  std::string way;                       // as above
  std::string device;                    // "/dev/loop0"; empty for fuse2fs
  std::string file_system;               // "ext4"
  bool made = false;                     // for the open that mounted it
  std::vector<std::string> passed_over;  // ways that did not work, each with why
  std::string note;                      // what does not work here, with the cure; mostly empty
  bool mounted = true;                   // as the kernel says now
  std::string trouble;                   // why it is not mounted any more; empty while it is
};

struct OpenRequest {
  std::vector<ExportRequest> exports;  // empty: NBD at its usual place, or what `mount` needs
  std::optional<MountRequest> mount;   // goes with an export "fuse", which it adds if need be
  bool read_only = false;
  bool take_over = false;
  bool accept_damage = false;
  bool single_writer = false;
  std::vector<SettingValue> settings;  // hold until the volume is closed
  bool background = false;             // answer with a job
  SecretBytes password;                // not looked at while the vault's keys are held
};
struct OpenReply {
  std::string volume;
  std::string vault;
  std::uint64_t size_bytes = 0;
  bool read_only = false;
  bool already_open = false;
  std::string uri;  // of the first export
  std::vector<ExportInfo> exports;
  std::optional<MountInfo> mount;
};

/// One volume as `status` shows it. Fields after `exports` are known while it is open only.
struct VolumeStatus {
  std::string volume;
  std::string vault;
  std::string volume_id;
  std::string vault_id;
  std::string store;
  std::uint64_t size_bytes = 0;
  std::string state;  // "closed" "locked" "opening" "open" "closing"
  bool keys_held = false;
  /// Bytes acknowledged but not yet committed; for a volume not open, as its last close left them.
  std::uint64_t waiting_bytes = 0;
  bool waiting_exact = true;       // false: at most waiting_bytes, since it was not closed
  std::vector<std::string> needs;  // names of design.md section 8, each followed by ": " and why
  std::vector<std::string> hints;  // what resolves each of them, in the same order
  std::vector<ExportInfo> exports;
  std::optional<MountInfo> mount;

  bool read_only = false;
  bool failed = false;     // its journal has: until it is opened again it can only be read
  std::string durability;  // "local" or "cloud"
  std::uint32_t chunk_size = 0;
  std::uint64_t waiting_seconds = 0;  // age of the oldest change that no head covers
  std::uint64_t unsynced_bytes = 0;   // acknowledged, not durable: what a power cut now could take
  std::uint64_t acknowledged = 0;     // sequence numbers
  std::uint64_t durable = 0;
  std::uint64_t committed = 0;
  std::uint64_t head_sequence = 0;
  std::uint64_t journal_bytes = 0;
  std::uint64_t journal_bytes_max = 0;  // where writers begin to wait
  bool uploading = false;               // a sync is under way
  bool uploads_paused = false;          // but for what somebody waits for
  std::uint64_t writers_waiting = 0;    // for room in the journal or on its disk
  std::uint64_t flushes_waiting = 0;    // for the store (durability = cloud)
  std::uint64_t readers_waiting = 0;    // for a store that is away
  /// Until what waits is uploaded, as the last commits went; 0: nothing waits, or unknown.
  std::uint64_t upload_seconds = 0;
  std::uint64_t store_requests = 0;
  /// What the sync age costs: requests a day if small writes never cease.
  std::uint64_t requests_per_day = 0;
  std::uint64_t uploaded_bytes = 0;
  std::string last_error;           // why the newest sync failed, while it is being tried again
  std::uint64_t retry_seconds = 0;  // until then
};
/// Uploads rest (coffer pause).
struct PauseInfo {
  bool paused = false;
  std::int64_t until_unix = 0;  // 0: until they are resumed
};
inline constexpr std::uint64_t kPauseSecondsMax = 366ull * 24 * 3600;
struct PauseRequest {
  std::uint64_t seconds = 0;  // 0: until they are resumed
};
struct VolumeList {
  std::vector<VolumeStatus> volumes;
  std::vector<VaultInfo> vaults;  // that are known, also those of which no volume is
  PauseInfo uploads;
};

/// Requests to a vault's store since it was unlocked, each attempt counted, and their bytes.
struct RequestCounts {
  std::uint64_t creates = 0;
  std::uint64_t gets = 0;
  std::uint64_t range_gets = 0;
  std::uint64_t lists = 0;
  std::uint64_t deletes = 0;
  std::uint64_t failures = 0;  // of all these
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
};

struct SurveyRequest {
  SecretBytes password;  // not looked at while the vault's keys are held
};
/// What a volume has in its store, as one of its heads says. Bytes of objects and frames are as
/// stored, sealed.
struct SurveyInfo {
  std::int64_t taken_unix = 0;
  std::uint64_t head_sequence = 0;
  std::int64_t head_created_unix = 0;
  std::string head_host;       // that wrote it
  bool head_released = false;  // closed: any machine may go on
  std::uint64_t size_bytes = 0;
  std::uint32_t chunk_size = 0;
  std::uint64_t data_bytes = 0;  // of the volume that are neither holes nor zeros
  std::uint64_t chunks = 0;      // that hold some of them
  std::uint64_t patched_chunks = 0;
  std::uint64_t frames = 0;
  std::uint64_t frame_plain_bytes = 0;
  std::uint64_t frame_bytes = 0;
  std::uint64_t dedup_saved_bytes = 0;  // plain bytes that were there already
  std::uint64_t pages = 0;
  std::uint64_t page_bytes = 0;
  std::uint64_t deltas = 0;
  std::uint64_t delta_bytes = 0;
  std::uint64_t lost_pages = 0;  // these and what lies below them are in no other number
  std::uint64_t lost_deltas = 0;
  std::uint64_t lost_bytes_max = 0;  // of the volume, below those pages
  std::string lost_why;              // the first of them
  std::uint64_t packs = 0;
  std::uint64_t pack_bytes = 0;  // whole, with what this volume does not use; at least
  std::uint64_t heads = 0;
  bool heads_exact = true;       // false: there are more
  std::uint64_t head_bytes = 0;  // of the newest
};

struct CloseRequest {
  bool no_wait = false;  // leave what is not uploaded in the journal
  bool force = false;    // although somebody is connected, or uses what is mounted, or the image
};
struct StopRequest {
  bool force = false;  // as above, of any volume
};
/// Who uses a volume that was to be closed, or one of a daemon that was to end.
struct HolderInfo {
  std::int64_t pid = 0;  // 0: the kernel, or a client on another machine
  std::string program;   // or the device, or the client's address
  std::string what;      // "works in it", "is connected over NBD and has written"
  std::string volume;    // VAULT/VOLUME
};

/// The vault's password; what a volume's name stands for here is its vault.
struct PasswdRequest {
  SecretBytes password;  // that holds now; always looked at
  SecretBytes new_password;
};
struct PasswdReply {
  VaultInfo vault;
  std::vector<std::string> volumes;  // that the password is for
  std::uint64_t header_sequence = 0;
  std::string note;  // what is left to do; mostly empty
};

struct KeysRequest {
  SecretBytes password;  // always looked at
};
struct KeyInfo {
  std::uint32_t slot = 0;
  std::string kind;  // "password" "key-file" "password-and-key-file" "recovery-key"
  std::int64_t created_unix = 0;
  std::string host;  // that made it
  std::string label;
  std::uint32_t memory_kib = 0;  // what opening it costs
  std::uint32_t iterations = 0;
  std::uint32_t parallelism = 0;
  bool opened = false;  // by the password that was given
};
struct KeyList {
  VaultInfo vault;
  std::uint64_t header_sequence = 0;
  std::vector<KeyInfo> keys;
};

struct RenameRequest {
  std::string name;
  SecretBytes password;  // not looked at while the vault's keys are held
};

struct ResizeRequest {
  std::uint64_t size_bytes = 0;
  bool discard_tail = false;  // a smaller size is meant
  SecretBytes password;       // not looked at while the vault's keys are held
};

struct DeleteRequest {
  std::string confirm;   // the volume's name once more
  SecretBytes password;  // always looked at
};
/// What a job "delete" has done.
struct Deleted {
  std::string volume;
  std::string vault;
  std::uint64_t discarded_bytes = 0;      // that waited in this machine's journal
  std::optional<std::uint64_t> gc_bytes;  // in the store, that wait for gc; unless unknown
  bool gc_bytes_shared = false;           // other volumes may use some of them
};

/// Everything known of one volume.
struct VolumeInfo {
  VolumeStatus volume;
  std::string codec;  // for what is written from now on: "zstd 1"

  // While the vault's keys are held; else as they were at the survey.
  std::int64_t created_unix = 0;
  std::string dedup;  // "off" "volume" "vault"
  std::uint64_t header_sequence = 0;
  std::vector<KeyInfo> keys;
  std::optional<RequestCounts> requests;

  std::optional<SurveyInfo> survey;  // the newest that this daemon has made
};

/// Long work. `state` is "running", "done" or "failed"; a failed one carries `error`.
struct JobInfo {
  std::string id;
  std::string kind;    // "open" "sync" "close" "resize" "delete" "survey"
  std::string volume;  // VAULT/VOLUME, or empty for all
  std::string state;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::string unit;                 // "bytes" "volumes" "chunks"
  std::string message;              // what it is at
  std::vector<std::string> notes;   // what it leaves to the user, or could not do; mostly empty
  std::uint64_t waiting_bytes = 0;  // left in journals when the job ended
  std::optional<Error> error;
  std::vector<HolderInfo> holders;  // for whom a "close" was refused
  std::optional<OpenReply> opened;  // by an "open" that is done
  std::optional<Deleted> deleted;   // by a "delete" that is done
};
struct JobList {
  std::vector<JobInfo> jobs;
};

/// One change, as GET /v1/events streams them: `type` is "volume", "job", or "lost" when a slow
/// reader missed some and should ask again for what it shows.
struct Event {
  std::string type;
  std::optional<VolumeStatus> volume;
  std::optional<JobInfo> job;
};

/// A setting that holds, and who said so.
struct SettingInfo {
  std::string key;
  std::string value;
  std::string from;  // "default", "[defaults], line 3", "--sync-age"
};
struct SettingList {
  std::string path;  // of the config file
  std::vector<SettingInfo> settings;
};
/// What is wrong with a config file; nothing, if all is well.
struct ConfigProblems {
  std::string path;
  std::vector<std::string> problems;
  std::vector<std::string> notes;  // what may be meant otherwise, though nothing is wrong with it
};

struct Empty {};

}  // namespace coffer::control

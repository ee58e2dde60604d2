#include "core/store/sftp_store.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "core/base/log.h"
#include "core/base/planted.h"
#include "core/format/chain_name.h"
#include "core/store/directory_guard.h"
#include "core/store/directory_scratch.h"
#include "core/store/directory_walk.h"

namespace coffer::store {
namespace {

using sftp::StatusCode;

constexpr int kCreateAttemptsMax = 3;
/// No Create takes so long: what is older in .coffer-tmp/ is left over.
constexpr std::uint32_t kLeftOverSeconds = 3600;
/// Asked for along with a file's size, before that is known.
constexpr std::uint64_t kAskedBlindly = 256 << 10;
constexpr auto kGoodbyeMax = std::chrono::seconds(1);

constexpr char kForeignHint[] = "see what put it there, and move it away";
constexpr char kSshPort[] = "22";

bool Is(const Status& status, ErrorCode code) {
  return !status.has_value() && status.error().code == code;
}

std::string ParentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string NewScratchId(Random& random) {
  std::array<std::byte, 16> id{};
  random.Fill(id);
  return ToHex(id);
}

bool Same(const sftp::Attributes& a, const sftp::Attributes& b) {
  return a.size == b.size && a.modified_unix == b.modified_unix && a.mode == b.mode;
}

/// Says once which server an error is of.
Error OfServer(const std::string& server, Error error) {
  return error.message.starts_with(server) ? error : error.Within(server);
}

}  // namespace

SshTarget SshTargetOf(const StoreUrl& url) {
  SshTarget target{url.user, url.host, ""};
  const std::size_t colon = url.host.rfind(':');
  const std::size_t bracket = url.host.rfind(']');
  const bool has_port =
      colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  if (has_port) {
    target.port = url.host.substr(colon + 1);
    target.host.resize(colon);
  }
  if (target.host.starts_with('[') && target.host.ends_with(']')) {
    target.host = target.host.substr(1, target.host.size() - 2);
  }
  return target;
}

std::string SftpIdentityOf(const StoreUrl& url) {
  StoreUrl plain = url;
  plain.query.clear();
  const std::string port = Concat(":", kSshPort);
  if (SshTargetOf(url).port == kSshPort) plain.host.resize(plain.host.size() - port.size());
  return plain.ToString();
}

SftpStore::SftpStore(const StoreUrl& url, SftpSeams seams)
    : seams_(std::move(seams)),
      description_(url.ToString()),
      identity_(SftpIdentityOf(url)),
      server_(Concat("SFTP server ", SshTargetOf(url).ToString())),
      scratch_id_(NewScratchId(seams_.random)) {}

/// What was sent without waiting for its answer is let through.
SftpStore::~SftpStore() {
  const auto sessions = [this] {
    const MutexLock lock(mutex_);
    return std::exchange(sessions_, {});
  }();
  RequestContext context;
  context.deadline = seams_.clock.Now() + kGoodbyeMax;
  for (const std::shared_ptr<SftpSession>& session : sessions) {
    if (session != nullptr) (void)SftpSession::Exchange(*session, context).AwaitNothingInFlight();
  }
}

Result<std::unique_ptr<SftpStore>> SftpStore::Open(const RequestContext& context,
                                                   const StoreUrl& url, SftpSeams seams,
                                                   StoreOpenMode mode) {
  std::unique_ptr<SftpStore> store(new SftpStore(url, std::move(seams)));
  Status begun = store->Begin(context, url, mode);
  // Said now rather than after the password was asked for.
  if (begun.has_value() && mode == StoreOpenMode::kForInit) begun = store->CheckWritable(context);
  if (!begun.has_value()) return Fail(OfServer(store->server_, begun.error()));
  return store;
}

Status SftpStore::CheckForInit(const RequestContext& context, const StoreUrl& url,
                               SftpSeams seams) {
  SftpStore store(url, std::move(seams));
  ASSIGN_OR_RETURN(const auto session, store.Session(Lane::kPrompt));
  SftpFiles files(session, context);
  ASSIGN_OR_RETURN(const std::string given, RootOf(files, url));
  SftpTree tree(files);
  const Status checked = CheckDirectoryForInit(tree, given);
  if (!checked.has_value()) return Fail(OfServer(store.server_, checked.error()));
  return {};
}

Status SftpStore::Begin(const RequestContext& context, const StoreUrl& url, StoreOpenMode mode) {
  ASSIGN_OR_RETURN(const auto session, Session(Lane::kPrompt));
  SftpFiles files(session, context);
  ASSIGN_OR_RETURN(const SftpSession::Terms terms, files.Terms());
  links_ = terms.offers.hard_link;
  ASSIGN_OR_RETURN(const std::string given, RootOf(files, url));
  ASSIGN_OR_RETURN(StoreDirectory found, FindDirectory(files, given, mode));
  root_ = std::move(found.path);
  if (found.marker.has_value()) return NoteMarker(files, std::move(*found.marker));
  return {};
}

Result<StoreDirectory> SftpStore::FindDirectory(SftpFiles& files, const std::string& given,
                                                StoreOpenMode mode) {
  SftpTree tree(files);
  if (mode == StoreOpenMode::kExisting) return FindVaultDirectory(tree, seams_.random, given);
  if (mode == StoreOpenMode::kForTest) {
    ASSIGN_OR_RETURN([[maybe_unused]] const std::string there, FindStoreDirectory(tree, given));
  }
  return FindDirectoryForInit(tree, seams_.random, given);
}

/// "~/a" is below where the login begins, everything else below "/".
Result<std::string> SftpStore::RootOf(SftpFiles& files, const StoreUrl& url) {
  constexpr std::string_view kHome = "~/";
  if (url.path.empty() || url.path == "~") {
    return Fail(ErrorCode::kInvalidArgument, "the store needs a directory of its own",
                "give a path behind the host, or ~/DIRECTORY below where the login begins");
  }
  if (!url.path.starts_with(kHome)) return Concat("/", url.path);
  ASSIGN_OR_RETURN(const std::string home, files.RealPath("."));
  return Concat(home == "/" ? "" : home, "/", url.path.substr(kHome.size()));
}

/// Said now rather than after the password was asked for.
Status SftpStore::CheckWritable(const RequestContext& context) {
  ASSIGN_OR_RETURN(const auto session, Session(Lane::kPrompt));
  SftpFiles files(session, context);
  const std::string path = NewScratchPath();
  const Result<std::string> handle = OpenScratch(files, path);
  if (!handle.has_value()) {
    return Fail(handle.error().Within(Concat("store at ", root_, " cannot be written to")));
  }
  RETURN_IF_ERROR(files.WriteAndClose(*handle, path, {}));
  files.DropFile(path);
  return {};
}

Result<std::shared_ptr<SftpSession>> SftpStore::Session(Lane lane) {
  std::shared_ptr<SftpSession> old;  // ends outside the lock
  const MutexLock lock(mutex_);
  std::shared_ptr<SftpSession>& session = sessions_[static_cast<std::size_t>(lane)];
  if (session != nullptr && !session->has_ended()) return session;
  old = std::exchange(session, nullptr);
  ASSIGN_OR_RETURN(session, SftpSession::Start(seams_.dial, server_, seams_.clock, seams_.waiting));
  return session;
}

Status SftpStore::Create(const RequestContext& context, const std::string& name, ByteView data,
                         ObjectClass object_class) {
  RETURN_IF_ERROR(CheckObjectName(name));
  Status created;
  for (int attempt = 0; attempt < kCreateAttemptsMax; ++attempt) {
    created = CreateOnce(context, name, data, object_class);
    // A directory, or the unfinished file, went away under our hands.
    if (!Is(created, ErrorCode::kNotFound)) break;
  }
  if (created.has_value()) return {};
  Error error = OfServer(server_, created.error());
  if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kUnavailable;
  return Fail(std::move(error));
}

Status SftpStore::CreateOnce(const RequestContext& context, const std::string& name, ByteView data,
                             ObjectClass object_class) {
  const bool bulk = object_class == ObjectClass::kData || object_class == ObjectClass::kMetadata;
  ASSIGN_OR_RETURN(const auto session, Session(bulk ? Lane::kBulk : Lane::kPrompt));
  SftpFiles files(session, context);
  const std::string marker_path = PathOf(std::string(format::kMarkerName));
  ASSIGN_OR_RETURN(const std::uint32_t looking, files.BeginLstat(marker_path));
  const std::string temporary = NewScratchPath();
  const Result<std::string> handle = OpenScratch(files, temporary);
  const Status guard = JudgeMarker(files, files.EndLstat(looking, marker_path));
  if (!guard.has_value() && handle.has_value()) files.CloseFile(*handle);
  Status created = guard;
  if (created.has_value() && !handle.has_value()) return Fail(handle.error());
  if (created.has_value()) created = files.WriteAndClose(*handle, temporary, data);
  if (created.has_value()) created = Publish(files, temporary, name);
  if (!created.has_value()) files.DropFile(temporary);
  if (!created.has_value() && !Is(created, ErrorCode::kAlreadyExists)) return created;
  // Also when it exists: another writer may be just before its own sync, and what is said to exist
  // must still do so after a power cut.
  RETURN_IF_ERROR(SyncParentOf(files, PathOf(name)));
  if (!created.has_value()) return created;
  if (name == format::kMarkerName) RETURN_IF_ERROR(NoteMarker(files, ToBytes(data)));
  if (!cleaned_.exchange(true)) CleanScratch(files, name);
  return {};
}

/// The directory for it is made when it is missing; the store's own never is.
Result<std::string> SftpStore::OpenScratch(SftpFiles& files, const std::string& path) {
  Result<std::string> handle = files.OpenNew(path);
  if (handle.has_value() || handle.error().code != ErrorCode::kNotFound) return handle;
  const Status made = files.MakeDirectory(ParentOf(path));
  if (!made.has_value() && !Is(made, ErrorCode::kAlreadyExists)) return Fail(made.error());
  return files.OpenNew(path);
}

Status SftpStore::Publish(SftpFiles& files, const std::string& temporary, const std::string& name) {
  const std::string path = PathOf(name);
  bool by_link = links_;
  bool has_directories = false;
  while (true) {
    ASSIGN_OR_RETURN(const sftp::StatusReply reply, by_link
                                                        ? files.HardLink(temporary, path)
                                                        : LookThenRename(files, temporary, path));
    if (reply.code == StatusCode::kOk) {
      if (by_link) files.DropFile(temporary);
      NotePublishing(by_link);
      return {};
    }
    // A name that is taken is a "Failure" like any other.
    RETURN_IF_ERROR(CheckNothingAt(files, path));
    if (!has_directories) {
      RETURN_IF_ERROR(EnsureDirectoriesOf(files, name));
      has_directories = true;
      continue;
    }
    ASSIGN_OR_RETURN([[maybe_unused]] const sftp::Attributes written, files.Lstat(temporary));
    ASSIGN_OR_RETURN(const bool link_is_at_fault, LinksFail(files, by_link, temporary));
    if (!link_is_at_fault) return Fail(files.ErrorOf(reply, Concat("creating ", path)));
    by_link = false;
  }
}

/// kAlreadyExists if an object has the name.
Status SftpStore::CheckNothingAt(SftpFiles& files, const std::string& path) {
  const Result<sftp::Attributes> there = files.Lstat(path);
  if (!there.has_value() && there.error().code == ErrorCode::kNotFound) return {};
  if (!there.has_value()) return Fail(there.error());
  if (!there->IsDirectory())
    return Fail(ErrorCode::kAlreadyExists, Concat(path, " exists already"));
  return Fail(ErrorCode::kCorruption, Concat(path, " is a directory where an object belongs"),
              kForeignHint);
}

/// Whether hard links do not work there at all, by one that nobody needs: file systems that lack
/// them say so in many words. What has worked once has not gone for good.
Result<bool> SftpStore::LinksFail(SftpFiles& files, bool by_link, const std::string& temporary) {
  if (!by_link || links_proven_) return false;
  const std::string trial = NewScratchPath();
  ASSIGN_OR_RETURN(const sftp::StatusReply reply, files.HardLink(temporary, trial));
  if (reply.code == StatusCode::kOk) files.DropFile(trial);
  return reply.code != StatusCode::kOk;
}

void SftpStore::NotePublishing(bool by_link) {
  if (by_link) links_proven_ = true;
  if (!by_link && links_.exchange(false)) {
    LOG(kWarning, server_, ": the store at ", root_, " is weak: there are no hard links");
  }
}

Result<sftp::StatusReply> SftpStore::LookThenRename(SftpFiles& files, const std::string& temporary,
                                                    const std::string& path) {
  const Result<sftp::Attributes> there = files.Lstat(path);
  if (there.has_value()) return sftp::StatusReply{StatusCode::kFailure, "it exists"};
  if (there.error().code != ErrorCode::kNotFound) return Fail(there.error());
  return files.Rename(temporary, path);
}

Status SftpStore::EnsureDirectoriesOf(SftpFiles& files, const std::string& name) {
  for (std::size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    const std::string path = PathOf(name.substr(0, slash));
    const Status made = files.MakeDirectory(path);
    // Only what is new is synced: a file system that keeps what was synced in it, the object's own
    // directory, has kept the way there that others made before.
    if (made.has_value()) {
      RETURN_IF_ERROR(SyncParentOf(files, path));
      continue;
    }
    if (!Is(made, ErrorCode::kAlreadyExists)) return made;
    ASSIGN_OR_RETURN(const sftp::Attributes there, files.Lstat(path));
    if (there.IsDirectory() || !there.TellsKind()) continue;
    return Fail(ErrorCode::kCorruption,
                Concat(path, there.IsSymlink() ? " is a symbolic link; stores hold none"
                                               : " is a file where a directory belongs"),
                kForeignHint);
  }
  return {};
}

Status SftpStore::SyncParentOf(SftpFiles& files, const std::string& path) {
  if (directory_sync_ == DirectorySync::kNone) return {};
  const Status synced = files.SyncDirectory(ParentOf(path));
  if (synced.has_value()) {
    directory_sync_ = DirectorySync::kWorks;
    return {};
  }
  const Error& error = synced.error();
  const bool was_answered = error.code != ErrorCode::kCancelled && !files.session_has_ended();
  if (was_answered && directory_sync_ == DirectorySync::kUnknown) {
    // Not every server and file system has it. One that had it and fails now is another matter.
    LOG(kDebug, server_, " does not sync directories: ", error.message);
    directory_sync_ = DirectorySync::kNone;
    return {};
  }
  if (error.code == ErrorCode::kCancelled) return synced;
  return Fail(ErrorCode::kUnavailable,
              Concat("it is there, but perhaps not after a power cut: ", error.message));
}

/// What a crash left, here or elsewhere, by the clock that has just dated the object `name`.
void SftpStore::CleanScratch(SftpFiles& files, const std::string& name) {
  const Result<sftp::Attributes> made = files.Lstat(PathOf(name));
  if (!made.has_value() || !made->modified_unix.has_value()) return;
  std::vector<std::string> old;
  std::set<std::string> locked;  // ids of those who work on the server itself, and see to theirs
  const auto look = [&](const sftp::NamedAttributes& named) {
    const std::string id = ScratchIdOf(named.name);
    if (id.empty()) return;
    if (IsScratchLock(named.name)) locked.insert(id);
    const std::optional<std::uint32_t> modified = named.attributes.modified_unix;
    if (modified.has_value() && *made->modified_unix > kLeftOverSeconds &&
        *modified < *made->modified_unix - kLeftOverSeconds) {
      old.push_back(named.name);
    }
  };
  const std::string directory = PathOf(kScratchDirectory);
  if (!files.ForEach(directory, look).has_value()) return;
  int removed = 0;
  for (const std::string& left : old) {
    if (locked.contains(ScratchIdOf(left))) continue;
    files.DropFile(Concat(directory, "/", left));
    ++removed;
  }
  if (removed > 0)
    LOG(kInfo, "removed ", removed, " unfinished files of a crash at ", description_);
}

Result<Bytes> SftpStore::Get(const RequestContext& context, const std::string& name,
                             std::uint64_t size_max) {
  const auto wanted = [&](std::uint64_t size) -> Result<SftpFiles::Range> {
    if (size <= size_max) return SftpFiles::Range{0, size};
    return Fail(ErrorCode::kCorruption,
                Concat("object ", name, " holds ", size, " bytes, more than ", size_max));
  };
  return ReadObject(context, name, {0, std::min(size_max, kAskedBlindly)}, wanted);
}

Result<Bytes> SftpStore::GetRange(const RequestContext& context, const std::string& name,
                                  std::uint64_t offset, std::uint64_t length) {
  const auto wanted = [&](std::uint64_t size) -> Result<SftpFiles::Range> {
    ASSIGN_OR_RETURN(const std::uint64_t there, ClipObjectRange(name, size, offset, length));
    return SftpFiles::Range{offset, there};
  };
  return ReadObject(context, name, {offset, std::min(length, kAskedBlindly)}, wanted);
}

Result<Bytes> SftpStore::ReadObject(const RequestContext& context, const std::string& name,
                                    SftpFiles::Range likely, const SftpFiles::Wanted& wanted) {
  RETURN_IF_ERROR(CheckObjectName(name));
  const bool patient = context.priority == Priority::kBackground;
  ASSIGN_OR_RETURN(const auto session, Session(patient ? Lane::kBulk : Lane::kPrompt));
  SftpFiles files(session, context);
  Result<Bytes> bytes = files.Read(PathOf(name), likely, wanted);
  if (bytes.has_value()) return bytes;
  return Fail(MissingOr(files, bytes.error()));
}

Result<ListPage> SftpStore::List(const RequestContext& context, const std::string& prefix,
                                 const std::string& start_after, std::size_t limit) {
  RETURN_IF_ERROR(CheckListLimit(limit));
  ASSIGN_OR_RETURN(const auto session, Session(Lane::kPrompt));
  SftpFiles files(session, context);
  RETURN_IF_ERROR(CheckMarker(files));
  SftpTree tree(files);
  Result<ListPage> page = ListDirectoryTree(tree, root_, prefix, start_after, limit);
  if (!page.has_value()) return Fail(OfServer(server_, page.error()));
  return page;
}

Status SftpStore::Delete(const RequestContext& context, const std::string& name) {
  RETURN_IF_ERROR(CheckObjectName(name));
  ASSIGN_OR_RETURN(const auto session, Session(Lane::kPrompt));
  SftpFiles files(session, context);
  const std::string path = PathOf(name);
  ASSIGN_OR_RETURN(const std::uint32_t looking, files.BeginLstat(path));
  RETURN_IF_ERROR(CheckMarker(files));
  const Result<sftp::Attributes> there = files.EndLstat(looking, path);
  if (!there.has_value()) return Fail(MissingOr(files, there.error()));
  if (there->IsDirectory()) {
    return Fail(ErrorCode::kNotFound, Concat(server_, ": ", path, " is a directory"));
  }
  if (there->IsSymlink()) {
    return Fail(ErrorCode::kCorruption,
                Concat(server_, ": ", path, " is a symbolic link; stores hold none"), kForeignHint);
  }
  RETURN_IF_ERROR(files.Remove(path));
  if (name == format::kMarkerName) SetMarker(std::nullopt);
  return {};
}

StoreCapabilities SftpStore::capabilities() const {
  StoreCapabilities capabilities;
  capabilities.strength = links_ ? StoreStrength::kStrong : StoreStrength::kWeak;
  return capabilities;
}

Error SftpStore::MissingOr(SftpFiles& files, Error error) {
  // Some servers say "Failure" of a path through a file; nothing can be there.
  if (error.code == ErrorCode::kNotFound) {
    const Status guard = CheckMarker(files);
    if (!guard.has_value()) return guard.error();
  }
  return OfServer(server_, std::move(error));
}

Status SftpStore::CheckMarker(SftpFiles& files) {
  const std::string path = PathOf(std::string(format::kMarkerName));
  return JudgeMarker(files, files.Lstat(path));
}

Status SftpStore::JudgeMarker(SftpFiles& files, const Result<sftp::Attributes>& there) {
  Marker expected;
  {
    const MutexLock lock(mutex_);
    if (!marker_.has_value()) return {};
    expected = *marker_;
  }
  if (!there.has_value() && there.error().code != ErrorCode::kNotFound) return Fail(there.error());
  if (there.has_value() && Same(*there, expected.attributes)) return {};
  if (Planted("trust-any-place")) return {};
  SftpTree tree(files);
  ASSIGN_OR_RETURN(const std::optional<Bytes> bytes, ReadMarker(tree, root_));
  if (!bytes.has_value()) {
    return Fail(ErrorCode::kUnavailable, Concat(server_, ": ", LostMountMessage(root_)),
                kMountHint);
  }
  if (*bytes != expected.bytes) {
    return Fail(
        ErrorCode::kUnavailable,
        Concat(server_, ": store at ", root_, " holds another vault than when it was opened"),
        kMountHint);
  }
  return NoteMarker(files, expected.bytes);
}

Status SftpStore::NoteMarker(SftpFiles& files, Bytes bytes) {
  ASSIGN_OR_RETURN(const sftp::Attributes attributes,
                   files.Lstat(PathOf(std::string(format::kMarkerName))));
  SetMarker(Marker{std::move(bytes), attributes});
  return {};
}

void SftpStore::SetMarker(std::optional<Marker> marker) {
  const MutexLock lock(mutex_);
  marker_ = std::move(marker);
}

std::string SftpStore::NewScratchPath() {
  return PathOf(Concat(kScratchDirectory, "/", scratch_id_, ".", next_scratch_++));
}

std::string SftpStore::PathOf(const std::string& name) const { return Concat(root_, "/", name); }

}  // namespace coffer::store

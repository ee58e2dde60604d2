// SftpStore: a store in a directory of an SFTP server.
//
// Objects are files as DirectoryStore has them, and the same directory may be a store by its path
// on the server at the same time. An object is written under a name of its own in .coffer-tmp/,
// synced (fsync@openssh.com), and gets its name by hardlink@openssh.com, which refuses a name that
// is taken. Where that does not work, by look-then-rename, which two writers can both pass: then
// the store is *weak*. Never by posix-rename@openssh.com, which overwrites. The directory is synced
// before Create returns, where the server can sync directories at all (OpenSSH on Linux can).
//
// The mount guard is DirectoryStore's: before a name is made, deleted or listed the marker `vault`
// is looked at, here by its size and time, and read again only when those have changed.
//
// What a crash leaves in .coffer-tmp/ is removed by the first Create of an instance, once it is an
// hour old by the server's own clock; there are no locks to tell who lives. A writer whose file was
// removed all the same writes it again.
//
// Two connections at most, each begun when it is needed, and anew when it is lost, by one caller
// for all: bulk data has one of its own, so that a read never waits behind an upload.
//
// Thread-safe, also among processes and machines.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/store/directory_guard.h"
#include "core/store/object_store.h"
#include "core/store/sftp_files.h"
#include "core/store/sftp_tree.h"
#include "core/store/ssh_process.h"
#include "core/store/store_open_mode.h"
#include "core/store/store_url.h"

namespace coffer::store {

/// What an SFTP store stands on; all outlive it.
struct SftpSeams {
  SftpDialer dial;
  Clock& clock;
  Executor& waiting;
  Random& random;
};

class SftpStore final : public ObjectStore {
 public:
  /// By DirectoryStore's rules (directory_guard.h). A path that begins with "~/" is below where the
  /// login begins.
  static Result<std::unique_ptr<SftpStore>> Open(const RequestContext& context, const StoreUrl& url,
                                                 SftpSeams seams, StoreOpenMode mode);
  /// Why Open would fail for an init, as far as that shows without making anything.
  static Status CheckForInit(const RequestContext& context, const StoreUrl& url, SftpSeams seams);
  ~SftpStore() override;

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  [[nodiscard]] StoreCapabilities capabilities() const override;
  [[nodiscard]] std::string description() const override { return description_; }
  [[nodiscard]] std::string identity() const override { return identity_; }

 private:
  enum class Lane { kPrompt, kBulk };
  static constexpr std::size_t kLanes = 2;
  struct Marker {
    Bytes bytes;
    sftp::Attributes attributes;
  };

  /// Not every server or file system syncs directories.
  enum class DirectorySync { kUnknown, kWorks, kNone };

  SftpStore(const StoreUrl& url, SftpSeams seams);

  /// The session of that lane, a new one if the last has ended.
  Result<std::shared_ptr<SftpSession>> Session(Lane lane);
  Status Begin(const RequestContext& context, const StoreUrl& url, StoreOpenMode mode);
  Result<StoreDirectory> FindDirectory(SftpFiles& files, const std::string& given,
                                       StoreOpenMode mode);
  static Result<std::string> RootOf(SftpFiles& files, const StoreUrl& url);
  Status CheckWritable(const RequestContext& context);

  Status CreateOnce(const RequestContext& context, const std::string& name, ByteView data,
                    ObjectClass object_class);
  Result<std::string> OpenScratch(SftpFiles& files, const std::string& path);
  Status Publish(SftpFiles& files, const std::string& temporary, const std::string& name);
  Status CheckNothingAt(SftpFiles& files, const std::string& path);
  Result<bool> LinksFail(SftpFiles& files, bool by_link, const std::string& temporary);
  void NotePublishing(bool by_link);
  Result<sftp::StatusReply> LookThenRename(SftpFiles& files, const std::string& temporary,
                                           const std::string& path);
  Status EnsureDirectoriesOf(SftpFiles& files, const std::string& name);
  Status SyncParentOf(SftpFiles& files, const std::string& path);
  void CleanScratch(SftpFiles& files, const std::string& name);

  Result<Bytes> ReadObject(const RequestContext& context, const std::string& name,
                           SftpFiles::Range likely, const SftpFiles::Wanted& wanted);
  Status CheckMarker(SftpFiles& files);
  Status JudgeMarker(SftpFiles& files, const Result<sftp::Attributes>& there);
  Status NoteMarker(SftpFiles& files, Bytes bytes);
  /// The error of the mount guard if it has one, for what is missing.
  Error MissingOr(SftpFiles& files, Error error);
  void SetMarker(std::optional<Marker> marker);
  std::string NewScratchPath();
  [[nodiscard]] std::string PathOf(const std::string& name) const;

  const SftpSeams seams_;
  const std::string description_;
  const std::string identity_;
  const std::string server_;  // for errors
  const std::string scratch_id_;
  std::string root_;  // set by Begin, once
  std::atomic<std::uint64_t> next_scratch_ = 0;
  std::atomic<bool> cleaned_ = false;
  std::atomic<bool> links_ = true;  // names are given by links
  std::atomic<bool> links_proven_ = false;
  std::atomic<DirectorySync> directory_sync_ = DirectorySync::kUnknown;

  Mutex mutex_;  // held while a program is started too: one at a time
  std::array<std::shared_ptr<SftpSession>, kLanes> sessions_ GUARDED_BY(mutex_);
  std::optional<Marker> marker_ GUARDED_BY(mutex_);  // none: not guarded yet
};

/// Who logs in where, for ssh.
[[nodiscard]] SshTarget SshTargetOf(const StoreUrl& url);
/// What one place is called, however the URL is spelt.
[[nodiscard]] std::string SftpIdentityOf(const StoreUrl& url);

}  // namespace coffer::store

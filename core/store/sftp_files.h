// Files on an SFTP server, by their paths, in as few round trips as may be: what does not need
// another answer first is sent along with it. One caller's, over one session.
//
// Answers that are an error: kNotFound, kUnsupported; kIoError for what this user may not do;
// kNoSpace where the server's words or its free space say so; kUnavailable for the rest, since
// servers put most of what goes wrong into one number ("Failure").
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "core/base/bytes.h"
#include "core/store/sftp_session.h"

namespace coffer::store {

class SftpFiles {
 public:
  SftpFiles(std::shared_ptr<SftpSession> session, const RequestContext& context)
      : session_(std::move(session)), exchange_(*session_, context) {}

  /// What the server offers.
  Result<SftpSession::Terms> Terms() { return exchange_.AwaitTerms(); }

  [[nodiscard]] bool session_has_ended() const { return session_->has_ended(); }

  /// Of the path itself, and of what a symbolic link at it points to.
  Result<sftp::Attributes> Lstat(const std::string& path);
  Result<sftp::Attributes> Stat(const std::string& path);
  /// Lstat in two parts: asked now, answered with what is asked after it.
  Result<std::uint32_t> BeginLstat(const std::string& path);
  Result<sftp::Attributes> EndLstat(std::uint32_t id, const std::string& path);

  /// The absolute path without symbolic links; of "." where a login begins.
  Result<std::string> RealPath(const std::string& path);

  /// kAlreadyExists if anything is there.
  Status MakeDirectory(const std::string& path);
  Status RemoveDirectory(const std::string& path);
  Status Remove(const std::string& path);
  /// Likewise, without waiting for whether it worked.
  void DropFile(const std::string& path) {
    exchange_.Post(sftp::OfPath(sftp::PacketType::kRemove, path));
  }

  /// The server's word on it as it is: what a failure means is to be found out.
  Result<sftp::StatusReply> HardLink(const std::string& from, const std::string& to);
  Result<sftp::StatusReply> Rename(const std::string& from, const std::string& to);

  /// Writes a new file at `path` in two steps, syncs it where the server can, and closes it.
  /// kAlreadyExists is told as what servers make of it.
  Result<std::string> OpenNew(const std::string& path);
  Status WriteAndClose(const std::string& handle, const std::string& path, ByteView data);
  void CloseFile(const std::string& handle) { exchange_.Post(sftp::Close(handle)); }

  struct Range {
    std::uint64_t offset;
    std::uint64_t length;
  };
  /// What of the file is wanted, by its size, or why none of it is.
  using Wanted = std::function<Result<Range>(std::uint64_t size)>;
  /// kCorruption for what is no file, or ends before its size. `likely` is asked for before the
  /// size is known.
  Result<Bytes> Read(const std::string& path, Range likely, const Wanted& wanted);

  /// Everything in a directory but "." and "..", in any order.
  Status ForEach(const std::string& path,
                 const std::function<void(const sftp::NamedAttributes&)>& entry);

  /// Makes the names in a directory durable. kUnsupported if the server or its file system cannot.
  Status SyncDirectory(const std::string& path);

  Result<sftp::Space> Space(const std::string& path);

  /// `reply` as an error: "opening /a/b: No such file". OK and end of file are none.
  Error ErrorOf(const sftp::StatusReply& reply, const std::string& what) const;

 private:
  struct Piece {
    std::uint32_t id;
    std::uint64_t offset;
    std::uint32_t length;
  };
  class Download;
  class ClosesAtEnd;

  Result<sftp::Attributes> AttributesIn(const Result<sftp::Reply>& reply, const std::string& what);
  Result<std::string> HandleIn(const Result<sftp::Reply>& reply, const std::string& what);
  Status StatusIn(const Result<sftp::Reply>& reply, const std::string& what);
  Status DoneOrFull(Status failed, const std::string& path, std::uint64_t bytes);
  Status AwaitAll(std::deque<std::uint32_t>& ids, std::size_t left, const std::string& what);

  const std::shared_ptr<SftpSession> session_;
  SftpSession::Exchange exchange_;
};

}  // namespace coffer::store

// Session: one connection to the kernel's FUSE, and the threads that read its requests.
//
// States: running -> ended, once: by Stop, or when somebody has unmounted the directory.
// Requests that jobs still hold must have been answered before it is destroyed. That closes the
// connection: files that are still open give ENOTCONN then.
#pragma once

#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/patience.h"
#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "fuse/operations.h"

namespace coffer::fuse {

class Session {
 public:
  enum class Access { kOwner, kOwnerAndRoot };

  /// `connection` is an open /dev/fuse that is mounted; `mounted` outlives the session.
  static Result<std::unique_ptr<Session>> Open(Mounted& mounted, UniqueFd connection,
                                               Access access);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Returns when no thread reads requests any more.
  void Stop();

  // What the kernel keeps is dropped. No error: what it does not know of there is nothing to drop.
  // From any thread but those that read requests, since the kernel waits for pages that are just
  // being read. REQUIRES that no read of them waits for long: a process that is killed in here ends
  // only when its own threads, gone by then, have answered.

  /// Attributes, and the pages from `offset` on.
  void ForgetData(Inode inode, std::uint64_t offset);
  void ForgetName(Inode directory, const std::string& name);

 private:
  struct Destroy {
    void operator()(fuse_session* session) const { fuse_session_destroy(session); }
  };
  Session(std::unique_ptr<fuse_session, Destroy> session, UniqueFd stop, const Clock& clock);

  void Run();
  int Receive(fuse_buf& buffer, Patience& patience);
  [[nodiscard]] bool AwaitRequest();

  const std::unique_ptr<fuse_session, Destroy> session_;
  const UniqueFd stop_;  // an eventfd, readable from the end on
  const Clock& clock_;
  std::unique_ptr<Executor> loops_;  // last: its end waits for Run's
};

}  // namespace coffer::fuse

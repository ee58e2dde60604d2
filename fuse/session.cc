#include "fuse/session.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/base/log.h"
#include "fuse/limits.h"

namespace coffer::fuse {
namespace {

void LogOfLibrary(fuse_log_level level, const char* format, va_list arguments) {
  std::array<char, 512> line{};
  std::vsnprintf(line.data(), line.size(), format, arguments);
  std::string text = line.data();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  LogLine(level <= FUSE_LOG_ERR ? LogLevel::kWarning : LogLevel::kDebug, "libfuse: " + text);
}

}  // namespace

Session::Session(std::unique_ptr<fuse_session, Destroy> session, UniqueFd stop, const Clock& clock)
    : session_(std::move(session)), stop_(std::move(stop)), clock_(clock) {}

Result<std::unique_ptr<Session>> Session::Open(Mounted& mounted, UniqueFd connection,
                                               Access access) {
  fuse_set_log_func(LogOfLibrary);
  UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return Fail(ErrorFromErrno(errno, "making an eventfd"));
  std::array<std::string, 3> words = {"coffer", "-o", "allow_root"};
  std::array<char*, 3> pointers = {words[0].data(), words[1].data(), words[2].data()};
  // The kernel lets everybody in or the owner alone; that others than root stay out is libfuse's.
  fuse_args arguments = FUSE_ARGS_INIT(access == Access::kOwnerAndRoot ? 3 : 1, pointers.data());
  std::unique_ptr<fuse_session, Destroy> session(
      fuse_session_new(&arguments, &Operations(), sizeof(fuse_lowlevel_ops), &mounted));
  fuse_opt_free_args(&arguments);
  if (session == nullptr) return Fail(ErrorCode::kIoError, "libfuse makes no session");
  // It is mounted already; libfuse takes the descriptor by this name, and closes it at the end.
  const std::string name = Concat("/dev/fd/", connection.get());
  if (fuse_session_mount(session.get(), name.c_str()) != 0) {
    return Fail(ErrorCode::kIoError, "libfuse does not take the connection");
  }
  static_cast<void>(connection.Release());
  std::unique_ptr<Session> opened(new Session(std::move(session), std::move(stop), mounted.clock));
  opened->loops_ = NewThreadExecutor("coffer-fuse", kLoopThreads);
  for (int i = 0; i < kLoopThreads; ++i)
    opened->loops_->Post([self = opened.get()] { self->Run(); });
  return opened;
}

Session::~Session() { Stop(); }

void Session::Stop() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = write(stop_.get(), &one, sizeof one);
  loops_.reset();
}

/// False: there will be none.
bool Session::AwaitRequest() {
  std::array<pollfd, 2> waits = {
      {{fuse_session_fd(session_.get()), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  for (;;) {
    const int ready = poll(waits.data(), waits.size(), -1);
    if (ready < 0 && errno != EINTR) return false;
    if (ready > 0) return waits[1].revents == 0;
  }
}

/// As fuse_session_receive_buf; asks again for a while where that pays, before it says -EAGAIN.
int Session::Receive(fuse_buf& buffer, Patience& patience) {
  int got = fuse_session_receive_buf(session_.get(), &buffer);
  const Duration limit = patience.ForThisWait();
  if (got != -EAGAIN || limit == Duration::zero()) return got;
  const MonotonicTime end = clock_.Now() + limit;
  do {
    got = fuse_session_receive_buf(session_.get(), &buffer);
  } while (got == -EAGAIN && clock_.Now() < end);
  if (got == -EAGAIN) {
    patience.WasInVain();
  } else {
    patience.Paid();
  }
  return got;
}

void Session::Run() {
  fuse_buf buffer{};  // libfuse allocates it for the largest request
  Patience patience(kPatience);
  for (;;) {
    const int got = Receive(buffer, patience);
    if (got > 0) {
      fuse_session_process_buf(session_.get(), &buffer);
    } else if (got == -EAGAIN) {
      const MonotonicTime begin = clock_.Now();
      if (!AwaitRequest()) break;
      patience.Slept(clock_.Now() - begin);
    } else if (got != -EINTR) {
      break;  // 0: unmounted
    }
  }
  std::free(buffer.mem);
}

void Session::ForgetData(Inode inode, std::uint64_t offset) {
  fuse_lowlevel_notify_inval_inode(session_.get(), inode, static_cast<off_t>(offset), 0);
}

void Session::ForgetName(Inode directory, const std::string& name) {
  fuse_lowlevel_notify_inval_entry(session_.get(), directory, name.c_str(), name.size());
}

}  // namespace coffer::fuse

// ChildStream: a program that is talked to over its stdin and stdout, such as ssh. One thread a
// program moves the bytes; it waits for nothing but the program's descriptors, and ends with it.
//
// The program ends when it wants to, when Stop is called, or when neither side has said anything
// for `idle_max`. What it said on stderr last is kept for whoever has to tell why. Should this
// process be killed, the program sees the end of its stdin.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/mutex.h"
#include "core/base/process.h"

namespace coffer {

class ChildStream {
 public:
  struct End {
    int exit_code = 0;  // as ProgramEnd has it
    std::string said;   // on stderr, its last kSaidMax bytes, as they came
  };
  static constexpr std::size_t kSaidMax = 4096;

  /// Called on the stream's thread, with none of its locks held; not after ~ChildStream.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnBytes(ByteView bytes) = 0;
    /// Once, as the last call, when the program has ended; not after Stop.
    virtual void OnEnd(const End& end) = 0;
  };

  struct Options {
    const char* thread_name = "child";
    std::vector<std::string> environment = {};  // see Child::StartConnected
    std::chrono::milliseconds idle_max = kNoLimit;
  };

  /// `listener` outlives the stream and may be called before this returns.
  static Result<std::unique_ptr<ChildStream>> Start(const std::vector<std::string>& words,
                                                    const Options& options, Listener& listener);
  /// Stops, and waits until the program has ended, by force if need be. Not on its own thread.
  ~ChildStream();
  ChildStream(const ChildStream&) = delete;
  ChildStream& operator=(const ChildStream&) = delete;

  /// Never blocks; what the program does not take yet is kept. After the end it goes nowhere.
  void Send(Bytes bytes);
  /// Never blocks: has the program ended, whatever it is at.
  void Stop();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  ChildStream(ConnectedChild child, UniqueFd wake, Listener& listener,
              std::chrono::milliseconds idle_max);

  void Run();
  /// False when the stream has come to its end.
  bool Move();
  bool Receive();
  void ReadErrors();
  /// False when the program takes nothing any more.
  bool SendQueuedLocked() REQUIRES_LOCK(mutex_);
  void EndProgram();

  Child child_;  // this and what it said: of the thread, once it runs
  const pid_t pid_;
  const UniqueFd stream_;
  const UniqueFd errors_;
  const UniqueFd wake_;  // an eventfd
  Listener& listener_;
  const std::chrono::milliseconds idle_max_;
  std::string said_;
  bool errors_open_ = true;

  Mutex mutex_;  // held over a send that does not block
  std::deque<Bytes> queue_ GUARDED_BY(mutex_);
  std::size_t sent_ GUARDED_BY(mutex_) = 0;  // of its first
  bool ended_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace coffer

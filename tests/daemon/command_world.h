// One machine with cofferd's inside on fakes: a disk that fails when told, a line to the provider
// that does so too, one thread, virtual time. What tests of commands under faults stand on.
//
// The provider has two stores: /store/backups holds a vault, /store/new holds nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/store/memory_store.h"
#include "tests/daemon/daemon_world.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/faulty_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_executor.h"

namespace coffer::daemon {

class CommandMachine {
 public:
  static constexpr char kStore[] = "/store/backups";
  static constexpr char kNewStore[] = "/store/new";
  static constexpr std::string_view kPassword = "correct horse";

  CommandMachine(store::MemoryStore& provider, std::uint64_t seed);
  ~CommandMachine();

  void Start();
  /// As TERM: nothing is waited for.
  void Stop();
  [[nodiscard]] VolumeManager& manager() { return *manager_; }
  [[nodiscard]] Executor& work() { return work_; }

  // Each as a client's command: the job is awaited, and its error is the reply.
  coffer::Status Init(const std::string& volume, const std::string& store);
  coffer::Status Add(const std::string& store);
  coffer::Status Open(const std::string& volume, std::string_view password,
                      control::OpenRequest request = {});
  coffer::Status Close(const std::string& volume, bool no_wait);
  coffer::Status CloseByForce(const std::string& volume);
  coffer::Status Sync(const std::string& volume);
  coffer::Status Passwd(const std::string& volume, std::string_view from, std::string_view to);
  coffer::Status Rename(const std::string& from, const std::string& to);
  coffer::Status Resize(const std::string& volume, std::uint64_t size_bytes, bool discard_tail);
  coffer::Status Delete(const std::string& volume);

  coffer::Status ListKeys(const std::string& volume, std::string_view password);
  coffer::Status Forget(const std::string& vault);

  /// The calls of stores from the nth on, `count` of them, happen only when whoever made them has
  /// given up. Landing waits for them, and ends it.
  void DelayCalls(std::uint64_t nth, std::uint64_t count);
  void LandCalls();
  [[nodiscard]] std::uint64_t call_count() const { return calls_made_; }

  /// Somebody clears the full disk after a while: what waits for room until then goes on.
  void MakeRoomLater();

  [[nodiscard]] block::BlockDevice* device(const std::string& volume) const {
    return exporter.device(volume);
  }
  coffer::Status Write(const std::string& volume, std::uint64_t block, char fill);

  FaultyStore line;
  FaultyFileSystem fs;
  FakeExporter exporter;
  FakeExporter images{"fuse"};
  FakeMounter mounter;
  FakeClock clock;
  SimScheduler scheduler;

 private:
  void RunCall(std::function<void()> call);
  coffer::Status Await(Result<control::JobInfo> job);

  SeededRandom random_;
  SimExecutor jobs_;
  SimExecutor sync_;
  SimExecutor work_;
  SimExecutor fetch_;
  SimExecutor calls_;  // of the stores: whoever makes one waits for it
  vault::Environment env_;
  std::uint64_t calls_made_ = 0;
  std::uint64_t late_from_ = 0, late_until_ = 0;
  std::vector<std::unique_ptr<Executor::Timer>> late_;
  std::unique_ptr<Executor::Timer> room_timer_;
  std::unique_ptr<VolumeManager> manager_;
};

}  // namespace coffer::daemon

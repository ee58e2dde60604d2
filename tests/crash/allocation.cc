// allocation_failure [--sample N] [--seed N] [--shard I/N] [--jobs N]: a process with real files
// whose nth allocation fails, for every n that a script of all sorts of requests has. Nobody
// catches std::bad_alloc, on purpose: a process that is out of memory ends at once, and that is a
// crash like any other. Afterwards another process must find everything acknowledged, one password
// that opens, and a blank machine everything committed. Exits 1 at the first loss; also when no
// process ended that way.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <optional>
#include <vector>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/store/directory_store.h"
#include "tests/crash/options.h"
#include "tests/crash/prefix_oracle.h"
#include "tests/support/scratch_directory.h"
#include "tests/volume/volume_world.h"

namespace {

/// Allocations left until one fails; negative: none does.
std::atomic<std::int64_t> g_until_failure{-1};
std::atomic<std::uint64_t> g_allocations{0};

void* Allocate(std::size_t size, std::size_t alignment) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  if (g_until_failure.load() >= 0 && g_until_failure.fetch_sub(1) == 0) return nullptr;
  const std::size_t whole = (size + alignment - 1) / alignment * alignment;
  return alignment <= alignof(std::max_align_t) ? std::malloc(size)
                                                : std::aligned_alloc(alignment, whole);
}

void* AllocateOrThrow(std::size_t size, std::size_t alignment) {
  void* memory = Allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

constexpr std::size_t kUsual = alignof(std::max_align_t);

}  // namespace

void* operator new(std::size_t size) { return AllocateOrThrow(size, kUsual); }
void* operator new[](std::size_t size) { return AllocateOrThrow(size, kUsual); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return AllocateOrThrow(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size, kUsual);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size, kUsual);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace coffer::crash {
namespace {

using block::kBlockSize;
using block::WriteFlag;
using volume::OpenedVolume;

constexpr std::uint64_t kVolumeBlocks = 48;
constexpr std::string_view kOldPassword = vault::Machine::kPassword;
constexpr std::string_view kNewPassword = "battery staple";

enum class Action { kWrite, kTrim, kResize, kFlush, kForcedWrite, kSync, kPasswd, kClose };
struct Request {
  Action action;
  std::uint64_t first = 0;
  std::uint64_t count = 0;
};
constexpr Request kScript[] = {{Action::kWrite, 10, 7},  {Action::kForcedWrite, 25, 1},
                               {Action::kTrim, 2, 8},    {Action::kFlush},
                               {Action::kSync},          {Action::kWrite, 0, 16},
                               {Action::kResize, 0, 60}, {Action::kPasswd},
                               {Action::kWrite, 50, 10}, {Action::kClose}};

/// What a process that may end any time tells the one that looks after it.
struct Progress {
  std::size_t begun;
  std::size_t done;
  std::uint64_t allocations;  // of the whole script
};

/// A machine with real files.
struct RealMachine {
  RealMachine(const std::string& directory, std::uint64_t seed)
      : random(seed), scheduler(clock, seed) {
    std::filesystem::create_directories(directory);
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
    env.state_directory = directory;
  }
  Result<std::unique_ptr<OpenedVolume>> Open(const std::string& store, std::string_view password,
                                             volume::OpenOptions options = {}) {
    ASSIGN_OR_RETURN(auto objects, store::DirectoryStore::Open(*fs, random, store));
    ASSIGN_OR_RETURN(auto vault,
                     vault::Vault::Unlock(env, std::move(objects), vault::Password(password), {}));
    options.settings = TinySettings();
    return OpenedVolume::OpenIn(std::move(vault), options);
  }

  std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
  FakeClock clock;
  SeededRandom random;
  SimScheduler scheduler;
  SimExecutor sync{scheduler, 2};
  SimExecutor work{scheduler, 1};
  SimExecutor fetch{scheduler, 0};
  vault::Environment env{
      *fs, clock, random, sync, work, fetch, vault::kCheapKdf, vault::kCheapBounds, {}, "a"};
};

Bytes DataOf(const Request& request, std::uint64_t number) {
  Bytes data;
  for (std::uint64_t i = 0; i < request.count; ++i) {
    const Bytes block = PrefixOracle::Content(number, request.first + i);
    data.insert(data.end(), block.begin(), block.end());
  }
  return data;
}

Status RunRequest(OpenedVolume& opened, const Request& request, std::uint64_t number) {
  volume::Volume& volume = *opened;
  const std::uint64_t offset = request.first * kBlockSize;
  switch (request.action) {
    case Action::kWrite:
      return volume.Write(offset, DataOf(request, number), WriteFlag::kNone);
    case Action::kForcedWrite:
      return volume.Write(offset, DataOf(request, number), WriteFlag::kForceUnitAccess);
    case Action::kTrim:
      return volume.Trim(offset, request.count * kBlockSize, WriteFlag::kNone);
    case Action::kResize:
      return volume.Resize(request.count * kBlockSize, volume::Volume::Tail::kDiscard);
    case Action::kFlush:
      return volume.Flush();
    case Action::kSync:
      return volume.Sync({});
    case Action::kPasswd:
      return opened.vault().ChangePassword(vault::Password(kOldPassword),
                                           vault::Password(kNewPassword));
    case Action::kClose:
      return volume.Close(volume::CloseMode::kUpload, {});
  }
  return {};
}

/// The number that a request has in the oracle, if it changes data.
std::optional<Change> ChangeOf(const Request& request) {
  switch (request.action) {
    case Action::kWrite:
    case Action::kForcedWrite:
      return Change{Change::Kind::kWrite, request.first, request.count};
    case Action::kTrim:
      return Change{Change::Kind::kZero, request.first, request.count};
    case Action::kResize:
      return Change{Change::Kind::kResize, 0, request.count};
    default:
      return std::nullopt;
  }
}

class Allocations {
 public:
  Allocations(const EnumerationOptions& options, std::span<std::uint64_t> counts)
      : options_(options), counts_(counts) {
    void* memory =
        mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    progress_ = static_cast<Progress*>(memory);
    MakeTemplate();
  }
  ~Allocations() { munmap(progress_, sizeof(Progress)); }

  enum Count { kRuns, kEnded, kCounts };

  bool RunAll() {
    if (!RunOnce(-1)) return false;
    const auto total = static_cast<std::int64_t>(progress_->allocations);
    SeededRandom random(options_.seed);
    for (std::int64_t n = 0; n < total; ++n) {
      const bool chosen = random.OneIn(options_.sample);
      if (!chosen || static_cast<std::uint64_t>(n) % options_.shards != options_.shard) continue;
      if (!RunOnce(n)) return false;
    }
    return true;
  }

 private:
  void MakeTemplate() {
    RealMachine machine(template_ / "state", options_.seed);
    auto store =
        store::DirectoryStore::OpenForInit(*machine.fs, machine.random, template_ / "store");
    CHECK(store.has_value());
    CHECK(vault::Vault::Create(
              machine.env, std::move(*store), vault::Password(kOldPassword),
              {.name = "photos", .size = kVolumeBlocks * kBlockSize, .chunk_size = 16 * 1024})
              .has_value());
  }

  /// Fails allocation `n` of a script, or none.
  bool RunOnce(std::int64_t n) {
    ++counts_[kRuns];
    namespace files = std::filesystem;
    files::remove_all(scratch_ / "state");
    files::remove_all(scratch_ / "store");
    files::copy(template_.path(), scratch_.path(), files::copy_options::recursive);
    *progress_ = {};
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) RunChild(n);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    const bool ended = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    if (ended) ++counts_[kEnded];
    const std::string wrong = ended || (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                                  ? Check()
                                  : Concat("the process ends with status ", status);
    if (wrong.empty()) return true;
    std::fprintf(stderr, "LOST: allocation %lld fails, %zu requests begun, %zu done: %s\n",
                 static_cast<long long>(n), progress_->begun, progress_->done, wrong.c_str());
    return false;
  }

  /// As a server does: nothing here, either, catches anything.
  [[noreturn]] void RunChild(std::int64_t n) noexcept {
    const rlimit none{0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    const int nowhere = open("/dev/null", O_WRONLY);
    if (nowhere >= 0) (void)dup2(nowhere, STDERR_FILENO);
    alarm(60);
    RealMachine machine(scratch_ / "state", options_.seed + 1);
    auto opened = machine.Open(scratch_ / "store", kOldPassword);
    if (!opened.has_value()) std::_Exit(1);
    const std::uint64_t before = g_allocations.load();
    g_until_failure = n;
    std::uint64_t number = 0;
    for (const Request& request : kScript) {
      ++progress_->begun;
      if (ChangeOf(request).has_value()) ++number;
      if (!RunRequest(**opened, request, number).has_value()) std::_Exit(2);
      ++progress_->done;
    }
    g_until_failure = -1;
    progress_->allocations = g_allocations.load() - before;
    std::_Exit(0);
  }

  std::string Check() {
    PrefixOracle oracle(kVolumeBlocks);
    bool passwd_begun = false;
    bool passwd_done = false;
    for (std::size_t i = 0; i < progress_->begun; ++i) {
      const bool done = i < progress_->done;
      const Request& request = kScript[i];
      if (const auto change = ChangeOf(request)) {
        const std::uint64_t number = oracle.Begin(*change);
        if (done) oracle.Done(number);
      } else if (request.action == Action::kPasswd) {
        passwd_begun = true;
        passwd_done = done;
      } else if (done && request.action != Action::kFlush) {
        oracle.Committed(oracle.acknowledged());
      }
    }
    std::vector<std::string_view> passwords;
    if (!passwd_done) passwords.push_back(kOldPassword);
    if (passwd_begun) passwords.push_back(kNewPassword);
    std::string_view password;
    {
      RealMachine blank(scratch_ / "blank", options_.seed + 2);
      for (const std::string_view one : {kOldPassword, kNewPassword}) {
        const auto opened = blank.Open(scratch_ / "store", one, {.read_only = true});
        if (opened.has_value()) {
          if (!password.empty()) return "both passwords open the vault";
          password = one;
          if (std::string wrong = oracle.CheckRemote(***opened); !wrong.empty())
            return "on a blank machine " + wrong;
        } else if (opened.error().code != ErrorCode::kUnauthenticated) {
          return "a blank machine cannot open it: " + opened.error().message;
        }
      }
    }
    std::filesystem::remove_all(scratch_ / "blank");
    if (std::find(passwords.begin(), passwords.end(), password) == passwords.end())
      return Concat("the password that opens is '", password, "'");
    RealMachine machine(scratch_ / "state", options_.seed + 3);
    auto opened = machine.Open(scratch_ / "store", password);
    if (!opened.has_value()) return "does not open: " + opened.error().message;
    if (std::string wrong = oracle.CheckAfterCrash(***opened, Loss::kProcess); !wrong.empty())
      return wrong;
    const Status closed = (***opened).Close(volume::CloseMode::kUpload, {});
    return closed.has_value() ? std::string() : "does not close: " + closed.error().message;
  }

  const EnumerationOptions options_;
  const std::span<std::uint64_t> counts_;
  ScratchDirectory template_;
  ScratchDirectory scratch_;
  Progress* progress_;
};

int Main(int argc, char** argv) {
  EnumerationOptions options;
  if (!ParseOptions(argc, argv, &options)) return 2;
  SetLogLevel(LogLevel::kError);
  // No power is cut here: memory does.
  if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0);
  std::uint64_t counts[Allocations::kCounts] = {};
  const bool good = RunInProcesses(
      options, counts, [](const EnumerationOptions& own, std::span<std::uint64_t> own_counts) {
        return Allocations(own, own_counts).RunAll();
      });
  if (!good) return 1;
  std::printf("%llu processes, %llu of them ended by a failed allocation, 0 losses (seed %llu)\n",
              static_cast<unsigned long long>(counts[Allocations::kRuns]),
              static_cast<unsigned long long>(counts[Allocations::kEnded]),
              static_cast<unsigned long long>(options.seed));
  return counts[Allocations::kEnded] > 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::crash

int main(int argc, char** argv) { return coffer::crash::Main(argc, argv); }

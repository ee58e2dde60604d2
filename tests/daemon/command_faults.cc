// command_faults [--sample N] [--seed N] [--shard I/N] [--jobs N]: runs every command with every
// call of the disk and every request to the store failing in turn, once or from then on, before it
// happened or after (its reply lost), or happening only when nobody waits for it any more. Then the
// reply and the world must agree:
//
//   success    the world is as after the command without a fault; what it says is uploaded
//              somebody else finds in the store
//   an error   it is as before; or status says UNFINISHED, or what waits, and it is one of the two
//   either     what the store does not have yet status shows as waiting
//
// "The world" is what status says at once and after a restart, what this machine finds when it
// opens every volume, and what another machine finds in the store. Prints every disagreement and
// exits 1 when there is one, or nothing was run.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "core/base/log.h"
#include "tests/crash/options.h"
#include "tests/daemon/command_world.h"

namespace coffer::daemon {
namespace {

constexpr std::string_view kNewPassword = "battery staple";

/// What there is of one volume.
struct Found {
  std::uint64_t size = 0;
  std::uint64_t digest = 0;
  bool operator==(const Found&) const = default;
};
struct World {
  std::map<std::string, Found> volumes;  // by VAULT/VOLUME
  std::string password;                  // that opens the vault in backups
  bool operator==(const World&) const = default;
};

std::string Describe(const World& world) {
  std::string text;
  for (const auto& [name, found] : world.volumes)
    text += Concat(name, "(", found.size, ",", found.digest % 10000, ") ");
  return text + world.password;
}

struct Command {
  std::string name;
  std::function<Status(CommandMachine&)> prepare;
  std::function<Status(CommandMachine&)> run;
  /// What an error may leave for the next open, and status shows: data that wait.
  bool leaves_data = false;
  /// Success means that photos is in the store as it is here.
  bool uploads = false;
};

control::OpenRequest ReadOnly() {
  control::OpenRequest request;
  request.read_only = true;
  return request;
}

control::OpenRequest Mounted() {
  control::OpenRequest request;
  request.mount = control::MountRequest{"/home/user/photos", "", ""};
  return request;
}

Status Nothing(CommandMachine&) { return {}; }

Status OpenAndWrite(CommandMachine& machine) {
  RETURN_IF_ERROR(machine.Open("photos", CommandMachine::kPassword));
  return machine.Write("photos", 5, 'c');
}

std::vector<Command> Commands() {
  using Machine = CommandMachine;
  const auto password = Machine::kPassword;
  return {
      {"init (vault)", Nothing, [](Machine& m) { return m.Init("fresh", Machine::kNewStore); }},
      {"init (volume)", Nothing, [](Machine& m) { return m.Init("docs", Machine::kStore); }},
      {"add",
       [](Machine& m) -> Status {
         m.Stop();
         (void)RemoveTree(m.fs, "/home/user/state/coffer/vaults");
         m.Start();
         return {};
       },
       [](Machine& m) { return m.Add(Machine::kStore); }},
      {"open", Nothing, [=](Machine& m) { return m.Open("music", password); }, true},
      {"open --read-only", Nothing,
       [=](Machine& m) { return m.Open("music", password, ReadOnly()); }, true},
      {"open --mount", Nothing, [=](Machine& m) { return m.Open("photos", password, Mounted()); }},
      {"close", OpenAndWrite, [](Machine& m) { return m.Close("photos", false); }, true, true},
      {"close --no-wait", OpenAndWrite, [](Machine& m) { return m.Close("photos", true); }, true},
      {"close --force", OpenAndWrite, [](Machine& m) { return m.CloseByForce("photos"); }, true,
       true},
      {"sync", OpenAndWrite, [](Machine& m) { return m.Sync("photos"); }, true, true},
      {"passwd", Nothing, [=](Machine& m) { return m.Passwd("photos", password, kNewPassword); }},
      {"passwd (open)", [=](Machine& m) { return m.Open("photos", password); },
       [=](Machine& m) { return m.Passwd("photos", password, kNewPassword); }},
      {"key list", Nothing, [=](Machine& m) { return m.ListKeys("photos", password); }},
      {"resize (grow)", Nothing, [](Machine& m) { return m.Resize("photos", 2 << 20, false); }},
      {"resize (shrink)", Nothing, [](Machine& m) { return m.Resize("photos", 16384, true); }},
      {"resize (open, shrink)", OpenAndWrite,
       [](Machine& m) { return m.Resize("photos", 16384, true); }, true},
      {"rename", Nothing, [](Machine& m) { return m.Rename("photos", "pics"); }},
      {"delete", Nothing, [](Machine& m) { return m.Delete("photos"); }},
      {"delete (music)", Nothing, [](Machine& m) { return m.Delete("music"); }},
      {"trust forget", Nothing, [](Machine& m) { return m.Forget("backups"); }},
  };
}

class Faults {
 public:
  Faults(const crash::EnumerationOptions& options, std::span<std::uint64_t> counts)
      : options_(options), counts_(counts), random_(options.seed + options.shard) {
    CommandMachine machine(provider_, options.seed);
    machine.Start();
    CHECK(machine.Init("photos", CommandMachine::kStore).has_value());
    CHECK(machine.Init("music", CommandMachine::kStore).has_value());
    CHECK(machine.Open("photos", CommandMachine::kPassword).has_value());
    CHECK(machine.Write("photos", 1, 'a').has_value());
    CHECK(machine.Close("photos", false).has_value());
    // What another machine would find half of: something waits here.
    CHECK(machine.Open("music", CommandMachine::kPassword).has_value());
    CHECK(machine.Write("music", 2, 'b').has_value());
    CHECK(machine.Close("music", true).has_value());
    machine.Stop();
    objects_ = provider_.Snapshot();
    disk_ = machine.fs.Save();
  }

  bool RunAll();

 private:
  enum class Where { kDisk, kStore, kCall };
  struct Fault {
    Where where;
    std::uint64_t nth;
    bool sticky;
    bool after;  // it has happened: only the reply is lost
    ErrorCode code;
    int error_number;
  };

  [[nodiscard]] static std::string Name(const Fault& fault) {
    const std::string when = fault.sticky ? " from then on" : " once";
    switch (fault.where) {
      case Where::kDisk:
        return Concat("disk call ", fault.nth, " errno ", fault.error_number, when);
      case Where::kStore:
        return Concat("request ", fault.nth, fault.after ? " reply lost " : " ",
                      ErrorCodeName(fault.code), when);
      case Where::kCall:
        break;
    }
    return Concat("call ", fault.nth, " too late", when);
  }

  std::unique_ptr<CommandMachine> NewMachine(std::uint64_t seed) {
    provider_.Restore(objects_);
    auto machine = std::make_unique<CommandMachine>(provider_, seed + 1000);  // ids of its own
    machine->fs.Load(*disk_);
    machine->Start();
    return machine;
  }

  static void Arm(CommandMachine& machine, const Fault& fault) {
    if (fault.where == Where::kDisk) {
      machine.fs.AddFault({.nth = fault.nth,
                           .repeat = fault.sticky ? FaultRepeat::kSticky : FaultRepeat::kOnce,
                           .error_number = fault.error_number});
      // Whoever waits for room is right to.
      if (fault.sticky && fault.error_number == ENOSPC) machine.MakeRoomLater();
    } else if (fault.where == Where::kCall) {
      machine.DelayCalls(fault.nth, fault.sticky ? UINT64_MAX : 1);
    } else {
      machine.line.AddFault(
          {.kind = fault.after ? StoreFaultKind::kFailAfter : StoreFaultKind::kFailBefore,
           .nth = fault.nth,
           .count = fault.sticky ? StoreFault::kForever : 1,
           .code = fault.code});
    }
  }

  static void Heal(CommandMachine& machine) {
    machine.fs.ClearFaults();
    machine.line.Heal();
    machine.LandCalls();
  }

  /// The store as somebody finds it who has nothing but the password, and perhaps the new one.
  World Peer(std::uint64_t seed);
  /// Photos as that somebody reads it; nothing if it cannot be read.
  Found PeerReads(std::uint64_t seed);
  /// All that this machine finds when it opens everything. Empty name of a problem if all is well.
  std::string Open(CommandMachine& machine, World* world);
  bool Judge(const Command& command, const Fault* fault, std::uint64_t seed);
  bool Disagree(const Command& command, const Fault& fault, const std::string& what,
                const Status& reply);

  const crash::EnumerationOptions options_;
  const std::span<std::uint64_t> counts_;
  SeededRandom random_;
  store::MemoryStore provider_;
  store::MemoryStore::Objects objects_;
  std::shared_ptr<const FaultyFileSystem::Image> disk_;

  // Of the command at hand, without a fault.
  World before_, after_;
  std::uint64_t calls_ = 0, requests_ = 0, store_calls_ = 0;
};

std::uint64_t DigestOf(block::BlockDevice& device) {
  std::uint64_t digest = 14695981039346656037U;
  Bytes bytes(64 << 10);
  for (std::uint64_t at = 0; at < device.size(); at += bytes.size()) {
    const std::uint64_t length = std::min<std::uint64_t>(bytes.size(), device.size() - at);
    if (!device.Read(at, MutableByteView(bytes).first(length)).has_value()) return 1;
    for (std::uint64_t i = 0; i < length; ++i)
      digest = (digest ^ static_cast<std::uint64_t>(bytes[i])) * 1099511628211U;
  }
  return digest;
}

std::string Faults::Open(CommandMachine& machine, World* world) {
  std::string problem;
  std::map<std::string, std::string> missing;  // and why
  world->password.clear();
  for (const std::string_view password : {CommandMachine::kPassword, kNewPassword}) {
    control::KeysRequest request;
    request.password = SecretBytes::CopyOf(AsBytes(password));
    // Any volume stands for its vault.
    for (const auto& volume : machine.manager().Volumes().volumes) {
      if (volume.vault != "backups" || !world->password.empty()) continue;
      request.password = SecretBytes::CopyOf(AsBytes(password));
      if (machine.manager().Keys("backups/" + volume.volume, std::move(request)).has_value())
        world->password = std::string(password);
    }
  }
  for (int round = 0; round < 2; ++round) {  // an unlock may have shown more of them
    for (const auto& volume : machine.manager().Volumes().volumes) {
      const std::string name = volume.vault + "/" + volume.volume;
      if (world->volumes.contains(name)) continue;
      const auto opened = machine.Open(
          name, volume.vault == "backups" ? world->password : CommandMachine::kPassword);
      if (!opened.has_value()) {
        missing[name] = opened.error().message;
        // It is shown as unfinished, and taken back as it is said.
        if (opened.error().hint.find("coffer trust forget " + volume.vault + " ") !=
                std::string::npos &&
            !volume.needs.empty() && machine.Forget(volume.vault).has_value())
          continue;
        if (opened.error().code != ErrorCode::kNotFound)
          problem = name + " does not open: " + opened.error().message;
        continue;
      }
      const control::VolumeStatus status = *machine.manager().Volume(name);
      block::BlockDevice* device = machine.device(volume.volume);
      if (device == nullptr) {
        problem = name + " is open and not served";
        continue;
      }
      world->volumes[name] = {device->size(), DigestOf(*device)};
      if (status.size_bytes != device->size())
        problem = name + " has another size than status says";
      for (const std::string& need : status.needs) problem = name + " open: " + need;
      const auto closed = machine.Close(name, true);
      if (!closed.has_value()) problem = name + " does not close: " + closed.error().message;
    }
  }
  // What was opened away is not there any more.
  std::map<std::string, Found> listed;
  for (const auto& volume : machine.manager().Volumes().volumes) {
    const std::string name = volume.vault + "/" + volume.volume;
    if (!world->volumes.contains(name)) {
      problem = name + " is listed and cannot be opened: " + missing[name];
    } else {
      listed[name] = world->volumes[name];
    }
  }
  world->volumes = std::move(listed);
  return problem;
}

World Faults::Peer(std::uint64_t seed) {
  World world;
  CommandMachine peer(provider_, seed + 77);
  peer.Start();
  for (const std::string_view password : {CommandMachine::kPassword, kNewPassword}) {
    control::AddRequest request;
    request.store = CommandMachine::kStore;
    request.password = SecretBytes::CopyOf(AsBytes(password));
    if (peer.manager().Add(std::move(request)).has_value()) world.password = std::string(password);
  }
  (void)peer.Add(CommandMachine::kNewStore);
  for (const auto& volume : peer.manager().Volumes().volumes)
    world.volumes[volume.vault + "/" + volume.volume] = {};
  return world;
}

Found Faults::PeerReads(std::uint64_t seed) {
  CommandMachine peer(provider_, seed + 78);
  peer.Start();
  for (const std::string_view password : {CommandMachine::kPassword, kNewPassword}) {
    control::AddRequest request;
    request.store = CommandMachine::kStore;
    request.password = SecretBytes::CopyOf(AsBytes(password));
    if (!peer.manager().Add(std::move(request)).has_value()) continue;
    if (!peer.Open("photos", password, ReadOnly()).has_value()) return {};
    block::BlockDevice& device = *peer.device("photos");
    return {device.size(), DigestOf(device)};
  }
  return {};
}

bool Faults::Disagree(const Command& command, const Fault& fault, const std::string& what,
                      const Status& reply) {
  ++counts_[3];
  std::fprintf(
      stderr, "%s, %s: the reply is %s, but %s\n", command.name.c_str(), Name(fault).c_str(),
      reply.has_value() ? "success" : ("\"" + reply.error().message + "\"").c_str(), what.c_str());
  return false;
}

std::set<std::string> NamesOf(const World& world) {
  std::set<std::string> names;
  for (const auto& [name, found] : world.volumes) names.insert(name);
  return names;
}

bool Faults::Judge(const Command& command, const Fault* fault, std::uint64_t seed) {
  auto machine = NewMachine(seed);
  CHECK(command.prepare(*machine).has_value());
  const std::uint64_t calls = machine->fs.call_count();
  const std::uint64_t requests = machine->line.request_count();
  const std::uint64_t store_calls = machine->call_count();
  if (fault != nullptr) Arm(*machine, *fault);
  const Status reply = command.run(*machine);
  calls_ = machine->fs.call_count() - calls;
  requests_ = machine->line.request_count() - requests;
  store_calls_ = machine->call_count() - store_calls;
  // What status says, at once and after a restart, before anybody unlocks anything.
  const auto shown = [&](World* world, bool* unfinished, bool* waits) {
    for (const auto& volume : machine->manager().Volumes().volumes) {
      const std::string name = volume.vault + "/" + volume.volume;
      if (volume.state == "unknown") {
        *unfinished = true;
        continue;
      }
      world->volumes[name] = {volume.size_bytes, 0};
      *waits = *waits ||
               ((volume.waiting_bytes > 0 || !volume.waiting_exact) && volume.volume == "photos");
      for (const std::string& need : volume.needs)
        *unfinished = *unfinished || need.starts_with("UNFINISHED: ");
    }
  };
  World at_once, later;
  bool unfinished = false, waits = false, unfinished_later = false, waits_later = false;
  shown(&at_once, &unfinished, &waits);
  const Found uploaded = PeerReads(seed);
  Heal(*machine);
  machine->Stop();
  machine->fs.Crash();  // handles of what failed are gone
  machine->Start();
  shown(&later, &unfinished_later, &waits_later);
  // A request that came too late may have arrived by now: then nothing waits any more.
  const bool says_later = unfinished_later || waits_later;
  const Found uploaded_later = says_later ? uploaded : PeerReads(seed);
  World found;
  const std::string problem = Open(*machine, &found);
  const World peer = Peer(seed);
  if (fault == nullptr) {
    if (!problem.empty()) std::fprintf(stderr, "%s: %s\n", command.name.c_str(), problem.c_str());
    CHECK(problem.empty());
    after_ = found;
    if (!reply.has_value())
      std::fprintf(stderr, "%s: %s\n", command.name.c_str(), reply.error().message.c_str());
    CHECK(reply.has_value());
    return true;
  }
  ++counts_[1];
  if (!reply.has_value()) ++counts_[2];
  const auto disagree = [&](const std::string& what) {
    return Disagree(command, *fault, what, reply);
  };
  if (!problem.empty()) return disagree(problem);
  const bool says = unfinished_later || (command.leaves_data && !reply.has_value());
  if (reply.has_value() && found != after_)
    return disagree("it is " + Describe(found) + ", not " + Describe(after_));
  if (command.uploads && reply.has_value() && uploaded != after_.volumes["backups/photos"])
    return disagree(Concat("another machine reads ", uploaded.size, " bytes, ", uploaded.digest));
  if (!reply.has_value() && found != before_ && !(says && found == after_))
    return disagree("it is " + Describe(found) + ", not " + Describe(before_));
  const auto photos = found.volumes.find("backups/photos");
  const auto behind = [&](const Found& in_the_store) {
    return photos != found.volumes.end() && in_the_store.size != 0 &&
           in_the_store != photos->second;
  };
  if (behind(uploaded) && !unfinished && !waits) return disagree("status does not say what waits");
  if (behind(uploaded_later) && !says_later)
    return disagree("after a restart status does not say what waits");
  // A vault that is not known here is none that could be told of wrongly.
  const bool known = !found.password.empty();
  if ((known && NamesOf(peer) != NamesOf(found)) || (known && peer.password != found.password))
    return disagree("another machine finds " + Describe(peer) + ", this one " + Describe(found));
  // Said at once is what was found, unless it is said that nobody knows.
  if (!unfinished && NamesOf(at_once) != NamesOf(found))
    return disagree("status says " + Describe(at_once) + ", found is " + Describe(found));
  if (!unfinished_later && NamesOf(later) != NamesOf(found))
    return disagree("after a restart status says " + Describe(later) + ", found is " +
                    Describe(found));
  for (const auto& [name, volume] : found.volumes) {
    if (!unfinished && at_once.volumes[name].size != 0 && at_once.volumes[name].size != volume.size)
      return disagree(Concat("status says ", at_once.volumes[name].size, " bytes of ", name,
                             ", there are ", volume.size));
    if (!unfinished_later && later.volumes[name].size != 0 &&
        later.volumes[name].size != volume.size)
      return disagree(Concat("after a restart status says ", later.volumes[name].size, " bytes of ",
                             name, ", there are ", volume.size));
  }
  if (unfinished || unfinished_later) ++counts_[4];
  return true;
}

bool Faults::RunAll() {
  const char* only = std::getenv("COFFER_COMMAND");
  for (const Command& command : Commands()) {
    if (only != nullptr && command.name != only) continue;
    ++counts_[0];
    Command nothing = command;
    nothing.run = Nothing;
    Judge(nothing, nullptr, options_.seed);
    before_ = after_;
    Judge(command, nullptr, options_.seed);
    const std::uint64_t calls = calls_, requests = requests_, store_calls = store_calls_;
    std::vector<Fault> faults;
    for (const bool sticky : {false, true}) {
      for (std::uint64_t n = 1; n <= calls; ++n)
        faults.push_back({Where::kDisk, n, sticky, false, ErrorCode::kIoError, EIO});
      for (std::uint64_t n = 1; n <= requests; ++n) {
        for (const bool after : {false, true}) {
          for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kIoError})
            faults.push_back({Where::kStore, n, sticky, after, code, 0});
        }
        faults.push_back({Where::kStore, n, sticky, false, ErrorCode::kNoSpace, 0});
      }
      for (std::uint64_t n = 1; n <= store_calls; ++n)
        faults.push_back({Where::kCall, n, sticky, false, ErrorCode::kUnavailable, 0});
    }
    for (std::uint64_t n = 1; n <= calls; ++n)
      faults.push_back({Where::kDisk, n, true, false, ErrorCode::kNoSpace, ENOSPC});
    for (std::size_t i = options_.shard; i < faults.size(); i += options_.shards) {
      const std::uint64_t seed = random_.Next();
      if (options_.sample > 1 && seed % options_.sample != 0) continue;
      Judge(command, &faults[i], options_.seed);
    }
  }
  return true;
}

int Main(int argc, char** argv) {
  crash::EnumerationOptions options;
  if (!crash::ParseOptions(argc, argv, &options)) return 2;
  SetLogLevel(LogLevel::kError);
  std::uint64_t counts[5] = {};
  const auto work = [](const crash::EnumerationOptions& share, std::span<std::uint64_t> sums) {
    return Faults(share, sums).RunAll();
  };
  if (!crash::RunInProcesses(options, counts, work)) return 1;
  const auto count = [&](int i) { return static_cast<unsigned long long>(counts[i]); };
  std::printf(
      "%llu commands, %llu faults, %llu of them met by the reply, %llu left unfinished and shown "
      "as "
      "such, %llu disagreements (seed %llu)\n",
      count(0) / options.jobs, count(1), count(2), count(4), count(3),
      static_cast<unsigned long long>(options.seed));
  return counts[3] == 0 && counts[2] > 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer::daemon

int main(int argc, char** argv) { return coffer::daemon::Main(argc, argv); }

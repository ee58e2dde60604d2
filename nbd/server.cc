#include "nbd/server.h"

#include <utility>

#include "core/base/log.h"

namespace coffer::nbd {

namespace {

/// Requests of one export that block at once: writes, surveys and flushes as JobQueue has it, and
/// reads.
constexpr int kWorkersOfAnExport = 16;

}  // namespace

Server::Server(Options options, Executor& waits, const Clock& clock, FileSystem& fs)
    : options_(std::move(options)),
      waits_(waits),
      clock_(clock),
      fs_(fs),
      totals_(options_.limits) {}

Result<std::unique_ptr<Server>> Server::Open(Options options, Executor& waits, const Clock& clock,
                                             FileSystem& fs, Descriptor inherited) {
  std::unique_ptr<Server> server(new Server(std::move(options), waits, clock, fs));
  if (!server->options_.shared_socket_path.empty()) {
    RETURN_IF_ERROR(server->ListenShared(std::move(inherited)));
  }
  return server;
}

Server::~Server() {
  std::vector<std::string> names;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, home] : homes_) names.push_back(name);
  }
  for (const std::string& name : names) static_cast<void>(Withdraw(name));
  if (shared_ == nullptr) return;
  Shut(*shared_);
  if (owns_shared_name_) RemoveSocket(*shared_address_);
}

Result<std::shared_ptr<Server::Home>> Server::MakeHome() {
  ASSIGN_OR_RETURN(auto poller, Poller::Open());
  auto home = std::make_shared<Home>();
  home->workers = NewThreadExecutor("nbd", kWorkersOfAnExport);
  home->loop =
      std::make_unique<Loop>(options_.limits, totals_, *home->workers, clock_, std::move(poller));
  home->thread = NewThreadExecutor("coffer-nbd", 1);
  home->thread->Post([loop = home->loop.get()] { loop->Run(); });
  return home;
}

void Server::Shut(Home& home) {
  bool idle = false;
  RunOn(*home.loop, [&] {
    home.loop->Shut([&] {
      MutexLock lock(mutex_);
      idle = true;
      changed_.notify_all();
    });
  });
  {
    MutexLock lock(mutex_);
    waits_.Await(lock, changed_, [&idle] { return idle; });
  }
  RunOn(*home.loop, [&] { home.loop->Stop(); });
  home.thread.reset();
  home.workers.reset();  // before the loop: one may just be leaving its queue of finished jobs
  home.loop.reset();
}

Status Server::ListenShared(Descriptor inherited) {
  ASSIGN_OR_RETURN(Address address, UnixAddress(options_.shared_socket_path));
  RETURN_IF_ERROR(CheckSocketDirectory(fs_, address.path, DirectoryRule::kPrivate));
  ASSIGN_OR_RETURN(shared_, MakeHome());
  Descriptor socket = std::move(inherited);
  owns_shared_name_ = !socket.open();
  if (owns_shared_name_) {
    auto listening = Listen(address, StaleSocket::kRefuse);
    owns_shared_name_ = listening.has_value();  // else it is somebody else's
    if (!listening.has_value()) return Fail(listening.error());
    socket = std::move(*listening);
  }
  shared_address_ = std::move(address);
  Status added;
  RunOn(*shared_->loop, [&] {
    auto listener =
        shared_->loop->AddListener(std::move(socket), Listener::EmptyName::kRefused, nullptr);
    if (listener.has_value()) {
      shared_listener_ = std::move(*listener);
    } else {
      added = Fail(listener.error());
    }
  });
  return added;
}

namespace {

/// Where a listener of one's own is to be, if it may be there.
Result<Address> OwnAddress(const block::ExportSpec& spec) {
  ASSIGN_OR_RETURN(Address address, ParseAddress(spec.address));
  if (!address.IsLocal() && spec.tls.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat(address.ToString(),
                       ": other machines could read and change the volume; "
                       "without TLS only 127.0.0.1 and ::1 are listened on"),
                "--tls-x509=DIR or --tls-psk=FILE, or forward the port with ssh -L");
  }
  return address;
}

}  // namespace

Status Server::CheckShared(const block::ExportSpec& spec) const {
  if (!spec.tls.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("NBD export ", spec.name, ": the shared socket has no TLS"),
                "give it a listener of its own, such as --nbd=tcp:127.0.0.1:10809");
  }
  if (shared_ != nullptr) return {};
  return Fail(ErrorCode::kInvalidArgument,
              Concat("NBD export ", spec.name, ": no shared socket, so it needs an address"));
}

Status Server::Check(const block::ExportSpec& spec) {
  if (spec.address.empty()) return CheckShared(spec);
  ASSIGN_OR_RETURN(const Address address, OwnAddress(spec));
  if (!spec.tls.empty()) RETURN_IF_ERROR(ReadCredentials(spec.tls));
  if (address.kind == Address::Kind::kUnix) {
    RETURN_IF_ERROR(CheckSocketDirectory(fs_, address.path, DirectoryRule::kNotHijacked));
  }
  return CheckFree(address, StaleSocket::kRemove);
}

Result<std::shared_ptr<const TlsCredentials>> Server::ReadCredentials(
    const block::TlsFiles& files) {
  ASSIGN_OR_RETURN(TlsMaterial material, ReadTlsFiles(fs_, files));
  return TlsCredentials::Open(std::move(material), clock_.WallNow());
}

Result<Server::Own> Server::ListenOwn(const block::ExportSpec& spec) {
  ASSIGN_OR_RETURN(Address address, OwnAddress(spec));
  std::shared_ptr<const TlsCredentials> tls;
  std::optional<TlsInUri> shown;
  if (!spec.tls.empty()) {
    ASSIGN_OR_RETURN(tls, ReadCredentials(spec.tls));
    shown = TlsInUri{tls->only_user(), address.IsLocal() ? spec.tls.psk_file : std::string()};
    if (!spec.tls.verify_peer && spec.tls.psk_file.empty()) {
      LOG(kWarning, "nbd: whoever can reach ", address.ToString(),
          " can read and change the volume: no certificate is asked for");
    }
  }
  if (address.kind == Address::Kind::kUnix) {
    RETURN_IF_ERROR(CheckSocketDirectory(fs_, address.path, DirectoryRule::kNotHijacked));
  }
  ASSIGN_OR_RETURN(Descriptor socket, Listen(address, StaleSocket::kRemove));
  if (address.kind == Address::Kind::kTcp && tls == nullptr) {
    LOG(kWarning, "nbd: every user of this machine can connect to ", address.ToString());
  }
  std::string uri = UriOf(address, spec.name, shown, options_.host_name);
  return Own{std::move(address), std::move(socket), std::move(tls), std::move(uri)};
}

Result<block::ExportPlace> Server::Export(const block::ExportSpec& spec) {
  if (spec.name.empty() || spec.name.size() > kExportNameBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("NBD export name of ", spec.name.size(), " bytes, 1 to ",
                       kExportNameBytesMax, " are allowed"));
  }
  if (spec.description.size() > kDescriptionBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                Concat("NBD export ", spec.name, ": description longer than ", kDescriptionBytesMax,
                       " bytes"));
  }
  if (spec.address.empty()) RETURN_IF_ERROR(CheckShared(spec));
  ASSIGN_OR_RETURN(const std::shared_ptr<Home> home, MakeHome());
  home->served =
      std::make_shared<ServedExport>(spec.name, spec.description, spec.device,
                                     spec.read_only || spec.device->read_only(), home->loop.get());
  {
    MutexLock lock(mutex_);
    if (!homes_.emplace(spec.name, home).second) {
      lock.Unlock();
      Shut(*home);
      return Fail(ErrorCode::kAlreadyExists, Concat("NBD export ", spec.name, " is there already"));
    }
  }
  auto place = spec.address.empty() ? ServeShared(*home) : ServeOwn(spec, *home);
  if (!place.has_value()) static_cast<void>(Withdraw(spec.name));
  return place;
}

Result<block::ExportPlace> Server::ServeShared(Home& home) {
  RunOn(*shared_->loop, [&] { shared_listener_->Add(home.served); });
  return block::ExportPlace{UriOf(*shared_address_, home.served->name)};
}

Result<block::ExportPlace> Server::ServeOwn(const block::ExportSpec& spec, Home& home) {
  ASSIGN_OR_RETURN(Own own, ListenOwn(spec));
  home.own_address = own.address;
  Status added;
  RunOn(*home.loop, [&] {
    auto listener = home.loop->AddListener(
        std::move(own.socket), Listener::EmptyName::kMeansTheExport, std::move(own.tls));
    if (listener.has_value()) {
      (*listener)->Add(home.served);
      if (spec.tls.empty()) return;
      MutexLock lock(mutex_);
      secured_.insert_or_assign(spec.name,
                                Secured{spec.tls, home.loop.get(), *listener, std::nullopt});
    } else {
      added = Fail(listener.error());
    }
  });
  RETURN_IF_ERROR(added);
  return block::ExportPlace{std::move(own.uri)};
}

Status Server::Withdraw(const std::string& name) {
  std::shared_ptr<Home> home;
  {
    MutexLock lock(mutex_);
    const auto found = homes_.extract(name);
    if (found.empty()) return Fail(ErrorCode::kNotFound, Concat("no NBD export ", name));
    home = found.mapped();
    secured_.erase(name);
  }
  // Before the listener goes: afterwards another one might already stand at the same place.
  if (home->own_address) {
    RemoveSocket(*home->own_address);
  } else if (shared_ != nullptr) {
    // Whoever has chosen it is on the way to its loop by then.
    RunOn(*shared_->loop, [&] { shared_listener_->Drop(name); });
  }
  Shut(*home);
  return {};
}

void Server::RereadFiles() {
  std::map<std::string, block::TlsFiles> files;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, secured] : secured_) files.emplace(name, secured.files);
  }
  for (const auto& [name, of_it] : files) Reread(name, of_it);
}

// The loop is not waited for: its disk may hold it up, and the caller has others to serve.
void Server::Reread(const std::string& name, const block::TlsFiles& files) {
  auto tls = ReadCredentials(files);
  if (tls.has_value()) {
    LOG(kInfo, "nbd: read the TLS files of ", name, " again");
  } else {
    LOG(kError, "nbd: ", name, " keeps its TLS keys: ", tls.error().message);
  }
  MutexLock lock(mutex_);
  const auto found = secured_.find(name);
  if (found == secured_.end()) return;
  Secured& secured = found->second;
  secured.trouble.reset();
  if (!tls.has_value()) {
    secured.trouble = std::move(tls).error();
    return;
  }
  secured.loop->Post([listener = secured.listener, credentials = std::move(*tls)]() mutable {
    listener->set_tls(std::move(credentials));
  });
}

std::optional<Error> Server::Trouble(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = secured_.find(name);
  return found == secured_.end() ? std::nullopt : found->second.trouble;
}

int Server::client_count(const std::string& name) const {
  const auto home = Find(name);
  return home == nullptr ? 0 : static_cast<int>(home->served->clients.All().size());
}

std::shared_ptr<Server::Home> Server::Find(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = homes_.find(name);
  return found == homes_.end() ? nullptr : found->second;
}

std::vector<MountHolder> Server::Clients(const std::string& name) const {
  std::vector<MountHolder> holders;
  const auto home = Find(name);
  if (home == nullptr) return holders;
  for (const auto& client : home->served->clients.All()) {
    if (client->leaves) continue;
    const int pid = client->peer.pid;
    std::string who = pid > 0 ? ProgramName(pid) : client->peer.address;
    if (who.empty()) who = "a program";
    holders.push_back(
        {pid, std::move(who),
         client->has_written ? "is connected over NBD and has written" : "is connected over NBD"});
  }
  return holders;
}

void Server::RunOn(Loop& loop, const std::function<void()>& call) {
  bool done = false;
  loop.Post([&] {
    call();
    MutexLock lock(mutex_);
    done = true;
    changed_.notify_all();
  });
  MutexLock lock(mutex_);
  waits_.Await(lock, changed_, [&done] { return done; });
}

void Server::RemoveSocket(const Address& address) {
  if (address.kind != Address::Kind::kUnix) return;
  if (const Status removed = fs_.Remove(address.path); !removed) {
    LOG(kDebug, "nbd: ", removed.error().message);
  }
}

}  // namespace coffer::nbd

#include "nbd/server.h"

#include <utility>

#include "core/base/log.h"

namespace coffer::nbd {

Server::Server(Options options, Executor& workers, const Clock& clock, FileSystem& fs,
               std::unique_ptr<Poller> poller)
    : options_(std::move(options)),
      workers_(workers),
      clock_(clock),
      fs_(fs),
      loop_(std::make_unique<Loop>(options_.limits, workers, clock, std::move(poller))),
      loop_thread_(NewThreadExecutor("coffer-nbd", 1)) {
  loop_thread_->Post([this] { loop_->Run(); });
}

Result<std::unique_ptr<Server>> Server::Open(Options options, Executor& workers, const Clock& clock,
                                             FileSystem& fs, Descriptor inherited) {
  ASSIGN_OR_RETURN(auto poller, Poller::Open());
  std::unique_ptr<Server> server(
      new Server(std::move(options), workers, clock, fs, std::move(poller)));
  if (!server->options_.shared_socket_path.empty()) {
    RETURN_IF_ERROR(server->ListenShared(std::move(inherited)));
  }
  return server;
}

Server::~Server() {
  RunUntilIdle([this](Loop::Call idle) {
    loop_->Shut(std::move(idle));
    return true;
  });
  RunOnLoop([this] { loop_->Stop(); });
  loop_thread_.reset();
  if (owns_shared_name_) RemoveSocket(*shared_address_);
  MutexLock lock(mutex_);
  for (const auto& [name, address] : own_addresses_) RemoveSocket(address);
}

Status Server::ListenShared(Descriptor inherited) {
  ASSIGN_OR_RETURN(Address address, UnixAddress(options_.shared_socket_path));
  RETURN_IF_ERROR(CheckSocketDirectory(fs_, address.path, DirectoryRule::kPrivate));
  Descriptor socket = std::move(inherited);
  const bool owns_name = !socket.open();
  if (owns_name) {
    ASSIGN_OR_RETURN(socket, Listen(address, StaleSocket::kRefuse));
  }
  Status added;
  RunOnLoop([&] { added = loop_->AddSharedListener(std::move(socket)); });
  if (added) {
    shared_address_ = std::move(address);
    owns_shared_name_ = owns_name;
  } else if (owns_name) {
    RemoveSocket(address);
  }
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

Status Server::Check(const block::ExportSpec& spec) {
  if (spec.address.empty()) return {};
  ASSIGN_OR_RETURN(const Address address, OwnAddress(spec));
  if (address.kind != Address::Kind::kUnix) return {};
  return CheckSocketDirectory(fs_, address.path, DirectoryRule::kNotHijacked);
}

Result<Server::Own> Server::ListenOwn(const block::ExportSpec& spec) {
  ASSIGN_OR_RETURN(Address address, OwnAddress(spec));
  std::shared_ptr<const TlsCredentials> tls;
  std::optional<TlsInUri> shown;
  if (!spec.tls.empty()) {
    ASSIGN_OR_RETURN(TlsMaterial material, ReadTlsFiles(fs_, spec.tls));
    ASSIGN_OR_RETURN(tls, TlsCredentials::Open(std::move(material), clock_.WallNow()));
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
  if (spec.address.empty()) {
    if (!spec.tls.empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  Concat("NBD export ", spec.name, ": the shared socket has no TLS"),
                  "give it a listener of its own, such as --nbd=tcp:127.0.0.1:10809");
    }
    Status added;
    RunOnLoop([&] { added = loop_->Add(spec, Descriptor()); });
    RETURN_IF_ERROR(added);
    return block::ExportPlace{UriOf(*shared_address_, spec.name)};
  }
  ASSIGN_OR_RETURN(Own own, ListenOwn(spec));
  Status added;
  RunOnLoop([&] { added = loop_->Add(spec, std::move(own.socket), std::move(own.tls)); });
  if (!added) {
    RemoveSocket(own.address);
    return Fail(std::move(added).error());
  }
  MutexLock lock(mutex_);
  own_addresses_.insert_or_assign(spec.name, own.address);
  return block::ExportPlace{std::move(own.uri)};
}

Status Server::Withdraw(const std::string& name) {
  {
    MutexLock lock(mutex_);
    // Before the listener goes: afterwards another one might already stand at the same place.
    if (const auto own = own_addresses_.extract(name); !own.empty()) RemoveSocket(own.mapped());
  }
  const bool found =
      RunUntilIdle([&](Loop::Call idle) { return loop_->Withdraw(name, std::move(idle)); });
  if (!found) return Fail(ErrorCode::kNotFound, Concat("no NBD export ", name));
  return {};
}

int Server::client_count(const std::string& name) const {
  int count = 0;
  RunOnLoop([&] { count = loop_->ClientCount(name); });
  return count;
}

std::vector<MountHolder> Server::Clients(const std::string& name) const {
  std::vector<Loop::Client> clients;
  RunOnLoop([&] { clients = loop_->Clients(name); });
  std::vector<MountHolder> holders;
  for (const Loop::Client& client : clients) {
    const int pid = client.peer.pid;
    std::string who = pid > 0 ? ProgramName(pid) : client.peer.address;
    if (who.empty()) who = "a program";
    holders.push_back(
        {pid, std::move(who),
         client.has_written ? "is connected over NBD and has written" : "is connected over NBD"});
  }
  return holders;
}

void Server::RunOnLoop(const std::function<void()>& call) const {
  bool done = false;
  loop_->Post([&] {
    call();
    MutexLock lock(mutex_);
    done = true;
    changed_.notify_all();
  });
  MutexLock lock(mutex_);
  workers_.Await(lock, changed_, [&done] { return done; });
}

bool Server::RunUntilIdle(const std::function<bool(Loop::Call)>& call) {
  bool idle = false;
  bool begun = false;
  RunOnLoop([&] {
    begun = call([&] {
      MutexLock lock(mutex_);
      idle = true;
      changed_.notify_all();
    });
  });
  if (!begun) return false;
  MutexLock lock(mutex_);
  workers_.Await(lock, changed_, [&idle] { return idle; });
  return true;
}

void Server::RemoveSocket(const Address& address) {
  if (address.kind != Address::Kind::kUnix) return;
  if (const Status removed = fs_.Remove(address.path); !removed) {
    LOG(kDebug, "nbd: ", removed.error().message);
  }
}

}  // namespace coffer::nbd

#include "nbd/server.h"

#include <utility>

#include "core/base/log.h"

namespace coffer::nbd {

Server::Server(Options options, Executor& workers, const Clock& clock, FileSystem& fs,
               std::unique_ptr<Poller> poller)
    : options_(std::move(options)),
      workers_(workers),
      fs_(fs),
      loop_(std::make_unique<Loop>(options_.limits, workers, clock, std::move(poller))),
      loop_thread_(NewThreadExecutor("coffer-nbd", 1)) {
  loop_thread_->Post([this] { loop_->Run(); });
}

Result<std::unique_ptr<Server>> Server::Open(Options options, Executor& workers, const Clock& clock,
                                             FileSystem& fs) {
  ASSIGN_OR_RETURN(auto poller, Poller::Open());
  std::unique_ptr<Server> server(
      new Server(std::move(options), workers, clock, fs, std::move(poller)));
  if (!server->options_.shared_socket_path.empty()) RETURN_IF_ERROR(server->ListenShared());
  return server;
}

Server::~Server() {
  RunUntilIdle([this](Loop::Call idle) {
    loop_->Shut(std::move(idle));
    return true;
  });
  RunOnLoop([this] { loop_->Stop(); });
  loop_thread_.reset();
  if (shared_address_) RemoveSocket(*shared_address_);
  MutexLock lock(mutex_);
  for (const auto& [name, address] : own_addresses_) RemoveSocket(address);
}

Status Server::ListenShared() {
  ASSIGN_OR_RETURN(Address address, UnixAddress(options_.shared_socket_path));
  RETURN_IF_ERROR(CheckSocketDirectory(fs_, address.path, DirectoryRule::kPrivate));
  ASSIGN_OR_RETURN(Descriptor socket, Listen(address, StaleSocket::kRefuse));
  Status added;
  RunOnLoop([&] { added = loop_->AddSharedListener(std::move(socket)); });
  if (added) {
    shared_address_ = std::move(address);
  } else {
    RemoveSocket(address);
  }
  return added;
}

Result<Descriptor> Server::ListenOwn(Address& address) {
  if (address.kind == Address::Kind::kUnix) {
    RETURN_IF_ERROR(CheckSocketDirectory(fs_, address.path, DirectoryRule::kNotHijacked));
  }
  ASSIGN_OR_RETURN(Descriptor socket, Listen(address, StaleSocket::kRemove));
  if (address.kind == Address::Kind::kTcp) {
    LOG(kWarning, "nbd: every user of this machine can connect to ", address.ToString());
  }
  return socket;
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
  std::optional<Address> own;
  Descriptor socket;
  if (!spec.address.empty()) {
    ASSIGN_OR_RETURN(own, ParseAddress(spec.address));
    ASSIGN_OR_RETURN(socket, ListenOwn(*own));
  }
  Status added;
  RunOnLoop([&] { added = loop_->Add(spec, std::move(socket)); });
  if (!added) {
    if (own) RemoveSocket(*own);
    return Fail(std::move(added).error());
  }
  if (!own) return block::ExportPlace{UriOf(*shared_address_, spec.name)};
  MutexLock lock(mutex_);
  own_addresses_.insert_or_assign(spec.name, *own);
  return block::ExportPlace{UriOf(*own, spec.name)};
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

#include "tests/daemon/command_world.h"

#include "core/base/log.h"

namespace coffer::daemon {
namespace {

/// Longer than any call of a store is waited for (store::DeadlineOptions).
constexpr Duration kLate = std::chrono::minutes(10);

constexpr char kStateDirectory[] = "/home/user/state/coffer";

// Who waits stands above what he waits for.
constexpr int kCallsLevel = 0;
constexpr int kFetchLevel = 1;
constexpr int kWorkLevel = 2;
constexpr int kSyncLevel = 3;
constexpr int kJobsLevel = 4;

SecretBytes Secret(std::string_view text) { return SecretBytes::CopyOf(AsBytes(text)); }

/// One of the provider's stores: a part of its names.
class PartOfStore final : public store::ObjectStore {
 public:
  PartOfStore(store::ObjectStore& whole, std::string prefix)
      : whole_(whole), prefix_(std::move(prefix)) {}
  coffer::Status Create(const RequestContext& context, const std::string& name, ByteView data,
                        store::ObjectClass kind) override {
    return whole_.Create(context, prefix_ + name, data, kind);
  }
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override {
    return whole_.Get(context, prefix_ + name, size_max);
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override {
    return whole_.GetRange(context, prefix_ + name, offset, length);
  }
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override {
    ASSIGN_OR_RETURN(store::ListPage page,
                     whole_.List(context, prefix_ + prefix,
                                 start_after.empty() ? "" : prefix_ + start_after, limit));
    for (store::ListedObject& object : page.objects) object.name.erase(0, prefix_.size());
    return page;
  }
  coffer::Status Delete(const RequestContext& context, const std::string& name) override {
    return whole_.Delete(context, prefix_ + name);
  }
  [[nodiscard]] store::StoreCapabilities capabilities() const override {
    return whole_.capabilities();
  }
  [[nodiscard]] std::string identity() const override { return description(); }
  [[nodiscard]] std::string description() const override { return "/store/" + prefix_; }

 private:
  store::ObjectStore& whole_;
  const std::string prefix_;
};

}  // namespace

CommandMachine::CommandMachine(store::MemoryStore& provider, std::uint64_t seed)
    : line(provider, seed + 1),
      fs(seed + 2),
      scheduler(clock, seed + 3),
      random_(seed + 4),
      jobs_(scheduler, kJobsLevel),
      sync_(scheduler, kSyncLevel),
      work_(scheduler, kWorkLevel),
      fetch_(scheduler, kFetchLevel),
      calls_(scheduler, kCallsLevel),
      env_{fs,
           clock,
           random_,
           sync_,
           work_,
           fetch_,
           crypto::KdfPolicy{8, 1, 1},
           crypto::KdfBounds{8, 64, 1, 2, 1},
           kStateDirectory,
           "test-host"} {
  fs.AddDirectories(kStateDirectory);
}

CommandMachine::~CommandMachine() {
  if (manager_ != nullptr) Stop();
}

void CommandMachine::Start() {
  VolumeManager::Options options;
  options.request_stop = [] {};
  options.mounting = {&mounter, "/home/user/images"};
  options.stores.new_lane = [this](StoreSeams::Lane lane) -> std::unique_ptr<Executor> {
    const int level = lane == StoreSeams::Lane::kSync ? kSyncLevel : kFetchLevel;
    return std::make_unique<SimExecutor>(scheduler, level);
  };
  options.stores.run_call = [this](std::function<void()> call) { RunCall(std::move(call)); };
  options.stores.open = [this](
                            const store::StoreUrl& url,
                            store::StoreOpenMode) -> Result<std::unique_ptr<store::ObjectStore>> {
    const std::string text = url.ToString();
    return std::make_unique<PartOfStore>(line, text.substr(text.rfind('/') + 1) + "/");
  };
  auto opened = VolumeManager::Open(env_, jobs_, {&exporter, &images}, std::move(options));
  CHECK(opened.has_value());
  manager_ = std::move(*opened);
}

void CommandMachine::Stop() {
  manager_->Shutdown();
  manager_.reset();
}

void CommandMachine::RunCall(std::function<void()> call) {
  ++calls_made_;
  if (calls_made_ >= late_from_ && calls_made_ < late_until_) {
    late_.push_back(calls_.PostAfter(kLate, std::move(call)));
  } else {
    calls_.Post(std::move(call));
  }
}

void CommandMachine::DelayCalls(std::uint64_t nth, std::uint64_t count) {
  late_from_ = calls_made_ + nth;
  late_until_ = count > UINT64_MAX - late_from_ ? UINT64_MAX : late_from_ + count;
}

void CommandMachine::MakeRoomLater() {
  room_timer_ = calls_.PostAfter(kLate, [this] { fs.ClearFaults(); });
}

void CommandMachine::LandCalls() {
  late_until_ = 0;
  if (!late_.empty()) scheduler.RunFor(kLate);
  late_.clear();
}

coffer::Status CommandMachine::Await(Result<control::JobInfo> job) {
  while (job.has_value() && job->state == "running") {
    scheduler.RunFor(std::chrono::milliseconds(100));
    job = manager_->Job(job->id);
  }
  if (!job.has_value()) return Fail(job.error());
  if (job->error) return Fail(*job->error);
  return {};
}

coffer::Status CommandMachine::Init(const std::string& volume, const std::string& store) {
  control::InitRequest request;
  request.volume = volume;
  request.store = store;
  request.size_bytes = 1 << 20;
  request.password = Secret(kPassword);
  RETURN_IF_ERROR(manager_->Init(std::move(request)));
  return {};
}

coffer::Status CommandMachine::Add(const std::string& store) {
  control::AddRequest request;
  request.store = store;
  request.password = Secret(kPassword);
  RETURN_IF_ERROR(manager_->Add(std::move(request)));
  return {};
}

coffer::Status CommandMachine::Open(const std::string& volume, std::string_view password,
                                    control::OpenRequest request) {
  request.password = Secret(password);
  return Await(manager_->StartOpen(volume, std::move(request)));
}

coffer::Status CommandMachine::Close(const std::string& volume, bool no_wait) {
  return Await(manager_->Close(volume, control::CloseRequest{no_wait, false}));
}

coffer::Status CommandMachine::CloseByForce(const std::string& volume) {
  return Await(manager_->Close(volume, control::CloseRequest{.no_wait = false, .force = true}));
}

coffer::Status CommandMachine::Sync(const std::string& volume) {
  return Await(manager_->Sync(volume));
}

coffer::Status CommandMachine::Passwd(const std::string& volume, std::string_view from,
                                      std::string_view to) {
  control::PasswdRequest request;
  request.password = Secret(from);
  request.new_password = Secret(to);
  RETURN_IF_ERROR(manager_->Passwd(volume, std::move(request)));
  return {};
}

coffer::Status CommandMachine::Rename(const std::string& from, const std::string& to) {
  control::RenameRequest request;
  request.name = to;
  request.password = Secret(kPassword);
  RETURN_IF_ERROR(manager_->Rename(from, std::move(request)));
  return {};
}

coffer::Status CommandMachine::Resize(const std::string& volume, std::uint64_t size_bytes,
                                      bool discard_tail) {
  control::ResizeRequest request;
  request.size_bytes = size_bytes;
  request.discard_tail = discard_tail;
  request.password = Secret(kPassword);
  return Await(manager_->Resize(volume, std::move(request)));
}

coffer::Status CommandMachine::Delete(const std::string& volume) {
  control::DeleteRequest request;
  request.confirm = volume;
  request.password = Secret(kPassword);
  return Await(manager_->Delete(volume, std::move(request)));
}

coffer::Status CommandMachine::ListKeys(const std::string& volume, std::string_view password) {
  control::KeysRequest request;
  request.password = Secret(password);
  RETURN_IF_ERROR(manager_->Keys(volume, std::move(request)));
  return {};
}

coffer::Status CommandMachine::Forget(const std::string& vault) {
  RETURN_IF_ERROR(manager_->Forget(vault, control::ForgetRequest{.force = true}));
  return {};
}

coffer::Status CommandMachine::Write(const std::string& volume, std::uint64_t block, char fill) {
  block::BlockDevice* found = device(volume);
  if (found == nullptr) return Fail(ErrorCode::kNotFound, volume + " is not exported");
  const Bytes bytes(block::kBlockSize, static_cast<std::byte>(fill));
  RETURN_IF_ERROR(found->Write(block * block::kBlockSize, bytes, block::WriteFlag::kNone));
  return found->Flush();
}

}  // namespace coffer::daemon

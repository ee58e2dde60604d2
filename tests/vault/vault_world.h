// One provider and several machines that work with it, for the tests of core/vault (and whoever
// needs an unlocked vault). Machines share nothing but the provider's objects. The KDF is cheap.
#pragma once

#include <memory>
#include <string>

#include "core/store/memory_store.h"
#include "core/vault/head_chain.h"
#include "core/vault/vault.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/faulty_store.h"
#include "tests/support/recording_store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_executor.h"

namespace coffer::vault {

/// A machine's end of a store that somebody else owns: dead while the machine's file system is
/// halted, since a machine that crashes asks nothing more; and a machine whose line is told to halt
/// at a request dies there.
class PoweredStore final : public store::ObjectStore {
 public:
  PoweredStore(FaultyStore& inner, FaultyFileSystem& fs) : inner_(inner), fs_(fs) {}
  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                store::ObjectClass object_class) override {
    return Ask([&] { return inner_.Create(context, name, data, object_class); });
  }
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override {
    return Ask([&] { return inner_.Get(context, name, size_max); });
  }
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override {
    return Ask([&] { return inner_.GetRange(context, name, offset, length); });
  }
  Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                               const std::string& start_after, std::size_t limit) override {
    return Ask([&] { return inner_.List(context, prefix, start_after, limit); });
  }
  Status Delete(const RequestContext& context, const std::string& name) override {
    return Ask([&] { return inner_.Delete(context, name); });
  }
  [[nodiscard]] store::StoreCapabilities capabilities() const override {
    return inner_.capabilities();
  }
  [[nodiscard]] std::string identity() const override { return inner_.identity(); }
  [[nodiscard]] std::string description() const override { return inner_.description(); }

 private:
  template <class Request>
  auto Ask(const Request& request) -> decltype(request()) {
    if (fs_.halted()) return Fail(ErrorCode::kCancelled, "the machine is down");
    auto reply = request();
    if (inner_.halted()) fs_.Halt();
    return reply;
  }

  FaultyStore& inner_;
  FaultyFileSystem& fs_;
};

inline SecretBytes Password(std::string_view text) { return SecretBytes::CopyOf(AsBytes(text)); }

inline constexpr crypto::KdfPolicy kCheapKdf{8, 1, 1};
inline constexpr crypto::KdfBounds kCheapBounds{8, 64, 1, 2, 1};

/// A machine: its disk, its clock, its line to the provider (which may be faulty, and is recorded
/// as the provider sees it).
class Machine {
 public:
  Machine(store::ObjectStore& provider, std::uint64_t seed, std::string name = "a");

  /// `password` is "correct horse" unless said otherwise.
  Result<std::unique_ptr<Vault>> Create(const VolumeSpec& spec = Photos(),
                                        Vault::CreateOptions options = {});
  Result<std::unique_ptr<Vault>> Unlock(std::string_view password = kPassword,
                                        Vault::UnlockOptions options = {});

  static VolumeSpec Spec(const std::string& name);
  static VolumeSpec Photos() { return Spec("photos"); }
  [[nodiscard]] std::unique_ptr<store::ObjectStore> Store() {
    return std::make_unique<PoweredStore>(line, fs);
  }
  static constexpr std::string_view kPassword = "correct horse";

  RecordingStore wire;  // what reaches the provider
  FaultyStore line;
  FaultyFileSystem fs;
  FakeClock clock;
  SeededRandom random;
  SimScheduler scheduler;
  SimExecutor sync_executor;
  SimExecutor work_executor;
  SimExecutor fetch_executor;
  Environment env;
};

/// A volume open on a machine.
struct OpenChain {
  std::unique_ptr<Vault> vault;
  VolumeId volume;
  std::unique_ptr<HeadChain> chain;
};
/// Unlocks and makes a chain, not yet loaded.
Result<OpenChain> OpenPhotos(Machine& machine, Vault::UnlockOptions options = {});
/// Around an unlocked vault.
Result<OpenChain> ChainOf(std::unique_ptr<Vault> vault, const std::string& name = "photos");

/// Oracle O6: the chain of heads as it lies at the provider is consecutive from 1, each head names
/// its parent's hash, all authentic. Returns the newest sequence.
Result<std::uint64_t> CheckChain(const store::MemoryStore& provider, const KeyChest& keys,
                                 const VolumeId& volume);

/// A head to append over `below`: the same, with a journal position of its own so that no two are
/// equal.
format::Head NextHead(const format::Head& below, std::uint64_t journal_seq = 0);

}  // namespace coffer::vault

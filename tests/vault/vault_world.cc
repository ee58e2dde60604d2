#include "tests/vault/vault_world.h"

#include "core/base/log.h"
#include "core/crypto/hash.h"
#include "core/format/chain_name.h"
#include "core/vault/head_record.h"

namespace coffer::vault {
namespace {

constexpr char kStateDirectory[] = "/home/user/state/coffer";

}  // namespace

Machine::Machine(store::ObjectStore& provider, std::uint64_t seed, std::string name)
    : wire(provider),
      line(wire, seed + 1),
      fs(seed + 2),
      random(seed + 3),
      scheduler(clock, seed + 4),
      sync_executor(scheduler, 2),
      work_executor(scheduler, 1),
      fetch_executor(scheduler, 0),
      env{fs,        clock,        random,          sync_executor,  work_executor, fetch_executor,
          kCheapKdf, kCheapBounds, kStateDirectory, std::move(name)} {
  fs.AddDirectories(kStateDirectory);
  SetLogLevel(LogLevel::kError);  // what goes wrong here goes wrong on purpose
}

VolumeSpec Machine::Spec(const std::string& name) {
  VolumeSpec spec;
  spec.name = name;
  spec.size = std::uint64_t{20} << 30;
  return spec;
}

Result<std::unique_ptr<Vault>> Machine::Create(const VolumeSpec& spec,
                                               Vault::CreateOptions options) {
  return Vault::Create(env, Store(), Password(kPassword), spec, options);
}

Result<std::unique_ptr<Vault>> Machine::Unlock(std::string_view password,
                                               Vault::UnlockOptions options) {
  return Vault::Unlock(env, Store(), Password(password), options);
}

Result<OpenChain> ChainOf(std::unique_ptr<Vault> vault, const std::string& name) {
  OpenChain open;
  open.vault = std::move(vault);
  ASSIGN_OR_RETURN(const format::CatalogVolume volume, open.vault->FindVolume(name));
  open.volume = volume.id;
  ASSIGN_OR_RETURN(const std::string directory, open.vault->VolumeDirectory(volume.id));
  open.chain = std::make_unique<HeadChain>(*open.vault, volume.id, directory);
  return open;
}

Result<OpenChain> OpenPhotos(Machine& machine, Vault::UnlockOptions options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Vault> vault, machine.Unlock(Machine::kPassword, options));
  return ChainOf(std::move(vault));
}

Result<std::uint64_t> CheckChain(const store::MemoryStore& provider, const KeyChest& keys,
                                 const VolumeId& volume) {
  const std::string prefix = format::HeadPrefix(volume);
  const store::MemoryStore::Objects objects = provider.Snapshot();
  ObjectHash parent;
  std::uint64_t seq = 0;
  for (auto object = objects.rbegin(); object != objects.rend(); ++object) {
    if (!object->first.starts_with(prefix)) continue;
    ++seq;
    if (object->first != format::ChainName(prefix, seq)) {
      return Fail(ErrorCode::kCorruption, "not consecutive at " + object->first);
    }
    ASSIGN_OR_RETURN(const format::Head head, OpenHead(keys, volume, seq, *object->second));
    if (head.parent != parent) {
      return Fail(ErrorCode::kCorruption, "wrong parent at " + std::to_string(seq));
    }
    parent = crypto::Sha256(*object->second);
  }
  return seq;
}

format::Head NextHead(const format::Head& below, std::uint64_t journal_seq) {
  format::Head head = below;
  head.released = false;
  head.journal.stream = StreamId::From(below.volume.view());
  head.journal.seq = journal_seq != 0 ? journal_seq : below.journal.seq + 1;
  return head;
}

}  // namespace coffer::vault

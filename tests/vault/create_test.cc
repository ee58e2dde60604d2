// Vault::Create: what it makes, in which order, what it refuses, and what is left when it fails or
// the machine goes down at any point of it.
#include <gtest/gtest.h>

#include <set>

#include "core/format/chain_name.h"
#include "tests/support/result_macros.h"
#include "tests/vault/forge.h"
#include "tests/vault/vault_world.h"

namespace coffer::vault {
namespace {

using store::StoreOperation;

std::vector<std::string> CreatedNames(const Machine& machine) {
  std::vector<std::string> names;
  for (const StoreRequest& request : machine.wire.requests()) {
    if (request.operation == StoreOperation::kCreate) names.push_back(request.name);
  }
  return names;
}

TEST(Create, MakesAVaultThatAnotherMachineOpens) {
  store::MemoryStore provider;
  Machine a(provider, 1, "a");
  VaultId id;
  {
    ASSERT_OK_AND_ASSIGN(const auto vault, a.Create());
    id = vault->id();
    EXPECT_EQ(vault->catalog().seq, 1u);
    EXPECT_EQ(vault->catalog().header_seq_min, 1u);
    EXPECT_EQ(vault->trust().catalog().seq, 1u);
    EXPECT_EQ(vault->trust().key_header().seq, 1u);
  }
  Machine b(provider, 100, "b");
  ASSERT_OK_AND_ASSIGN(OpenChain open, OpenPhotos(b));
  EXPECT_EQ(open.vault->id(), id);
  ASSERT_OK_AND_ASSIGN(const HeadChain::Newest newest, open.chain->Load());
  EXPECT_EQ(newest.head.map.size, Machine::Photos().size);
  EXPECT_EQ(newest.head.chunk_size, 64u * 1024);
  EXPECT_EQ(newest.head.epoch, 1u);
  EXPECT_TRUE(newest.head.released);
  EXPECT_EQ(newest.head.host_name, "a");
  EXPECT_FALSE(newest.ours);
}

TEST(Create, WritesTheMarkerLastAndProbesFirst) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  ASSERT_OK(a.Create());
  const std::vector<std::string> names = CreatedNames(a);
  ASSERT_EQ(names.size(), 6u);
  EXPECT_TRUE(names[0].starts_with("probe/"));
  EXPECT_TRUE(names[1].starts_with("probe/"));
  EXPECT_EQ(names[2], "keys/fffffffffffffffe");
  EXPECT_TRUE(names[3].starts_with("heads/"));
  EXPECT_EQ(names[4], "catalog/fffffffffffffffe");
  EXPECT_EQ(names[5], "vault");
  EXPECT_EQ(provider.object_count(), 4u);
}

TEST(Create, ReadsTheKeyHeaderBackBeforeAnythingIsPutUnderIt) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  a.line.AddFault({.kind = StoreFaultKind::kCorruptBody,
                   .operation = StoreOperation::kGet,
                   .name_contains = "keys/"});
  EXPECT_FALSE(a.Create().has_value());
  for (const std::string& name : CreatedNames(a)) EXPECT_FALSE(name.starts_with("heads/")) << name;
}

TEST(Create, RefusesAStoreThatHoldsAVault) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  ASSERT_OK(a.Create());
  const auto before = provider.Snapshot();
  Machine b(provider, 2);
  EXPECT_FAILS(b.Create(), kAlreadyExists);
  EXPECT_EQ(provider.Snapshot(), before);
  EXPECT_EQ(b.fs.change_count(), 0u);
}

TEST(Create, RefusesHalfAVault) {
  store::MemoryStore whole;
  Machine a(whole, 1);
  ASSERT_OK(a.Create());
  const auto objects = whole.Snapshot();
  for (const auto& [name, bytes] : objects) {
    if (name == "vault") continue;
    store::MemoryStore provider;
    provider.Restore({{name, bytes}});
    Machine b(provider, 2);
    const auto created = b.Create();
    ASSERT_FAILS(created, kCorruption) << name;
    EXPECT_NE(created.error().message.find("half a vault"), std::string::npos);
    EXPECT_NE(created.error().message.find(name), std::string::npos);
    EXPECT_FALSE(created.error().hint.empty());
    EXPECT_EQ(provider.object_count(), 1u);
    EXPECT_EQ(b.fs.change_count(), 0u);
  }
}

TEST(Create, RefusesWeakStoresWithoutTheOwnersWord) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  a.line.AddFault({.kind = StoreFaultKind::kConditionIgnored,
                   .operation = StoreOperation::kCreate,
                   .count = StoreFault::kForever});
  const auto refused = a.Create();
  ASSERT_FAILS(refused, kNeedsPerson);
  EXPECT_TRUE(refused.error().message.starts_with("WEAK-STORE: "));
  EXPECT_FALSE(refused.error().hint.empty());
  EXPECT_EQ(provider.object_count(), 0u);
  EXPECT_OK(a.Create(Machine::Photos(), {.single_writer = true}));
}

TEST(Create, RefusesImpossibleVolumesBeforeAnyRequest) {
  const auto with = [](auto change) {
    VolumeSpec spec = Machine::Photos();
    change(spec);
    return spec;
  };
  const std::vector<VolumeSpec> specs = {
      with([](VolumeSpec& spec) { spec.name = ""; }),
      with([](VolumeSpec& spec) { spec.name = "a/b"; }),
      with([](VolumeSpec& spec) { spec.name = ".."; }),
      with([](VolumeSpec& spec) { spec.name = "-rf"; }),
      with([](VolumeSpec& spec) { spec.name = "a\nb"; }),
      with([](VolumeSpec& spec) { spec.name = std::string("a\0b", 3); }),
      with([](VolumeSpec& spec) { spec.name = std::string(64, 'a'); }),
      with([](VolumeSpec& spec) { spec.name = std::string(300, 'a'); }),
      with([](VolumeSpec& spec) { spec.size = 0; }),
      with([](VolumeSpec& spec) { spec.size = 4095; }),
      with([](VolumeSpec& spec) { spec.size = 4097; }),
      with([](VolumeSpec& spec) { spec.size = (std::uint64_t{16} << 40) + 4096; }),
      with([](VolumeSpec& spec) { spec.chunk_size = 0; }),
      with([](VolumeSpec& spec) { spec.chunk_size = 8 * 1024; }),
      with([](VolumeSpec& spec) { spec.chunk_size = 48 * 1024; }),
      with([](VolumeSpec& spec) { spec.chunk_size = 512 * 1024; }),
  };
  store::MemoryStore provider;
  Machine a(provider, 1);
  for (const VolumeSpec& spec : specs) {
    const auto created = a.Create(spec);
    ASSERT_FAILS(created, kInvalidArgument) << spec.name << spec.size << ' ' << spec.chunk_size;
    EXPECT_EQ(created.error().message.find('\n'), std::string::npos);
    EXPECT_FALSE(created.error().hint.empty());
  }
  EXPECT_TRUE(a.wire.requests().empty());
  EXPECT_EQ(a.fs.change_count(), 0u);

  EXPECT_OK(a.Create(with([](VolumeSpec& spec) {
    spec.name = std::string(63, 'a');
    spec.size = std::uint64_t{16} << 40;
    spec.chunk_size = 256 * 1024;
  })));
}

TEST(Create, TakesNoEmptyPassword) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  EXPECT_FAILS(Vault::Create(a.env, a.Store(), Password(""), Machine::Photos()), kInvalidArgument);
  EXPECT_EQ(provider.object_count(), 0u);
}

TEST(Create, LeavesNothingWhenAnyFileSystemCallFails) {
  for (std::uint64_t nth = 1;; ++nth) {
    store::MemoryStore provider;
    Machine a(provider, nth);
    a.fs.AddFault({.nth = nth});
    const auto created = a.Create();
    if (created.has_value()) {
      EXPECT_GT(nth, 10u);
      break;
    }
    EXPECT_EQ(provider.object_count(), 0u) << nth << ": " << created.error().message;
    EXPECT_TRUE(a.fs.Files().empty()) << nth << ": " << a.fs.Files().front();
    a.fs.ClearFaults();
    EXPECT_OK(a.Create()) << nth;
  }
}

/// Either the vault is whole, or nothing (or, where the store would not even delete, a part that is
/// refused) is left; never a vault that lacks something.
void ExpectWholeOrNone(store::MemoryStore& provider, Machine& a, const std::string& where) {
  SCOPED_TRACE(where);
  const bool marked = provider.Snapshot().contains("vault");
  const auto unlocked = OpenPhotos(a);
  ASSERT_EQ(unlocked.has_value(), marked) << unlocked.error().message;
  Machine b(provider, 7777, "b");
  if (marked) {
    EXPECT_OK(unlocked->chain->Load());
    EXPECT_OK(OpenPhotos(b));
    EXPECT_FAILS(b.Create(), kAlreadyExists);
    return;
  }
  EXPECT_EQ(unlocked.error().code, ErrorCode::kNotFound);
  const auto again = b.Create();
  if (!again.has_value()) {
    EXPECT_EQ(again.error().code, ErrorCode::kCorruption) << again.error().message;
    EXPECT_NE(again.error().message.find("half a vault"), std::string::npos);
  }
}

TEST(Create, IsWholeOrNothingWhenAnyRequestFails) {
  for (const StoreFaultKind kind : {StoreFaultKind::kFailBefore, StoreFaultKind::kFailAfter}) {
    for (std::uint64_t nth = 1;; ++nth) {
      store::MemoryStore provider;
      Machine a(provider, nth);
      a.line.AddFault({.kind = kind, .nth = nth});
      const auto created = a.Create();
      if (created.has_value() && a.line.request_count() < nth) break;
      if (!created.has_value()) {
        std::string left;
        for (const auto& [name, bytes] : provider.Snapshot()) {
          if (!name.starts_with("probe/")) left += name + " ";
        }
        EXPECT_EQ(left, "") << nth << ": " << created.error().message;
        EXPECT_TRUE(a.fs.Files().empty()) << nth;
      }
      const std::string where = std::to_string(nth);
      // Gives the lock back.
      if (created.has_value()) const_cast<std::unique_ptr<Vault>&>(*created).reset();
      ExpectWholeOrNone(provider, a, where);
    }
  }
}

TEST(Create, IsWholeOrNothingWhenTheMachineDiesAtAnyRequest) {
  for (const HaltMoment moment : {HaltMoment::kBefore, HaltMoment::kAfter}) {
    for (std::uint64_t nth = 1;; ++nth) {
      store::MemoryStore provider;
      Machine a(provider, nth);
      a.line.HaltAt(nth, moment);
      const bool created = a.Create().has_value();
      if (!a.line.halted()) {
        EXPECT_TRUE(created);
        break;
      }
      a.fs.PowerCut(CutMode::kRandomSubset);
      a.line.Heal();
      ExpectWholeOrNone(provider, a, std::to_string(nth));
    }
  }
}

TEST(Create, IsWholeOrNothingWhenPowerGoesAtAnyChangeOfTheDisk) {
  const std::uint64_t seed = TestSeed();
  for (const CutMode mode : {CutMode::kDropAll, CutMode::kKeepAll, CutMode::kRandomSubset}) {
    for (std::uint64_t nth = 1;; ++nth) {
      store::MemoryStore provider;
      Machine a(provider, seed + nth);
      a.fs.HaltAt(nth);
      const bool created = a.Create().has_value();
      if (!a.fs.halted()) {
        EXPECT_TRUE(created);
        break;
      }
      a.fs.PowerCut(mode);
      ExpectWholeOrNone(provider, a, std::to_string(nth));
    }
  }
}

TEST(Create, TakesALostReplyToTheMarkerForSuccess) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  a.line.AddFault({.kind = StoreFaultKind::kFailAfter,
                   .operation = StoreOperation::kCreate,
                   .name_contains = "vault"});
  EXPECT_OK(a.Create());
}

TEST(Create, LeavesAllStandingWhenItCannotTellWhetherTheMarkerIsThere) {
  store::MemoryStore provider;
  Machine a(provider, 1);
  a.line.AddFault({.kind = StoreFaultKind::kFailAfter,
                   .operation = StoreOperation::kCreate,
                   .name_contains = "vault"});
  a.line.AddFault({.operation = StoreOperation::kGet,
                   .name_contains = "vault",
                   .nth = 2,  // the first looks whether there is a vault already
                   .count = StoreFault::kForever});
  EXPECT_FAILS(a.Create(), kUnavailable);
  a.line.Heal();
  EXPECT_OK(OpenPhotos(a));
}

TEST(Create, OfTwoAtOnceOneMakesTheVault) {
  // The other one's key header lands between the first one's look and its own create.
  store::MemoryStore other;
  Machine b(other, 2, "b");
  ASSERT_OK(b.Create());
  const Bytes header = ObjectAt(other, "keys/fffffffffffffffe");

  store::MemoryStore provider;
  Machine a(provider, 1, "a");
  a.line.AddFault({.kind = StoreFaultKind::kLateApply, .name_contains = "nothing"});
  // By hand: plant it once the probe has gone through, before the key header's create.
  class Planting final : public store::ObjectStore {
   public:
    Planting(store::MemoryStore& inner, const Bytes& bytes) : inner_(inner), bytes_(bytes) {}
    Status Create(const RequestContext& context, const std::string& name, ByteView data,
                  store::ObjectClass c) override {
      if (name.starts_with("keys/")) Plant(inner_, name, &bytes_);
      return inner_.Create(context, name, data, c);
    }
    Result<Bytes> Get(const RequestContext& context, const std::string& name,
                      std::uint64_t size_max) override {
      return inner_.Get(context, name, size_max);
    }
    Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                           std::uint64_t offset, std::uint64_t length) override {
      return inner_.GetRange(context, name, offset, length);
    }
    Result<store::ListPage> List(const RequestContext& context, const std::string& prefix,
                                 const std::string& after, std::size_t limit) override {
      return inner_.List(context, prefix, after, limit);
    }
    Status Delete(const RequestContext& context, const std::string& name) override {
      return inner_.Delete(context, name);
    }
    store::StoreCapabilities capabilities() const override { return inner_.capabilities(); }
    std::string identity() const override { return inner_.identity(); }
    std::string description() const override { return inner_.description(); }

   private:
    store::MemoryStore& inner_;
    const Bytes& bytes_;
  };
  const auto created = Vault::Create(a.env, std::make_unique<Planting>(provider, header),
                                     Password(Machine::kPassword), Machine::Photos());
  ASSERT_FAILS(created, kConflict);
  EXPECT_NE(created.error().message.find("under way"), std::string::npos);
  EXPECT_NE(created.error().hint.find("run coffer init again"), std::string::npos);
  EXPECT_EQ(ObjectAt(provider, "keys/fffffffffffffffe"), header);
  EXPECT_EQ(provider.object_count(), 1u);
}

TEST(Create, PutsNoNameAndNoPasswordWhereTheProviderSees) {
  store::MemoryStore provider;
  Machine a(provider, 1, "host-of-mine");
  ASSERT_OK(a.Create());
  for (const auto& [name, bytes] : provider.Snapshot()) {
    const std::string_view text = AsText(*bytes);
    for (const std::string_view secret : {"photos", "host-of-mine", "correct horse"}) {
      EXPECT_EQ(text.find(secret), std::string_view::npos) << name;
      EXPECT_EQ(name.find(secret), std::string::npos) << name;
    }
  }
  for (const std::string& path : a.fs.Files()) {
    EXPECT_EQ(AsText(*a.fs.Contents(path)).find("photos"), std::string_view::npos) << path;
  }
}

TEST(Create, GivesDifferentKeysAndBytesEachTime) {
  std::set<std::string> headers;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    store::MemoryStore provider;
    Machine a(provider, seed);
    ASSERT_OK(a.Create());
    headers.insert(ToHex(ObjectAt(provider, "keys/fffffffffffffffe")));
  }
  EXPECT_EQ(headers.size(), 3u);
}

}  // namespace
}  // namespace coffer::vault

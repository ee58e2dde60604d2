#include "core/format/chain_name.h"

#include <gtest/gtest.h>

#include "tests/format/golden_values.h"

namespace coffer::format {
namespace {

TEST(ChainName, SortsTheNewestFirst) {
  std::string last = ChainName(kKeysPrefix, 1);
  for (const std::uint64_t seq : {2ull, 9ull, 10ull, 255ull, 256ull, 1ull << 40, ~0ull}) {
    const std::string name = ChainName(kKeysPrefix, seq);
    EXPECT_LT(name, last) << seq;
    last = name;
  }
}

TEST(ChainName, GivesItsSequenceBack) {
  const std::string prefix = HeadPrefix(SeqId<VolumeId>(1));
  for (const std::uint64_t seq : {1ull, 812ull, 1ull << 63, ~0ull})
    EXPECT_EQ(ChainSequence(prefix, ChainName(prefix, seq)), seq);
}

TEST(ChainName, KnowsForeignNames) {
  for (const char* name :
       {"keys/", "keys/fffffffffffffff", "keys/fffffffffffffffff", "keys/FFFFFFFFFFFFFFFE",
        "keys/fffffffffffffffg", "key/fffffffffffffffe", "catalog/fffffffffffffffe",
        "keys/ffffffffffffffff", "keys/ffffffffffff.tmp", "keys/ 123456789abcdef", ""})
    EXPECT_EQ(ChainSequence(kKeysPrefix, name), std::nullopt) << name;
}

TEST(PackName, GivesItsIdBack) {
  const PackId pack = SeqId<PackId>(0xA0);
  const std::string name = PackName(pack);
  EXPECT_EQ(PackIdFromName(name), pack);
  EXPECT_EQ(name.size(), 6u + 3 + 64);
}

TEST(PackName, KnowsForeignNames) {
  const std::string name = PackName(SeqId<PackId>(0xA0));
  std::string wrong_folder = name;
  wrong_folder[6] = 'b';
  std::string upper = name;
  upper.back() = 'F';
  for (const std::string& foreign :
       {wrong_folder, upper, name + "0", name.substr(1), std::string("packs/")})
    EXPECT_EQ(PackIdFromName(foreign), std::nullopt) << foreign;
}

}  // namespace
}  // namespace coffer::format

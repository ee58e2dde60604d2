#include "tests/conformance/object_store_conformance.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <set>
#include <thread>

#include "core/base/log.h"
#include "tests/support/result_macros.h"
#include "tests/support/seeded_random.h"

namespace coffer::store {

std::string ObjectStoreConformance::TextAt(const std::string& name) {
  const Result<Bytes> bytes = store().Get({}, name, 1 << 20);
  return bytes.has_value() ? std::string(AsText(*bytes)) : TextOf(bytes.error());
}

std::vector<std::string> ObjectStoreConformance::NamesUnder(const std::string& prefix,
                                                            std::size_t limit) {
  std::vector<std::string> names;
  std::string last;
  for (int pages = 0; pages < 10'000; ++pages) {
    const Result<ListPage> page = store().List({}, prefix, last, limit);
    if (!page.has_value()) {
      ADD_FAILURE() << TextOf(page.error());
      return names;
    }
    EXPECT_LE(page->objects.size(), limit);
    for (const ListedObject& object : page->objects) names.push_back(object.name);
    if (!page->more) return names;
    if (page->objects.empty()) break;
    last = names.back();
  }
  ADD_FAILURE() << "the listing of '" << prefix << "' does not end";
  return names;
}

namespace {

using Names = std::vector<std::string>;

TEST_P(ObjectStoreConformance, ReadsBackWhatWasCreated) {
  ASSERT_OK(Put("t/a", "hello"));
  EXPECT_EQ(TextAt("t/a"), "hello");
}

TEST_P(ObjectStoreConformance, KeepsAnEmptyObject) {
  ASSERT_OK(Put("t/empty", ""));
  EXPECT_EQ(TextAt("t/empty"), "");
  ASSERT_OK_AND_ASSIGN(const Bytes none, store().GetRange({}, "t/empty", 0, 0));
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(NamesUnder("t/"), Names{"t/empty"});
}

TEST_P(ObjectStoreConformance, KeepsEveryByteOfALargeObject) {
  SeededRandom random(7);
  const Bytes data = random.NewBytes(3'000'001);
  ASSERT_OK(store().Create({}, "t/large", data, ObjectClass::kData));
  ASSERT_OK_AND_ASSIGN(const Bytes whole, store().Get({}, "t/large", data.size()));
  EXPECT_TRUE(whole == data);
}

TEST_P(ObjectStoreConformance, RefusesATakenNameAndKeepsTheFirstBytes) {
  ASSERT_OK(Put("t/a", "first"));
  EXPECT_FAILS(Put("t/a", "second, longer"), kAlreadyExists);
  EXPECT_FAILS(Put("t/a", "first"), kAlreadyExists);
  EXPECT_EQ(TextAt("t/a"), "first");
}

TEST_P(ObjectStoreConformance, TakesADeletedNameAgain) {
  ASSERT_OK(Put("t/a", "first"));
  ASSERT_OK(store().Delete({}, "t/a"));
  EXPECT_FAILS(store().Get({}, "t/a", 100), kNotFound);
  EXPECT_TRUE(IsDeleteOfNothing(store().Delete({}, "t/a")));
  ASSERT_OK(Put("t/a", "second"));
  EXPECT_EQ(TextAt("t/a"), "second");
}

TEST_P(ObjectStoreConformance, SaysNotFoundForWhatIsNotThere) {
  ASSERT_OK(Put("t/dir/a", "x"));
  for (const char* name : {"t/b", "t/dir/b", "t/dir", "t/none/b", "t/dir/a/b"}) {
    EXPECT_FAILS(store().Get({}, name, 100), kNotFound) << name;
    EXPECT_FAILS(store().GetRange({}, name, 0, 1), kNotFound) << name;
    EXPECT_TRUE(IsDeleteOfNothing(store().Delete({}, name))) << name;
  }
  EXPECT_EQ(TextAt("t/dir/a"), "x");
}

TEST_P(ObjectStoreConformance, RefusesAnObjectLongerThanTheCallerTakes) {
  ASSERT_OK(Put("t/a", "0123456789"));
  EXPECT_FAILS(store().Get({}, "t/a", 9), kCorruption);
  EXPECT_OK(store().Get({}, "t/a", 10));
}

TEST_P(ObjectStoreConformance, ReadsTheRangeAsFarAsTheObjectReaches) {
  const std::string text = "0123456789";
  ASSERT_OK(Put("t/a", text));
  for (std::size_t offset = 0; offset < text.size(); ++offset) {
    for (std::size_t length = 0; length <= text.size() + 2; ++length) {
      ASSERT_OK_AND_ASSIGN(const Bytes range, store().GetRange({}, "t/a", offset, length));
      EXPECT_EQ(AsText(range), text.substr(offset, length));
    }
  }
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  ASSERT_OK_AND_ASSIGN(const Bytes rest, store().GetRange({}, "t/a", 5, kMax));
  EXPECT_EQ(AsText(rest), "56789");
}

TEST_P(ObjectStoreConformance, RefusesARangeThatBeginsBeyondTheEnd) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  ASSERT_OK(Put("t/a", "0123456789"));
  EXPECT_FAILS(store().GetRange({}, "t/a", 10, 1), kCorruption);
  EXPECT_FAILS(store().GetRange({}, "t/a", 11, 0), kCorruption);
  EXPECT_FAILS(store().GetRange({}, "t/a", kMax, 5), kCorruption);
}

TEST_P(ObjectStoreConformance, ListsInByteOrderOfFullNames) {
  // The sorted entries of a directory give "a", itself one, before "a-b"; the full names don't.
  Names names = {"t/a-b",    "t/a.b",   "t/a/x",   "t/a/x-y", "t/a/x.z/q", "t/a/x0", "t/a0",
                 "t/a_",     "t/aa",    "t/b/c/d", "t/b/c-d", "t/b-/c",    "t/b--",  "t/b-/d",
                 "t/b--0/x", "t/b-./x", "t/b.",    "t/b0",    "t/0",       "t/z/z/z"};
  for (const std::string& name : names) ASSERT_OK(Put(name, name));
  std::ranges::sort(names);
  EXPECT_EQ(NamesUnder("t/"), names);
  for (const std::size_t limit : {1U, 2U, 3U, 19U, 20U, 21U}) {
    EXPECT_EQ(NamesUnder("t/", limit), names) << "in pages of " << limit;
  }
}

/// No name is another one's directory part; see IsValidObjectName.
bool Clashes(const std::set<std::string>& names, const std::string& name) {
  return std::ranges::any_of(names, [&](const std::string& other) {
    return other == name || other.starts_with(name + "/") || name.starts_with(other + "/");
  });
}

std::string RandomName(SeededRandom& random) {
  static constexpr std::string_view kLetters = "ab-.0_";
  std::string name = "t";
  do {
    name += '/';
    name += "ab0"[random.Below(3)];
    while (!random.OneIn(2)) name += kLetters[random.Below(kLetters.size())];
  } while (!random.OneIn(3));
  return name;
}

TEST_P(ObjectStoreConformance, ListsAsASortedSetDoesWhateverIsAsked) {
  SeededRandom random(TestSeed());
  std::set<std::string> names;
  while (names.size() < 60) {
    const std::string name = RandomName(random);
    if (name.size() > 60 || Clashes(names, name)) continue;
    ASSERT_OK(Put(name, name));
    names.insert(name);
  }
  for (int round = 0; round < 400; ++round) {
    std::string prefix = RandomName(random);
    prefix.resize(2 + random.Below(prefix.size() - 1));
    const std::string start_after = random.OneIn(4) ? "" : RandomName(random);
    const std::size_t limit = 1 + random.Below(random.OneIn(2) ? 4 : 70);
    Names expected;
    for (const std::string& name : names) {
      if (name.starts_with(prefix) && name > start_after) expected.push_back(name);
    }
    const bool more = expected.size() > limit;
    if (more) expected.resize(limit);
    ASSERT_OK_AND_ASSIGN(const ListPage page, store().List({}, prefix, start_after, limit));
    ASSERT_EQ(page.names(), expected) << "prefix " << prefix << " after " << start_after;
    ASSERT_EQ(page.more, more) << "prefix " << prefix << " after " << start_after;
  }
}

TEST_P(ObjectStoreConformance, ListsNothingUnderAForeignPrefix) {
  ASSERT_OK(Put("t/a", "x"));
  for (const char* prefix : {"t/b", "t/a/", "u/", "/", "//", "../", "t/../", "t//", "T/", ".",
                             "t/.", "t/a\n", "t/./a"}) {
    EXPECT_EQ(NamesUnder(prefix), Names{}) << prefix;
  }
  ASSERT_OK_AND_ASSIGN(const ListPage behind, store().List({}, "t/", "u", 10));
  EXPECT_TRUE(behind.objects.empty());
  EXPECT_FALSE(behind.more);
}

TEST_P(ObjectStoreConformance, ListsAtOnceWhatWasCreatedAndNotWhatWasDeleted) {
  for (int i = 0; i < 20; ++i) {  // each name sorts before all earlier ones, as heads do
    const std::string name = Concat("t/heads/", 99 - i);
    ASSERT_OK(Put(name, "x"));
    ASSERT_OK_AND_ASSIGN(const ListPage page, store().List({}, "t/heads/", "", 2));
    ASSERT_FALSE(page.objects.empty());
    ASSERT_EQ(page.objects.front().name, name);
    ASSERT_EQ(page.more, i >= 2);
  }
  for (const std::string& name : NamesUnder("t/heads/")) ASSERT_OK(store().Delete({}, name));
  EXPECT_EQ(NamesUnder("t/"), Names{});
}

TEST_P(ObjectStoreConformance, RefusesListLimitsOutOfBounds) {
  EXPECT_FAILS(store().List({}, "t/", "", 0), kInvalidArgument);
  EXPECT_FAILS(store().List({}, "t/", "", kListLimitMax + 1), kInvalidArgument);
  EXPECT_OK(store().List({}, "t/", "", kListLimitMax));
}

TEST_P(ObjectStoreConformance, RefusesNamesThatAreNone) {
  const Names bad = {"",
                     "/",
                     "/a",
                     "a/",
                     "t//a",
                     ".",
                     "..",
                     "t/../a",
                     "t/./a",
                     "t/.hidden",
                     "T/a",
                     "t/a b",
                     "t/a\n",
                     "t/a\\b",
                     "t/\xc3\xa4",
                     "t/a*",
                     "t/a:b",
                     std::string("t/a\0b", 5),
                     "t/" + std::string(199, 'a')};
  for (const std::string& name : bad) {
    EXPECT_FAILS(Put(name, "x"), kInvalidArgument) << name;
    EXPECT_FAILS(store().Get({}, name, 100), kInvalidArgument) << name;
    EXPECT_FAILS(store().GetRange({}, name, 0, 1), kInvalidArgument) << name;
    EXPECT_FAILS(store().Delete({}, name), kInvalidArgument) << name;
  }
  EXPECT_EQ(NamesUnder("t/"), Names{});
}

TEST_P(ObjectStoreConformance, TakesTheLongestName) {
  const std::string name = "t/" + std::string(198, 'a');
  ASSERT_OK(Put(name, "x"));
  EXPECT_EQ(TextAt(name), "x");
  EXPECT_EQ(NamesUnder("t/"), Names{name});
}

Bytes BytesOf(int writer) {
  return Bytes(20'000 + static_cast<std::size_t>(writer), static_cast<std::byte>(writer));
}

TEST_P(ObjectStoreConformance, ListsTheSizeOfEachObjectAndWhenItWasMadeIfItCan) {
  ASSERT_OK(Put("t/a", "hello"));
  ASSERT_OK(Put("t/b", ""));
  ASSERT_OK_AND_ASSIGN(const ListPage page, store().List({}, "t/", "", 10));
  ASSERT_EQ(page.names(), (Names{"t/a", "t/b"}));
  EXPECT_EQ(page.objects[0].size, 5U);
  EXPECT_EQ(page.objects[1].size, 0U);
  for (const ListedObject& object : page.objects) {
    EXPECT_EQ(object.modified.has_value(), store().capabilities().times) << object.name;
  }
}

TEST_P(ObjectStoreConformance, DeletesManyAndSaysForEachHowItWent) {
  for (const char* name : {"t/a", "t/b/c", "t/d"}) ASSERT_OK(Put(name, name));
  const std::vector<Status> deleted = store().DeleteMany({}, {"t/a", "t/b/c", "t/../x"});
  ASSERT_EQ(deleted.size(), 3U);
  EXPECT_OK(deleted[0]);
  EXPECT_OK(deleted[1]);
  EXPECT_FAILS(deleted[2], kInvalidArgument);
  EXPECT_EQ(NamesUnder("t/"), Names{"t/d"});
  EXPECT_TRUE(store().DeleteMany({}, {}).empty());
}

TEST_P(ObjectStoreConformance, LetsExactlyOneOfManyCreateAName) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 12;
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = Concat("t/race/", round);
    std::atomic<int> won{0};
    std::atomic<int> refused{0};
    std::atomic<int> winner{-1};
    std::atomic<int> to_come{kThreads};
    std::vector<std::thread> threads;
    for (int id = 0; id < kThreads; ++id) {
      threads.emplace_back([&, id] {
        const Bytes data = BytesOf(id);
        --to_come;
        while (to_come > 0) std::this_thread::yield();
        const Status created = store().Create({}, name, data, ObjectClass::kHead);
        if (created.has_value()) {
          ++won;
          winner = id;
        } else if (created.error().code == ErrorCode::kAlreadyExists) {
          ++refused;
        } else {
          ADD_FAILURE() << TextOf(created.error());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(won, 1);
    ASSERT_EQ(refused, kThreads - 1);
    ASSERT_OK_AND_ASSIGN(const Bytes kept, store().Get({}, name, 1 << 20));
    ASSERT_TRUE(kept == BytesOf(winner));
  }
  EXPECT_EQ(NamesUnder("t/race/").size(), std::size_t{kRounds});
}

TEST_P(ObjectStoreConformance, LetsManyWorkInTheSamePlaceAtOnce) {
  constexpr int kThreads = 8;
  constexpr int kObjects = 12;
  std::vector<std::thread> threads;
  for (int id = 0; id < kThreads; ++id) {
    threads.emplace_back([&, id] {
      for (int i = 0; i < kObjects; ++i) {
        const std::string name = Concat("t/", i, "/of-", id);
        EXPECT_OK(Put(name, name));
        EXPECT_EQ(TextAt(name), name);
        EXPECT_OK(store().List({}, "t/", "", 100));
        if (i % 3 == 0) {
          EXPECT_OK(store().Delete({}, name));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(NamesUnder("t/").size(), std::size_t{kThreads * kObjects * 2 / 3});
}

}  // namespace
}  // namespace coffer::store

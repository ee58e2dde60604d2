// The conformance suite over real sockets against the WebDAV server that the environment names:
//
//   COFFER_TEST_STORE   "webdav://ann@127.0.0.1:8090/basic?credentials_file=…"; each test works in
//                       a collection of its own in there
//   COFFER_TEST_WEAK    set: the server ignores the condition, and the probe must find that
//
// Behind RetryingStore, as in use: who finds a name claimed asks again.
// tests/integration/show-07-webdav.sh starts servers and runs it.
#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/http/http_engine.h"
#include "core/store/probe.h"
#include "core/store/retrying_store.h"
#include "core/store/webdav_store.h"
#include "tests/conformance/object_store_conformance.h"

namespace coffer::store {
namespace {

std::string PlaceOfItsOwn(Random& random) {
  std::array<std::byte, 8> id{};
  random.Fill(id);
  const char* given = std::getenv("COFFER_TEST_STORE");
  CHECK(given != nullptr);
  std::string url = given;
  return url.insert(std::min(url.size(), url.find('?')), "/" + ToHex(id));
}

/// What one machine has: an engine of its own, and a store.
struct ServerStack : StoreStack {
  explicit ServerStack(std::string url = "") : place(std::move(url)) {
    if (place.empty()) place = PlaceOfItsOwn(random);
    auto started = http::HttpEngine::Start({}, clock, *waits);
    CHECK(started.has_value());
    http = std::move(*started);
    const auto parsed = ParseStoreUrl(place, "/", WebDavSchemes());
    CHECK(parsed.has_value());
    auto opened =
        WebDavStore::Open(Writing(), *parsed, {*fs, *http, clock, random}, StoreOpenMode::kForInit);
    if (!opened.has_value()) ADD_FAILURE() << TextOf(opened.error());
    CHECK(opened.has_value());
    const Status marked =
        (*opened)->Create(Writing(), "vault", AsBytes("marker"), ObjectClass::kControl);
    CHECK(marked.has_value() || marked.error().code == ErrorCode::kAlreadyExists);
    retrying = std::make_unique<RetryingStore>(
        std::move(*opened), clock, *waits, random,
        RetryOptions{.attempts_max = 1000, .wait_max = std::chrono::milliseconds(20)});
  }
  ObjectStore& store() override { return *retrying; }

  std::string place;
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
  std::unique_ptr<Executor> waits = NewThreadExecutor("waits", 1);
  std::unique_ptr<http::HttpEngine> http;
  std::unique_ptr<ObjectStore> retrying;
};

INSTANTIATE_TEST_SUITE_P(Server, ObjectStoreConformance,
                         testing::Values(Kind<ServerStack>("WebDav")), NameOfKind);

TEST(WebDavServer, IsAsStrongAsItShouldBe) {
  ServerStack stack;
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(stack.store(), stack.random));
  const bool weak = std::getenv("COFFER_TEST_WEAK") != nullptr;
  EXPECT_EQ(report.strength, weak ? StoreStrength::kWeak : StoreStrength::kStrong) << report.reason;
}

TEST(WebDavServer, LetsOneOfTwoMachinesCreateEachHead) {
  constexpr int kRounds = 200;
  ServerStack first;
  ServerStack second(first.place);
  std::array<ServerStack*, 2> machines = {&first, &second};
  std::array<std::atomic<int>, 2> wins{};
  std::atomic<int> arrived{0};
  const auto race = [&](std::size_t id) {
    const Bytes data(100 + id, static_cast<std::byte>(id));
    for (int round = 0; round < kRounds; ++round) {
      ++arrived;
      while (arrived < 2 * (round + 1)) std::this_thread::yield();
      const std::string name = Concat("heads/aa/", round);
      const Status created =
          machines.at(id)->store().Create(Writing(), name, data, ObjectClass::kHead);
      if (!created.has_value() && created.error().code != ErrorCode::kAlreadyExists) {
        ADD_FAILURE() << TextOf(created.error());
      }
      const auto kept = machines.at(id)->store().Get(Writing(), name, 1000);
      if (!kept.has_value()) ADD_FAILURE() << TextOf(kept.error());
      const bool is_ours = kept.has_value() && *kept == data;
      EXPECT_EQ(created.has_value(), is_ours) << name;
      if (created.has_value()) ++wins.at(id);
    }
  };
  std::thread other(race, 1);
  race(0);
  other.join();
  EXPECT_EQ(wins[0] + wins[1], kRounds);
  std::cout << "races " << kRounds << ": " << wins[0] << " and " << wins[1] << " won\n";
}

}  // namespace
}  // namespace coffer::store

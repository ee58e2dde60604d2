// The conformance suite over real sockets against the server that the environment names:
//
//   COFFER_TEST_STORE   s3://BUCKET/PREFIX?endpoint=… or az://ACCOUNT/CONTAINER/PREFIX?endpoint=…;
//                       each test works under a prefix of its own
//
// and keys as the store finds them. tests/integration/show-07-*.sh start servers and run it.
#include <cstdlib>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/http/http_engine.h"
#include "core/store/open_store.h"
#include "core/store/probe.h"
#include "tests/conformance/object_store_conformance.h"

namespace coffer::store {
namespace {

std::optional<std::string> Variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

std::string PlaceOfItsOwn(Random& random) {
  std::array<std::byte, 8> id{};
  random.Fill(id);
  std::string url = Variable("COFFER_TEST_STORE").value_or("");
  CHECK(!url.empty());
  return url.insert(url.find('?'), "/" + ToHex(id));
}

struct ServerStack : StoreStack {
  ServerStack() {
    auto started = http::HttpEngine::Start({}, clock, *waits);
    CHECK(started.has_value());
    http = std::move(*started);
    const auto url = ParseStoreUrl(PlaceOfItsOwn(random), "/");
    CHECK(url.has_value());
    const StoreReach reach{http.get(), Variable, Variable("HOME").value_or("/")};
    auto opened = OpenStore({*fs, clock, random, *waits, reach}, *url, StoreOpenMode::kForInit);
    if (!opened.has_value()) ADD_FAILURE() << TextOf(opened.error());
    CHECK(opened.has_value());
    in_bucket = std::move(*opened);
  }
  ObjectStore& store() override { return *in_bucket; }

  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<FileSystem> fs = NewPosixFileSystem();
  std::unique_ptr<Executor> waits = NewThreadExecutor("waits", 1);
  std::unique_ptr<http::HttpEngine> http;
  std::unique_ptr<ObjectStore> in_bucket;
};

StoreKind KindOfServer() {
  const bool is_azure = Variable("COFFER_TEST_STORE").value_or("").starts_with("az:");
  return is_azure ? Kind<ServerStack>("Azure") : Kind<ServerStack>("S3", DeleteOfNothing::kIsDone);
}

INSTANTIATE_TEST_SUITE_P(Server, ObjectStoreConformance, testing::Values(KindOfServer()),
                         NameOfKind);

TEST(Server, PassesTheProbe) {
  ServerStack stack;
  ASSERT_OK_AND_ASSIGN(const ProbeReport report, ProbeStore(stack.store(), stack.random));
  EXPECT_EQ(report.strength, StoreStrength::kStrong) << report.reason;
}

}  // namespace
}  // namespace coffer::store

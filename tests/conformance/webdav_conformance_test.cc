// WebDAV servers in memory, with the habits of real ones, put through the conformance suite. Behind
// RetryingStore, as in use: who finds a name claimed asks again.
#include "core/base/check.h"
#include "core/base/executor.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/store/retrying_store.h"
#include "core/store/webdav_store.h"
#include "tests/conformance/object_store_conformance.h"
#include "tests/support/fake_webdav.h"
#include "tests/support/faulty_file_system.h"

namespace coffer::store {
namespace {

constexpr char kRoot[] = "/remote.php/dav/files/ann b@home/coffer";

template <class Habits>
struct WebDavStack : StoreStack {
  WebDavStack() {
    std::string path;
    for (const char* part : {"/remote.php", "/dav", "/files", "/ann b@home", "/coffer"}) {
      path.append(part);
      server.AddCollection(path);
    }
    server.AddFile(Concat(kRoot, "/.DS_Store"), "another's");
    server.AddFile(Concat(kRoot, "-2"), "another's");
    const auto url = ParseStoreUrl(
        "webdav://127.0.0.1:8090/remote.php/dav/files/ann%20b@home/coffer", "/", WebDavSchemes());
    CHECK(url.has_value());
    auto opened = WebDavStore::Open({}, *url, {fs, server, clock, random}, StoreOpenMode::kForInit);
    CHECK(opened.has_value());
    CHECK((*opened)->Create({}, "vault", AsBytes("marker"), ObjectClass::kControl).has_value());
    retrying = std::make_unique<RetryingStore>(
        std::move(*opened), clock, *executor, random,
        RetryOptions{.attempts_max = 1000, .wait_max = std::chrono::milliseconds(5)});
  }
  ObjectStore& store() override { return *retrying; }

  FaultyFileSystem fs;
  SystemClock clock;
  SystemRandom random;
  FakeWebDav server{Habits::Options()};
  std::unique_ptr<Executor> executor = NewThreadExecutor("retry", 1);
  std::unique_ptr<ObjectStore> retrying;
};

struct Apache {
  static FakeWebDavOptions Options() {
    return {.status_of_existing_target = 403, .status_below_file = 400};
  }
};
struct Nextcloud {
  static FakeWebDavOptions Options() { return {.status_of_collection = 501}; }
};
struct Proxied {
  static FakeWebDavOptions Options() {
    return {.status_of_missing_parent = 404,
            .status_of_collection = 200,
            .hrefs = FakeWebDavOptions::Hrefs::kUrls};
  }
};
struct Escaping {
  static FakeWebDavOptions Options() {
    return {.status_of_missing_parent = 500,
            .status_of_collection = 301,
            .hrefs = FakeWebDavOptions::Hrefs::kAllEscaped};
  }
};

INSTANTIATE_TEST_SUITE_P(WebDav, ObjectStoreConformance,
                         testing::Values(Kind<WebDavStack<Apache>>("Apache"),
                                         Kind<WebDavStack<Nextcloud>>("Nextcloud"),
                                         Kind<WebDavStack<Proxied>>("Proxied"),
                                         Kind<WebDavStack<Escaping>>("Escaping")),
                         NameOfKind);

}  // namespace
}  // namespace coffer::store

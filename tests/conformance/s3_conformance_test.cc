// Buckets of a server in memory that checks every signature, put through the conformance suite.
#include "core/base/check.h"
#include "core/base/log.h"
#include "core/store/s3_store.h"
#include "tests/conformance/object_store_conformance.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_s3.h"
#include "tests/support/faulty_file_system.h"

namespace coffer::store {
namespace {

std::optional<std::string> Variable(const std::string& name) {
  if (name.ends_with("_SECRET_ACCESS_KEY")) return "secret";
  if (name.ends_with("_ACCESS_KEY_ID")) return "AKIA";
  return std::nullopt;
}

template <S3Dialect kDialect>
struct S3Stack : StoreStack {
  S3Stack() {
    server.AddKeys("AKIA", "secret");
    server.Put("backups.old/x", "another's");
    server.Put("backups/Notes of another.txt", "another's");
    const auto url =
        ParseStoreUrl(Concat(kDialect == S3Dialect::kGoogle ? "gs" : "s3", "://bucket/backups",
                             "?endpoint=http://127.0.0.1:9000&region=us-east-1"),
                      "/", S3Schemes());
    CHECK(url.has_value());
    auto settings = ResolveS3(fs, Variable, "/home/ann", *url);
    CHECK(settings.has_value());
    auto keys = NewS3Credentials(fs, Variable, settings->keys);
    in_bucket = std::make_unique<S3Store>(*settings, std::move(keys), server, clock);
  }
  ObjectStore& store() override { return *in_bucket; }

  FaultyFileSystem fs;
  FakeClock clock;
  FakeS3 server{FakeS3Options{.dialect = kDialect}};
  std::unique_ptr<ObjectStore> in_bucket;
};
using AwsStack = S3Stack<S3Dialect::kAws>;
using GoogleStack = S3Stack<S3Dialect::kGoogle>;

INSTANTIATE_TEST_SUITE_P(Buckets, ObjectStoreConformance,
                         testing::Values(Kind<AwsStack>("S3", DeleteOfNothing::kIsDone),
                                         Kind<GoogleStack>("Gcs", DeleteOfNothing::kIsDone)),
                         NameOfKind);

}  // namespace
}  // namespace coffer::store

// Containers of a server in memory that checks every signature, put through the conformance suite:
// by the account's key, and by a SAS token with the rights that docs/STORES.md names.
#include "core/base/base64.h"
#include "core/base/check.h"
#include "core/base/log.h"
#include "core/store/azure_store.h"
#include "tests/conformance/object_store_conformance.h"
#include "tests/support/fake_azure.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_file_system.h"

namespace coffer::store {
namespace {

constexpr std::string_view kSas = "sv=2021-12-02&sr=c&sp=rcdl&sig=a%2Fb%3D";

std::optional<std::string> KeyVariable(const std::string& name) {
  if (name == "AZURE_STORAGE_KEY") return ToBase64(AsBytes("the account's key"));
  return std::nullopt;
}

std::optional<std::string> SasVariable(const std::string& name) {
  if (name == "AZURE_STORAGE_SAS_TOKEN") return Concat("?", kSas);
  return std::nullopt;
}

template <std::optional<std::string> (*kVariable)(const std::string&), bool kIsAzurite>
struct AzureStack : StoreStack {
  AzureStack() {
    server.AddKey(AsBytes("the account's key"));
    server.AddSas(std::string(kSas), "rcdl");
    server.Put("vault.old/x", "another's");
    server.Put("vault/Notes of another.txt", "another's");
    server.PutDirectory("vault/t");
    const auto url = ParseStoreUrl("az://photos/backups/vault?endpoint=http://127.0.0.1:10000", "/",
                                   AzureSchemes());
    CHECK(url.has_value());
    auto settings = ResolveAzure("/home/ann", *url);
    CHECK(settings.has_value());
    auto keys = std::make_unique<AzureCredentials>(fs, kVariable, settings->keys);
    in_container = std::make_unique<AzureStore>(*settings, std::move(keys), server, clock);
  }
  ObjectStore& store() override { return *in_container; }

  FaultyFileSystem fs;
  FakeClock clock;
  // Pages of seven: every list goes on.
  FakeAzure server{FakeAzureOptions{.page_max = 7, .is_azurite = kIsAzurite}};
  std::unique_ptr<ObjectStore> in_container;
};
using KeyStack = AzureStack<KeyVariable, false>;
using SasStack = AzureStack<SasVariable, true>;

INSTANTIATE_TEST_SUITE_P(Containers, ObjectStoreConformance,
                         testing::Values(Kind<KeyStack>("AzureByKey"),
                                         Kind<SasStack>("AzureBySas")),
                         NameOfKind);

}  // namespace
}  // namespace coffer::store

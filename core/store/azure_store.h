// AzureStore: a store in a container of Azure's Blob service, or of a server that speaks its
// protocol.
//
// Create is one Put Blob with "If-None-Match: *"; the service checks its body by Content-MD5. What
// comes back is held against what was asked for: a range is that very range, a list is in order,
// and nothing counts as a success that lacks the marks of the service (x-ms-request-id,
// x-ms-version, of a blob x-ms-blob-type): portals and proxies have none. Nothing is ever
// redirected, since a signature is for one place. The container is never made: one that is missing
// when the store is opened is kNotFound, one that goes missing later kUnavailable, since its blobs
// are not gone for certain.
//
// The service lists from the beginning or from a marker of its own; see azure_list.h for how names
// after a given one are found, in 2,500 a request from the nearest known marker.
//
// Thread-safe. Each call is one request, but a List that walks, DeleteMany, and a request whose
// keys had to be read anew.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/http/http_client.h"
#include "core/store/azure_credentials.h"
#include "core/store/azure_errors.h"
#include "core/store/azure_list.h"
#include "core/store/azure_settings.h"
#include "core/store/azure_signer.h"
#include "core/store/object_store.h"

namespace coffer::store {

class AzureStore final : public ObjectStore {
 public:
  /// `http` and `clock` outlive it.
  AzureStore(AzureSettings settings, std::unique_ptr<AzureCredentials> credentials,
             http::HttpClient& http, Clock& clock);
  AzureStore(const AzureStore&) = delete;
  AzureStore& operator=(const AzureStore&) = delete;

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  [[nodiscard]] StoreCapabilities capabilities() const override { return {}; }
  [[nodiscard]] std::string description() const override { return settings_.description; }
  [[nodiscard]] std::string identity() const override { return settings_.identity; }

  /// That a vault can be made here: the container is there, and under the prefix is nothing but
  /// what a vault is made of. One request.
  Status CheckForInit(const RequestContext& context);

 private:
  struct ListAsked {
    const std::string& prefix;
    const std::string& start_after;
    std::size_t limit;
  };
  class ListWalk;

  [[nodiscard]] AzureCall CallOf(std::string_view method, const std::string& name) const;
  Result<http::Response> Ask(const RequestContext& context, const AzureCall& call,
                             const AzureAsked& asked, std::uint64_t body_bytes_max);
  /// The same; without a response there is a failure.
  std::optional<http::Response> TryAsk(const RequestContext& context, const AzureCall& call,
                                       const AzureAsked& asked, std::uint64_t body_bytes_max,
                                       AzureFailure& failure);
  /// The keys to try once more with; null: there are no others than `used`.
  std::shared_ptr<const AzureKeys> OtherKeys(const AzureKeys& used);
  [[nodiscard]] Error Judge(const AzureFailure& failure, const AzureAsked& asked) const;

  /// By HEAD.
  Result<std::uint64_t> SizeOf(const RequestContext& context, const std::string& name);
  Result<AzureListPage> ListBlobs(const RequestContext& context, const std::string& prefix,
                                  const std::string& marker, std::size_t count);
  /// The answer to `asked`, walking from `marker`; nullopt if that begins too late.
  Result<std::optional<ListPage>> WalkFrom(const RequestContext& context, const ListAsked& asked,
                                           std::string marker);

  const AzureSettings settings_;
  const std::unique_ptr<AzureCredentials> credentials_;
  http::HttpClient& http_;
  Clock& clock_;
  std::atomic<bool> container_seen_{false};
  MarkerMemory markers_;
};

}  // namespace coffer::store

// S3Store: a store in a bucket of S3, of a server that speaks its protocol, or of Google's Cloud
// Storage, whose XML API is the same with other names.
//
// Create is one PUT with a condition: "If-None-Match: *", Google's "x-goog-if-generation-match: 0".
// Where the server has no such condition and says so (501), objects are looked for and then put,
// which two writers can both pass: the store is *weak*. It becomes so only before the condition
// has ever been taken: a server that has it once and not the next time has no way to fall back.
//
// What comes back is held against what was asked for: a range is that very range, a list is in
// order, a success is none with an error or a web page in its body. Nothing is ever redirected,
// since a signature is for one place. The bucket is never made: one that is missing when the store
// is opened is kNotFound, one that goes missing later kUnavailable, since its objects are not gone
// for certain.
//
// S3 answers a delete of what is not there with a success, and so does Delete.
//
// Thread-safe. Each call is one request, but a List among many objects of others, DeleteMany of
// more than 1,000, and a request whose keys had to be read anew.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/http/http_client.h"
#include "core/store/object_store.h"
#include "core/store/s3_credentials.h"
#include "core/store/s3_errors.h"
#include "core/store/s3_list.h"
#include "core/store/s3_settings.h"

namespace coffer::store {

class S3Store final : public ObjectStore {
 public:
  /// `http` and `clock` outlive it.
  S3Store(S3Settings settings, std::unique_ptr<S3CredentialsSource> credentials,
          http::HttpClient& http, Clock& clock);
  S3Store(const S3Store&) = delete;
  S3Store& operator=(const S3Store&) = delete;

  Status Create(const RequestContext& context, const std::string& name, ByteView data,
                ObjectClass object_class) override;
  Result<Bytes> Get(const RequestContext& context, const std::string& name,
                    std::uint64_t size_max) override;
  Result<Bytes> GetRange(const RequestContext& context, const std::string& name,
                         std::uint64_t offset, std::uint64_t length) override;
  Result<ListPage> List(const RequestContext& context, const std::string& prefix,
                        const std::string& start_after, std::size_t limit) override;
  Status Delete(const RequestContext& context, const std::string& name) override;
  std::vector<Status> DeleteMany(const RequestContext& context,
                                 const std::vector<std::string>& names) override;
  [[nodiscard]] StoreCapabilities capabilities() const override;
  [[nodiscard]] std::string description() const override { return settings_.description; }
  [[nodiscard]] std::string identity() const override { return settings_.identity; }

  /// That a vault can be made here: the bucket is there, and under the prefix is nothing but what a
  /// vault is made of. One request.
  Status CheckForInit(const RequestContext& context);

 private:
  enum class Condition { kUntried, kTaken, kMissing };

  [[nodiscard]] S3Call CallOf(std::string_view method, const std::string& name) const;
  [[nodiscard]] S3Call CallOfBucket(std::string_view method) const;
  Result<http::Response> Ask(const RequestContext& context, const S3Call& call,
                             const S3Asked& asked, std::uint64_t body_bytes_max);
  Result<http::Response> Send(const RequestContext& context, const S3Call& call, const S3Keys& keys,
                              std::uint64_t body_bytes_max);
  /// The keys to try once more with; null: there are no others than `used`.
  std::shared_ptr<const S3Keys> OtherKeys(const S3Keys& used);
  Error Judge(const S3Failure& failure, const S3Asked& asked) const;

  Status Put(const RequestContext& context, const std::string& name, ByteView data,
             ObjectClass object_class, Condition condition);
  Status LookThenPut(const RequestContext& context, const std::string& name, ByteView data,
                     ObjectClass object_class);
  /// By HEAD.
  Result<std::uint64_t> SizeOf(const RequestContext& context, const std::string& name);
  Result<S3ListPage> ListKeys(const RequestContext& context, const S3ListAsked& asked,
                              const std::string& continuation_token);
  void DeleteBatch(const RequestContext& context, const std::vector<std::string>& names,
                   std::vector<Status>& results, std::size_t begin, std::size_t end);

  const S3Settings settings_;
  const std::unique_ptr<S3CredentialsSource> credentials_;
  http::HttpClient& http_;
  Clock& clock_;
  std::atomic<bool> bucket_seen_{false};
  std::atomic<Condition> condition_{Condition::kUntried};
};

}  // namespace coffer::store

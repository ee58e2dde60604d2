// Which server an S3 or GCS store's URL means, and how it is asked: the URL's options first, then
// what the AWS tools would take, environment and config file.
#pragma once

#include <memory>
#include <string>

#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/store/s3_credentials.h"
#include "core/store/s3_signer.h"
#include "core/store/store_url.h"

namespace coffer::store {

struct S3Settings {
  SigningScope scope;  // dialect and region
  std::string bucket;
  std::string prefix;         // of every key: "" or "backups/"
  std::string origin;         // "https://host[:port]"
  std::string host;           // "host[:port]", with the bucket where it is a part of that
  std::string base_path;      // encoded, of the bucket: "" or "/bucket", with the endpoint's before
  std::string storage_class;  // for packs; "" for the bucket's own
  std::string description;    // the URL
  std::string identity;       // see ObjectStore
  S3KeyPlaces keys;
};

/// What URLs of these kinds look like.
std::span<const SchemeRules> S3Schemes();

/// REQUIRES: url.scheme is "s3" or "gs". kInvalidArgument for what can't be, http:// to another
/// machine included (faults.md A25).
Result<S3Settings> ResolveS3(FileSystem& fs, const Variables& variables, const std::string& home,
                             const StoreUrl& url);

}  // namespace coffer::store

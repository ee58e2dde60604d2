// Which container of which server an az:// URL means, and how it is asked.
//
//   az://ACCOUNT/CONTAINER[/PREFIX]?endpoint=…&credentials_file=…&tier=…
#pragma once

#include <span>
#include <string>

#include "core/base/result.h"
#include "core/store/store_url.h"

namespace coffer::store {

/// Where the key of an account, or a SAS, is looked for.
struct AzureKeyPlaces {
  std::string account;
  std::string file;  // an absolute path; "": the environment
};

struct AzureSettings {
  std::string account;
  std::string container;
  std::string prefix;       // of every blob: "" or "backups/"
  std::string origin;       // "https://host[:port]"
  std::string base_path;    // encoded, of the container: "/container", with the endpoint's before
  std::string tier;         // for packs; "" for the account's own
  std::string description;  // the URL
  std::string identity;     // see ObjectStore
  AzureKeyPlaces keys;
};

/// What URLs of this kind look like.
std::span<const SchemeRules> AzureSchemes();

/// REQUIRES: url.scheme is "az". kInvalidArgument for what can't be, http:// to another machine
/// included (faults.md A25).
Result<AzureSettings> ResolveAzure(const std::string& home, const StoreUrl& url);

}  // namespace coffer::store

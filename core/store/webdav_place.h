// What the URL of a WebDAV store, or of a plain HTTPS one, means: which server, where on it, and as
// whom.
//
//   webdavs://ann@cloud.example/remote.php/dav/files/ann/coffer?credentials_file=/home/ann/.nextcloud
//   webdav://127.0.0.1:8090/backups       unencrypted, and so to this machine alone
//   https://mirror.example/coffer         read only, without a user
#pragma once

#include <optional>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/store/store_url.h"

namespace coffer::store {

struct WebDavPlace {
  std::string origin;  // "https://host[:port]"
  std::string root;    // path on it, decoded: "/dav/backups", or "" for all of the server
  std::string user;    // "" for nobody
  std::string credentials_file;
  std::string ca_file;
  bool read_only = false;
  std::string description;  // the URL, without options
  std::string identity;     // see ObjectStore
};

[[nodiscard]] std::span<const SchemeRules> WebDavSchemes();

/// REQUIRES: the URL is of one of these schemes. kInvalidArgument for what can't be, unencrypted
/// requests to another machine included (faults.md A25).
Result<WebDavPlace> ResolveWebDav(const StoreUrl& url);

}  // namespace coffer::store

#include "core/store/webdav_place.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/base/log.h"
#include "core/http/origin.h"

namespace coffer::store {
namespace {

constexpr std::string_view kUserFile = "credentials_file";
constexpr std::string_view kCaFile = "ca_file";

tl::unexpected<Error> FailPlace(const WebDavPlace& place, std::string_view why,
                                std::string hint = {}) {
  return Fail(ErrorCode::kInvalidArgument, Concat("store ", place.description, ": ", why),
              std::move(hint));
}

/// Without the port that the scheme has anyway.
std::string HostOf(const StoreUrl& url) {
  const std::string_view default_port = url.scheme == "webdav" ? ":80" : ":443";
  std::string host = url.host;
  if (host.ends_with(default_port)) host.resize(host.size() - default_port.size());
  return host;
}

Status CheckPath(const WebDavPlace& place, std::string_view option, const std::string& path) {
  if (path.empty() || path.front() == '/') return {};
  return FailPlace(place, Concat("the path in ", option, "= is not absolute"),
                   "cofferd runs in a directory of its own: write the path from / on");
}

}  // namespace

std::span<const SchemeRules> WebDavSchemes() {
  static constexpr std::array kOptions = {kUserFile, kCaFile};
  static constexpr std::array kOptionsOfAnyone = {kCaFile};
  static constexpr std::string_view kHint =
      "put the password into a file that only you can read, as its first line, and name that with "
      "?credentials_file=/PATH";
  static constexpr std::array kSchemes = {
      SchemeRules{"webdav", SchemeRules::Host::kServer, SchemeRules::User::kOptional, kOptions,
                  kHint},
      SchemeRules{"webdavs", SchemeRules::Host::kServer, SchemeRules::User::kOptional, kOptions,
                  kHint},
      SchemeRules{"https", SchemeRules::Host::kServer, SchemeRules::User::kNone, kOptionsOfAnyone,
                  "https:// is for what everybody may read; with a user, write webdavs://"},
  };
  return kSchemes;
}

Result<WebDavPlace> ResolveWebDav(const StoreUrl& url) {
  StoreUrl plain = url;
  plain.query.clear();
  const std::string host = HostOf(url);
  WebDavPlace place;
  place.origin = Concat(url.scheme == "webdav" ? "http://" : "https://", host);
  place.root = url.path.empty() ? "" : Concat("/", url.path);
  place.user = url.user;
  place.credentials_file = url.Option(std::string(kUserFile));
  place.ca_file = url.Option(std::string(kCaFile));
  place.read_only = url.scheme == "https";
  place.description = plain.ToString();
  // The user too: a server may show each another place under the same path.
  plain.host = host;
  place.identity = plain.ToString();

  ASSIGN_OR_RETURN(const http::Origin origin, http::ParseOrigin(place.origin));
  if (url.scheme == "webdav" && !origin.IsLoopback()) {
    return FailPlace(place,
                     "webdav:// is not encrypted: anybody on the way could read the password and "
                     "change the answers",
                     "write webdavs://; webdav:// works to this machine alone");
  }
  if (!place.credentials_file.empty() && place.user.empty()) {
    return FailPlace(place, "there is a credentials_file and no user",
                     "name the user before the host: webdavs://USER@HOST/PATH");
  }
  if (place.credentials_file.empty() && !place.user.empty()) {
    return FailPlace(place, "there is a user and no password",
                     WebDavSchemes().front().credentials_hint.data());
  }
  RETURN_IF_ERROR(CheckPath(place, kUserFile, place.credentials_file));
  RETURN_IF_ERROR(CheckPath(place, kCaFile, place.ca_file));
  return place;
}

}  // namespace coffer::store

// Reads the STORE argument of the command line and of the config (docs: "scheme:…" is a URL,
// anything else a path). Pure: no file is looked at.
//
//   scheme://[user@]host[:port]/path?option=value&option=value
//
// A password never stands in a URL, since URLs stand in shell histories, process lists, logs and in
// `coffer list`: one that has any is refused, and no error repeats it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace coffer::store {

/// Where a store is, in one spelling per place: two arguments that mean the same place by the same
/// options give equal values.
struct StoreUrl {
  std::string scheme;  // "file", "s3", …
  std::string user;    // of kinds that log in by name; never a password
  std::string host;    // in small letters, with ":port" where given; s3 and gs: the bucket
  std::string path;  // file: absolute; else the prefix in the place that `host` names, no leading,
                     // doubled or trailing slash. No "." and no ".."
  std::map<std::string, std::string> query;  // the options

  bool operator==(const StoreUrl&) const = default;
  /// What to write into a config or show: the path for a directory. Parsed again it gives this.
  [[nodiscard]] std::string ToString() const;
  /// The value of an option, or "".
  [[nodiscard]] std::string Option(const std::string& name) const;
};

/// What the URLs of one kind of store look like.
struct SchemeRules {
  enum class Host { kBucket, kServer };
  enum class User { kNone, kOptional };
  std::string_view scheme;
  Host host = Host::kServer;
  User user = User::kNone;
  std::span<const std::string_view> options;
  std::string_view credentials_hint;  // where a password or key belongs instead
};

/// The kinds that work beside a directory.
std::span<const SchemeRules> BuiltInSchemes();

/// A relative path is taken from `working_directory` (absolute). ".." is resolved in the text of a
/// path, as a shell's cd does, and refused in a URL. kInvalidArgument; kUnsupported for a scheme
/// that is not among `schemes`.
Result<StoreUrl> ParseStoreUrl(std::string_view text, const std::string& working_directory,
                               std::span<const SchemeRules> schemes = BuiltInSchemes());

/// The alias a vault gets unless the user names one: the last part of the path, else the host
/// without its port. kInvalidArgument where there is none ("/").
Result<std::string> DefaultAlias(const StoreUrl& url);

}  // namespace coffer::store

// Reads the STORE argument of the command line and of the config (docs: "scheme:…" is a URL,
// anything else a path). Pure: no file is looked at.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace coffer::store {

/// Where a store is, in one spelling per place: two arguments that mean the same directory give
/// equal values.
struct StoreUrl {
  std::string scheme;  // "file"
  std::string path;    // absolute; no ".", no "..", no doubled or trailing slash

  bool operator==(const StoreUrl&) const = default;
  /// What to write into a config or show: the path for a directory.
  [[nodiscard]] std::string ToString() const;
};

/// A relative path is taken from `working_directory` (absolute). ".." is resolved in the text, as a
/// shell's cd does. kInvalidArgument; kUnsupported for a scheme that is not built in.
Result<StoreUrl> ParseStoreUrl(std::string_view text, const std::string& working_directory);

/// The alias a vault gets unless the user names one: the last part of the path. kInvalidArgument
/// where there is none ("/").
Result<std::string> DefaultAlias(const StoreUrl& url);

}  // namespace coffer::store

// The files in which AWS's tools keep profiles: ~/.aws/credentials and ~/.aws/config
// (docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html).
//
//   [default]                       # in config: [profile NAME], and [default]
//   aws_access_key_id = AKIA…
//   s3 =
//     max_concurrent_requests = 20  # indented: of the property above, and passed over
//
// Read by a reader of its own, for two reasons: what it reads holds secrets, which must lie in
// memory that is wiped, and libinih as Debian builds it cuts lines at 200 bytes, which session
// tokens exceed. Pure but for ReadAwsFile.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"

namespace coffer::store {

/// One section.
struct AwsProfile {
  std::string access_key;
  SecretBytes secret_key;
  SecretBytes session_token;
  std::map<std::string, std::string> settings;  // all other properties, without the indented ones
};

/// The section of `profile`: "[NAME]", or "[profile NAME]". nullopt if there is none.
/// kInvalidArgument, with the number of the line and none of its text, for what is no such file.
Result<std::optional<AwsProfile>> FindAwsProfile(ByteView text, const std::string& profile);

/// The same of a file, through symbolic links. nullopt also where there is no file.
/// kUnauthenticated if it holds a secret that others may read.
Result<std::optional<AwsProfile>> ReadAwsFile(FileSystem& fs, const std::string& path,
                                              const std::string& profile);

}  // namespace coffer::store

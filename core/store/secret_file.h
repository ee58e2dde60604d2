// A password or key in a file of its own: its first line. Straight into memory that is wiped.
#pragma once

#include <string>

#include "core/base/file_system.h"
#include "core/base/result.h"
#include "core/base/secret_bytes.h"

namespace coffer::store {

/// kUnauthenticated, cause kCredentials, with what to do, for a file that is missing, empty, a
/// symbolic link, another user's, open to others, or holds no line that could be a password.
Result<SecretBytes> ReadSecretFile(FileSystem& fs, const std::string& path);

}  // namespace coffer::store

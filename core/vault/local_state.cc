#include "core/vault/local_state.h"

#include "core/base/log.h"

namespace coffer::vault {
namespace {

Result<bool> Exists(FileSystem& fs, const std::string& path) {
  const Result<FileInfo> info = fs.Stat(path);
  if (info.has_value()) return true;
  if (info.error().code == ErrorCode::kNotFound) return false;
  return Fail(info.error());
}

}  // namespace

std::string VaultDirectory(const std::string& state_directory, const VaultId& vault) {
  return Concat(state_directory, "/vaults/", vault.ToString());
}

Result<bool> HasVolumes(FileSystem& fs, const std::string& vault_directory) {
  return Exists(fs, Concat(vault_directory, "/", kVolumesDirectory));
}

Result<bool> HasBeenUsed(FileSystem& fs, const std::string& vault_directory) {
  ASSIGN_OR_RETURN(const bool trusts, Exists(fs, Concat(vault_directory, "/", kTrustFile)));
  if (trusts) return true;
  return HasVolumes(fs, vault_directory);
}

}  // namespace coffer::vault

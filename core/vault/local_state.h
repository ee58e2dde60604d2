// What lies in vaults/<id>/ of the state directory, by name.
//
//   lock       held by the process that has the vault unlocked
//   host-key   HostKeys, made first: everything below is sealed under it
//   trust      TrustFile, made right after it
//   catalog.*  KeptObject: the newest catalog record that was written here
//   volumes/   one directory per volume opened here, made only when both are there
#pragma once

#include <string>

#include "core/base/file_system.h"
#include "core/base/ids.h"
#include "core/base/result.h"

namespace coffer::vault {

inline constexpr char kLockFile[] = "lock";
inline constexpr char kHostKeyFile[] = "host-key";
inline constexpr char kTrustFile[] = "trust";
inline constexpr char kKeptCatalog[] = "catalog";
inline constexpr char kVolumesDirectory[] = "volumes";
/// In a volume's directory: held by whoever has the volume open.
inline constexpr char kVolumeLockFile[] = "lock";

/// STATE/vaults/<id>.
[[nodiscard]] std::string VaultDirectory(const std::string& state_directory, const VaultId& vault);

/// Whether this machine has worked with the vault: a trust file or a volume is there. Then neither
/// host key nor trust file may be made anew in silence.
Result<bool> HasBeenUsed(FileSystem& fs, const std::string& vault_directory);
/// Whether a volume of the vault has been opened here.
Result<bool> HasVolumes(FileSystem& fs, const std::string& vault_directory);

}  // namespace coffer::vault

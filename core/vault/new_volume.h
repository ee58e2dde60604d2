// What a volume begins with: a request that makes sense, and its first head.
#pragma once

#include "core/base/result.h"
#include "core/format/head.h"
#include "core/vault/environment.h"
#include "core/vault/host_keys.h"
#include "core/vault/vault.h"

namespace coffer::vault {

/// kInvalidArgument says what a name may be.
Status CheckVolumeName(const std::string& name);
/// kInvalidArgument names the field and what it may be.
Status CheckVolumeSpec(const VolumeSpec& spec);

/// Head 1 of an empty volume, released: anyone may open it first.
[[nodiscard]] format::Head FirstHead(Environment& env, const VaultId& vault, const VolumeId& volume,
                                     const HostKeys& host, const VolumeSpec& spec);

/// `spec` in a catalog.
[[nodiscard]] format::CatalogVolume CatalogEntry(Environment& env, const VolumeId& volume,
                                                 const VolumeSpec& spec);

}  // namespace coffer::vault

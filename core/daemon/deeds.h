// What a command leaves behind that was not seen to end (registry.h, Deed), in words.
#pragma once

#include <string>

#include "core/base/error.h"
#include "core/daemon/registry.h"

namespace coffer::daemon {

/// What `status` says of it, as a state of its own: UNFINISHED. `name` is VAULT/VOLUME.
[[nodiscard]] Error UnfinishedError(const Deed& deed, const std::string& name);

/// The reply of a command of which it is not known whether it has happened.
[[nodiscard]] Error UnknownEnd(const Error& why, const Deed& deed, const std::string& name);

/// Whether it is of this volume, or of all of its vault.
[[nodiscard]] bool Concerns(const Deed& deed, const KnownVolume& volume);

}  // namespace coffer::daemon

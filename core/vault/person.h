// The errors of core/vault that need a person: their state's name first (design.md section 8), what
// was seen and what is offered, and the command that resolves it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace coffer::vault {

/// `what` names the chain: "catalog", "volume 0a1b…".
[[nodiscard]] Error RollbackError(std::string_view what, std::uint64_t seen, std::uint64_t offered);
[[nodiscard]] Error HeaderRollbackError(std::string_view why);
[[nodiscard]] Error ForkError(std::string_view what, std::string_view why);
[[nodiscard]] Error FencedError(std::string_view what, std::string_view why);
[[nodiscard]] Error WeakStoreError(std::string_view store, std::string_view why);
/// A local file that can't be believed: what it was there to detect can't be detected any more.
[[nodiscard]] Error TrustLostError(std::string_view why);
[[nodiscard]] Error HostKeyLostError(std::string_view why);

/// "what: " before the message; a structure of a newer coffer (kUnsupported) becomes NEWER-FORMAT.
[[nodiscard]] Error DecodingError(std::string_view what, const Error& error);

template <class T>
[[nodiscard]] Result<T> Decoded(std::string_view what, Result<T> result) {
  if (!result.has_value()) return Fail(DecodingError(what, result.error()));
  return result;
}

}  // namespace coffer::vault

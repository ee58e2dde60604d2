// The errors of core/vault that need a person: their state's name first (design.md section 8), what
// was seen and what is offered, and the command that resolves it.
//
// VAULT in a hint stands for what the vault is called on this machine, which core/vault does not
// know: core/daemon puts the name in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"

namespace coffer::vault {

/// `what` names the chain: "catalog", "volume 0a1b…".
[[nodiscard]] Error RollbackError(std::string_view what, std::uint64_t seen, std::uint64_t offered);
/// The newest one is damaged, and `whole` is the newest below that is not. `unreleased` is the host
/// that had not released that head, or empty.
[[nodiscard]] Error DamagedNewestError(std::string_view what, std::uint64_t damaged,
                                       std::uint64_t whole, std::string_view object,
                                       std::string_view unreleased);
/// What stands where the next head of this machine should is damaged: tried again all the same.
[[nodiscard]] Error DamagedInTheWayError(std::string_view what, std::uint64_t seq,
                                         std::string_view object);
[[nodiscard]] Error HeaderRollbackError(std::string_view why);
[[nodiscard]] Error ForkError(std::string_view what, std::string_view why);
[[nodiscard]] Error FencedError(std::string_view what, std::string_view why);
[[nodiscard]] Error WeakStoreError(std::string_view store, std::string_view why);
/// The store refuses whoever asks. It is asked again all the same, in case that is mended there.
[[nodiscard]] Error CredentialsError(std::string_view why);
/// A disk, or a store, is full. `hint` may be empty.
/// `error`, saying how much room is wanted where it is kNoSpace.
[[nodiscard]] Error WithBytesWanted(Error error, std::uint64_t bytes);
/// The same for a command that has changed nothing.
[[nodiscard]] Error NothingChangedWithoutRoom(Error error);
[[nodiscard]] Error NoSpaceError(std::string_view why, std::string_view hint);
/// What a read met in the store.
[[nodiscard]] Error MissingPacksError(std::string_view why);
/// The journal of an open volume can be written no more.
[[nodiscard]] Error FailedJournalError(std::string_view why);
/// A local file that can't be believed: what it was there to detect can't be detected any more.
[[nodiscard]] Error TrustLostError(std::string_view why);
[[nodiscard]] Error HostKeyLostError(std::string_view why);

/// What a decoder said, with NEWER-FORMAT before it if it was written by a newer coffer
/// (kUnsupported).
[[nodiscard]] Error DecodingError(Error error);

template <class T>
[[nodiscard]] Result<T> Decoded(Result<T> result) {
  if (!result.has_value()) return Fail(DecodingError(std::move(result).error()));
  return result;
}

}  // namespace coffer::vault

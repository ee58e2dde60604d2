#include "core/vault/person.h"

#include "core/base/log.h"

namespace coffer::vault {
namespace {

constexpr char kTrustHint[] =
    "coffer open --read-only shows it as it is; if it is right (a copy of the store, or one that "
    "was put back on purpose): coffer trust show VAULT, then coffer trust accept VAULT; otherwise "
    "have the newer objects brought back, and accept nothing";

Error NeedsPerson(std::string message, std::string hint) {
  return Error{ErrorCode::kNeedsPerson, std::move(message), std::move(hint)};
}

}  // namespace

Error RollbackError(std::string_view what, std::uint64_t seen, std::uint64_t offered) {
  return NeedsPerson(
      Concat("ROLLBACK: ", what, ": this machine has seen ", seen, ", the store offers ",
             offered == 0 ? std::string("none") : std::to_string(offered)),
      kTrustHint);
}

Error DamagedNewestError(std::string_view what, std::uint64_t damaged, std::uint64_t whole,
                         std::string_view object, std::string_view unreleased) {
  std::string lost;
  if (!unreleased.empty()) {
    lost = Concat("; host '", EscapeForTerminal(unreleased),
                  "' had not released that one, so what it changed later is not in it");
  }
  return NeedsPerson(
      Concat("ROLLBACK: ", what, " ", damaged, ", the newest in the store, is damaged; ", whole,
             " is the newest that is whole", lost),
      Concat("bring the object ", object,
             " back from a copy of the store; until then coffer open --read-only shows what is "
             "whole; to go on from that and lose what is newer, move that object out of the store, "
             "then coffer trust show VAULT and coffer trust accept VAULT"));
}

Error DamagedInTheWayError(std::string_view what, std::uint64_t seq, std::string_view object) {
  return Error{
      ErrorCode::kCorruption,
      Concat("FORK: ", what, ": what stands as head ", seq,
             " is damaged, and it can't be told who wrote it"),
      Concat("if no other machine writes to this volume, move the object ", object,
             " out of the store: what waits here is uploaded by itself then; otherwise bring it "
             "back from a copy of the store")};
}

Error HeaderRollbackError(std::string_view why) {
  return NeedsPerson(Concat("HEADER-ROLLBACK: ", why), kTrustHint);
}

Error ForkError(std::string_view what, std::string_view why) {
  return NeedsPerson(Concat("FORK: ", what, ": ", why), kTrustHint);
}

Error FencedError(std::string_view what, std::string_view why) {
  return NeedsPerson(Concat("FENCED: ", what, ": ", why),
                     "close it and open it again: what this machine has not uploaded becomes a "
                     "volume of its own, and this one shows what the other machine has written");
}

Error WeakStoreError(std::string_view store, std::string_view why) {
  return NeedsPerson(Concat("WEAK-STORE: ", store, ": ", why),
                     "if only one machine ever writes there: coffer open --single-writer");
}

Error TrustLostError(std::string_view why) {
  return NeedsPerson(
      Concat("ROLLBACK: it can't be told whether the store is as new as this machine has seen it: ",
             why),
      "coffer open --read-only shows it as it is; to believe it: coffer trust show VAULT, then "
      "coffer trust accept VAULT");
}

Error HostKeyLostError(std::string_view why) {
  return NeedsPerson(
      Concat("DAMAGED-JOURNAL: writes of this machine that were not uploaded can't be read: ", why),
      "put the file back from a backup of this machine; to go on without them: coffer daemon stop, "
      "move the directory that it is in away, then coffer add STORE");
}

Error CredentialsError(std::string_view why) {
  return NeedsPerson(Concat("CREDENTIALS: the store refuses this machine: ", why),
                     "see to it that this machine may read and write there; what waits is uploaded "
                     "by itself then, at once with coffer sync");
}

Error WithBytesWanted(Error error, std::uint64_t bytes) {
  if (error.code != ErrorCode::kNoSpace) return error;
  constexpr std::uint64_t kKiB = 1024;
  error.message +=
      Concat("; ", (bytes + kKiB - 1) / kKiB + 1, " KiB are wanted there for this object");
  return error;
}

Error NothingChangedWithoutRoom(Error error) {
  if (error.code != ErrorCode::kNoSpace) return error;
  error.hint = "make room there, then repeat the command; nothing was changed";
  return error;
}

Error NoSpaceError(std::string_view why, std::string_view hint) {
  return NeedsPerson(
      Concat("NO-SPACE: ", why),
      hint.empty() ? "make room there; what waits goes on by itself" : std::string(hint));
}

Error MissingPacksError(std::string_view why) {
  return NeedsPerson(Concat("MISSING-PACKS: ", why),
                     "everything else can be read; have the provider bring back what is gone, and "
                     "look for a life-cycle rule that deletes objects");
}

Error FailedJournalError(std::string_view why) {
  return NeedsPerson(
      Concat("FAILED-JOURNAL: the volume can only be read now: ", why),
      "mend the disk, then coffer close and coffer open it: what was flushed is there; what was "
      "written since may be lost, and can still be read until then");
}

Error DecodingError(Error error) {
  if (error.code != ErrorCode::kUnsupported) return error;
  return Error{error.code, Concat("NEWER-FORMAT: ", error.message), "install a newer coffer"};
}

}  // namespace coffer::vault

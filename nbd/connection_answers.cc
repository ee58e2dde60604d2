// How a connection answers: done, refused, failed, and what of it is logged.
#include "core/base/log.h"
#include "nbd/connection.h"
#include "nbd/errors.h"
#include "nbd/loop.h"

namespace coffer::nbd {
namespace {

constexpr int kErrorsLoggedMax = 10;  // of one connection; a dead store fails thousands of reads

const char* NameOf(Command command) {
  switch (command) {
    case Command::kRead:
      return "read";
    case Command::kWrite:
      return "write";
    case Command::kFlush:
      return "flush";
    case Command::kTrim:
      return "trim";
    case Command::kWriteZeroes:
      return "zeroing";
    case Command::kCache:
      return "caching";
    case Command::kBlockStatus:
      return "block status";
    case Command::kDisconnect:
    case Command::kResize:
      break;
  }
  return "request";
}

}  // namespace

void Connection::Done(const ReplyTo& to) {
  if (state_ == State::kGone) return;
  if (!replies_.AddDone(to)) Close();
}

void Connection::Refuse(const ReplyTo& to, ReplyError error, std::string_view why, ErrorPlace at) {
  if (state_ == State::kGone) return;
  Bytes reply;
  AppendError(reply, to, error, why, at);
  if (!replies_.Append(reply)) Close();
}

void Connection::RefuseAsParsed() {
  const Refusal refusal = session_.refusal();
  Refuse({style_, refusal.cookie, refusal.offset}, refusal.error, refusal.why);
}

// The device's text may hold what a store sent: it goes out as harmless as into the log.
void Connection::Fail(Command command, const ReplyTo& to, const Error& error) {
  Refuse(to, ReplyErrorFrom(error.code), EscapeForTerminal(error.message),
         {command == Command::kRead, to.offset});
}

void Connection::LogFailure(Command command, std::uint64_t offset, std::uint64_t length,
                            const Error& error) {
  if (errors_logged_ >= kErrorsLoggedMax) return;
  LOG(kWarning, "nbd: ", NameOf(command), " of ", length, " bytes at ", offset, " of ",
      export_->name, ": ", error.message);
  if (++errors_logged_ == kErrorsLoggedMax) {
    LOG(kWarning, "nbd: further errors of this client of ", export_->name, " are not logged");
  }
}

}  // namespace coffer::nbd

#include "core/base/error.h"

#include <cerrno>
#include <system_error>

namespace coffer {

Error Error::Within(std::string_view context) const {
  constexpr std::string_view kColon = ": ";
  constexpr std::string_view kNewerFormat = "NEWER-FORMAT";  // the one state with a code of its own
  const std::size_t colon = message.find(kColon);
  const bool behind = colon != std::string::npos &&
                      (code == ErrorCode::kNeedsPerson || message.substr(0, colon) == kNewerFormat);
  Error outer = *this;
  outer.message.insert(behind ? colon + kColon.size() : 0, std::string(context).append(kColon));
  return outer;
}

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return "not-found";
    case ErrorCode::kAlreadyExists:
      return "already-exists";
    case ErrorCode::kInvalidArgument:
      return "invalid-argument";
    case ErrorCode::kCorruption:
      return "corruption";
    case ErrorCode::kUnauthenticated:
      return "unauthenticated";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kNoSpace:
      return "no-space";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kIoError:
      return "io-error";
    case ErrorCode::kNeedsPerson:
      return "needs-person";
  }
  return "unknown";
}

namespace {

ErrorCode CodeOf(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ESRCH:
    case ENXIO:
      return ErrorCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return ErrorCode::kAlreadyExists;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EXDEV:
      return ErrorCode::kInvalidArgument;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorCode::kNoSpace;
    case EBUSY:
    case ETXTBSY:
    case EADDRINUSE:
      return ErrorCode::kConflict;
    case EAGAIN:
    case EINTR:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOTCONN:
      return ErrorCode::kUnavailable;
    case EOPNOTSUPP:
    case ENOSYS:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
      return ErrorCode::kUnsupported;
    case ECANCELED:
      return ErrorCode::kCancelled;
    default:
      return ErrorCode::kIoError;
  }
}

/// What resolves it, where the number alone tells.
const char* HintOf(int error_number) {
  switch (error_number) {
    case EACCES:
    case EPERM:
      return "see who owns it and what its mode allows";
    case EROFS:
      return "its file system is read-only: see why, and mount it for writing";
    case ENOSPC:
      return "make room there";
    case EDQUOT:
      return "make room there, or have the quota raised";
    default:
      return "";
  }
}

}  // namespace

Error ErrorFromErrno(int error_number, std::string_view what) {
  const std::string reason = std::generic_category().message(error_number);
  return Error{CodeOf(error_number), reason, HintOf(error_number)}.Within(what);
}

}  // namespace coffer

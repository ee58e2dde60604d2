#include "nbd/errors.h"

namespace coffer::nbd {

ReplyError ReplyErrorFrom(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNoSpace:
      return ReplyError::kNoSpc;
    case ErrorCode::kUnsupported:  // of a device: it is read-only
      return ReplyError::kPerm;
    case ErrorCode::kInvalidArgument:
      return ReplyError::kInval;
    case ErrorCode::kCancelled:  // of a device: it is being closed
      return ReplyError::kShutdown;
    case ErrorCode::kNotFound:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kCorruption:
    case ErrorCode::kUnauthenticated:
    case ErrorCode::kUnavailable:
    case ErrorCode::kConflict:
    case ErrorCode::kIoError:
    case ErrorCode::kNeedsPerson:
      break;
  }
  return ReplyError::kIo;
}

}  // namespace coffer::nbd

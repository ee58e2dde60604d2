#include "fuse/errors.h"

#include <cerrno>

namespace coffer::fuse {

int ErrnoFrom(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNoSpace:
      return ENOSPC;
    case ErrorCode::kUnsupported:  // of a device: it is read-only
      return EROFS;
    case ErrorCode::kInvalidArgument:  // of a device: beyond its end, which has just moved
      return EFBIG;
    case ErrorCode::kCancelled:  // of a device: it is being closed
      return ENODEV;
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
  return EIO;
}

}  // namespace coffer::fuse

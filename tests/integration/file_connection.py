"""A volume's image file (FUSE), with the methods of stamped_load.Connection."""
import ctypes
import errno
import os

from stamped_load import FLUSH, FUA, READ_CMD, TRIM, WRITE_CMD, WRITE_ZEROES, RequestError

KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16  # fallocate(2)
_fallocate = ctypes.CDLL(None, use_errno=True).fallocate64
_fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
# What a file says whose server is gone: fuse(4), "the connection was aborted".
_GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.ENODEV)


def fallocate(descriptor, mode, offset, length):
    if _fallocate(descriptor, mode, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class FileConnection:
    def __init__(self, path, name):
        self.descriptor = os.open(f"{path}/{name}.img", os.O_RDWR)
        self.size = os.fstat(self.descriptor).st_size

    def close(self):
        try:
            os.close(self.descriptor)
        except OSError:
            pass  # flushed at close, with nobody there

    def ask(self, command, offset, length, payload=b"", flags=0):
        try:
            return self._ask(command, offset, length, payload, flags)
        except OSError as error:
            if error.errno in _GONE:
                raise
            raise RequestError(f"command {command} at {offset}+{length}: {error}") from error

    def _ask(self, command, offset, length, payload, flags):
        if command == READ_CMD:
            data = os.pread(self.descriptor, length, offset)
            if len(data) != length:
                raise RequestError(f"{len(data)} bytes of {length} at {offset}")
            return data
        if command == WRITE_CMD:
            written = os.pwritev(self.descriptor, [payload], offset, os.RWF_DSYNC if flags & FUA else 0)
            if written != length:
                raise RequestError(f"{written} bytes of {length} written at {offset}")
            return b""
        if command in (TRIM, WRITE_ZEROES):
            mode = PUNCH_HOLE | KEEP_SIZE if command == TRIM else ZERO_RANGE
            fallocate(self.descriptor, mode, offset, length)
        if command == FLUSH or flags & FUA:
            os.fsync(self.descriptor)
        return b""

"""Copy files byte by byte: whole ones, as fast as the disk takes them, or what precedes HDF5."""

from __future__ import annotations

import errno
import os
import shutil
from functools import cache
from typing import Any, Final

__all__ = ["copy_synced", "copy_user_block"]

_STEP: Final = 1 << 23
_UNABLE: Final = frozenset(
    getattr(errno, name, -1)
    for name in ("ENOSYS", "EXDEV", "EINVAL", "EOPNOTSUPP", "EBADF", "EPERM", "EIO")
)
"""What systems answer that cannot copy within the kernel, from or to where it is asked."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
_BEGIN: Final = 2  # SYNC_FILE_RANGE_WRITE


def copy_synced(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy the bytes of a file over those of another, and sync it.

    A file that is put in place whole has to be on the disk before. A system that is told so at the
    end has left most of the work for then; here it is told of each piece that is copied, and how
    long the file will be before all.

    Raises
    ------
    OSError
        Where the one cannot be read, or the other not written or synced.
    """
    copied, size = -1, 0
    if hasattr(os, "copy_file_range"):
        with open(source, "rb", 0) as old, open(target, "wb", 0) as new:
            size = os.fstat(old.fileno()).st_size
            copied = _copy(old.fileno(), new.fileno(), size)
    if copied < size:
        shutil.copyfile(source, target)
    with open(target, "rb+", 0) as new:
        os.fsync(new.fileno())


def copy_user_block(source: str, target: str, size: int) -> None:
    """Copy the bytes before the HDF5 part of a file, which belong to other programs."""
    if size:
        with open(source, "rb") as old, open(target, "r+b") as new:
            new.write(old.read(size))


def _copy(source: int, target: int, size: int) -> int:
    """Copy within the kernel, and tell how far it came."""
    if size:
        _reserve(target, size)
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(source, target, min(_STEP, size - done))
        except OSError as error:
            if done or error.errno not in _UNABLE:
                raise
            break
        if not count:  # some file systems say so instead of raising
            break
        _begin_sync(target, done, count)
        done += count
    if done:
        os.fsync(target)  # here, since what was lost on the way is told to this descriptor only
    return done


@cache
def _system() -> Any:
    """Give the C library, for what Python has no function for; None where it has none either."""
    import ctypes

    try:
        library = ctypes.CDLL(None, use_errno=True)
        for function in (library.fallocate, library.sync_file_range):
            offset = ctypes.c_int64
            function.restype = ctypes.c_int
        library.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, offset, offset)
        library.sync_file_range.argtypes = (ctypes.c_int, offset, offset, ctypes.c_uint)
    except (OSError, AttributeError, TypeError):
        return None
    return library


def _reserve(target: int, size: int) -> None:
    """Have room set aside in one piece, where the file system can.

    Python's own function writes to every page where it cannot.
    """
    import ctypes

    library = _system()
    if library is not None and library.fallocate(target, 0, 0, size):
        number = ctypes.get_errno()
        if number in _FULL:
            raise OSError(number, os.strerror(number))


def _begin_sync(target: int, first: int, count: int) -> None:
    """Have a piece written to the disk, without waiting for it; `fsync` says how it went."""
    library = _system()
    if library is not None:
        library.sync_file_range(target, first, count, _BEGIN)

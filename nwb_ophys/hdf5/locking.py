"""Locks on files: shared while a file is read, exclusive while it is saved in place."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Final

from nwb_ophys.errors import FileAccessError, FileLockedError

try:
    import fcntl
except ImportError:  # Windows, which has no such locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["WAIT", "FileLock", "holders_of", "locked", "wait_for"]

WAIT: Final = 10.0
"""Seconds to wait for a save that another program has under way."""
_STEP: Final = 0.02
_HELD: Final = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)


class FileLock:
    """An open descriptor of a file that a lock is held on; it goes with the object.

    Parameters
    ----------
    path
        The file.
    write
        Whether the descriptor is to be written through.

    Raises
    ------
    OSError
        Where the file cannot be opened.
    """

    __slots__ = ("descriptor",)

    def __init__(self, path: str, *, write: bool = False) -> None:
        flags = (os.O_RDWR if write else os.O_RDONLY) | getattr(os, "O_BINARY", 0)
        self.descriptor = -1
        try:
            self.descriptor = os.open(path, flags)
        except OSError as error:
            if error.errno == errno.EROFS:  # on a disk that is read-only
                raise PermissionError(error.errno, error.strerror, path) from error
            raise

    def share(self) -> bool:
        """Take the lock of a reader; tell whether it was free. Systems without locks have it."""
        return self._take("LOCK_SH") is not False

    def take(self, file: str) -> bool:
        """Take the lock of a writer; tell whether it was free.

        Raises
        ------
        FileAccessError
            Where the file system has no locks, so that readers could not be told to wait.
        """
        taken = self._take("LOCK_EX")
        if taken is None:
            raise FileAccessError(
                "a file can be changed in place only where it can be locked, "
                "and its file system or this operating system has no such locks (flock)",
                file=file,
                hint="write the session to a new file: nwb_ophys.write(session, path)",
            )
        return taken

    def _take(self, kind: str) -> bool | None:
        if fcntl is None:
            return None
        try:
            fcntl.flock(self.descriptor, getattr(fcntl, kind) | fcntl.LOCK_NB)
        except OSError as error:
            return False if error.errno in _HELD else None
        return True

    def close(self) -> None:
        """Give the lock back."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


def wait_for(take: Callable[[], bool], seconds: float) -> bool:
    """Try again and again to take a lock, for so many seconds; tell whether it was got."""
    end = time.monotonic() + seconds
    while not take():
        if time.monotonic() > end:
            return False
        time.sleep(_STEP)
    return True


def holders_of(path: str) -> str:
    """Say which processes hold a lock on a file, for messages; "" where that is not known."""
    try:
        status = os.stat(path)
        with open("/proc/locks", encoding="ascii") as table:
            lines = [line.split() for line in table]
    except (OSError, ValueError):
        return ""
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    pids = []
    for line in lines:
        if len(line) > 5 and line[5] == inode and line[4] not in pids:
            pids.append(line[4])
    own = str(os.getpid())
    named = [f"{pid} (this one)" if pid == own else pid for pid in pids]
    if not named:
        return ""
    import socket

    return f"process {', '.join(named)} on {socket.gethostname()}"


def locked(path: str, file: str, doing: str, hint: str) -> FileLockedError:
    """Make the error of a lock that somebody else holds."""
    holders = holders_of(path)
    return FileLockedError(
        f"the file {doing} by {holders or 'another program'}", file=file, hint=hint
    )

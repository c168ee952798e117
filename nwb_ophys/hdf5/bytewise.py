"""Copy whole files to disk, byte by byte, as fast as the disk takes them."""

from __future__ import annotations

import errno
import os
import shutil
import threading

__all__ = ["copy_synced"]

_STEP = 1 << 25
_LARGE = 1 << 26
"""Bytes from which on it pays to begin with the syncing while the copying goes on."""
_UNABLE = frozenset(
    getattr(errno, name, -1)
    for name in ("ENOSYS", "EXDEV", "EINVAL", "EOPNOTSUPP", "EBADF", "EPERM", "EIO")
)
"""What systems answer that cannot copy within the kernel, from or to where it is asked."""


def copy_synced(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy the bytes of a file over those of another.

    A file that is put in place whole has to be on the disk before. A system that is told so at the
    end has left most of the work for then; here it goes on beside the copying.

    Raises
    ------
    OSError
        Where the one cannot be read, or the other not written or synced.
    """
    if not hasattr(os, "copy_file_range"):
        shutil.copyfile(source, target)
        return
    with open(source, "rb", 0) as old, open(target, "wb", 0) as new:
        size = os.fstat(old.fileno()).st_size
        copied = _copy(old.fileno(), new.fileno(), size)
    if copied < size:
        shutil.copyfile(source, target)


def _copy(source: int, target: int, size: int) -> int:
    """Copy within the kernel, and tell how far it came."""
    syncing = _Syncing(target) if size >= _LARGE else None
    done = 0
    try:
        while done < size:
            try:
                count = os.copy_file_range(source, target, min(_STEP, size - done))
            except OSError as error:
                if done or error.errno not in _UNABLE:
                    raise
                break
            if not count:  # some file systems say so instead of raising
                break
            done += count
            if syncing is not None:
                syncing.go_on()
    finally:
        if syncing is not None:
            syncing.end()
    if syncing is not None and syncing.failure is not None:
        # Told once only: who syncs the file later learns nothing of what was lost.
        raise syncing.failure
    return done


class _Syncing:
    """A thread that syncs a file while it is being written."""

    def __init__(self, descriptor: int) -> None:
        self.failure: OSError | None = None
        self._descriptor = descriptor
        self._more = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="nwb-ophys-sync", daemon=True)
        self._thread.start()

    def go_on(self) -> None:
        """Say that there is more to sync."""
        self._more.set()

    def end(self) -> None:
        """Sync no more, and wait for what is under way."""
        self._ended = True
        self._more.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended:
            self._more.wait()
            self._more.clear()
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                if error.errno != errno.EINVAL:  # what is no file on a disk cannot be synced
                    self.failure = self.failure or error
                return

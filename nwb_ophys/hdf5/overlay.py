"""A file as it was before a save that was interrupted, where it cannot be put back so."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from typing import Any

from nwb_ophys.hdf5.journal import read_header, whole_records
from nwb_ophys.hdf5.locking import WAIT, FileLock, wait_for
from nwb_ophys.hdf5.recovering import being_saved, journal_of
from nwb_ophys.hdf5.signature import JOURNAL_MARK, SIGNATURE, carried_id, find_signature

__all__ = ["BeforeSave"]


class BeforeSave(io.RawIOBase):
    """The bytes of a half-saved file, with those of its journal where they were overwritten.

    The file is locked as by any reader, so that nobody puts it back meanwhile.

    Parameters
    ----------
    path
        The file.
    file
        Its name, for messages.

    Raises
    ------
    FileLockedError
        Where the save is still under way.
    FileAccessError
        Where its journal is not to be found, or is damaged.
    """

    def __init__(self, path: str, file: str) -> None:
        super().__init__()
        self._position, self._journal = 0, -1
        self._lock = FileLock(path)
        try:
            if not wait_for(self._lock.share, WAIT):
                raise being_saved(path, file)
            self._open(path, file, self._lock.descriptor)
        except BaseException:
            self.close()
            raise

    def _open(self, path: str, file: str, descriptor: int) -> None:
        self._size = os.fstat(descriptor).st_size
        self._signature_at = find_signature(descriptor) or 0
        self._pieces: list[tuple[int, int, int]] = []
        mark = carried_id(descriptor)
        journal = None if mark is None else journal_of(path, file, mark, descriptor)
        if mark is None or journal is None:
            return  # nothing was overwritten
        needed = os.pread(descriptor, 3, self._signature_at) == JOURNAL_MARK
        self._pieces = sorted(whole_records(journal, mark, file, needed=needed))
        self._journal = os.open(journal, os.O_RDONLY)
        header = read_header(journal)
        assert header is not None
        self._size = header.size

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read anywhere."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Tell the position."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read from the position."""
        start = self._position
        end = max(start, min(start + len(buffer), self._size))
        view = memoryview(buffer).cast("B")[: end - start]
        _fill(self._lock.descriptor, view, start)
        first = bisect_right(self._pieces, (start, 0, 0)) - 1
        for at, length, place in self._pieces[max(0, first) :]:
            if at >= end:
                break
            left, right = max(at, start), min(at + length, end)
            if left < right:
                _fill(self._journal, view[left - start : right - start], place + left - at)
        for offset in range(8):  # the journal's id is in the place of the signature
            if start <= self._signature_at + offset < end:
                view[self._signature_at + offset - start] = SIGNATURE[offset]
        self._position = end
        return end - start

    def close(self) -> None:
        """Close the file and its journal, and give the lock back."""
        self._lock.close()
        journal, self._journal = self._journal, -1
        if journal >= 0:
            os.close(journal)
        super().close()


def _fill(descriptor: int, view: memoryview, at: int) -> None:
    done = 0
    while done < len(view) and (count := os.preadv(descriptor, [view[done:]], at + done)):
        done += count
    view[done:] = bytes(len(view) - done)

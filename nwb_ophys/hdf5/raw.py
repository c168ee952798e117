"""`RawFile`: the bytes of an open HDF5 file, read at any place by any thread, without HDF5."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from h5py import h5f, h5fd

__all__ = ["RawFile"]


class RawFile:
    """A descriptor of its own of a file that HDF5 has open.

    It stays open while somebody reads from it, whatever becomes of HDF5's.

    Parameters
    ----------
    descriptor
        The descriptor, which is closed when the object goes.
    base
        Where the addresses within object headers count from: the size of the user block.
    """

    __slots__ = ("_changed", "_descriptor", "_readers", "_retired", "base")

    def __init__(self, descriptor: int, base: int = 0) -> None:
        self._descriptor = descriptor
        self.base = base
        self._changed = threading.Condition()
        self._readers = 0
        self._retired = False

    @classmethod
    def of(cls, file: h5f.FileID) -> RawFile | None:
        """Give the bytes of an open file; None where they do not lie at the addresses of HDF5.

        So it is for files in memory, file objects and families of files, for files that h5py has
        open to write in this process, which HDF5 has changed without them, and on systems without
        positional reads.
        """
        if not hasattr(os, "preadv") or file.get_access_plist().get_driver() != h5fd.SEC2:
            return None
        if file.get_intent() != h5f.ACC_RDONLY:
            return None
        creation = file.get_create_plist()
        if creation.get_sizes() != (8, 8):
            return None
        return cls(os.dup(file.get_vfd_handle()), creation.get_userblock())

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Keep the bytes as they are while they are read; tell whether that is still possible."""
        with self._changed:
            possible = not self._retired
            self._readers += possible
        try:
            yield possible
        finally:
            with self._changed:
                self._readers -= possible
                self._changed.notify_all()

    def retire(self) -> None:
        """Let no further reader begin, and wait for those that read: the file may change then."""
        with self._changed:
            self._retired = True
            self._changed.wait_for(lambda: not self._readers)

    def read(self, address: int, size: int) -> bytes:
        """Read so many bytes, or what there is of them before the file ends."""
        data = os.pread(self._descriptor, size, address)
        while len(data) < size and (more := self._rest(address, size, len(data))):
            data += more
        return data

    def read_into(self, address: int, buffer: memoryview) -> bool:
        """Fill a buffer; tell whether the file has that many bytes there."""
        done = 0
        while done < len(buffer):
            count = os.preadv(self._descriptor, [buffer[done:]], address + done)
            if not count:
                return False
            done += count
        return True

    def _rest(self, address: int, size: int, done: int) -> bytes:
        # One call gives 2 GiB at most.
        return os.pread(self._descriptor, size - done, address + done)

    def __del__(self) -> None:
        os.close(self._descriptor)

"""Write HDF5 files such that no failure to write reaches HDF5, which does not survive it.

Where a write fails, on a full disk for one, HDF5 can neither close the file nor let it go, and the
interpreter crashes when it ends. So HDF5 writes through a file object of ours. It records the first
failure; what HDF5 writes after that goes into memory, as far as it is structure that HDF5 may want
to read again, and the file is closed in good order before the failure is raised.

A small new file is made in memory instead, where nothing fails, and written in one piece. That is
faster too: HDF5 writes each of its structures by itself.
"""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import h5py
from h5py import h5f, h5fd, h5p

__all__ = ["Guard", "check_write", "guarded", "interrupts_held", "made_in_memory"]

_STRUCTURE = 1 << 20
"""The most bytes that HDF5 writes of its own structures at once; longer writes are data."""
_ROOM = 1 << 28
"""The most bytes that are held in memory after a failure."""
_GROWTH = 1 << 20
"""The bytes by which a file that is made in memory grows."""


class Guard:
    """The file object that HDF5 reads and writes through.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.failure: BaseException | None = None
        self._file = io.FileIO(os.fspath(path), "r+", opener=_created)
        self._position = 0
        self._kept: list[tuple[int, bytes]] = []
        self._room = _ROOM

    def close(self) -> None:
        """Close the file; some systems report only now that it could not be written."""
        try:
            self._file.close()
        except OSError as error:
            self.failure = self.failure or error

    # What is done with the bytes; these may raise.

    def _store(self, at: int, view: memoryview) -> None:
        self._file.seek(at)
        done = 0
        while done < len(view):  # systems may write less than they are given
            done += self._file.write(view[done:]) or 0

    def _fetch(self, at: int, view: memoryview) -> None:
        self._file.seek(at)
        done = 0
        while done < len(view) and (count := self._file.readinto(view[done:])):
            done += count
        view[done:] = bytes(len(view) - done)

    def _resize(self, size: int) -> None:
        self._file.truncate(size)

    def _end(self) -> int:
        return self._file.seek(0, os.SEEK_END)

    # What HDF5 calls. None of these may raise.

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position."""
        try:
            self._position = offset
            if whence == os.SEEK_END:
                self._position += self._end()
        except BaseException as error:
            self.failure = self.failure or error
        return self._position

    def tell(self) -> int:
        """Tell the position."""
        return self._position

    def write(self, data: Any) -> int:
        """Write at the position; what fails is recorded."""
        view = memoryview(data)
        if self.failure is None:
            try:
                self._store(self._position, view)
            except BaseException as error:
                self.failure = error
        if self.failure is not None and len(view) <= min(_STRUCTURE, self._room):
            self._room -= len(view)
            self._kept.append((self._position, bytes(view)))
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read from the position; beyond the end there are zeros."""
        view = memoryview(buffer)
        try:
            self._fetch(self._position, view)
        except BaseException as error:
            self.failure = self.failure or error
        for at, data in self._kept:
            first, last = max(at, self._position), min(at + len(data), self._position + len(view))
            if first < last:
                here = self._position
                view[first - here : last - here] = data[first - at : last - at]
        return len(view)

    def truncate(self, size: int) -> int:
        """Set the size."""
        try:
            if self.failure is None:
                self._resize(size)
        except BaseException as error:
            self.failure = error
        return size

    def flush(self) -> None:
        """Do nothing: the whole file is synced once it is closed."""


def _created(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)


_CALLBACKS = frozenset(
    function.__code__
    for function in (
        Guard.seek,
        Guard.tell,
        Guard.write,
        Guard.readinto,
        Guard.truncate,
        Guard.flush,
    )
)

_WRITING: ContextVar[Guard | None] = ContextVar("_WRITING", default=None)


def check_write() -> None:
    """Raise what made the write under way fail, if anything did.

    Long writes call it between their steps, so as not to go on in vain.
    """
    guard = _WRITING.get()
    if guard is not None and guard.failure is not None:
        raise guard.failure


@contextmanager
def guarded(
    path: str | os.PathLike[str],
    *,
    creation: Any = None,
    access: Any = None,
    guard: Guard | None = None,
) -> Iterator[h5py.File]:
    """Open an HDF5 file to write to it, made where it is missing or empty, and close it at the end.

    Parameters
    ----------
    path
        The file.
    creation, access
        HDF5's properties, where they are not its defaults.
    guard
        What HDF5 is to write through, if it is to do more than to record a failure; its owner
        closes it.

    Raises
    ------
    OSError
        The first failure to write.
    """
    owned, guard = guard is None, guard or Guard(path)
    token = _WRITING.set(guard)
    try:
        with _interrupts_outside(guard):
            file = _open(path, guard, creation, access)
            try:
                yield file
            finally:
                file.close()
    except Exception as error:
        if guard.failure is not None and guard.failure is not error:
            raise guard.failure from error
        raise
    finally:
        _WRITING.reset(token)
        if owned:
            guard.close()
    if guard.failure is not None:
        raise guard.failure


@contextmanager
def made_in_memory(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Make a small HDF5 file, which is written at the end of the block if that ends well.

    Raises
    ------
    OSError
        Where the file cannot be written.
    """
    access = _access_properties()
    access.set_fapl_core(_GROWTH, False)
    with h5py.File(h5f.create(os.fsencode(path), h5f.ACC_TRUNC, None, access)) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    guard = Guard(path)
    guard.write(image)
    guard.close()
    if guard.failure is not None:
        raise guard.failure


def _access_properties() -> Any:
    access = h5p.create(h5p.FILE_ACCESS)
    # As h5py has it: later releases of HDF5 begin with newer formats, which keep times.
    access.set_libver_bounds(h5f.LIBVER_EARLIEST, h5f.LIBVER_LATEST)
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    return access


def _open(path: str | os.PathLike[str], guard: Guard, creation: Any, access: Any) -> h5py.File:
    if access is None:
        own = _access_properties()
    else:
        own = access.copy()
        own.set_fclose_degree(h5f.CLOSE_STRONG)
    try:
        own.set_fileobj_driver(h5fd.fileobj_driver, guard)
        raw = os.fsencode(path)
        if os.path.getsize(path):
            return h5py.File(h5f.open(raw, h5f.ACC_RDWR, own))
        return h5py.File(h5f.create(raw, h5f.ACC_TRUNC, creation, own))
    finally:
        # The list refers to the guard, and a traceback that somebody keeps refers to the list. At
        # exit, HDF5 would let go of the guard when there is no interpreter any more.
        own.close()


@contextmanager
def _interrupts_outside(guard: Guard) -> Iterator[None]:
    """Record an interrupt that comes while HDF5 calls the guard; raise any other at once."""
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    handler = previous

    def handle(number: int, frame: Any) -> None:
        try:
            handler(number, frame)
        except BaseException as error:
            above = frame
            while above is not None and above.f_code not in _CALLBACKS:
                above = above.f_back
            if above is None:
                raise
            guard.failure = guard.failure or error

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Let an interrupt wait until the block has ended, as it is short and may not be cut in two."""
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    waiting: list[Any] = []
    signal.signal(signal.SIGINT, lambda number, frame: waiting.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if waiting:
            previous(*waiting[0])

"""Chunks that threads have encoded, stored in the order in which they were given out."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

from nwb_ophys.hdf5.stored import write_stored

__all__ = ["Turns"]


class Turns:
    """Who stores the next chunk: whichever thread finishes it, and all that wait behind it.

    Parameters
    ----------
    dataset
        An `h5py.h5d.DatasetID`.
    """

    def __init__(self, dataset: Any) -> None:
        self.ended = False
        """Whether nothing is to be stored any more."""
        self._dataset = dataset
        self._given = itertools.count()
        self._due = 0
        self._stored = 0
        self._waiting: dict[int, tuple[tuple[int, ...], Any]] = {}
        self._lock = threading.Lock()
        self._waiters: list[threading.Lock] = []
        self._storing = False
        self._failure: BaseException | None = None

    def next(self) -> int:
        """Give out the next turn."""
        return next(self._given)

    def check(self) -> None:
        """Raise what went wrong in a thread."""
        if self._failure is not None:
            raise self._failure

    def fail(self, error: BaseException) -> None:
        """Keep what went wrong; nothing is stored after it."""
        with self._lock:
            self._failure = self._failure or error
            self.ended = True
            self._tell()

    def wait_for(self, turn: int) -> None:
        """Wait until a chunk is stored, or raise what went wrong."""
        self._wait_until(lambda: self._stored > turn or self._failure is not None)
        self.check()

    def end(self) -> None:
        """Let nothing be stored any more; it returns when no thread is at it."""
        self.ended = True
        interrupt: KeyboardInterrupt | None = None
        while self._storing:  # the dataset must not be closed before
            try:
                self._wait_until(lambda: not self._storing)
            except KeyboardInterrupt as error:
                interrupt = error
        self._waiting.clear()
        if interrupt is not None:
            raise interrupt

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        # An interrupt within a condition's wait leaves its lock in whatever state; a lock is
        # waited for or it is not.
        while True:
            with self._lock:
                if holds():
                    return
                waiter = threading.Lock()
                waiter.acquire()
                self._waiters.append(waiter)
            waiter.acquire()

    def _tell(self) -> None:
        """Let all who wait look again."""
        while self._waiters:
            self._waiters.pop().release()

    def ready(self, turn: int, offset: tuple[int, ...], encoded: Any) -> None:
        """Take an encoded chunk, and store all those whose turn it is."""
        mine = False
        try:
            with self._lock:
                self._waiting[turn] = (offset, encoded)
                if self._storing:
                    return  # that thread goes on with it
                mine = self._storing = True
            while True:
                with self._lock:
                    chunk = None if self.ended else self._waiting.pop(self._due, None)
                    if chunk is None:
                        self._storing = mine = False
                        self._tell()
                        return
                    self._due += 1
                write_stored(self._dataset, *chunk)
                with self._lock:
                    self._stored += 1
                    self._tell()
        except BaseException:
            if mine:  # an interrupt, too, may come anywhere, and `end` would wait for ever
                with self._lock:
                    self._storing = False
                    self._tell()
            raise

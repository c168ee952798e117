"""Old pages of a file, whose content goes into the journal before they are overwritten."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any, Final

from nwb_ophys.hdf5.guarding import Guard
from nwb_ophys.hdf5.journal import LARGEST, Journal
from nwb_ophys.hdf5.signature import SIGNATURE
from nwb_ophys.hdf5.syncing import sync, write_all

__all__ = ["JournaledPages"]

_PAGE: Final = 4096
_ROOM: Final = 1 << 26
"""The bytes of overwritten pages that are held in memory before they are written."""


class JournaledPages(Guard):
    """Writes at the end of the file go there; those over old pages wait for the journal."""

    def __init__(self, path: str, journal: Journal) -> None:
        super().__init__(path)
        self._descriptor = self._file.fileno()
        self._journal = journal
        self._size = journal.header.size
        count = -(-self._size // _PAGE)
        self._old_end = count * _PAGE  # the last old page may be a part of one
        self._journaled = bytearray(-(-count // 8))
        self._pages: dict[int, bytearray] = {}
        self.extent = self._size
        """The size that HDF5 gives the file."""
        # HDF5 is to see the signature, which the file does not carry now.
        self._signature_at = journal.header.signature_at
        self._signature_page = self._signature_at // _PAGE
        self._pages[self._signature_page] = self._old_page(self._signature_page)

    # -- what the guard does with the bytes ----------------------------------------------------

    def _store(self, at: int, view: memoryview) -> None:
        end = at + len(view)
        self.extent = max(self.extent, end)
        middle = min(max(at, self._old_end), end)
        for number in range(at // _PAGE, -(-middle // _PAGE) if middle > at else at // _PAGE):
            start = number * _PAGE
            first, last = max(at, start), min(middle, start + _PAGE)
            page = self._pages.get(number)
            if page is None:
                whole = last - first == _PAGE
                page = self._pages[number] = bytearray(_PAGE) if whole else self._read(number)
            page[first - start : last - start] = view[first - at : last - at]
        if end > middle:
            write_all(self._descriptor, view[middle - at :], middle)
        if len(self._pages) * _PAGE > _ROOM:
            self.write_pages()

    def _fetch(self, at: int, view: memoryview) -> None:
        done = 0
        while done < len(view):
            count = os.preadv(self._descriptor, [view[done:]], at + done)
            if not count:
                view[done:] = bytes(len(view) - done)
                break
            done += count
        end = at + len(view)
        numbers: Any = range(at // _PAGE, -(-end // _PAGE))
        if len(numbers) > len(self._pages):
            numbers = [number for number in self._pages if number in numbers]
        for number in numbers:
            page = self._pages.get(number)
            if page is not None:
                start = number * _PAGE
                first, last = max(at, start), min(end, start + _PAGE)
                view[first - at : last - at] = page[first - start : last - start]

    def _resize(self, size: int) -> None:
        # To cut what was there before would be to overwrite it: that waits for the commit.
        self.extent = size
        kept = max(size, self._old_end)
        if os.fstat(self._descriptor).st_size > kept:
            os.ftruncate(self._descriptor, kept)

    def _end(self) -> int:
        return self.extent

    # -- pages ---------------------------------------------------------------------------------

    def _read(self, number: int) -> bytearray:
        page = bytearray(_PAGE)
        data = os.pread(self._descriptor, _PAGE, number * _PAGE)
        page[: len(data)] = data
        return page

    def _old_page(self, number: int) -> bytearray:
        """Read a page as it was before, with the signature that the id replaced."""
        page = self._read(number)
        if number == self._signature_page:
            at = self._signature_at % _PAGE
            page[at : at + 8] = SIGNATURE
        return page

    def _journal_pages(self) -> None:
        """Have the old content of all pages that are about to be overwritten in the journal."""
        new = [n for n in sorted(self._pages) if not self._journaled[n >> 3] >> (n & 7) & 1]
        for first, count in _runs(new, LARGEST // _PAGE):
            data = b"".join(self._old_page(first + i) for i in range(count))
            self._journal.keep(first * _PAGE, data[: self._size - first * _PAGE])
        if not self._journal.safe:
            self._make_safe()
        elif new:
            self._journal.sync()
        for number in new:
            self._journaled[number >> 3] |= 1 << (number & 7)

    def _make_safe(self) -> None:
        """Sync the journal, and the id by which the file is bound to it."""
        failures: list[OSError] = []

        def sync_file() -> None:
            try:
                sync(self._descriptor)
            except OSError as error:
                failures.append(error)

        # What was added so far is to be synced as well, sooner or later: meanwhile.
        beside = threading.Thread(target=sync_file)
        beside.start()
        try:
            self._journal.sync()
        finally:
            beside.join()
        if failures:
            raise failures[0]
        # From here on the file needs its journal, which is there: no sync need come between.
        write_all(self._descriptor, self._journal.header.mark, self._signature_at)

    def write_pages(self) -> None:
        """Write the pages that were held, once their old content is safe."""
        self._journal_pages()
        mark, at = self._journal.header.mark, self._signature_at % _PAGE
        for first, count in _runs(sorted(self._pages), LARGEST // _PAGE):
            data = bytearray().join(self._pages[first + i] for i in range(count))
            if first <= self._signature_page < first + count:
                here = (self._signature_page - first) * _PAGE + at
                data[here : here + 8] = mark
            write_all(self._descriptor, data, first * _PAGE)
        kept = self._pages[self._signature_page]
        self._pages = {self._signature_page: kept}


def _runs(numbers: list[int], most: int) -> Iterator[tuple[int, int]]:
    """Join numbers that follow one another."""
    start = count = 0
    for number in numbers:
        if count and number == start + count and count < most:
            count += 1
            continue
        if count:
            yield start, count
        start, count = number, 1
    if count:
        yield start, count

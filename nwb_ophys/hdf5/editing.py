"""Change an HDF5 file in place, such that it is as before or as after whenever one is killed.

HDF5 writes through a `Guard`. What it adds goes to the end of the file at once; what it overwrites
is held in memory until the end, or until there is much of it, and then goes into the journal first.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import h5py

from nwb_ophys.errors import FileAccessError, FileChangedError, FilePermissionError
from nwb_ophys.hdf5.guarding import Guard, guarded
from nwb_ophys.hdf5.journal import (
    LARGEST,
    Journal,
    carried_id,
    find_journal,
    find_signature,
    is_early,
    journal_path,
    put_signature_back,
    read_header,
    roll_back,
    sync,
    write_all,
)
from nwb_ophys.hdf5.locking import WAIT, FileLock, locked, wait_for
from nwb_ophys.hdf5.signature import SIGNATURE

__all__ = ["Edit", "being_saved", "journal_of", "recover_file"]

PAGE: Final = 4096
_ROOM: Final = 1 << 26
"""The bytes of overwritten pages that are held in memory before they are written."""


class _Pages(Guard):
    """Writes at the end of the file go there; those over old pages wait for the journal."""

    def __init__(self, path: str, journal: Journal) -> None:
        super().__init__(path)
        self._descriptor = self._file.fileno()
        self._journal = journal
        self._size = journal.header.size
        count = -(-self._size // PAGE)
        self._old_end = count * PAGE  # the last old page may be a part of one
        self._journaled = bytearray(-(-count // 8))
        self._pages: dict[int, bytearray] = {}
        self.extent = self._size
        """The size that HDF5 gives the file."""
        # HDF5 is to see the signature, which the file does not carry now.
        self._signature_at = journal.header.signature_at
        self._signature_page = self._signature_at // PAGE
        self._pages[self._signature_page] = self._old_page(self._signature_page)

    # -- what the guard does with the bytes ----------------------------------------------------

    def _store(self, at: int, view: memoryview) -> None:
        end = at + len(view)
        self.extent = max(self.extent, end)
        middle = min(max(at, self._old_end), end)
        for number in range(at // PAGE, -(-middle // PAGE) if middle > at else at // PAGE):
            start = number * PAGE
            first, last = max(at, start), min(middle, start + PAGE)
            page = self._pages.get(number)
            if page is None:
                whole = last - first == PAGE
                page = self._pages[number] = bytearray(PAGE) if whole else self._read(number)
            page[first - start : last - start] = view[first - at : last - at]
        if end > middle:
            write_all(self._descriptor, view[middle - at :], middle)
        if len(self._pages) * PAGE > _ROOM:
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
        numbers: Any = range(at // PAGE, -(-end // PAGE))
        if len(numbers) > len(self._pages):
            numbers = [number for number in self._pages if number in numbers]
        for number in numbers:
            page = self._pages.get(number)
            if page is not None:
                start = number * PAGE
                first, last = max(at, start), min(end, start + PAGE)
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
        page = bytearray(PAGE)
        data = os.pread(self._descriptor, PAGE, number * PAGE)
        page[: len(data)] = data
        return page

    def _old_page(self, number: int) -> bytearray:
        """Read a page as it was before, with the signature that the id replaced."""
        page = self._read(number)
        if number == self._signature_page:
            at = self._signature_at % PAGE
            page[at : at + 8] = SIGNATURE
        return page

    def _journal_pages(self) -> None:
        """Have the old content of all pages that are about to be overwritten in the journal."""
        new = [n for n in sorted(self._pages) if not self._journaled[n >> 3] >> (n & 7) & 1]
        for first, count in _runs(new, LARGEST // PAGE):
            data = b"".join(self._old_page(first + i) for i in range(count))
            self._journal.keep(first * PAGE, data[: self._size - first * PAGE])
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
        mark, at = self._journal.header.mark, self._signature_at % PAGE
        for first, count in _runs(sorted(self._pages), LARGEST // PAGE):
            data = bytearray().join(self._pages[first + i] for i in range(count))
            if first <= self._signature_page < first + count:
                here = (self._signature_page - first) * PAGE + at
                data[here : here + 8] = mark
            write_all(self._descriptor, data, first * PAGE)
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


class Edit:
    """One change of a file in place: locked, journaled, and committed or rolled back.

    Parameters
    ----------
    path
        The file; no handle of this process may be open on it.
    file
        Its name, for messages.

    Raises
    ------
    FileLockedError
        Where another handle or program has the file open.
    FilePermissionError
        Where the file or its folder may not be written to.
    """

    def __init__(self, path: str, file: str) -> None:
        self.path, self.file = path, file
        self.committed = False
        try:
            self._lock = FileLock(path, write=True)
        except PermissionError as error:
            raise _not_writable(file) from error
        try:
            self._take_lock()
            at = find_signature(self._lock.descriptor)
            if at is None or carried_id(self._lock.descriptor) is not None:
                raise FileChangedError(
                    "this is no longer the file that was opened", file=file, hint="open it again"
                )
            self._journal = Journal(path, self._lock.descriptor, at)
            try:
                write_all(self._lock.descriptor, self._journal.header.early_mark, at)
                self._guard = _Pages(path, self._journal)
            except BaseException:
                self.roll_back()
                raise
        except BaseException:
            self._lock.close()
            raise

    def _take_lock(self) -> None:
        _refuse_own_handles(self.path, self.file)
        lock, saved = self._lock, journal_path(self.path).exists()
        if not wait_for(lambda: lock.take(self.file), WAIT if saved else 0.2):
            raise locked(
                self.path,
                self.file,
                "cannot be saved in place, as it is open or being saved",
                "close it there, then save again",
            )

    @contextmanager
    def open(self, access: Any) -> Iterator[h5py.File]:
        """Open the file with HDF5, to change it, and close it.

        Raises
        ------
        OSError
            The first failure to write.
        """
        with guarded(self.path, access=access, guard=self._guard) as opened:
            yield opened

    def commit(self) -> None:
        """Make the changes last.

        Raises
        ------
        OSError
            Where the disk is full, or fails; nothing is committed then.
        """
        descriptor, guard = self._lock.descriptor, self._guard
        guard.write_pages()
        if os.fstat(descriptor).st_size < guard.extent:
            os.ftruncate(descriptor, guard.extent)
        sync(descriptor)
        write_all(descriptor, SIGNATURE, self._journal.header.signature_at)
        sync(descriptor)
        self.committed = True
        if os.fstat(descriptor).st_size > guard.extent:
            os.ftruncate(descriptor, guard.extent)
        guard.close()
        self._journal.remove()
        self._lock.close()

    def roll_back(self) -> None:
        """Put the file back as it was.

        Raises
        ------
        FileAccessError
            Where that fails; the journal remains, and the next opening tries again.
        """
        try:
            guard = getattr(self, "_guard", None)
            if guard is not None:
                guard.close()
            header = self._journal.header
            mark = header.mark if self._journal.safe else header.early_mark
            write_all(self._lock.descriptor, mark, header.signature_at)
            self._journal.close()
            roll_back(self._lock.descriptor, self._journal.path, self.file)
        except OSError as error:
            raise FileAccessError(
                f"the save failed, and the file could not be put back as it was: {error}",
                file=self.file,
                hint=f"keep {self._journal.path.name} beside it, and run: nwb-ophys recover FILE",
            ) from error
        finally:
            self._lock.close()


def _not_writable(file: str) -> FilePermissionError:
    return FilePermissionError(
        "the file may not be written to",
        file=file,
        hint="check its mode and whether the disk is read-only, or write the session to a new "
        "file: nwb_ophys.write(session, path)",
    )


def _refuse_own_handles(path: str, file: str) -> None:
    """Refuse to change a file that h5py has open in this process, which no lock may tell."""
    for opened in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        try:
            same = os.path.samefile(h5py.h5f.get_name(opened), path)
        except (OSError, ValueError, RuntimeError):
            continue
        if same:
            raise locked(
                path,
                file,
                "cannot be saved in place, as h5py has it open in this process; it is held",
                "close that h5py.File (or the NWBHDF5IO over it) first",
            )


def recover_file(path: str, file: str) -> bool:
    """Roll a file back that an interrupted save left behind; tell whether there was need to.

    Raises
    ------
    FileLockedError
        Where the save is still under way.
    FilePermissionError
        Where the file may not be written to.
    FileAccessError
        Where its journal is not to be found, or is damaged.
    """
    try:
        lock = FileLock(path, write=True)
    except PermissionError as error:
        reading = FileLock(path)
        mark = carried_id(reading.descriptor)
        reading.close()
        if mark is None:
            return False
        raise FilePermissionError(
            "a save of this file was interrupted, and it may not be written to, so that it cannot "
            "be put back as it was",
            file=file,
            hint="make it and its folder writable, or copy it and its journal "
            f"{journal_path(path).name} to where they are, and open it there",
        ) from error
    try:
        mark = carried_id(lock.descriptor)
        if mark is None:
            return False
        if not wait_for(lambda: lock.take(file), WAIT):
            raise being_saved(path, file)
        mark = carried_id(lock.descriptor)
        if mark is None:  # whoever saved it has ended well meanwhile
            return False
        journal = journal_of(path, file, mark, lock.descriptor)
        if journal is None:
            put_signature_back(lock.descriptor)
            return True
        try:
            roll_back(lock.descriptor, journal, file)
        except OSError as error:
            if isinstance(error, FileAccessError):
                raise
            raise FileAccessError(
                f"a save of this file was interrupted, and it cannot be put back: {error}",
                file=file,
                hint=f"keep {journal.name}, which holds its old content",
            ) from error
        return True
    finally:
        lock.close()


def journal_of(path: str, file: str, mark: bytes, descriptor: int) -> Path | None:
    """Find the journal that a file needs; None where it is gone, and nothing was overwritten yet.

    Raises
    ------
    FileAccessError
        Where it is not to be found.
    """
    journal = find_journal(path, mark)
    if journal is None and not is_early(descriptor):
        other = journal_path(path).exists()
        raise FileAccessError(
            "a save of this file was interrupted, and the journal with its old content "
            f"(id {mark.hex()}) is not in its folder"
            + (": the one there is of another save, or its beginning is damaged" * other),
            file=file,
            hint=f"put the journal, {journal_path(path).name}, back beside it, or take the "
            "file from a backup",
        )
    return journal


def being_saved(path: str, file: str) -> Exception:
    """Make the error of a file that is being saved by another program."""
    header = read_header(journal_path(path))
    if header is None:
        return locked(
            path, file, "is locked, most likely as it is written to,", "close the file there first"
        )
    error = locked(path, file, "is being saved", "try again when that has ended")
    error.message = f"the file is being saved by {header.writer}"
    return error

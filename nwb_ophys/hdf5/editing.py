"""Change an HDF5 file in place, such that it is as before or as after whenever one is killed.

HDF5 writes through a `Guard`. What it adds goes to the end of the file at once; what it overwrites
is held in memory until the end, or until there is much of it, and then goes into the journal first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import h5py

from nwb_ophys.errors import FileAccessError, FileChangedError, FilePermissionError
from nwb_ophys.hdf5.guarding import guarded
from nwb_ophys.hdf5.journal import Journal, journal_path, roll_back
from nwb_ophys.hdf5.locking import WAIT, FileLock, locked, wait_for
from nwb_ophys.hdf5.pages import JournaledPages
from nwb_ophys.hdf5.signature import SIGNATURE, carried_id, find_signature
from nwb_ophys.hdf5.syncing import sync, write_all

__all__ = ["Edit"]


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
                self._guard = JournaledPages(path, self._journal)
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

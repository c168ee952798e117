"""Files that an interrupted save left behind: put back as they were, from their journals."""

from __future__ import annotations

from pathlib import Path

from nwb_ophys.errors import FileAccessError, FilePermissionError
from nwb_ophys.hdf5.journal import find_journal, journal_path, read_header, roll_back
from nwb_ophys.hdf5.locking import WAIT, FileLock, locked, wait_for
from nwb_ophys.hdf5.signature import SIGNATURE, carried_id, find_signature, is_early
from nwb_ophys.hdf5.syncing import sync, write_all

__all__ = ["being_saved", "journal_of", "recover_file"]


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
            _put_signature_back(lock.descriptor)
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


def _put_signature_back(descriptor: int) -> None:
    """Make a file whole that nothing was overwritten in, without its journal.

    What was added at its end remains there, and belongs to nothing.
    """
    at = find_signature(descriptor)
    assert at is not None
    write_all(descriptor, SIGNATURE, at)
    sync(descriptor)

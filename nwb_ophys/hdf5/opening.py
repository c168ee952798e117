"""Open HDF5 files to read them: whole ones, locked, and with errors that say what is the matter."""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import IO

import h5py

from nwb_ophys.errors import (
    FileAccessError,
    FileIsFolderError,
    FileLockedError,
    FileMissingError,
    FilePermissionError,
    NotNWBError,
)
from nwb_ophys.hdf5.locking import WAIT, FileLock, wait_for
from nwb_ophys.hdf5.signature import check_signature

__all__ = ["open_object", "open_path", "opening_error"]


def open_path(path: str, file: str) -> tuple[h5py.File, FileLock]:
    """Open a file and hold its lock, once what an interrupted save left there is rolled back.

    Parameters
    ----------
    path
        Where it lies.
    file
        Its name, for messages.
    """
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise FileIsFolderError(
                "expected an NWB file, found a folder", file=file, hint="name a file inside it"
            )
        lock = FileLock(path)
        try:
            if not lock.share():
                _wait_for_save(lock, path, file)
            with open(lock.descriptor, "rb", closefd=False) as stream:
                interrupted = check_signature(stream, file)
            if not interrupted:
                return h5py.File(path, "r"), lock
        except BaseException:
            lock.close()
            raise
        lock.close()
    except OSError as error:
        raise opening_error(error, file) from error
    from nwb_ophys.hdf5.recovering import recover_file

    recover_file(path, file)
    return open_path(path, file)


def _wait_for_save(lock: FileLock, path: str, file: str) -> None:
    from nwb_ophys.hdf5.journal import journal_path
    from nwb_ophys.hdf5.recovering import being_saved

    if not wait_for(lock.share, WAIT if journal_path(path).exists() else 0):
        raise being_saved(path, file)


def open_object(target: IO[bytes] | bytes, file: str) -> h5py.File:
    """Open a binary file object, or the bytes of a file."""
    stream = io.BytesIO(target) if isinstance(target, bytes) else target
    try:
        if check_signature(stream, file):
            raise NotNWBError(
                "a save of this file was interrupted, and its journal is needed to put it back",
                file=file,
                hint="open it by its path, where its journal lies beside it",
            )
        if isinstance(target, bytes):
            return h5py.File(h5py.h5f.open_file_image(target))
        return h5py.File(target, "r")
    except OSError as error:
        raise opening_error(error, file) from error


def opening_error(error: OSError, file: str) -> FileAccessError | NotNWBError:
    """Give the error to raise for what a system or HDF5 raised on opening a file."""
    if isinstance(error, (FileAccessError, NotNWBError)):
        return error
    reason = str(error)
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        hint = "remote files are not read: download it, or give an open file object of fsspec"
        remote = "://" in file
        return FileMissingError("there is no such file", file=file, hint=hint if remote else None)
    if isinstance(error, PermissionError):
        return FilePermissionError(
            "permission denied", file=file, hint="check the owner and the mode of the file"
        )
    if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES) or "lock file" in reason:
        return FileLockedError(
            f"the file is locked, most likely by a program that writes to it: {reason}",
            file=file,
            hint="close the file there first",
        )
    if "already open for write" in reason:
        return FileAccessError(
            "another program opened the file to write to it, and has not closed it, or was killed",
            file=file,
            hint="close it there; if no program has it open, `h5clear -s FILE` removes the mark",
        )
    if "truncated" in reason or "eof" in reason:
        return NotNWBError(
            f"the file is truncated: {reason}",
            file=file,
            hint="its copying or writing was interrupted; take it from its origin again",
        )
    if error.errno is not None:
        return FileAccessError(f"the file cannot be opened: {reason}", file=file)
    return NotNWBError(f"the file is no whole HDF5 file: {reason}", file=file)

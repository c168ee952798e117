"""Look after files: put back what an interrupted save left, give back the room of what went."""

from __future__ import annotations

import os

from nwb_ophys.errors import FileIsFolderError, FileMissingError
from nwb_ophys.hdf5.editing import recover_file

__all__ = ["recover"]


def recover(path: str | os.PathLike[str]) -> bool:
    """Put a file back as it was before a save in place that was interrupted.

    `open` does so by itself; this is for files that other programs are to open next.

    Returns
    -------
    bool
        Whether there was need to.

    Raises
    ------
    FileMissingError, FileIsFolderError, FilePermissionError
        Where the file cannot be changed.
    FileLockedError
        Where the save is still under way.
    FileAccessError
        Where the journal of the save is not beside the file.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        raise FileIsFolderError("expected a file, found a folder", file=name)
    if not os.path.exists(name):
        raise FileMissingError("there is no such file", file=name)
    return recover_file(os.path.abspath(name), name)

"""Look after files: put back what an interrupted save left, give back the room of what went."""

from __future__ import annotations

import os
from pathlib import Path

from nwb_ophys.errors import FileIsFolderError, FileMissingError
from nwb_ophys.hdf5.recovering import recover_file

__all__ = ["recover", "repack"]


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
        Where the journal of the save is not beside the file, or is damaged.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        raise FileIsFolderError("expected a file, found a folder", file=name)
    if not os.path.exists(name):
        raise FileMissingError("there is no such file", file=name)
    return recover_file(os.path.abspath(name), name)


def repack(path: str | os.PathLike[str]) -> int:
    """Write a file anew without the bytes of what was deleted; it means the same.

    A save in place leaves the bytes of what it deletes where they are. They are gone after this.
    The new file takes the place of the old one all at once.

    Returns
    -------
    int
        By how many bytes the file became smaller.

    Raises
    ------
    FileAccessError
        Where the file cannot be read, or its folder not be written to; it stays as it was.
    """
    from nwb_ophys.hdf5.nodes import root_of
    from nwb_ophys.hdf5.source import Source
    from nwb_ophys.mapper.saving import repack_file
    from nwb_ophys.writing import explained_failures

    source = Source(path)  # nobody may save it meanwhile
    try:
        root_of(source)  # which says so where not even that can be opened
        target = Path(os.path.realpath(path))
        before = target.stat().st_size
        with explained_failures(path):
            repack_file(target, target)
        return before - target.stat().st_size
    finally:
        source.close()

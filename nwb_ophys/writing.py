"""Write sessions."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nwb_ophys.authored import Chunks, Compression, Storage
from nwb_ophys.errors import FileAccessError, NWBError, SchemaError
from nwb_ophys.hdf5.atomic import check_target
from nwb_ophys.mapper.plan import ExternalLink
from nwb_ophys.mapper.planning import make_plan
from nwb_ophys.mapper.saving import save_as
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.file import NWBFile

__all__ = ["explained_failures", "link", "save", "write"]


def link(target: ConfiguredBaseModel) -> Any:
    """Make an external link to an object of another opened file.

    What it returns goes where the object itself could go: into a collection, or into a link field.

    Parameters
    ----------
    target
        The object.

    Raises
    ------
    LinkError
        Where the object is in no file.
    """
    return ExternalLink(target)


def write(
    session: NWBFile,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    chunks: Chunks = True,
    compression: Compression = "gzip",
    shuffle: bool | str = "default",
    progress: bool = False,
) -> Path:
    """Write a session to a file, all or nothing.

    What came from an opened file and was not touched is carried over as it is stored. An opened
    session that is written over its own file goes on with the new one.

    Parameters
    ----------
    session
        An authored session, or an opened one with or without changes.
    path
        Where to; its folder must exist.
    overwrite
        Whether a file there may be replaced.
    chunks, compression, shuffle
        How new arrays are stored, where they do not say it themselves: see `nwb_ophys.Storage`.
        Chunks of another number of axes than an array do not apply to it, and arrays under 16 KiB
        are stored in one piece. What is in chunks can grow along its first axis.
    progress
        Whether long writes show a bar.

    Returns
    -------
    pathlib.Path
        Where the file lies, symbolic links resolved.

    Raises
    ------
    FileExistsNWBError
        Where a file is there and ``overwrite`` is not set.
    SchemaError, LinkError
        Where what was authored does not conform; nothing is written.
    FileAccessError
        Where the disk is full or cannot be written to; what was there stays as it was.
    """
    if not isinstance(session, NWBFile):
        raise SchemaError(
            f"expected an NWBFile, found {session!r} of type {type(session).__name__}"
        )
    storage = Storage(
        chunks="default" if chunks is True else chunks,
        compression=compression,
        shuffle=shuffle,
        progress=progress,
    )
    target = check_target(path, overwrite=overwrite)
    with explained_failures(path):
        save_as(make_plan(session), target, storage)
    return target


def save(session: NWBFile, *, compression: Compression, progress: bool) -> None:
    """Write what changed in a session into its own file: `NWBFile.save`."""
    from nwb_ophys.mapper.in_place import save_in_place

    if session._binding is None:
        raise SchemaError(
            "the session is in no file yet", hint="write it: nwb_ophys.write(session, path)"
        )
    storage = Storage(compression=compression, progress=progress)
    with explained_failures(session._binding.file):
        save_in_place(session._binding.session, storage)


@contextmanager
def explained_failures(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say what is the matter with a file that cannot be written."""
    try:
        yield
    except NWBError as error:
        if error.file is None:
            error.file = os.fspath(path)
        raise
    except (OSError, RuntimeError) as error:
        reason, hint = _explained(error)
        if not reason:
            raise
        raise FileAccessError(
            f"the file cannot be written: {reason}", file=path, hint=hint
        ) from error


def _explained(error: OSError | RuntimeError) -> tuple[str, str | None]:
    """Say why a file cannot be written, and what to do; "" for what is no failure to write.

    HDF5 hides the number of the system's error in its text, and raises several types.
    """
    found = re.search(r"errno = (\d+)", str(error))
    if isinstance(error, OSError):
        number, reason = error.errno, error.strerror or str(error)
    else:
        number, reason = None, ""
    if found:
        number = int(found[1])
        reason = os.strerror(number)
    full = number in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
    return reason, "make room there, or choose another folder" if full else None

"""Open and read sessions."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, Any, Final

from nwb_ophys.errors import NotNWBError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.nodes import Node, root_of
from nwb_ophys.hdf5.source import ExternalPolicy, Mode, Source
from nwb_ophys.hdf5.values import Unreadable
from nwb_ophys.mapper.session import Session
from nwb_ophys.models.file import NWBFile

__all__ = ["open", "read"]


def open(
    path: str | os.PathLike[str] | IO[bytes],
    mode: Mode = "r",
    *,
    external_links: ExternalPolicy = "folder",
) -> NWBFile:
    """Open an NWB 2.x file as lazy, typed objects.

    Only what it takes to hand back the session is read; fields, children and links load when they
    are first touched, arrays when they are indexed. Close the session, or use it in a ``with``
    block.

    Parameters
    ----------
    path
        A path, or an open binary file object.
    mode
        ``"r"``, to read; changes are written to a new file, or over this one, with `write`.
        ``"r+"``, to read and to save changes into the file itself, with ``session.save()``.
    external_links
        Which other files may be opened for links, virtual datasets and external storage:
        ``"folder"`` those below the folder of the file, ``"all"``, or ``"none"``.

    Returns
    -------
    NWBFile
        The session.

    Raises
    ------
    FileMissingError, FileIsFolderError, FilePermissionError, FileLockedError
        Where the file cannot be opened.
    NotNWBError
        Where it is no HDF5 file, not a whole one, or no NWB file of version 2.
    """
    if mode not in ("r", "r+"):
        raise ValueError(
            f"mode is 'r' to read or 'r+' to change the file as well, not {mode!r}; "
            "new files are written with nwb_ophys.write(session, path)"
        )
    if external_links not in ("folder", "all", "none"):
        raise ValueError(f"external_links is 'folder', 'all' or 'none', not {external_links!r}")
    return _session(Source(_target(path), external=external_links, mode=mode))


def _target(path: Any) -> Any:
    """Refuse what is neither a path nor a binary file object; bytes may be a path too.

    Raises
    ------
    TypeError
        Saying what to give instead.
    """
    if isinstance(path, bytes) and 0 < len(path) < _LONGEST_PATH and b"\0" not in path:
        return os.fsdecode(path)
    if isinstance(path, (str, bytes, os.PathLike)):
        return path
    if isinstance(path, io.TextIOBase):
        raise TypeError(
            "expected a file that is open as binary, found one of text: open(path, 'rb')"
        )
    if not (hasattr(path, "read") and hasattr(path, "seek")):
        hint = " (give its path: file.filename)" if hasattr(path, "filename") else ""
        raise TypeError(
            f"expected a path or an open binary file object, found {path!r} of type "
            f"{type(path).__name__}{hint}"
        )
    return path


_LONGEST_PATH: Final = 4096


def _session(source: Source) -> NWBFile:
    try:
        check_version(root_of(source))
        root: NWBFile = Session(source).root
    except BaseException:
        source.close()
        raise
    return root


def check_version(root: Node) -> None:
    """Refuse a file that is not NWB of version 2.

    Raises
    ------
    NotNWBError
        Saying what the file is instead.
    """
    version = root.attributes.get("nwb_version")
    if version is None and "nwb_version" in root.links:
        # NWB 1.x stored it as a dataset.
        version = LazyArray(root.child("nwb_version"))[()]
    if isinstance(version, Unreadable):
        raise version.error
    if isinstance(version, bytes):
        version = version.decode("utf-8", "replace")
    if not isinstance(version, str):
        found = "without the attribute nwb_version"
        if version is not None:
            found = f"whose nwb_version is {version!r}, no text"
        raise NotNWBError(
            f"expected an NWB file, found an HDF5 file {found}",
            file=root.file,
            path="/",
            field="nwb_version",
        )
    number = version.removeprefix("NWB-")
    if number.split(".")[0] != "2":
        raise NotNWBError(
            f"expected NWB version 2, found {version!r}",
            file=root.file,
            path="/",
            field="nwb_version",
            hint="files of NWB 1.x can be converted with the tools of the time"
            if number.startswith("1.")
            else "a later release of nwb_ophys may read it",
        )


def read(
    path: str | os.PathLike[str] | IO[bytes], *, external_links: ExternalPolicy = "folder"
) -> NWBFile:
    """Read a whole NWB file into memory; the file is closed again.

    Parameters
    ----------
    path, external_links
        As in `open`.

    Raises
    ------
    TooLargeError
        Where the arrays would take more than the available memory; it names the largest ones.
    """
    from nwb_ophys.mapper.eager import check_memory, load_all

    with open(path, external_links=external_links) as lazy:
        source: Source = lazy._binding.session.source  # type: ignore[union-attr]
        image = source.image()
        if image is None:
            assert source.path is not None
            check_memory(source, source.identity.size)  # type: ignore[union-attr]
            image = Path(source.path).read_bytes()
        else:
            check_memory(source, len(image))
        name = source.file
    session = _session(Source(image, name=name, external=external_links))
    for model in session.walk():
        load_all(model)
    return session

"""Open, read and write sessions: the functions of the package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any, Literal

from nwb_ophys.errors import DataError, FileAccessError, NotNWBError, SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.atomic import check_target
from nwb_ophys.hdf5.datasets import Storage
from nwb_ophys.hdf5.nodes import Node, root_of
from nwb_ophys.hdf5.source import ExternalPolicy, Source
from nwb_ophys.mapper.eager import check_memory, load_all
from nwb_ophys.mapper.plan import ExternalLink, make_plan
from nwb_ophys.mapper.saving import save_as
from nwb_ophys.mapper.session import Session
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.file import NWBFile

__all__ = ["link", "open", "read", "write"]


def open(
    path: str | os.PathLike[str] | IO[bytes],
    mode: Literal["r"] = "r",
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
        ``"r"``, to read. Changes are written to a new file, or over this one, with `write`.
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
    if mode != "r":
        raise ValueError(
            f"mode {mode!r} is not supported: open with 'r', change the session, "
            "and write it with nwb_ophys.write(session, path, overwrite=True)"
        )
    if external_links not in ("folder", "all", "none"):
        raise ValueError(f"external_links is 'folder', 'all' or 'none', not {external_links!r}")
    return _session(Source(path, external=external_links))


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
    if isinstance(version, bytes):
        version = version.decode("utf-8", "replace")
    if not isinstance(version, str):
        raise NotNWBError(
            "expected an NWB file, found an HDF5 file without the attribute nwb_version",
            file=root.file,
            path="/",
            field="nwb_version",
        )
    number = version.removeprefix("NWB-")
    if not number.startswith("2"):
        raise NotNWBError(
            f"expected NWB version 2, found {version!r}",
            file=root.file,
            path="/",
            field="nwb_version",
            hint="files of NWB 1.x can be converted with the tools of the time",
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
    compression: str | None = "gzip",
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
    compression
        ``"gzip"`` or None, for new arrays.
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
    storage = Storage(compression=compression, progress=progress)
    target = check_target(path, overwrite=overwrite)
    plan = make_plan(session)
    try:
        save_as(plan, target, storage)
    except OSError as error:
        if isinstance(error, (FileAccessError, DataError)):
            raise
        raise FileAccessError(f"the file cannot be written: {error}", file=path) from error
    return target

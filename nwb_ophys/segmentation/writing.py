"""Write the result of a segmentation into a file that is there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nwb_ophys.authored import Compression
from nwb_ophys.errors import FilePermissionError, SchemaError
from nwb_ophys.reading import open as open_session
from nwb_ophys.segmentation.adding import DEFAULT_NAME, add_segmentation
from nwb_ophys.segmentation.result import Segmentation
from nwb_ophys.writing import explained_failures

__all__ = ["write_segmentation"]


def write_segmentation(
    path: str | os.PathLike[str],
    segmentation: Segmentation,
    *,
    imaging_plane: str | None = None,
    kinds: str | Sequence[str] = ("pixel",),
    module: str = "ophys",
    name: str = DEFAULT_NAME,
    series: str | None = None,
    replace: bool = False,
    compression: Compression = "gzip",
    progress: bool = False,
) -> Path:
    """Write the result of a segmentation into an NWB file, all or nothing.

    Masks go to ``ImageSegmentation/PlaneSegmentation`` of the module ``ophys``, traces to its
    ``Fluorescence``, ``Neuropil``, ``Deconvolved`` and ``DfOverF``, summary images to
    ``Backgrounds_0``: the names by which other readers find them. All is checked, also against the
    movie of the imaging plane, before anything is written.

    Parameters
    ----------
    path
        The file; it has the imaging plane already.
    segmentation
        The result. Where it tells no times, they are those of the movie.
    imaging_plane
        The name of the imaging plane; the only one where None.
    kinds
        How masks are stored: "pixel", "image", "voxel", or several. Masks of volumes are voxels,
        or images.
    module
        The processing module, made where it is not there.
    name
        The name of the table. A second result needs another one.
    series
        The name of the traces in each container. Where None, it is that of the table where that
        was chosen; else "plane0", as suite2p's reader wants it, where there is all that suite2p
        writes (fluorescence, neuropil, deconvolved, accepted, a mean image), with dF/F as
        "RoiResponseSeries"; else "RoiResponseSeries". roiextractors finds the latter only, and
        needs masks stored as images.
    replace
        Whether a table of that name goes, with its traces and images, in exchange for this one.
    compression, progress
        As for `nwb_ophys.write`.

    Returns
    -------
    pathlib.Path
        Where the file lies.

    Raises
    ------
    SchemaError
        Where the result does not fit the file, or a name is taken; the file stays as it was.
    MemberNotFoundError
        Where there is no such imaging plane.
    FilePermissionError, FileAccessError
        Where the file may not be changed, or the disk is full.
    """
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise SchemaError(
            f"expected the path of a file, found {path!r} of type {type(path).__name__}",
            hint="add_segmentation(session, segmentation) puts one into a session",
        )
    _check_writable(path)
    with open_session(path, "r+") as session:
        with explained_failures(path):
            add_segmentation(
                session,
                segmentation,
                imaging_plane=imaging_plane,
                kinds=kinds,
                module=module,
                name=name,
                series=series,
                replace=replace,
            )
        session.save(compression=compression, progress=progress)
    return Path(path).resolve()


def _check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a file that is marked as not to be changed, which a new file in its place would be."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # opening it says what is wrong
    if not (mode & 0o222 and os.access(path, os.W_OK)):
        raise FilePermissionError(
            "the file may not be written to",
            file=path,
            hint="make it writable, or work on a copy",
        )

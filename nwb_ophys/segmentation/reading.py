"""Read the results of segmentations out of files, whoever wrote them."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from nwb_ophys.errors import MemberNotFoundError, NWBError, SchemaError
from nwb_ophys.masks.flat import FlatMasks
from nwb_ophys.masks.stored import StoredMasks, movies_of
from nwb_ophys.masks.tables import responses_of
from nwb_ophys.models.file import NWBFile
from nwb_ophys.models.segmentation import PlaneSegmentation
from nwb_ophys.reading import open as open_session
from nwb_ophys.segmentation import found_images, found_traces
from nwb_ophys.segmentation.checking import reasons_of
from nwb_ophys.segmentation.result import Segmentation
from nwb_ophys.segmentation.writers import Writer, writer_of

__all__ = ["read_segmentation"]

_ACCEPTED = ("accepted", "Accepted", "is_accepted", "iscell", "is_cell", "valid_roi")


def read_segmentation(
    source: str | os.PathLike[str] | NWBFile, name: str | None = None, axes: str = "xy"
) -> Segmentation:
    """Read the result of a segmentation out of an NWB file, into memory.

    Files of suite2p (of one and of several planes, old ones too), CaImAn, neuroconv, AllenSDK and
    this package are recognised, and the order of pixels that each of them has is accounted for;
    ``notes`` of the result says so. Other files are read as NWB says: x is the column.

    Parameters
    ----------
    source
        The file, or an opened session.
    name
        The name or the path of the table; needed where there are several.
    axes
        The order of the axes in which masks and images are wanted: "xy", or "yx" for (row, column).

    Returns
    -------
    Segmentation
        Traces that other writers have besides are in ``traces``, columns in ``columns``.

    Raises
    ------
    MemberNotFoundError
        Where there is no segmentation, or none of that name.
    SchemaError
        Where there are several and none is named, or masks cannot be made sense of.
    """
    opened = nullcontext(source) if isinstance(source, NWBFile) else open_session(source)
    with opened as session:
        table = _chosen(session, name)
        writer = writer_of(table, session)
        try:
            return _read(table, session, writer, axes)
        except ValidationError as error:
            raise SchemaError(
                f"what is stored of the segmentation does not fit together: {reasons_of(error)}",
                **_place(table),
            ) from error


def _place(table: Any) -> dict[str, Any]:
    binding = table._binding
    return {
        "file": None if binding is None else binding.file,
        "path": table.hdf5_path or table.name,
    }


def _chosen(session: Any, name: str | None) -> Any:
    tables = list(session.find(PlaneSegmentation))
    file = session._file
    if name is not None:
        named = [one for one in tables if name in (one.name, one.hdf5_path)]
        if len(named) == 1:
            return named[0]
    paths = ", ".join(one.hdf5_path or one.name for one in tables) or "none"
    if not tables or (name is not None and not named):
        wanted = "segmentation" if name is None else f"segmentation {name!r}"
        raise MemberNotFoundError(f"there is no {wanted}; there is {paths}", file=file)
    main = [one for one in tables if not one.name.startswith("Background")]
    if name is None and len(main) == 1:
        return main[0]
    raise SchemaError(
        f"expected name=, one of the segmentations that there are: {paths}", file=file
    )


@dataclass
class _Found:
    """What is gathered of a result."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cells: Any = None
    """The rows that are cells, where others are components of the background."""


def _read(table: Any, session: Any, writer: Writer, axes: str) -> Segmentation:
    found = _Found(notes=[writer.note] if writer.note else [])
    flat = _masks(table, writer)
    count = len(flat)
    order = "xyz"[: flat.ndim]
    series = list(responses_of(table))
    if table._binding is None:
        series = [
            one
            for module in session.processing.values()
            for one in found_traces.series_in(module)
            if one.rois.table is table
        ]
    if table.id is not None and len(table.id) == count:
        found.values["ids"] = np.asarray(table.id)
    _columns(table, count, found)
    traces = found_traces.gather(series, count, writer.name == "suite2p", found.notes)
    found.values.update(traces.values)
    images = found_images.gather(table, session, writer, flat.ndim, found.notes)
    flat = _with_shape(flat, table, writer, images)
    shape = flat.shape
    planar = shape[:2] if shape is not None else None
    unlike = [n for n, one in images.items() if planar is not None and one.shape[:2] != planar]
    for one in unlike:
        found.notes.append(f"image {one!r} left out: it is {images.pop(one).shape}, not {planar}")
    background = _background(table, session, writer, found, flat, traces, axes)
    result = Segmentation(
        masks=flat,
        axes=order,
        images=images,
        description=table.description or "",
        notes=tuple(found.notes),
        **found.values,
    )
    if found.cells is not None:
        result = result.select(found.cells)
    if background is not None:
        result = result.replace(background=background)
    return result.transposed(axes) if axes != order[: len(axes)] else result


# -- masks -------------------------------------------------------------------------------------


def _masks(table: Any, writer: Writer) -> FlatMasks:
    """Read the masks, with x first."""
    source = StoredMasks(table)
    is_image = source.kind == "image"
    if is_image and writer.scrambled:
        return _unscrambled(np.asarray(source.images()))
    order = (writer.masks if is_image else writer.points) + "z"[: len(source.axes) - 2]
    flat = source.read()
    return replace(flat, axes=order).transposed("xyz"[: flat.ndim])


def _unscrambled(images: Any) -> FlatMasks:
    """Undo what a flattening by columns and a folding by rows did to images of (row, column)."""
    count, *shape = images.shape
    folded = images.reshape(count, *shape[::-1])
    recovered = folded.transpose(0, *range(len(shape), 0, -1))
    order = "yxz"[: len(shape)]
    return FlatMasks.from_dense(recovered, order).transposed("xyz"[: len(shape)])


def _with_shape(flat: FlatMasks, table: Any, writer: Writer, images: dict[str, Any]) -> FlatMasks:
    """Find how large the frames are: of image masks, summary images, or the movie of the plane."""
    if flat.shape is not None:
        return flat
    for shape in _shapes(table, writer, images, flat.ndim):
        if len(shape) == flat.ndim - 1:
            shape = (*shape, max(1, flat.extent[-1]))
        fits = len(shape) == flat.ndim and all(
            have <= size for have, size in zip(flat.extent, shape, strict=True)
        )
        if fits:
            return replace(flat, shape=shape)
    return flat


def _shapes(table: Any, writer: Writer, images: dict[str, Any], ndim: int) -> Any:
    """Iterate over the sizes of frames that are told, x first."""
    image = table.image_mask
    if image is not None and len(image.shape) == ndim + 1:
        yield _turned(tuple(image.shape[1:]), writer.masks)
    movies = [*table.reference_images.values(), *movies_of(table)]
    for series in movies:
        shape = tuple(series.data.shape[1:]) if series.data is not None else ()
        if len(shape) in (2, 3) and all(shape):
            yield shape
    if writer.images != writer.points or writer.name:
        for one in images.values():
            yield tuple(one.shape[: min(ndim, one.ndim)])
    for series in movies:
        if series.dimension is not None:
            told = tuple(int(size) for size in np.asarray(series.dimension))
            if len(told) in (2, 3) and all(told):
                yield _turned(told, writer.points)
    for one in images.values():
        yield tuple(one.shape[: min(ndim, one.ndim)])


def _turned(shape: tuple[int, ...], order: str) -> tuple[int, ...]:
    return shape if order == "xy" else (shape[1], shape[0], *shape[2:])


# -- columns -----------------------------------------------------------------------------------


def _columns(table: Any, count: int, found: _Found) -> None:
    columns: dict[str, Any] = {}
    for name, column in table.columns.items():
        if name in ("pixel_mask", "voxel_mask", "image_mask"):
            continue
        try:
            rows = list(column) if hasattr(column, "offsets") else np.asarray(column.array)
        except NWBError as error:
            found.notes.append(f"column {name!r} left out: {error.message}")
            continue
        if len(rows) != count:
            found.notes.append(f"column {name!r} left out: {len(rows)} rows, not {count}")
            continue
        columns[name] = rows
    for name in _ACCEPTED:
        told = columns.get(name)
        if not isinstance(told, np.ndarray) or told.dtype.kind not in "biuf":
            continue
        if told.ndim == 2 and told.shape[1] == 2:
            found.values["accepted"] = told[:, 0] > 0.5
            columns["probability"] = told[:, 1]
        elif told.ndim == 1:
            found.values["accepted"] = told > 0.5 if told.dtype.kind == "f" else told.astype(bool)
        else:
            continue
        del columns[name]
        break
    pairs = columns.get("iscell")
    if "accepted" in found.values and getattr(pairs, "shape", None) == (count, 2):
        # What we write for suite2p's reader says the same again.
        del columns["iscell"]
    found.values["columns"] = columns


# -- background --------------------------------------------------------------------------------


def _background(
    table: Any,
    session: Any,
    writer: Writer,
    found: _Found,
    flat: FlatMasks,
    traces: found_traces.Traces,
    axes: str,
) -> Segmentation | None:
    """Tell components of the background from cells: CaImAn's rows, or a table of their own."""
    if writer.scrambled and traces.background is not None:
        rows = traces.background_rows
        found.cells = np.setdiff1d(np.arange(len(flat)), rows)
        found.notes.append(f"{len(rows)} rows are components of the background, kept apart")
        times = {name: found.values.get(name) for name in ("rate", "timestamps")}
        return Segmentation(
            masks=flat.take(rows),
            axes=flat.axes,
            fluorescence=traces.background,
            description="Components of the background.",
            **{name: one for name, one in times.items() if one is not None},
        ).transposed(axes)
    path = table.hdf5_path
    if writer.name != "nwb-ophys" or path is None:
        return None
    name = f"Background{table.name}"
    holder = session[path.rpartition("/")[0]]
    other = holder.children.get(name)
    return _read(other, session, writer_of(other, session), axes) if other is not None else None

"""Bring masks, however they are given, to one form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nwb_ophys.errors import SchemaError
from nwb_ophys.masks.basics import Array, weight_dtype, whole_axes
from nwb_ophys.masks.flat import FlatMasks

__all__ = ["ACCEPTED", "parse_masks"]

ACCEPTED = (
    "(roi, x, y) images, an (x, y) image of labels, a sparse (roi, pixel) matrix with shape=, or "
    "a list of (pixel, 3) arrays of x, y and weight"
)


def parse_masks(masks: Any, axes: str = "xy", shape: Any = None) -> FlatMasks:
    """Bring masks to their pixels.

    Parameters
    ----------
    masks
        (roi, x, y) or (roi, x, y, z) images; an (x, y) image of integer labels, 0 where there is
        no ROI; a sparse matrix, (roi, pixel), pixels in C order of ``shape``; a list with
        (pixel, 3) or (pixel, 4) numbers for each ROI, the positions and the weight, or a compound
        array of them; other `Masks`.
    axes
        The order of the spatial axes, and of the numbers of a pixel, and of ``shape``: "xy" or
        "yx" (row, column), with z last; in volumes also any order of the three, such as "zyx".
    shape
        The number of pixels along each axis, where the masks do not tell.

    Raises
    ------
    SchemaError
        Where they are something else, lie outside of the shape, or have weights that are not
        finite.
    """
    shape = None if shape is None else tuple(int(size) for size in shape)
    flat = _parse(masks, axes, shape)
    if shape is not None:
        if len(shape) != flat.ndim:
            raise SchemaError(f"expected a shape of {flat.ndim} axes, found {shape}")
        if flat.shape is not None and flat.shape != shape:
            raise SchemaError(f"expected masks of shape {shape}, found {flat.shape}")
        flat = FlatMasks(flat.axes, flat.coordinates, flat.weights, flat.ends, shape)
    if flat.shape is not None:
        flat.check_within(flat.shape)
    flat.check_finite()
    return flat


def _parse(masks: Any, axes: str, shape: tuple[int, ...] | None) -> FlatMasks:
    view = getattr(masks, "masks", masks)  # of a table, or of a result
    flat = getattr(view, "flat", None)
    if isinstance(flat, FlatMasks):
        return flat.transposed(whole_axes(axes, flat.ndim))
    if isinstance(masks, FlatMasks):
        return masks.transposed(whole_axes(axes, masks.ndim))
    if hasattr(masks, "tocsr"):
        if shape is None:
            raise SchemaError(
                "a sparse matrix of masks needs shape=, the number of pixels per axis"
            )
        return FlatMasks.from_sparse(masks, shape, whole_axes(axes, len(shape)))
    if hasattr(masks, "shape") and hasattr(masks, "dtype"):
        return _from_array(masks, axes)
    if isinstance(masks, Iterable) and not isinstance(masks, (str, bytes)):
        return _from_lists(list(masks), axes, shape)
    raise SchemaError(f"expected {ACCEPTED}, found {masks!r:.80}")


def _from_array(masks: Any, axes: str) -> FlatMasks:
    ndim, dtype = len(masks.shape), np.dtype(masks.dtype)
    if dtype.names is not None or dtype.kind == "O":
        if dtype.kind == "O" and ndim == 1:
            return _from_lists(list(masks), axes, None)
        raise SchemaError(
            f"expected {ACCEPTED}, found one array of {dtype}",
            hint="give a list with the pixels of each ROI",
        )
    if ndim in (3, 4):
        return FlatMasks.from_dense(masks, whole_axes(axes, ndim - 1))
    if ndim == 2 and dtype.kind in "iu":
        return FlatMasks.from_labels(np.asarray(masks), whole_axes(axes, 2))[0]
    hint = "one mask alone is given as mask[None]" if ndim == 2 else None
    raise SchemaError(f"expected {ACCEPTED}, found {dtype} of shape {masks.shape}", hint=hint)


def _from_lists(masks: list[Any], axes: str, shape: tuple[int, ...] | None) -> FlatMasks:
    """Join the pixels of each ROI, which are few calls for each and none for a pixel."""
    rows = [np.asarray(mask) for mask in masks]
    counts = np.array([len(row) if row.size else 0 for row in rows], np.int64)
    filled = [(place, row) for place, row in enumerate(rows) if row.size]
    ends = np.cumsum(counts)
    compounds = [row for row in rows if row.size or row.dtype.names]
    if any(row.dtype.names for row in compounds):
        return _from_compounds(compounds, ends, axes)
    if not filled:
        ndim = len(axes) if shape is None else len(shape)
        nothing = np.empty((0, ndim + 1), np.float32)
        return FlatMasks.from_points(nothing, ends, whole_axes(axes, ndim))
    width: int = filled[0][1].shape[1] if filled[0][1].ndim == 2 else 0
    for place, row in filled:
        if row.ndim != 2 or width not in (3, 4) or row.shape[1] != width:
            after = f" after ROIs of (pixel, {width})" if place > filled[0][0] else ""
            raise SchemaError(
                "expected (pixel, 3) numbers for each ROI, in volumes (pixel, 4), found an array "
                f"of shape {row.shape} for ROI {place}{after}",
                hint="images are given as one array: numpy.stack(masks)",
            )
    points = np.concatenate([row for _, row in filled])
    if not any(isinstance(mask, np.ndarray) for mask in masks):
        # Lists of plain numbers are brought to what the schema asks.
        columns = [*points.T[:-1], points[:, -1].astype(np.float32)]
    else:
        columns = list(points.T)
    ordered = whole_axes(axes, len(columns) - 1)
    compound = np.empty(len(points), [(str(n), c.dtype) for n, c in enumerate(columns)])
    for number, column in enumerate(columns):
        compound[str(number)] = column
    return FlatMasks.from_points(compound, ends, ordered)


def _from_compounds(rows: list[Array], ends: Array, axes: str) -> FlatMasks:
    names = {row.dtype.names for row in rows}
    first = rows[0].dtype.names or ()
    positions = [name for name in first if name in ("x", "y", "z")]
    if len(names) > 1 or "weight" not in first or not {"x", "y"} <= set(first):
        raise SchemaError(
            f"expected pixels with members x, y and weight, found {sorted(map(str, names))}"
        )
    ordered = whole_axes(axes, len(positions))
    dtype = [(axis, np.result_type(*(row.dtype[axis] for row in rows))) for axis in ordered]
    weight = weight_dtype(np.result_type(*(row.dtype["weight"] for row in rows)))
    points = np.empty(int(ends[-1]), [*dtype, ("weight", weight)])
    for name in points.dtype.names or ():
        points[name] = np.concatenate([row[name] for row in rows])
    return FlatMasks.from_points(points, ends, ordered)

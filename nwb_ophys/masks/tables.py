"""Masks and traces of a `PlaneSegmentation`: put them in, find them, take some of the ROIs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from nwb_ophys.errors import NWBError, SchemaError
from nwb_ophys.masks.flat import FlatMasks
from nwb_ophys.masks.parsing import parse_masks
from nwb_ophys.masks.rendered import rendered
from nwb_ophys.masks.stored import KINDS
from nwb_ophys.rows import chosen_rows, take_rows

if TYPE_CHECKING:
    from nwb_ophys.models.responses import RoiResponseSeries
    from nwb_ophys.models.segmentation import PlaneSegmentation

T = TypeVar("T", bound="PlaneSegmentation")

__all__ = ["DESCRIPTIONS", "chosen_kinds", "put_flat", "put_masks", "responses_of", "select_rows"]

DESCRIPTIONS: Final = {
    "pixel": "The pixels of each ROI: x (column), y (row), and the weight.",
    "voxel": "The voxels of each ROI: x (column), y (row), z (plane), and the weight.",
    "image": "An image of the weights of each ROI, x (column) by y (row), 0 outside of it.",
}
"""What is said of masks that we write, by which they are recognised as well."""
_CARRIED: Final = "_responses"
"""Where a table that belongs to no file yet keeps the series that were cut to its ROIs."""


def chosen_kinds(kind: str | Sequence[str] | None, ndim: int) -> tuple[str, ...]:
    """Say how masks of so many axes are to be stored.

    Raises
    ------
    SchemaError
        Where a kind is unknown.
    """
    kinds = (kind,) if isinstance(kind, str) else ("pixel",) if kind is None else tuple(kind)
    if not kinds or set(kinds) - set(KINDS):
        raise SchemaError(
            f"expected kinds of masks among {', '.join(map(repr, KINDS))}, found {kind!r}"
        )
    if ndim == 3:  # pixels of a volume are voxels
        kinds = tuple("voxel" if one == "pixel" else one for one in kinds)
    return tuple(dict.fromkeys(kinds))


def put_masks(
    table: PlaneSegmentation,
    masks: Any,
    kind: str | Sequence[str] | None,
    axes: str,
    shape: Sequence[int] | None,
) -> None:
    """Add masks, however they are given, to a table."""
    flat = parse_masks(masks, axes, shape)
    kinds = chosen_kinds(kind, flat.ndim)
    put_flat(table, flat, kinds)


def put_flat(table: PlaneSegmentation, flat: FlatMasks, kinds: Sequence[str]) -> None:
    """Add masks to a table in some ways; whole columns at once.

    Raises
    ------
    SchemaError
        Where images are wanted and how large they are is not known.
    """
    flat = flat.transposed("xyz"[: flat.ndim])
    if "image" in kinds and flat.shape is None:
        raise SchemaError(
            "images of masks need shape=, the number of pixels per axis", path=table.name
        )
    for kind in kinds:
        if kind == "image":
            table.add_column("image_mask", rendered(flat), DESCRIPTIONS[kind])
        else:
            part = flat.with_depth() if kind == "voxel" else flat
            table.add_column(
                f"{kind}_mask", part.points(), DESCRIPTIONS[kind], index=part.ends.tolist()
            )


def responses_of(table: PlaneSegmentation) -> list[RoiResponseSeries]:
    """Find the series whose ROIs are rows of a table."""
    from nwb_ophys.models.responses import RoiResponseSeries

    binding = table._binding
    if binding is None:  # what `select_rows` left, if it made the table
        return list(table.__dict__.get(_CARRIED, ()))
    found = []
    for module in binding.session.root.processing.values():
        for series in module.find(RoiResponseSeries):
            try:
                if series.rois.table is table:
                    found.append(series)
            except (NWBError, AttributeError):
                continue  # what its ROIs are cannot be told; the session's problems say so
    return found


def select_rows(table: T, rows: Any, name: str) -> T:
    """Make a table of some of the ROIs, and series of their traces."""
    chosen = chosen_rows(table, rows)
    if len(np.unique(chosen)) < len(chosen):
        raise SchemaError("expected each ROI once, found one twice", path=table.name)
    twin = take_rows(table, chosen, name)
    places = np.full(len(table), -1)
    places[chosen] = np.arange(len(chosen))
    carried = [
        series
        for one in responses_of(table)
        if (series := _with_rois(one, twin, places)) is not None
    ]
    twin.__dict__[_CARRIED] = carried
    return twin


def _with_rois(series: RoiResponseSeries, table: Any, places: Any) -> RoiResponseSeries | None:
    """Copy a series with the ROIs that have a place in a table; None where there are none."""
    from nwb_ophys.models.responses import RoiResponseSeriesRois

    rows = places[np.asarray(series.rois.array)]
    kept = np.flatnonzero(rows >= 0)
    if not kept.size:
        return None
    twin = copy.copy(series)
    data = series.data
    stored: Any = data.array
    if len(data.shape) == 2:
        array = stored[:, kept]
    elif len(rows) > 1 and data.shape == rows.shape:
        array = stored[kept]  # one number a ROI, as AllenSDK stores some
    else:
        array = stored
    twin.data = data.model_copy(update={"array": array})
    twin.rois = RoiResponseSeriesRois(
        array=rows[kept], table=table, description=series.rois.description
    )
    return twin

"""The masks of a `PlaneSegmentation` as a source of `Masks`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nwb_ophys.errors import NWBError, SchemaError
from nwb_ophys.masks.flat import FlatMasks

if TYPE_CHECKING:
    from nwb_ophys.models.segmentation import PlaneSegmentation

__all__ = ["KINDS", "StoredMasks", "frame_shape", "plane_shape"]

KINDS = ("pixel", "voxel", "image")
"""How masks may be stored; those that take the least room come first."""


class StoredMasks:
    """The masks that a table holds in one of its columns.

    Parameters
    ----------
    table
        The table.
    kind
        Which of its masks; the first of `KINDS` that there are where None.

    Raises
    ------
    SchemaError
        Where the table has no masks, or none of that kind.
    """

    def __init__(self, table: PlaneSegmentation, kind: str | None = None) -> None:
        self.table = table
        self.kinds = tuple(
            one
            for one in KINDS
            if getattr(getattr(table, f"{one}_mask"), "array", None) is not None
        )
        if kind is None and self.kinds:
            kind = self.kinds[0]
        if kind is None or kind not in self.kinds:
            wanted = "masks" if kind is None else f"{kind} masks"
            raise SchemaError(
                f"there are no {wanted}; there are {', '.join(self.kinds) or 'none at all'}",
                **_place(table),
            )
        self.kind = kind
        self.column: Any = getattr(table, f"{kind}_mask")
        self.index: Any = table._index_of(f"{kind}_mask")
        ndim = len(self.column.shape) - 1 if kind == "image" else 2 if kind == "pixel" else 3
        self.axes = "xyz"[:ndim]

    def __len__(self) -> int:
        return len(self.column if self.index is None else self.index)

    def using(self, kind: str) -> StoredMasks:
        """Give the masks of another column."""
        return StoredMasks(self.table, kind)

    def images(self) -> Any:
        """Give the images that are stored, unread."""
        return self.column.array if self.kind == "image" else None

    def place(self) -> tuple[str | None, str | None]:
        """Say in which file the table is, and where."""
        where = _place(self.table)
        return where["file"], where["path"]

    def find_shape(self) -> tuple[int, ...] | None:
        """Find the number of pixels along each axis."""
        image = self.table.image_mask
        if image is not None and len(image.shape) == len(self.axes) + 1:
            return tuple(image.shape[1:])
        shape = plane_shape(self.table)
        if shape is not None and len(self.axes) == len(shape) + 1:
            # Planes imaged one by one have movies of two axes, and masks of three.
            depth = max(1, self.read().extent[-1])
            return (*shape, depth)
        return shape if shape is not None and len(shape) == len(self.axes) else None

    def read(self, row: int | None = None) -> FlatMasks:
        """Read the pixels of all masks, or of one."""
        try:
            return self._read(row)
        except SchemaError as error:
            raise SchemaError(
                error.message, **_place(self.table), field=self.column.name, hint=error.hint
            ) from error

    def _read(self, row: int | None) -> FlatMasks:
        if self.kind == "image":
            images = self.column.array
            return FlatMasks.from_dense(images if row is None else images[row : row + 1], self.axes)
        if row is None:
            points = np.asarray(self.column.array)
            ends = np.arange(1, len(points) + 1) if self.index is None else np.asarray(self.index)
            return FlatMasks.from_points(points, ends, self.axes)
        data = self.table.column(self.column.name)
        points = np.atleast_1d(
            np.asarray(data[row] if self.index is not None else data[row : row + 1])
        )
        return FlatMasks.from_points(points, [len(points)], self.axes)


def _place(table: Any) -> dict[str, Any]:
    binding = table._binding
    return {
        "file": None if binding is None else binding.file,
        "path": table.hdf5_path or table.name,
    }


def frame_shape(series: Any) -> tuple[int, ...] | None:
    """Say how many pixels the frames of an `ImageSeries` have along each axis; None if untold."""
    data = series.data
    shape = tuple(data.shape[1:]) if data is not None else ()
    if len(shape) in (2, 3) and all(shape):
        return shape
    if series.dimension is None:
        return None
    told = tuple(int(size) for size in np.asarray(series.dimension))
    return told if len(told) in (2, 3) and all(told) else None


def plane_shape(table: PlaneSegmentation) -> tuple[int, ...] | None:
    """Find the size of the frames that the masks of a table lie on; None where nothing tells.

    Reference images tell it first, then the movies of the same imaging plane that were acquired.
    Where they disagree, none of them is believed.
    """
    for candidates in (table.reference_images.values(), movies_of(table)):
        shapes = {shape for series in candidates if (shape := frame_shape(series)) is not None}
        if shapes:
            return shapes.pop() if len(shapes) == 1 else None
    return None


def movies_of(table: PlaneSegmentation) -> Iterator[Any]:
    """Iterate over the acquired movies of the imaging plane of a table."""
    binding = table._binding
    plane = table.imaging_plane
    if binding is None or plane is None:
        return
    for series in binding.session.root.acquisition.values():
        try:
            if getattr(series, "imaging_plane", None) is plane:
                yield series
        except NWBError:
            continue  # a link that leads nowhere, to a movie of another plane for all we know

"""`Masks`: one view of masks, however they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol, overload

import numpy as np

from nwb_ophys.errors import SchemaError
from nwb_ophys.masks import measures, outlines
from nwb_ophys.masks.basics import Array, whole_axes
from nwb_ophys.masks.flat import FlatMasks

__all__ = ["FlatSource", "MaskSource", "Masks"]


class MaskSource(Protocol):
    """Where masks come from; nothing is read before it is asked for."""

    @property
    def kind(self) -> str:
        """How they are stored: "pixel", "voxel" or "image"."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """All the ways in which they are stored."""

    @property
    def axes(self) -> str:
        """The order of the axes."""

    def __len__(self) -> int: ...

    def using(self, kind: str) -> MaskSource:
        """Give the same masks as they are stored in another way."""

    def find_shape(self) -> tuple[int, ...] | None:
        """Find the number of pixels along each axis; None where nothing tells."""

    def read(self, row: int | None = None) -> FlatMasks:
        """Read the pixels of all masks, or of one."""

    def images(self) -> Any:
        """Give the images that are stored, (roi, ...), unread; None where there are none."""

    def place(self) -> tuple[str | None, str | None]:
        """Say in which file and at which path they are, for messages."""


class FlatSource:
    """Masks in memory."""

    def __init__(self, flat: FlatMasks) -> None:
        self.flat = flat
        self.kind = "pixel" if flat.ndim == 2 else "voxel"
        self.kinds = (self.kind,)
        self.axes = flat.axes

    def __len__(self) -> int:
        return len(self.flat)

    def using(self, kind: str) -> FlatSource:
        """Give these; there are no others."""
        if kind != self.kind:
            raise SchemaError(f"there are no {kind} masks; there are {self.kind} masks")
        return self

    def find_shape(self) -> tuple[int, ...] | None:
        """Give the shape that came with them."""
        return self.flat.shape

    def read(self, row: int | None = None) -> FlatMasks:
        """Give all, or one."""
        return self.flat if row is None else self.flat.take([row])

    def images(self) -> None:
        """There are none."""

    def place(self) -> tuple[None, None]:
        """They are in no file."""
        return None, None


class Masks:
    """The masks of ROIs, in one view of whatever is stored; read when they are asked for.

    ``masks[3]`` gives the pixels of a ROI, a compound array with members for the position along
    each axis (``x``, ``y``, in volumes ``z``) and ``weight``; ``masks[2:5]`` and
    ``masks[accepted]`` give `Masks` of some of the ROIs, in memory.

    Parameters
    ----------
    source
        Where they come from.
    axes
        The order of the axes of what is given back; that of the source where None.
    """

    def __init__(self, source: MaskSource, axes: str | None = None) -> None:
        self._source = source
        self._axes = whole_axes(axes, len(source.axes)) if axes is not None else source.axes

    @classmethod
    def of(cls, flat: FlatMasks) -> Masks:
        """Make a view of masks in memory."""
        return cls(FlatSource(flat))

    @property
    def kind(self) -> str:
        """Which of the stored masks are read: "pixel", "voxel" or "image"."""
        return self._source.kind

    @property
    def kinds(self) -> tuple[str, ...]:
        """How the masks are stored, in one way or in several."""
        return self._source.kinds

    @property
    def axes(self) -> str:
        """The order of the axes: "xy" (as NWB has it), "yx" (row, column), "xyz", ..."""
        return self._axes

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self._axes)

    def using(self, kind: str) -> Masks:
        """Give the same masks as they are stored in another way.

        Raises
        ------
        SchemaError
            Where they are not stored so.
        """
        return Masks(self._source.using(kind), self._axes)

    def transposed(self, axes: str) -> Masks:
        """Give the same masks with their axes in another order, such as "yx"."""
        return Masks(self._source, axes)

    @cached_property
    def shape(self) -> tuple[int, ...] | None:
        """The number of pixels along each axis.

        It is told by the images of the masks, else by the movies that are linked as reference
        images, else by those of the imaging plane; None where nothing tells.
        """
        shape = self._source.find_shape()
        return None if shape is None else self._ordered(shape)

    def _ordered(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(shape[self._source.axes.index(axis)] for axis in self._axes)

    @cached_property
    def flat(self) -> FlatMasks:
        """The pixels of all masks, one after the other."""
        return self._source.read().transposed(self._axes)

    def __len__(self) -> int:
        return len(self._source)

    @overload
    def __getitem__(self, index: int) -> Array: ...
    @overload
    def __getitem__(self, index: Any) -> Masks: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            row = range(len(self))[index]
            if "flat" in self.__dict__:
                bounds = self.flat.bounds
                part = slice(bounds[row], bounds[row + 1])
                coordinates = tuple(positions[part] for positions in self.flat.coordinates)
                one = FlatMasks(
                    self._axes,
                    coordinates,
                    self.flat.weights[part],
                    np.array([len(coordinates[0])]),
                )
                return one.points()
            return self._source.read(row).transposed(self._axes).points()
        return Masks.of(self._with_shape().take(index))

    def _with_shape(self) -> FlatMasks:
        return self.flat if self.shape is None else replace(self.flat, shape=self.shape)

    def __iter__(self) -> Iterator[Array]:
        return iter(self.flat.rows())

    def __repr__(self) -> str:
        stored = ", ".join(self.kinds)
        return f"<Masks of {len(self)} ROIs, axes {self._axes}: {stored}>"

    # -- other forms ---------------------------------------------------------------------------

    def _shape(self, shape: Any) -> tuple[int, ...]:
        if shape is not None:
            given = tuple(int(size) for size in shape)
            if len(given) != self.ndim:
                raise SchemaError(f"expected a shape of {self.ndim} axes, found {given}")
            return given
        if self.shape is None:
            raise SchemaError(
                "how many pixels the images have is told nowhere",
                hint=f"give shape=({', '.join(_SIZES[axis] for axis in self._axes)}); the masks "
                f"reach up to {self.flat.extent}",
            )
        return self.shape

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say where the masks are that do not fit."""
        try:
            yield
        except SchemaError as error:
            if error.path is None:
                error.file, error.path = self._source.place()
            raise

    def to_dense(self, shape: Any = None, *, dtype: Any = None) -> Array:
        """Make images, (roi, x, y) or (roi, x, y, z), 0 outside of the masks.

        Weights of a pixel that is listed twice add up.

        Parameters
        ----------
        shape
            The number of pixels along each axis; where None, `shape`.
        dtype
            The type of the weights; as they are stored where None.

        Raises
        ------
        SchemaError
            Where the number of pixels is not known, or a mask reaches beyond it.
        """
        images = self._source.images()
        if images is not None:
            order = [1 + self._source.axes.index(axis) for axis in self._axes]
            stored = self._ordered(tuple(images.shape[1:]))
            if shape is None or tuple(shape) == stored:
                dense = np.asarray(images).transpose(0, *order)
                return np.ascontiguousarray(dense if dtype is None else dense.astype(dtype))
        with self._told():
            return self.flat.to_dense(self._shape(shape), dtype)

    def to_image(self, shape: Any = None) -> Array:
        """Make what an ``image_mask`` holds; the same as `to_dense`."""
        return self.to_dense(shape)

    def to_sparse(self, shape: Any = None) -> Any:
        """Make a CSR matrix of scipy, (roi, pixel), pixels in C order of the shape.

        ``masks.to_sparse() @ frame.ravel()`` sums a frame, (x, y), under each mask.

        Parameters
        ----------
        shape
            The number of pixels along each axis; where None, `shape`.

        Raises
        ------
        SchemaError
            Where the number of pixels is not known, or a mask reaches beyond it.
        """
        with self._told():
            return self.flat.to_sparse(self._shape(shape))

    def to_pixel(self) -> list[Array]:
        """Make what a ``pixel_mask`` holds: for each ROI a compound of x, y and weight.

        Raises
        ------
        SchemaError
            Where the masks are those of a volume.
        """
        return self.flat.without_depth().rows()

    def to_voxel(self) -> list[Array]:
        """Make what a ``voxel_mask`` holds: for each ROI a compound of x, y, z and weight.

        z is 0 where the masks are those of a plane.
        """
        return self.flat.with_depth().rows()

    # -- measures ------------------------------------------------------------------------------

    def areas(self) -> Array:
        """(roi,), the number of pixels whose weight is not 0."""
        return measures.areas(self.flat)

    def centroids(self, *, weighted: bool = True) -> Array:
        """(roi, axis), the mean position of each mask, in the order of `axes`; NaN where empty.

        Parameters
        ----------
        weighted
            Whether pixels count by their weights, or all the same.
        """
        return measures.centroids(self.flat, weighted=weighted)

    def bounding_boxes(self) -> Array:
        """(roi, axis, 2), the first position along each axis and the one after the last."""
        return measures.bounding_boxes(self.flat)

    def contours(self, threshold: float = 0.0) -> list[list[Array]]:
        """Give the closed outlines of each mask along the edges of its pixels, holes included.

        Parameters
        ----------
        threshold
            Which pixels are inside: those whose weight is above this part of the largest one.

        Returns
        -------
        list of list of numpy.ndarray
            For each ROI its outlines, (corner, axis), closed. Pixel 0 reaches from -0.5 to 0.5.
            Masks of volumes are projected along z.
        """
        return outlines.contours(self.flat, threshold)

    def overlaps(self) -> Any:
        """Make a CSR matrix of scipy, (roi, roi): how many pixels two masks have in common."""
        return measures.overlaps(self.flat)


_SIZES = {"x": "width", "y": "height", "z": "depth"}

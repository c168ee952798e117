"""`FlatMasks`: the pixels of all masks one after the other, and exact ways to other forms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nwb_ophys.errors import SchemaError
from nwb_ophys.masks.basics import Array, import_sparse, positions_of, weight_dtype, whole_axes
from nwb_ophys.ragged import gathered

__all__ = ["Array", "FlatMasks"]

_BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class FlatMasks:
    """The pixels of several masks, those of one ROI after those of the other.

    Parameters
    ----------
    axes
        What each coordinate is: "xy", "yx", "xyz", ...
    coordinates
        One array of positions, (pixel,), for each of the axes.
    weights
        (pixel,), floating numbers.
    ends
        (roi,), where the pixels of each ROI end.
    shape
        The number of pixels along each axis, where it is known.
    """

    axes: str
    coordinates: tuple[Array, ...]
    weights: Array
    ends: Array
    shape: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def ndim(self) -> int:
        """The number of spatial axes."""
        return len(self.axes)

    @property
    def bounds(self) -> Array:
        """The bounds of the ROIs: the pixels of ROI ``i`` are ``bounds[i]:bounds[i + 1]``."""
        return np.concatenate([np.zeros(1, np.int64), self.ends.astype(np.int64, copy=False)])

    @property
    def counts(self) -> Array:
        """(roi,), the number of pixels that are listed for each ROI."""
        return np.diff(self.bounds)

    @property
    def owners(self) -> Array:
        """(pixel,), the ROI that each pixel is of."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def point_dtype(self) -> np.dtype[Any]:
        """The compound type of a pixel: a position for each axis, and ``weight``."""
        positions = [(axis, np.dtype(np.uint32)) for axis in self.axes]
        return np.dtype([*positions, ("weight", self.weights.dtype)])

    # -- making --------------------------------------------------------------------------------

    @classmethod
    def from_points(
        cls, points: Array, ends: Any, axes: str, shape: tuple[int, ...] | None = None
    ) -> FlatMasks:
        """Make them of pixels as a compound array, or as rows of plain numbers.

        Parameters
        ----------
        points
            (pixel,), compound with a member for each axis, and ``weight``; or (pixel, axis + 1).
        ends
            (roi,), where the pixels of each ROI end.
        axes
            What the members or columns are.
        """
        if points.dtype.names is not None:
            names = points.dtype.names
            by_name = set(axes) <= set(names) and "weight" in names
            wanted = (*axes, "weight") if by_name else names
            columns = [points[name] for name in wanted]
        else:
            columns = list(points.T) if points.ndim == 2 else [points] * (len(axes) + 1)
        if len(columns) != len(axes) + 1:
            raise SchemaError(
                f"expected pixels of {', '.join(axes)} and weight, found {len(columns)} numbers "
                "for each"
            )
        weights = columns[-1].astype(weight_dtype(columns[-1].dtype), copy=False)
        ends = np.minimum(np.asarray(ends, np.int64), len(weights))
        if np.any(np.diff(ends, prepend=0) < 0):
            raise SchemaError("expected end offsets that never decrease")
        coordinates = tuple(
            positions_of(column, axis) for column, axis in zip(columns[:-1], axes, strict=True)
        )
        return cls(axes, coordinates, weights, ends, shape)

    @classmethod
    def from_dense(cls, masks: Any, axes: str) -> FlatMasks:
        """Make them of one image a ROI, (roi, ...); what is not 0 belongs to the mask.

        The images may be in a file; they are read in blocks.
        """
        shape = tuple(int(size) for size in masks.shape[1:])
        dtype = weight_dtype(np.dtype(masks.dtype))
        step = max(1, _BLOCK_BYTES // max(1, math.prod(shape) * np.dtype(masks.dtype).itemsize))
        found: list[tuple[Array, ...]] = []
        counts: list[Array] = [np.zeros(0, np.int64)]
        for first in range(0, masks.shape[0], step):
            block = np.asarray(masks[first : first + step])
            owners, *positions = np.nonzero(block)
            weights = block[(owners, *positions)].astype(dtype)
            counts.append(np.bincount(owners, minlength=len(block)))
            found.append((*(axis.astype(np.uint32) for axis in positions), weights))
        empty = (*(np.zeros(0, np.uint32) for _ in shape), np.zeros(0, dtype))
        columns = [np.concatenate(parts) for parts in zip(empty, *found, strict=True)]
        ends = np.cumsum(np.concatenate(counts))
        return cls(axes, tuple(columns[:-1]), columns[-1], ends, shape)

    @classmethod
    def from_labels(cls, labels: Array, axes: str) -> tuple[FlatMasks, Array]:
        """Make them of an image of labels, 0 where there is no ROI; also give the labels.

        ROIs come in the order of their labels, each pixel with weight 1.
        """
        if labels.dtype.kind not in "biu":
            raise SchemaError(f"expected labels, whole numbers, found {labels.dtype}")
        flat = labels.ravel()
        if labels.dtype.kind == "i" and flat.size and flat.min() < 0:
            raise SchemaError(f"expected labels from 0, found {flat.min()}")
        places = np.flatnonzero(flat)
        values = flat[places]
        order = np.argsort(values, kind="stable")
        names, counts = np.unique(values, return_counts=True)
        positions = np.unravel_index(places[order], labels.shape)
        coordinates = tuple(axis.astype(np.uint32) for axis in positions)
        weights = np.ones(len(places), np.float32)
        return cls(axes, coordinates, weights, np.cumsum(counts), labels.shape), names

    @classmethod
    def from_sparse(cls, matrix: Any, shape: tuple[int, ...], axes: str) -> FlatMasks:
        """Make them of a sparse matrix, (roi, pixel), pixels in C order of ``shape``.

        Entries keep their order within a row, and those that are 0 are kept too.
        """
        if matrix.shape[1] != math.prod(shape):
            raise SchemaError(
                f"expected {math.prod(shape)} columns, one for each pixel of {shape}, found "
                f"{matrix.shape[1]}"
            )
        rows = matrix.tocsr()
        positions = np.unravel_index(rows.indices.astype(np.int64), shape)
        coordinates = tuple(axis.astype(np.uint32) for axis in positions)
        weights = rows.data.astype(weight_dtype(rows.data.dtype))
        return cls(axes, coordinates, weights, rows.indptr[1:].astype(np.int64), shape)

    @classmethod
    def join(cls, parts: Sequence[FlatMasks]) -> FlatMasks:
        """Put the masks of several, all of the same axes, one after the other."""
        first = parts[0]
        offsets = np.cumsum([0, *(len(part.weights) for part in parts[:-1])])
        return replace(
            first,
            coordinates=tuple(
                np.concatenate(columns)
                for columns in zip(*(part.coordinates for part in parts), strict=True)
            ),
            weights=np.concatenate([part.weights for part in parts]),
            ends=np.concatenate(
                [part.ends + offset for part, offset in zip(parts, offsets, strict=True)]
            ),
        )

    # -- changing ------------------------------------------------------------------------------

    def transposed(self, axes: str) -> FlatMasks:
        """Put the axes into another order."""
        axes = whole_axes(axes, self.ndim)
        if axes == self.axes:
            return self
        order = [self.axes.index(axis) for axis in axes]
        shape = None if self.shape is None else tuple(self.shape[one] for one in order)
        return replace(
            self,
            axes=axes,
            coordinates=tuple(self.coordinates[one] for one in order),
            shape=shape,
        )

    def take(self, rows: Any) -> FlatMasks:
        """Take some of the ROIs: a slice, a mask, or positions."""
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        places, ends = gathered(self.bounds, chosen)
        return replace(
            self,
            coordinates=tuple(column[places] for column in self.coordinates),
            weights=self.weights[places],
            ends=ends,
        )

    def shaped(self, shape: tuple[int, ...]) -> FlatMasks:
        """Say how many pixels there are along each axis.

        Raises
        ------
        SchemaError
            Where a mask reaches beyond that.
        """
        self.check_within(shape)
        return replace(self, shape=shape)

    def with_depth(self) -> FlatMasks:
        """Add z, 0 everywhere, to masks of two axes."""
        if self.ndim == 3:
            return self
        depth = np.zeros(len(self.weights), np.uint32)
        shape = None if self.shape is None else (*self.shape, 1)
        return replace(
            self, axes=self.axes + "z", coordinates=(*self.coordinates, depth), shape=shape
        )

    def without_depth(self) -> FlatMasks:
        """Leave out z where it is 0 everywhere.

        Raises
        ------
        SchemaError
            Where there are pixels at another depth.
        """
        if self.ndim == 2:
            return self
        place = self.axes.index("z")
        depth = self.coordinates[place]
        if depth.any() or (self.shape is not None and self.shape[place] > 1):
            raise SchemaError(
                "masks of volumes cannot be pixels of a plane", hint="use voxels or images"
            )
        shape = self.shape
        return replace(
            self,
            axes=self.axes.replace("z", ""),
            coordinates=self.coordinates[:place] + self.coordinates[place + 1 :],
            shape=None if shape is None else shape[:place] + shape[place + 1 :],
        )

    def summed(self) -> FlatMasks:
        """Join pixels that are listed twice for a ROI, and leave out those whose weight is 0."""
        shape = self.extent
        size = math.prod(shape)
        keys = self.owners * size + self.raveled(shape)
        unique, places = np.unique(keys, return_inverse=True)
        weights = self.weights
        if len(unique) < len(keys):
            weights = np.bincount(places.ravel(), weights, len(unique)).astype(weights.dtype)
        else:
            weights = np.empty_like(weights)
            weights[places.ravel()] = self.weights
        keep = weights != 0
        unique, weights = unique[keep], weights[keep]
        owners, pixels = np.divmod(unique, max(1, size))
        counts = np.bincount(owners, minlength=len(self))[: len(self)]
        positions = np.unravel_index(pixels, shape) if size else self.coordinates
        return replace(
            self,
            coordinates=tuple(np.asarray(axis, np.uint32) for axis in positions),
            weights=weights,
            ends=np.cumsum(counts),
        )

    # -- other forms ---------------------------------------------------------------------------

    @property
    def extent(self) -> tuple[int, ...]:
        """The smallest shape that all pixels lie within."""
        return tuple(int(axis.max()) + 1 if len(axis) else 0 for axis in self.coordinates)

    def check_within(self, shape: tuple[int, ...]) -> None:
        """Refuse pixels that lie outside of a shape.

        Raises
        ------
        SchemaError
            Naming the first ROI that has one.
        """
        for axis, positions, size in zip(self.axes, self.coordinates, shape, strict=True):
            outside = np.flatnonzero(positions >= size)
            if outside.size:
                place = int(outside[0])
                turned = len(shape) == 2 and all(
                    have <= size for have, size in zip(self.extent, shape[::-1], strict=True)
                )
                raise SchemaError(
                    f"expected pixels within {self.axes} of {shape}, found {axis} = "
                    f"{int(positions[place])} in ROI {int(self.owners[place])}",
                    hint=f"they do fit into {shape[::-1]}: are the axes exchanged?"
                    if turned
                    else None,
                )

    def check_finite(self) -> None:
        """Refuse weights that are NaN or infinite.

        Raises
        ------
        SchemaError
            Naming the first ROI that has one.
        """
        wrong = np.flatnonzero(~np.isfinite(self.weights))
        if wrong.size:
            rois = np.unique(self.owners[wrong])
            raise SchemaError(
                f"expected finite weights, found {self.weights[wrong[0]]} in ROI {int(rois[0])}"
                + (f" and others in {len(rois) - 1} more ROIs" if len(rois) > 1 else "")
            )

    def raveled(self, shape: tuple[int, ...]) -> Array:
        """(pixel,), the place of each pixel in an image of a shape, counted in C order."""
        places = np.zeros(len(self.weights), np.int64)
        for positions, size in zip(self.coordinates, shape, strict=True):
            places *= size
            places += positions
        return places

    def points(self) -> Array:
        """(pixel,), all pixels as one compound array."""
        result = np.empty(len(self.weights), self.point_dtype)
        for axis, positions in zip(self.axes, self.coordinates, strict=True):
            result[axis] = positions
        result["weight"] = self.weights
        return result

    def rows(self) -> list[Array]:
        """Give the pixels of each ROI, a compound array."""
        bounds = self.bounds[1:-1]
        return np.split(self.points(), bounds) if len(self) else []

    def __iter__(self) -> Iterator[Array]:
        return iter(self.rows())

    def to_dense(self, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """Make one image a ROI, (roi, *shape); weights of a pixel that is listed twice add up."""
        self.check_within(shape)
        result = np.zeros((len(self), *shape), dtype or self.weights.dtype)
        places = self.owners * math.prod(shape) + self.raveled(shape)
        np.add.at(result.reshape(-1), places, self.weights.astype(result.dtype, copy=False))
        return result

    def to_sparse(self, shape: tuple[int, ...]) -> Any:
        """Make a CSR matrix, (roi, pixel), pixels in C order of the shape.

        Entries keep their order; those of a pixel that is listed twice add up in arithmetic.
        """
        self.check_within(shape)
        sparse = import_sparse()
        size = math.prod(shape)
        small = max(size, len(self.weights)) <= np.iinfo(np.int32).max
        index = np.dtype(np.int32 if small else np.int64)
        return sparse.csr_matrix(
            (self.weights, self.raveled(shape).astype(index), self.bounds.astype(index)),
            shape=(len(self), size),
            copy=True,
        )

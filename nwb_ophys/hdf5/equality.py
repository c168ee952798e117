"""Compare arrays by what they mean, in memory that does not grow with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from h5py import h5d

from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.stored import read_stored, stored_chunks
from nwb_ophys.hdf5.values import Pointer, RegionPointer, holds_pointers

__all__ = ["Same", "Tally", "compare_arrays", "compare_stored", "same_arrays", "same_chunks"]

Same = Callable[[Any, Any], bool]
"""Tells whether two references, `Pointer` or `RegionPointer`, lead to the same."""

Box = tuple[slice, ...]

_BLOCK_BYTES: Final = 1 << 24
_OBJECT_BYTES: Final = 1 << 9  # guessed size of a text or of a ragged row


@dataclass
class Tally:
    """How many elements differ, and where the first of them is.

    Parameters
    ----------
    count
        The number of elements that differ.
    first
        The index of the first one, in the order of the array.
    a, b
        The two elements there.
    """

    count: int = 0
    first: tuple[int, ...] | None = None
    a: Any = None
    b: Any = None

    def add(self, start: tuple[int, ...], a: Any, b: Any, same: Same) -> None:
        """Compare two blocks of one shape that begin at an index, and count."""
        equal = _equal(a, b, same)
        if equal.all():
            return
        self.count += equal.size - int(np.count_nonzero(equal))
        inside = tuple(int(i) for i in np.unravel_index(int(np.argmin(equal)), equal.shape))
        index = tuple(i + j for i, j in zip(start, inside, strict=True))
        if self.first is None or index < self.first:
            self.first, self.a, self.b = index, a[inside], b[inside]


def compare_arrays(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], same: Same) -> Tally:
    """Compare two arrays of one shape in memory."""
    tally = Tally()
    if a.size:
        tally.add((0,) * a.ndim, a, b, same)
    return tally


def same_arrays(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Tell whether two arrays in memory have one dtype, one shape and equal elements."""
    same = a.dtype == b.dtype and a.shape == b.shape
    return same and bool(_equal(a, b, lambda one, other: bool(one == other)).all())


def same_chunks(a: h5d.DatasetID, b: h5d.DatasetID) -> bool:
    """Tell whether the same chunks are stored in two datasets, which need not decode for that."""
    kind = a.get_type()
    plists = a.get_create_plist(), b.get_create_plist()
    if (
        a.shape != b.shape
        or not kind.equal(b.get_type())
        or holds_pointers(kind)  # places in one file are not those in another
        or any(plist.get_layout() != h5d.CHUNKED for plist in plists)
        or plists[0].get_chunk() != plists[1].get_chunk()
    ):
        return False
    filters = [[one.get_filter(i) for i in range(one.get_nfilters())] for one in plists]
    starts = stored_chunks(a)
    return (
        filters[0] == filters[1]
        and sorted(starts) == sorted(stored_chunks(b))
        and all(read_stored(a, one) == read_stored(b, one) for one in starts)
    )


def compare_stored(a: LazyArray, b: LazyArray, same: Same) -> Tally:
    """Compare two stored arrays of one shape, block by block.

    Where both have stored only a few of their chunks, the others are not visited: all of their
    elements are the fill value.
    """
    tally = Tally()
    sparse = _sparse(a, b)
    if sparse is None:
        for box in _blocks(a.shape, a.chunks, _itemsize(a)):
            _add(tally, box, a, b, same)
        return tally
    left = a.size
    for start in sorted(sparse.starts):
        box = _box(start, sparse.cell, a.shape)
        left -= math.prod(part.stop - part.start for part in box)
        _add(tally, box, a, b, same)
    if left:
        _add_rest(tally, left, sparse, a, b, same)
    return tally


def _add(tally: Tally, box: Box, a: LazyArray, b: LazyArray, same: Same) -> None:
    index = (*box, Ellipsis)
    tally.add(tuple(part.start for part in box), a[index], b[index], same)


def _add_rest(
    tally: Tally, left: int, sparse: _Sparse, a: LazyArray, b: LazyArray, same: Same
) -> None:
    """Compare the elements that neither file has stored, by one of them."""
    start = next(start for start in _starts(a.shape, sparse.cell) if start not in sparse.starts)
    differing = tally.count
    _add(tally, tuple(slice(i, i + 1) for i in start), a, b, same)
    if tally.count > differing:
        tally.count += left - 1


class _Sparse(NamedTuple):
    """Which parts of an array are stored at all."""

    cell: tuple[int, ...]  # the shape of each part
    starts: set[tuple[int, ...]]  # where those that are stored begin


def _sparse(a: LazyArray, b: LazyArray) -> _Sparse | None:
    """Find the parts that either file has stored; None where those are many."""
    cells = {one.chunks for one in (a, b)} - {None}
    if not a.size or len(cells) > 1:
        return None
    cell = next(iter(cells), None) or (1,) * a.ndim
    if len(cell) != a.ndim:
        return None
    total = math.prod(-(-size // step) for size, step in zip(a.shape, cell, strict=True))
    starts: set[tuple[int, ...]] = set()
    for one in (a, b):
        with one.handle.lock:
            stored = _stored_starts(one.handle.dataset(), total // 4)
        if stored is None:
            return None
        starts.update(stored)
    return _Sparse(cell, starts)


def _stored_starts(dataset: h5d.DatasetID, limit: int) -> list[tuple[int, ...]] | None:
    """List where the stored chunks begin; None for other storage, or more than the limit."""
    plist = dataset.get_create_plist()
    if plist.get_layout() != h5d.CHUNKED:
        is_empty = plist.get_layout() == h5d.CONTIGUOUS and not plist.get_external_count()
        unwritten = dataset.get_space_status() == h5d.SPACE_STATUS_NOT_ALLOCATED
        return [] if is_empty and unwritten else None
    return None if dataset.get_num_chunks() > limit else stored_chunks(dataset)


def _box(start: tuple[int, ...], cell: tuple[int, ...], shape: tuple[int, ...]) -> Box:
    return tuple(
        slice(i, min(i + step, size)) for i, step, size in zip(start, cell, shape, strict=True)
    )


def _itemsize(array: LazyArray) -> int:
    return _OBJECT_BYTES if array.dtype.hasobject else max(1, array.dtype.itemsize)


def _blocks(shape: tuple[int, ...], chunks: tuple[int, ...] | None, itemsize: int) -> Iterator[Box]:
    """Cut an array into blocks of whole chunks, as long along the last axes as they may be."""
    cell = list(chunks) if chunks and len(chunks) == len(shape) else [1] * len(shape)
    room = max(1, _BLOCK_BYTES // itemsize)
    for axis in reversed(range(len(shape))):
        times = max(1, room // math.prod(cell))
        cell[axis] = min(cell[axis] * times, max(1, shape[axis]))
    return (_box(start, tuple(cell), shape) for start in _starts(shape, cell))


def _starts(shape: Sequence[int], cell: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield where the cells of a grid begin; `itertools.product` would hold all of an axis."""
    if not shape:
        yield ()
        return
    for first in range(0, shape[0], cell[0]):
        for rest in _starts(shape[1:], cell[1:]):
            yield first, *rest


# -- elements ----------------------------------------------------------------------------------


def _equal(a: Any, b: Any, same: Same) -> np.ndarray[Any, Any]:
    """Tell for each pair of elements whether they are equal; NaN equals NaN."""
    if a.dtype.names is not None:
        equal = np.ones(a.shape, bool)
        for name in a.dtype.names:
            members = _equal(a[name], b[name], same)
            equal &= members.all(axis=tuple(range(a.ndim, members.ndim)))
        return equal
    if a.dtype.kind == "O":
        pairs = zip(a.ravel(), b.ravel(), strict=True)
        alike = (_alike(one, other, same) for one, other in pairs)
        return np.fromiter(alike, bool, a.size).reshape(a.shape)
    result: np.ndarray[Any, Any] = np.asarray(a == b)
    if a.dtype.kind in "fcmM":
        result = result | ((a != a) & (b != b))
    elif {a.dtype.kind, b.dtype.kind} == {"i", "u"}:
        # Where no integer type holds both, older releases of numpy compare them as floats.
        result = result & ((a < 0) == (b < 0)) & (a.astype(np.uint64) == b.astype(np.uint64))
    return result


def _alike(a: Any, b: Any, same: Same) -> bool:
    if isinstance(a, (Pointer, RegionPointer)):
        return same(a, b)
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and bool(_equal(a, b, same).all())
    return bool(a == b)

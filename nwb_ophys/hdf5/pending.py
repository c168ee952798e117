"""`Pending`: changes to a stored array that are not in the file yet: rows assigned, rows appended.

Pure arithmetic on rows, the positions along the first axis; what is in the file it is given.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from .boxes import Block
from .selection import Plan

__all__ = ["Pending", "conformed"]

Array = np.ndarray[Any, Any]
Read = Callable[[int, int], Array]
"""Reads the rows from one to before another, as they are now."""

LIMIT: Final = 1 << 26
"""The bytes of pending rows, of all arrays together, that are held in memory; others on disk."""
_RUN_BYTES: Final = 1 << 23  # most to read at once of what is assigned to
_GAP_BYTES: Final = 1 << 16  # rows that lie closer than this are read as one run

_held = 0


class Rows(NamedTuple):
    """Rows that follow one another, from `start`."""

    start: int
    values: Array

    @property
    def stop(self) -> int:
        """The row after the last."""
        return self.start + len(self.values)


class Pending:
    """The changed rows of one array.

    Parameters
    ----------
    shape
        The shape of the array in the file.
    dtype
        Its type as it is read.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.stored_rows = shape[0]
        self.shape = shape
        self.dtype = dtype
        self._parts: list[Rows] = []
        self._memory = 0

    def __del__(self) -> None:
        _count(-getattr(self, "_memory", 0))

    @property
    def grows(self) -> bool:
        """Whether rows were appended."""
        return self.shape[0] > self.stored_rows

    @property
    def parts(self) -> list[Rows]:
        """The changed rows, in order, none of them twice."""
        return list(self._parts)

    # -- changing ------------------------------------------------------------------------------

    def append(self, block: Array) -> None:
        """Append rows."""
        if not len(block):
            return
        self._parts.append(Rows(self.shape[0], self._kept(block)))
        self.shape = (self.shape[0] + len(block), *self.shape[1:])

    def assign(self, index: Any, value: Any, read: Read) -> None:
        """Do what ``array[index] = value`` does in numpy.

        Raises
        ------
        IndexError, ValueError
            As numpy raises them.
        """
        # A view without data finds out what the index selects.
        selected = np.broadcast_to(np.empty((), np.bool_), self.shape)[index].shape
        values = conformed(value, self.dtype)
        while values.ndim > len(selected) and values.shape[0] == 1:
            values = values.reshape(values.shape[1:])
        values = np.broadcast_to(values, selected)
        items = index if isinstance(index, tuple) else (index,)
        if all(map(_is_basic, items)):
            parts = self._assign_basic(items, values, read)
        else:
            parts = self._assign_positions(index, values, read)
        done = list(parts)  # nothing is kept of what cannot be done to its end
        for start, rows in done:
            self._put(start, rows)

    def _assign_basic(
        self, items: tuple[Any, ...], values: Array, read: Read
    ) -> Iterator[tuple[int, Array]]:
        named = [one for one in items if one is not None and one is not Ellipsis]
        filled: list[Any] = []
        for one in items:
            if one is Ellipsis:
                filled += [slice(None)] * (len(self.shape) - len(named))
            else:
                filled.append(one)
        if not any(one is Ellipsis for one in items):
            filled += [slice(None)] * (len(self.shape) - len(named))
        axis = next(i for i, one in enumerate(filled) if one is not None)
        first = filled[axis]
        whole = all(isinstance(one, slice) and one == slice(None) for one in filled[axis + 1 :])
        if not isinstance(first, slice):
            row = int(first) % self.shape[0]
            rows = np.array(read(row, row + 1))
            # Of a single object, numpy would keep the array around it.
            rows[(*filled[:axis], 0, *filled[axis + 1 :])] = values if values.ndim else values[()]
            yield row, rows
            return
        chosen = range(*first.indices(self.shape[0]))
        for start, stop in _runs(np.asarray(chosen), *self._steps()):
            low, high = min(chosen[start], chosen[stop - 1]), max(chosen[start], chosen[stop - 1])
            fresh = whole and abs(chosen.step) == 1
            shape = (high + 1 - low, *self.shape[1:])
            rows = np.empty(shape, self.dtype) if fresh else np.array(read(low, high + 1))
            local = slice(chosen[start] - low, None, chosen.step)
            part = (*(slice(None) for _ in range(axis)), slice(start, stop))
            rows[(*filled[:axis], local, *filled[axis + 1 :])] = values[part]
            yield low, rows

    def _assign_positions(
        self, index: Any, values: Array, read: Read
    ) -> Iterator[tuple[int, Array]]:
        places = []
        for axis, length in enumerate(self.shape):
            along = np.arange(length).reshape(-1, *(1 for _ in self.shape[axis + 1 :]))
            places.append(np.broadcast_to(along, self.shape)[index].reshape(-1))
        flat = values.reshape(-1)
        touched = np.unique(places[0])
        for start, stop in _runs(touched, *self._steps()):
            low, high = int(touched[start]), int(touched[stop - 1])
            here = (places[0] >= low) & (places[0] <= high)
            rows = np.array(read(low, high + 1))
            rows[(places[0][here] - low, *(one[here] for one in places[1:]))] = flat[here]
            yield low, rows

    def _steps(self) -> tuple[int, int]:
        row = max(1, math.prod(self.shape[1:]) * self.dtype.itemsize)
        return max(1, _GAP_BYTES // row), max(1, _RUN_BYTES // row)

    def _put(self, start: int, values: Array) -> None:
        """Keep rows in the place of what is kept of the same ones."""
        if not len(values):
            return
        stop = start + len(values)
        first = bisect.bisect_right(self._parts, start, key=lambda one: one.stop)
        last = bisect.bisect_left(self._parts, stop, key=lambda one: one.start)
        new = [Rows(start, self._kept(values, copy=False))]
        if first < last:
            before, after = self._parts[first], self._parts[last - 1]
            if before.start < start:
                new.insert(0, Rows(before.start, before.values[: start - before.start]))
            if after.stop > stop:
                new.append(Rows(stop, after.values[stop - after.start :]))
        self._parts[first:last] = new

    def _kept(self, values: Array, *, copy: bool = True) -> Array:
        if self.dtype.hasobject or _held + values.nbytes <= LIMIT:
            self._memory += values.nbytes
            _count(values.nbytes)
            return np.array(values) if copy else values
        import tempfile

        with tempfile.TemporaryFile(prefix="nwb_ophys-") as file:
            spilled = np.memmap(file, self.dtype, "w+", shape=values.shape)
        spilled[...] = values
        return spilled

    # -- reading -------------------------------------------------------------------------------

    def read(self, planned: Plan, fetch: Callable[[Plan], Array]) -> Any:
        """Read a selection of the array as it will be.

        Parameters
        ----------
        planned
            Of the array with the rows that were appended.
        fetch
            Reads a plan of one block from the file.
        """
        if not planned.blocks:
            return planned.nothing(self.dtype)
        values = np.zeros(planned.shape, self.dtype)
        for block in planned.blocks:
            (first, *inner_start), (count, *inner_count) = block.start, block.shape
            step, *inner_step = block.step
            rows = range(first, first + count * step, step)
            box = np.zeros(block.shape, self.dtype)
            there = len(range(first, min(rows.stop, self.stored_rows), step))
            if there and not self.covers(rows[:there]):
                shape = (there, *inner_count)
                box[:there] = fetch(Plan(shape, [Block(block.start, shape, block.step)], None))
            inner = tuple(
                slice(start, start + (length - 1) * stride + 1, stride)
                for start, length, stride in zip(inner_start, inner_count, inner_step, strict=True)
            )
            self._patch(box, rows, inner)
            values[... if block.at is None else block.at] = (
                box if block.pick is None else box[block.pick]
            )
        return planned.finished(values)

    def covers(self, rows: range) -> bool:
        """Tell whether all rows from the first to the last of some are among the changed ones."""
        start = rows[0]
        for part in self._overlapping(rows):
            if part.start > start:
                return False
            start = part.stop
        return start > rows[-1]

    def _patch(self, box: Array, rows: range, inner: tuple[slice, ...]) -> None:
        """Put changed rows into what was read.

        Parameters
        ----------
        box
            (row, ...), what was read.
        rows
            The rows that it holds.
        inner
            What it holds along the other axes.
        """
        step = rows.step
        for part in self._overlapping(rows):
            first = max(0, -(-(part.start - rows.start) // step))
            last = min(len(rows), -(-(part.stop - rows.start) // step))
            if first < last:
                chosen = slice(rows[first] - part.start, rows[last - 1] - part.start + 1, step)
                box[first:last] = part.values[(chosen, *inner)]

    def _overlapping(self, rows: range) -> list[Rows]:
        first = bisect.bisect_right(self._parts, rows[0], key=lambda one: one.stop)
        last = bisect.bisect_right(self._parts, rows[-1], key=lambda one: one.start)
        return self._parts[first:last]


def _is_basic(item: Any) -> bool:
    if item is None or item is Ellipsis:
        return True
    return isinstance(item, (int, np.integer, slice)) and not isinstance(item, bool)


def _runs(rows: Array, gap: int, most: int) -> Iterator[tuple[int, int]]:
    """Cut positions in order, rising or falling, into runs to be read as one."""
    if not len(rows):
        return
    cuts = np.flatnonzero(np.abs(np.diff(rows)) > gap) + 1
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        at = int(start)
        while at < stop:
            # Positions of one run lie within so many rows of the first of them.
            far = np.abs(rows[at:stop] - rows[at]) < most
            end = at + max(1, int(far.argmin()) if not far.all() else len(far))
            yield at, end
            at = end


def conformed(value: Any, dtype: np.dtype[Any]) -> Array:
    """Bring values to the type of an array, without changing any of them.

    Raises
    ------
    ValueError, TypeError
        Where that is not possible.
    """
    if dtype.kind == "O":
        if isinstance(value, np.ndarray):
            return value.astype(object)
        if isinstance(value, (list, tuple)):
            array = np.empty(len(value), object)
            array[:] = value
            return array
        single = np.empty((), object)
        single[()] = value
        return single
    array = np.asarray(value)
    if array.dtype == dtype:
        return array
    if dtype.names is not None:
        return np.array([tuple(row) for row in value] if isinstance(value, list) else value, dtype)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"expected {dtype}, found {array.dtype}")
    if dtype.kind == "b" and array.dtype.kind != "b" and array.size:
        raise ValueError(f"expected {dtype}, found {array.dtype}")
    with np.errstate(all="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(cast, array):
        raise ValueError(f"the array holds {dtype}, which cannot hold these {array.dtype} values")
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise ValueError(f"the array holds {dtype}, which cannot hold complex values")
    return cast


def _count(nbytes: int) -> None:
    global _held
    _held += nbytes

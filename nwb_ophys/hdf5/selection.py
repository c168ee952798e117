"""Index arithmetic: any numpy index becomes boxes to fetch and an index to finish with in memory.

HDF5 reads rectangular boxes; numpy accepts far more. `plan` splits an index into what storage is
good at, the boxes that hold the wanted elements and few others, and what numpy is good at: the
same index, rewritten to the coordinates of the fetched array. Because numpy itself applies that
index, order, repeats, new axes and the placing of broadcast axes are numpy's own.

Nothing here touches a file.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy

from .boxes import (
    Block,
    Piece,
    Positions,
    Run,
    outer_blocks,
    point_blocks,
    split_positions,
    split_run,
)

__all__ = ["Block", "Plan", "plan", "text_of"]

# Points are fetched one by one, not as an outer product of their positions, when that would be
# this many times too much, unless it is little anyway (in elements).
_POINTWISE_EXCESS = 4
_POINTWISE_LEAST = 1 << 16

_ALL = slice(None)
_REVERSED = slice(None, None, -1)


class Plan(NamedTuple):
    """How to read one selection.

    Attributes
    ----------
    shape
        Shape of the array to fetch into.
    blocks
        What to fetch; together they fill that array, each element once. Without blocks the
        result has no elements, and nothing need be fetched.
    finish
        Index that turns the fetched array into the result; None when it is the result.
    """

    shape: tuple[int, ...]
    blocks: Sequence[Block]
    finish: tuple[Any, ...] | None

    def finished(self, values: Any) -> Any:
        """Turn the fetched array into the result."""
        return values if self.finish is None else values[self.finish]

    def nothing(self, dtype: numpy.dtype[Any]) -> Any:
        """Give the result of a plan without blocks."""
        return self.finished(numpy.broadcast_to(numpy.zeros((), dtype), self.shape)).copy()


def plan(
    shape: tuple[int, ...],
    index: Any,
    cells: tuple[int, ...] | None = None,
    *,
    strides: bool = True,
) -> Plan:
    """Plan the reading of ``array[index]`` for a stored array of this shape.

    Parameters
    ----------
    shape
        Shape of the stored array.
    index
        Any index that numpy accepts, but for field names.
    cells
        Per axis, the length that storage reads at one go (a chunk, a page). Wanted elements that
        share a cell are fetched with what lies between them; other cells are never touched.
        None stands for 1: fetch nothing that is not wanted.
    strides
        Whether storage skips rows well, as contiguous storage does. If not, every n-th row is
        fetched cell by cell.

    Raises
    ------
    IndexError
        When numpy would raise it, with numpy's message.
    """
    items = index if isinstance(index, tuple) else (index,)
    basic = _plan_basic(shape, items, cells, strides)
    return basic if basic is not None else _plan_any(shape, items, cells, strides)


# Integers and slices -----------------------------------------------------------------------------


def _plan_basic(
    shape: tuple[int, ...], items: tuple[Any, ...], cells: tuple[int, ...] | None, strides: bool
) -> Plan | None:
    """Plan an index of integers, slices, new axes and an ellipsis; None if it is not one.

    The common case, so written to take a few microseconds.
    """
    missing = len(shape)
    ellipsis = False
    for item in items:
        if item is Ellipsis:
            if ellipsis:
                return None
            ellipsis = True
        elif item is not None:
            missing -= 1
    if missing < 0:
        return None
    if missing and not ellipsis:
        items = (*items, Ellipsis)
    start: list[int] = []
    count: list[int] = []
    step: list[int] = []
    finish: list[Any] = []
    done = bool(shape) or ellipsis  # without an ellipsis, a scalar gives its element
    stepped = False
    for item in items:
        if type(item) is slice:
            (first, number, stride), rest = _split_slice(item, shape[len(start)])
            done &= rest is _ALL
            stepped |= stride != 1
            start.append(first)
            count.append(number)
            step.append(stride)
            finish.append(rest)
        elif item is Ellipsis:
            start += [0] * missing
            count += shape[len(count) : len(count) + missing]
            step += [1] * missing
            finish.append(item)
        elif item is None:
            done = False
            finish.append(None)
        elif type(item) is int or isinstance(item, numpy.integer):
            size = shape[len(start)]
            position = int(item)
            if not -size <= position < size:
                return None
            done = False
            start.append(position % size)
            count.append(1)
            step.append(1)
            finish.append(0)
        else:
            return None
    fetched = tuple(count)
    blocks: Sequence[Block]
    if 0 in fetched:
        blocks = ()
    elif stepped and cells is not None:
        runs = list(zip(start, count, step, strict=True))
        blocks = outer_blocks(_split_runs(runs, cells, strides), cells)
    else:
        blocks = (Block(tuple(start), fetched, tuple(step)),)
    return Plan(fetched, blocks, None if done else tuple(finish))


def _split_runs(runs: Sequence[Run], cells: tuple[int, ...], strides: bool) -> list[list[Piece]]:
    last = len(runs) - 1
    return [
        split_run(run, cells[axis], strides, last=axis == last) for axis, run in enumerate(runs)
    ]


def _split_slice(item: slice, size: int) -> tuple[Run, slice]:
    """Split a slice into a run to read and the slice to take of it."""
    start, stop, step = item.indices(size)
    count = len(range(start, stop, step))
    if count <= 1:
        return (start if count else 0, count, 1), _ALL
    if step < 0:
        return (start + (count - 1) * step, count, -step), _REVERSED
    return (start, count, step), _ALL


# Arrays of integers and booleans -----------------------------------------------------------------


def _plan_any(
    shape: tuple[int, ...], given: tuple[Any, ...], cells: tuple[int, ...] | None, strides: bool
) -> Plan:
    """Plan any index, or raise what numpy raises."""
    items = [_as_item(item) for item in given]
    missing = len(shape) - sum(map(_axes_of, items))
    ellipses = sum(item is Ellipsis for item in items)
    if missing < 0 or ellipses > 1 or any(item is NotImplemented for item in items):
        _refuse(shape, given)
    if missing and not ellipses:
        items.append(Ellipsis)
    _check(shape, items, missing)
    runs, finish, points, places = _split_items(shape, items, missing)
    flags = [item for item in items if isinstance(item, numpy.ndarray) and _axes_of(item) == 0]
    if not all(flags) or not all(part.size for part in points.values()):
        # Arrays broadcast to nothing, and then numpy does not mind what their elements are.
        for axis, part in points.items():
            finish[places[axis]] = numpy.zeros_like(part)
        return Plan(tuple(run[1] for run in runs), (), tuple(finish))

    cells = cells or (1,) * len(shape)
    points = {
        axis: numpy.where(part < 0, part + shape[axis], part) for axis, part in points.items()
    }
    unique = {axis: _unique(part) for axis, part in points.items()}
    broadcast = numpy.broadcast_shapes(*(part.shape for part in points.values()))
    product = math.prod(positions.size for positions, _ in unique.values())
    around = math.prod(run[1] for run in runs)
    excess = product > _POINTWISE_EXCESS * math.prod(broadcast)
    if len(points) > 1 and excess and product * around > _POINTWISE_LEAST:
        return _plan_points(shape, runs, points, places, finish, cells)

    fetched = [run[1] for run in runs]
    pieces = _split_runs(runs, cells, strides)
    for axis, (positions, inverse) in unique.items():
        fetched[axis] = positions.size
        pieces[axis] = split_positions(positions, cells[axis], strides, last=axis == len(shape) - 1)
        finish[places[axis]] = inverse
    blocks = outer_blocks(pieces, cells) if all(fetched) else ()
    if len(points) == 1 and sum(isinstance(item, numpy.ndarray | int) for item in finish) == 1:
        # The usual mask or sorted list: what was fetched is the result, spare the copy.
        (place,) = places.values()
        if finish[place].ndim == 1 and _is_increasing(finish[place]):
            finish[place] = _ALL
            if all(item is _ALL or item is Ellipsis for item in finish):
                return Plan(tuple(fetched), blocks, None)
    return Plan(tuple(fetched), blocks, tuple(finish))


def _split_items(
    shape: tuple[int, ...], items: list[Any], missing: int
) -> tuple[list[Run], list[Any], dict[int, Positions], dict[int, int]]:
    """Split an index into runs along the axes and what arrays select.

    Returns
    -------
    runs
        What to read along each axis.
    finish
        The index into what was read.
    points
        By axis, the positions that an array selects.
    places
        By axis, where that array is in `finish`.
    """
    runs: list[Run] = []
    finish: list[Any] = []
    points: dict[int, Positions] = {}
    places: dict[int, int] = {}
    for item in items:
        axis = len(runs)
        if item is Ellipsis:
            runs += [(0, size, 1) for size in shape[axis : axis + missing]]
        elif isinstance(item, slice):
            run, item = _split_slice(item, shape[axis])
            runs.append(run)
        elif isinstance(item, int):
            runs.append((item % shape[axis], 1, 1))
            item = 0
        elif isinstance(item, numpy.ndarray) and item.ndim + (item.dtype != bool):
            # A boolean array stands for the positions of its True elements, an array per axis.
            parts = item.nonzero() if item.dtype == bool else (item.astype(numpy.intp, copy=False),)
            for part in parts:
                points[len(runs)], places[len(runs)] = part, len(finish)
                runs.append((0, 1, 1))
                finish.append(part)
            continue
        finish.append(item)
    return runs, finish, points, places


def _plan_points(
    shape: tuple[int, ...],
    runs: list[Run],
    points: dict[int, Positions],
    places: dict[int, int],
    finish: list[Any],
    cells: tuple[int, ...],
) -> Plan:
    """Plan an index of several arrays by the points that they select together."""
    axes = list(points)
    sizes = tuple(shape[axis] for axis in axes)
    arrays = numpy.broadcast_arrays(*points.values())
    flat, inverse = _unique(numpy.ravel_multi_index(arrays, sizes))
    single = dict(zip(axes, numpy.unravel_index(flat, sizes), strict=True))
    blocks, order = point_blocks(single, runs, cells)
    place_of = numpy.empty_like(order)
    place_of[order] = numpy.arange(order.size)
    # All points lie along the first of the axes, the others have length 1. A zero there keeps
    # the arrays where they were, so that numpy places the broadcast axes as in the index given.
    for axis in axes:
        finish[places[axis]] = place_of[inverse] if axis == axes[0] else 0
    fetched = [run[1] for run in runs]
    fetched[axes[0]] = flat.size
    return Plan(tuple(fetched), blocks if all(fetched) else (), tuple(finish))


def _check(shape: tuple[int, ...], items: list[Any], missing: int) -> None:
    """Raise what numpy raises for this index.

    numpy judges, on an array without memory that has the stored lengths where integers and arrays
    select, and at most one element where slices do.
    """
    extent: list[int] = []
    index: list[Any] = []
    for item in items:
        axis = len(extent)
        if item is Ellipsis:
            extent += [min(size, 1) for size in shape[axis : axis + missing]]
        elif isinstance(item, slice):
            extent.append(min(_split_slice(item, shape[axis])[0][1], 1))
            item = _ALL
        else:
            extent += shape[axis : axis + _axes_of(item)]
        index.append(item)
    numpy.broadcast_to(numpy.False_, extent)[tuple(index)]


def _refuse(shape: tuple[int, ...], index: tuple[Any, ...]) -> NoReturn:
    """Let numpy say what is wrong with an index."""
    numpy.broadcast_to(numpy.False_, shape)[index]
    raise IndexError(f"unsupported index {index!r}")


def _as_item(item: Any) -> Any:
    """Return a part of an index as None, Ellipsis, a slice, an int, or an array that may index.

    NotImplemented stands for all that may not.
    """
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    # Before numpy 2, its bools pass for the integers 0 and 1.
    if not isinstance(item, (bool, numpy.bool_, numpy.ndarray)):
        try:
            return operator.index(item)
        except TypeError:
            pass
    try:
        array = numpy.asarray(item)
    except ValueError:  # a ragged list
        return NotImplemented
    if array.size == 0 and not isinstance(item, numpy.ndarray):
        array = array.astype(numpy.intp)  # [] has no dtype of its own
    if array.dtype.kind not in "iub":
        return NotImplemented
    if array.ndim == 0 and array.dtype != bool:
        return int(array)
    return array


def _axes_of(item: Any) -> int:
    """Return how many axes of the array a part of an index consumes."""
    if item is None or item is Ellipsis:
        return 0
    if isinstance(item, numpy.ndarray) and item.dtype == bool:
        return item.ndim
    return 1


def _unique(part: Positions) -> tuple[Positions, Positions]:
    """Return increasing positions, and an array of this shape that selects `part` from them."""
    if part.ndim == 1 and _is_increasing(part):
        return part, numpy.arange(part.size)
    positions, inverse = numpy.unique(part, return_inverse=True)
    return positions, inverse.reshape(part.shape)


def _is_increasing(part: Positions) -> bool:
    return bool((part[1:] > part[:-1]).all())


# Indices as text ----------------------------------------------------------------------------------


def text_of(index: Any) -> str:
    """Return an index as short text, for messages."""
    items = index if isinstance(index, tuple) else (index,)
    return f"[{', '.join(map(_shown_item, items)) or '()'}]"


def _shown_item(item: Any) -> str:
    if item is Ellipsis:
        return "..."
    if isinstance(item, slice):
        parts = [item.start, item.stop] if item.step is None else [item.start, item.stop, item.step]
        return ":".join("" if part is None else str(part) for part in parts)
    if isinstance(item, numpy.ndarray):
        return f"{item.dtype} array of shape {item.shape}"
    text = repr(item)
    return text if len(text) <= 60 else f"{text[:57]}..."

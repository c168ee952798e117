"""Boxes: how wanted positions along each axis become the hyperslabs that storage reads.

Storage reads dense boxes well and scattered elements badly: HDF5 visits them one by one, and
decodes a chunk again for every request that touches it. So elements that share a cell (a chunk, a
page) are fetched as one dense box, of which only the wanted part is kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

__all__ = [
    "Block",
    "Piece",
    "Positions",
    "Run",
    "outer_blocks",
    "point_blocks",
    "split_positions",
    "split_run",
]

Positions = NDArray[numpy.intp]
Run = tuple[int, int, int]  # start, count, step

_BOX_ELEMENTS = 1 << 22  # most to read into a box of which only a part is kept, if it can be cut


class Block(NamedTuple):
    """One box to read, and where its elements go.

    Attributes
    ----------
    start, shape, step
        The hyperslab of the stored array: per axis its first position, its number of positions,
        and the distance between them, which is positive.
    at
        The part of the fetched array that it fills; None when it fills all of it.
    pick
        None when the box goes there as it is; else what to take of the box: an index that gives
        an array of the shape of that part.
    """

    start: tuple[int, ...]
    shape: tuple[int, ...]
    step: tuple[int, ...]
    at: tuple[slice, ...] | None = None
    pick: tuple[Any, ...] | None = None


class Piece(NamedTuple):
    """A part of one axis: a run to read, and the part of the fetched axis that it fills."""

    start: int
    length: int
    step: int
    at: slice
    pick: slice | Positions | None = None


def split_run(run: Run, cell: int, strides: bool, *, last: bool) -> list[Piece]:
    """Split evenly spaced positions so that what is read is dense.

    Parameters
    ----------
    run
        Start, count and step.
    cell
        Length that storage reads at one go.
    strides
        Whether storage skips rows well, and anything that it need not read in between.
    last
        Whether this is the last axis, on which nothing skips well.
    """
    start, count, step = run
    if step == 1 or count <= 1 or (strides and (not last or step >= cell)):
        return [Piece(start, count, step, slice(0, count))]
    if strides:
        cell = max(cell, _BOX_ELEMENTS // 16)
    pieces = []
    done = 0
    while done < count:
        first = start + done * step
        left = cell - first % cell
        number = min(-(-left // step), count - done)
        at = slice(done, done + number)
        pick = slice(None, None, step) if number > 1 else None
        pieces.append(Piece(first, (number - 1) * step + 1, 1, at, pick))
        done += number
    return pieces


def split_positions(positions: Positions, cell: int, strides: bool, *, last: bool) -> list[Piece]:
    """Split increasing positions into dense runs, and boxes around those that share a cell."""
    gaps = numpy.diff(positions)
    if gaps.size == 0 or (gaps == gaps[0]).all():
        step = int(gaps[0]) if gaps.size else 1
        return split_run((int(positions[0]), positions.size, step), cell, strides, last=last)
    cuts = numpy.flatnonzero(numpy.diff(positions // cell)) + 1
    # Dense neighbours become one run; a dense run in a cell with other positions stays with them.
    begin = numpy.concatenate(([0], cuts))
    end = numpy.concatenate((cuts, [positions.size]))
    dense = positions[end - 1] - positions[begin] == end - begin - 1
    joined = dense[1:] & dense[:-1] & (gaps[cuts - 1] == 1)
    begin = begin[numpy.concatenate(([True], ~joined))]
    end = end[numpy.concatenate((~joined, [True]))]
    starts, stops = positions[begin], positions[end - 1] + 1
    pieces = []
    for low, high, start, stop in zip(
        begin.tolist(), end.tolist(), starts.tolist(), stops.tolist(), strict=True
    ):
        pick = None if stop - start == high - low else positions[low:high] - start
        pieces.append(Piece(start, stop - start, 1, slice(low, high), pick))
    return pieces


def outer_blocks(axes: Sequence[Sequence[Piece]], cells: Sequence[int]) -> list[Block]:
    """Return the blocks of an outer product of pieces, in boxes of limited size."""
    axes = list(axes)
    box = math.prod(max(piece.length for piece in pieces) for pieces in axes)
    if box > _BOX_ELEMENTS and any(piece.pick is not None for piece in itertools.chain(*axes)):
        for axis, pieces in enumerate(axes):
            longest = max(piece.length for piece in pieces)
            cell = cells[axis]
            if longest > cell and all(piece.pick is None and piece.step == 1 for piece in pieces):
                length = cell * max(1, longest * _BOX_ELEMENTS // box // cell)
                axes[axis] = [part for piece in pieces for part in _cut(piece, length)]
                break
    whole = all(len(pieces) == 1 for pieces in axes)
    return [_block(pieces, whole) for pieces in itertools.product(*axes)]


def _cut(piece: Piece, length: int) -> list[Piece]:
    """Cut a dense piece at multiples of a length."""
    stop = piece.start + piece.length
    cuts = range((piece.start // length + 1) * length, stop, length)
    parts = itertools.pairwise([piece.start, *cuts, stop])
    shift = piece.at.start - piece.start
    return [Piece(low, high - low, 1, slice(low + shift, high + shift)) for low, high in parts]


def _block(pieces: tuple[Piece, ...], whole: bool) -> Block:
    return Block(
        tuple(piece.start for piece in pieces),
        tuple(piece.length for piece in pieces),
        tuple(piece.step for piece in pieces),
        None if whole else tuple(piece.at for piece in pieces),
        _pick(pieces),
    )


def _pick(pieces: tuple[Piece, ...]) -> tuple[Any, ...] | None:
    picks = [piece.pick for piece in pieces]
    if all(pick is None for pick in picks):
        return None
    if sum(isinstance(pick, numpy.ndarray) for pick in picks) > 1:
        # numpy pairs arrays; an open mesh crosses them.
        return numpy.ix_(*map(_positions_of, pieces))
    return tuple(slice(None) if pick is None else pick for pick in picks)


def _positions_of(piece: Piece) -> Positions:
    positions: Positions = numpy.arange(piece.length)
    return positions if piece.pick is None else positions[piece.pick]


def point_blocks(
    points: dict[int, Positions], runs: Sequence[Run], cells: tuple[int, ...]
) -> tuple[list[Block], Positions]:
    """Return blocks that fetch single points, a box per cell, and the order of their points.

    Parameters
    ----------
    points
        For at least one axis, the positions of all points, which differ from each other.
    runs
        Start, count and step of every axis. The points are laid out along the first axis of
        `points`; its others have length 1 in the fetched array.
    cells
        Length per axis that storage reads at one go.

    Returns
    -------
    blocks
        The blocks.
    order
        Number of the point at each place of the fetched array.
    """
    axes = list(points)
    by_cell = [points[axis] // cells[axis] for axis in axes]
    order: Positions = numpy.lexsort(by_cell[::-1])
    changed = numpy.zeros(order.size - 1, bool)
    for cell in by_cell:
        changed |= numpy.diff(cell[order]) != 0
    cuts = (numpy.flatnonzero(changed) + 1).tolist()
    ordered = {axis: points[axis][order] for axis in axes}
    rest = [Piece(*run, slice(0, run[1])) for run in runs]
    blocks = []
    for low, high in itertools.pairwise([0, *cuts, order.size]):
        pieces = list(rest)
        mesh: list[Any] = list(numpy.ix_(*(numpy.arange(run[1]) for run in runs)))
        for axis in axes:
            part = ordered[axis][low:high]
            start = int(part.min())
            at = slice(low, high) if axis == axes[0] else slice(0, 1)
            pieces[axis] = Piece(start, int(part.max()) - start + 1, 1, at)
            shape = [1] * len(runs)
            shape[axes[0]] = -1
            mesh[axis] = (part - start).reshape(shape)
        block = _block(tuple(pieces), whole=False)
        blocks.append(block if high - low == 1 else block._replace(pick=tuple(mesh)))
    return blocks, order

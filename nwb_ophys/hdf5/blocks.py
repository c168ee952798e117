"""Arrays that are not in memory, as blocks to be written one after the other.

Blocks of an array are cut where its own storage is, so that nothing is read or computed twice;
those of an iterator are as it gives them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nwb_ophys.dtypes import Dims

__all__ = ["Block", "Incoming", "blocks_of_array", "blocks_of_stream"]

_STEP: Final = 1 << 23
"""Bytes that are asked of an array at once, if its storage does not suggest otherwise."""
_LARGEST: Final = 1 << 27
"""Bytes that may be asked of it at once so that none of its chunks is read twice."""


@dataclass(frozen=True)
class Block:
    """A part of an array.

    Parameters
    ----------
    values
        What is in it.
    origin
        Where it begins along each axis; None where it follows the one before along the first.
    bounds
        How long each axis has to be for it; None likewise.
    selection
        The index that it belongs to, where it is no box; there is no origin then.
    """

    values: np.ndarray[Any, Any]
    origin: tuple[int, ...] | None = None
    bounds: tuple[int, ...] | None = None
    selection: Any = None


@dataclass(frozen=True)
class Incoming:
    """A stream, of which the first block was looked at.

    Parameters
    ----------
    first
        The first block.
    blocks
        All its blocks, the first included.
    shape
        The length of each axis, None for what the stream is to show.
    chunks
        Chunks that its blocks are made for, if they are.
    """

    first: Block
    blocks: Iterator[Block]
    shape: tuple[int | None, ...]
    chunks: tuple[int, ...] | None


def blocks_of_array(array: Any, rows: int) -> Iterator[Block]:
    """Read an array along its first axis.

    Parameters
    ----------
    array
        What has a shape, a dtype, and can be sliced.
    rows
        How many entries the chunks have that it is written to.
    """
    shape = tuple(int(length) for length in array.shape)
    row = max(1, math.prod(shape[1:]) * array.dtype.itemsize)
    for first, last in _steps(shape[0], row, rows, getattr(array, "chunks", None)):
        values = np.asarray(array[first:last])
        if values.shape != (last - first, *shape[1:]):
            raise ValueError(
                f"the array has the shape {shape}, but [{first}:{last}] of it has {values.shape}"
            )
        yield Block(values, (first, *(0 for _ in shape[1:])), shape)


def _steps(length: int, row: int, rows: int, chunks: Any) -> Iterator[tuple[int, int]]:
    own = chunks[0] if isinstance(chunks, (tuple, list)) and chunks else None
    if isinstance(own, (tuple, list)):  # dask: the length of each
        ends, at = [], 0
        for one in own:
            at += int(one)
            ends.append(at)
        yield from _joined([end for end in ends if end], row)
        return
    step = max(1, _STEP // row)
    unit = own if isinstance(own, int) and own * row <= _LARGEST else rows
    step = max(unit, step // unit * unit)
    for first in range(0, length, step):
        yield first, min(first + step, length)


def _joined(ends: list[int], row: int) -> Iterator[tuple[int, int]]:
    """Join short pieces, as long as they are small together."""
    first = 0
    for number, end in enumerate(ends):
        following = ends[number + 1] if number + 1 < len(ends) else None
        if following is None or (following - first) * row > _STEP:
            if end > first:
                yield first, end
            first = end


def blocks_of_stream(stream: Iterator[Any], dims: Dims) -> Incoming:
    """Look at the first block of an iterator.

    Raises
    ------
    ValueError
        Where it gives none.
    """
    blocks = _parts(stream, _ranks(dims))
    first = next(blocks, None)
    if first is None:
        raise ValueError("the iterator gave no block, so its dtype and shape are unknown")
    told = getattr(stream, "maxshape", None)
    shape: tuple[int | None, ...] = (None, *first.values.shape[1:])
    if first.bounds is not None:
        shape = tuple(None for _ in first.bounds)
        if told is not None:
            shape = tuple(None if one is None else int(one) for one in told)
    chunks = getattr(stream, "chunk_shape", None)
    return Incoming(
        first,
        itertools.chain((first,), blocks),
        shape,
        None if chunks is None else tuple(map(int, chunks)),
    )


def _ranks(dims: Dims) -> frozenset[int] | None:
    """Tell how many axes the array may have; None where that is not declared."""
    if not dims:
        return None
    return frozenset(map(len, dims)) if isinstance(dims[0], tuple) else frozenset({len(dims)})


def _parts(stream: Iterator[Any], ranks: frozenset[int] | None) -> Iterator[Block]:
    for each in stream:
        if hasattr(each, "selection") and hasattr(each, "get_min_bounds"):  # HDMF's DataChunk
            yield _placed(each)
            continue
        values = np.asarray(each)
        if not values.ndim:
            raise ValueError(f"expected blocks with a first axis, found the scalar {each!r}")
        if ranks is not None and values.ndim not in ranks and values.ndim + 1 in ranks:
            values = values[None]  # a single entry, such as a frame
        yield Block(values)


def _placed(chunk: Any) -> Block:
    """Give a chunk of HDMF's its place."""
    values, selection = np.asarray(chunk.data), chunk.selection
    bounds = chunk.get_min_bounds()
    bounds = tuple(bounds) if hasattr(bounds, "__len__") else (bounds,)
    origin: list[int] = []
    lengths: list[int] = []
    remaining = list(values.shape)
    for one in selection if isinstance(selection, tuple) else (selection,):
        if isinstance(one, slice) and one.step in (None, 1) and (one.start or 0) >= 0 and remaining:
            origin.append(int(one.start or 0))
            lengths.append(remaining.pop(0))
        elif isinstance(one, (int, np.integer)) and not isinstance(one, bool) and one >= 0:
            origin.append(int(one))
            lengths.append(1)
        else:
            return Block(values, None, tuple(map(int, bounds)), selection)
    origin += [0] * len(remaining)
    lengths += remaining
    ends = tuple(at + length for at, length in zip(origin, lengths, strict=True))
    return Block(values.reshape(lengths), tuple(origin), ends)

"""In which chunks an array is stored: pure arithmetic over its shape and the words for its axes.

==========================  =====================================================================
movies, stacks, volumes     whole frames, about a mebibyte of them; large frames are split
(time, ROI), (row, column)  tiles, so that a row and a column cost about the same
columns, times              long runs
images                      runs of whole rows
what is small               in one piece
==========================  =====================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from nwb_ophys.dtypes import Dims
from nwb_ophys.errors import SchemaError

__all__ = [
    "SMALL",
    "axes_of",
    "check_chunks",
    "chunks_for",
    "chunks_to_grow",
    "default_chunks",
    "grows",
]

SMALL: Final = 1 << 14
"""Arrays of fewer bytes are stored in one piece."""
_FRAMES: Final = 1 << 20  # what h5py keeps of a dataset, so that its loops over frames are fast too
_LARGEST_FRAME: Final = 1 << 22
_TILE: Final = 1 << 18
_RUN: Final = 1 << 19
_BAND: Final = 1 << 26  # rows of tiles are collected in memory when they come row by row
_LONG: Final = 100_000  # how long an axis is taken to become whose length nobody knows
_IMAGE_AXES: Final = frozenset({"x", "y", "z", "width", "height", "depth"})

Shape = Sequence["int | None"]
"""The length of each axis, None where it is not known yet."""


def axes_of(dims: Dims, ndim: int) -> tuple[str | int, ...]:
    """Choose among the declared axes those of an array of so many."""
    if not dims:
        return ()
    alternatives: Any = dims if isinstance(dims[0], tuple) else (dims,)
    return next((axes for axes in alternatives if len(axes) == ndim), ())


def grows(axes: Sequence[str | int]) -> bool:
    """Tell whether more may follow along the first axis: an image does not grow, a movie does."""
    return not axes or (isinstance(axes[0], str) and axes[0] not in _IMAGE_AXES)


def default_chunks(shape: Shape, itemsize: int, axes: Sequence[str | int] = ()) -> tuple[int, ...]:
    """Choose the shape of the chunks by the use that an array of these axes is put to."""
    lengths = [_LONG if length is None else max(1, length) for length in shape]
    if len(shape) == 1:
        chunks = [_RUN // itemsize]
    elif len(shape) > 2 or not grows(axes):
        chunks = _frames(lengths, itemsize)
    else:
        chunks = _tile(lengths, itemsize)
    # An axis of unknown length may end up shorter than a chunk; that costs only zeros.
    return tuple(
        max(1, one if length is None else min(one, max(1, length)))
        for one, length in zip(chunks, shape, strict=True)
    )


def chunks_to_grow(
    shape: Sequence[int], itemsize: int, axes: Sequence[str | int] = ()
) -> tuple[int, ...]:
    """Choose the shape of the chunks of an array that gets more rows than it has now.

    They are those of an array that is not small, so that few rows do not make tiny chunks.
    """
    row = max(1, math.prod(shape[1:]) * itemsize)
    return default_chunks((max(shape[0], -(-SMALL // row)), *shape[1:]), itemsize, axes)


def _frames(lengths: list[int], itemsize: int) -> list[int]:
    frame = math.prod(lengths[1:]) * itemsize
    if frame <= _LARGEST_FRAME:
        return [max(1, _FRAMES // frame), *lengths[1:]]
    # Volumes are split into planes, planes into bands, so that several threads share a frame.
    chunks = [1, *lengths[1:]]
    order = [*range(len(lengths) - 1, 2, -1), *range(1, min(3, len(lengths)))]
    for axis in order:
        inside = math.prod(chunks) * itemsize
        if inside <= _LARGEST_FRAME:
            break
        parts = min(chunks[axis], -(-inside // (2 * _FRAMES)))
        chunks[axis] = -(-chunks[axis] // parts)
    return chunks


def _tile(lengths: list[int], itemsize: int) -> list[int]:
    rows, columns = lengths
    # With tiles of the proportions of the whole, a row crosses as many of them as a column.
    tile = min(max(_TILE, rows * columns * itemsize // 50_000), _FRAMES)
    parts = max(1.0, math.sqrt(rows * columns * itemsize / tile))
    wide = max(1, math.ceil(columns / parts))
    # Many narrow tiles side by side would make each row dear where the columns are few.
    if columns * itemsize <= 256:
        wide = columns
    tall = max(1, tile // (wide * itemsize))
    return [min(tall, max(1, _BAND // (columns * itemsize))), wide]


def check_chunks(chunks: Any) -> Any:
    """Check a setting of chunks, and bring lists to tuples.

    Raises
    ------
    SchemaError
        Where it is none.
    """
    if isinstance(chunks, bool):
        return chunks
    try:
        if isinstance(chunks, (str, bytes)):
            raise TypeError
        given = (chunks,) if not hasattr(chunks, "__iter__") else tuple(chunks)
        numbers = [None if one is None else one.__index__() for one in given]
        if not numbers or any(one is not None and one < 1 for one in numbers):
            raise TypeError
    except (TypeError, AttributeError):
        raise SchemaError(
            f"chunks cannot be {chunks!r}",
            hint="chunks is a tuple of lengths, where None is a whole axis; a number of entries "
            "along the first axis; True for what suits the array, or False for one piece",
        ) from None
    return numbers[0] if not hasattr(chunks, "__iter__") else tuple(numbers)


def chunks_for(
    chunks: Any, shape: Shape, itemsize: int, axes: Sequence[str | int], *, exact: bool
) -> tuple[int, ...] | None:
    """Carry out a setting of chunks for one array.

    Parameters
    ----------
    chunks
        The setting.
    shape, itemsize, axes
        Of the array.
    exact
        Whether the setting was made for this array, and has to fit it; else it is for all that it
        fits.

    Returns
    -------
    tuple
        The shape of its chunks; None to store it in one piece.

    Raises
    ------
    ValueError
        Where they do not fit the array.
    """
    growing = any(length is None for length in shape)
    if chunks is False:
        if growing and exact:
            raise ValueError(
                "an array whose length is not known in advance cannot be stored in one piece; "
                "leave out chunks=False"
            )
        return default_chunks(shape, itemsize, axes) if growing else None
    if isinstance(chunks, int) and not isinstance(chunks, bool):
        chunks = (chunks, *(None for _ in shape[1:]))
    if not isinstance(chunks, tuple) or (len(chunks) != len(shape) and not exact):
        return default_chunks(shape, itemsize, axes)
    if len(chunks) != len(shape):
        raise ValueError(
            f"chunks={chunks} has {len(chunks)} axes, and the array {len(shape)}: "
            f"{tuple('unknown' if one is None else one for one in shape)}"
        )
    found = []
    for one, length in zip(chunks, shape, strict=True):
        if one is None:
            found.append(_LONG if length is None else max(1, length))
        else:
            found.append(one if length is None else min(one, max(1, length)))
    if math.prod(found) * itemsize >= 1 << 32:
        raise ValueError(f"chunks of {tuple(found)} have 4 GiB or more, which HDF5 does not store")
    return tuple(found)

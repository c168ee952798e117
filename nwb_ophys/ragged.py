"""`RaggedColumn`: rows of unequal length, over flat data and their end offsets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, overload

import numpy as np

__all__ = ["RaggedColumn", "gathered"]


def gathered(
    bounds: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Say where the elements of some rows lie in flat data, and where each of the rows then ends.

    Parameters
    ----------
    bounds
        The bounds of all rows: row ``i`` is ``data[bounds[i]:bounds[i + 1]]``.
    rows
        The positions of the rows that are wanted.

    Returns
    -------
    places, ends
        ``data[places]`` are the elements, and ``ends`` their end offsets.
    """
    counts = np.maximum(bounds[1:] - bounds[:-1], 0)[rows]
    ends = np.cumsum(counts)
    places = np.arange(int(counts.sum())) + np.repeat(bounds[rows] - (ends - counts), counts)
    return places, ends


class RaggedColumn:
    """A view of a ragged column, row by row; nests for columns of rows of rows.

    Parameters
    ----------
    data
        The concatenated rows: an array, or another `RaggedColumn`.
    index
        The end offset of each row in ``data`` (VectorIndex in the NWB table format).
    name
        The name of the column.

    Notes
    -----
    Offsets are read once, data row by row as they are asked for; a slice of rows is one read.
    Offsets that run past the data give the part of the row that is there.
    """

    def __init__(self, data: Any, index: Any, name: str = "") -> None:
        self.data = data
        self.index = index
        self.name = name
        self._offsets: np.ndarray[Any, Any] | None = None

    @property
    def offsets(self) -> np.ndarray[Any, Any]:
        """The bounds of the rows: row ``i`` is ``data[offsets[i]:offsets[i + 1]]``."""
        if self._offsets is None:
            ends = np.asarray(self.index).astype(np.int64, copy=False)
            self._offsets = np.concatenate([np.zeros(1, np.int64), ends])
        return self._offsets

    def __len__(self) -> int:
        return int(self.index.shape[0])

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: Any) -> list[Any]: ...
    def __getitem__(self, index: Any) -> Any:
        """Give one row for an integer, a list of rows for a slice, a mask or several integers."""
        offsets = self.offsets
        if isinstance(index, (int, np.integer)):
            row = range(len(self))[index]  # refuses what is out of range, as a list would
            return self.data[int(offsets[row]) : int(offsets[row + 1])]
        if isinstance(index, slice) and index.step in (None, 1):
            first, last, _ = index.indices(len(self))
            return self._run(first, max(first, last))
        rows = np.arange(len(self))[index]
        return [self[int(row)] for row in np.atleast_1d(rows)]

    def _run(self, first: int, last: int) -> list[Any]:
        bounds = self.offsets[first : last + 1]
        if last <= first:
            return []
        begin = int(bounds[0])
        flat = self.data[begin : int(bounds[-1])]
        return [flat[int(lower) - begin : int(upper) - begin] for lower, upper in pairwise(bounds)]

    def __iter__(self) -> Iterator[Any]:
        block = 1024
        for first in range(0, len(self), block):
            yield from self._run(first, min(first + block, len(self)))

    def __repr__(self) -> str:
        return f"<RaggedColumn {self.name}: {len(self)} rows>"

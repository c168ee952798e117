"""Write blocks of an array into a dataset in chunks: cut, encoded in threads, stored in order.

HDF5 encodes one chunk after the other, in the thread that writes. Here whoever makes the blocks
goes on while threads encode what he made, and whichever of them has the next chunk in turn stores
it, encoded as it is. So files come out the same however many threads there are.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5d, h5s, h5t

from nwb_ophys.hdf5.codecs import Pipeline
from nwb_ophys.hdf5.guarding import check_write
from nwb_ophys.hdf5.turns import Turns
from nwb_ophys.hdf5.workers import pool, thread_count

__all__ = ["ChunkWriter", "write_block"]

_UNDERWAY: Final = 1 << 26
"""Bytes of chunks that may be waiting to be encoded and stored."""
_AHEAD: Final = 8
"""Chunks for each thread that may be so, where they are small."""
_PARTIAL: Final = 1 << 28
"""Bytes of chunks that may be waiting for the rest of them."""

_Cell = tuple[int, ...]
"""The number of a chunk along each axis."""


def write_block(dataset: Any, start: int | Sequence[int], block: Any) -> None:
    """Write a block into a dataset that has room for it, by the same way as new datasets.

    Chunks that the block covers whole are encoded in threads and replace what is stored. Of chunks
    at its edges what it does not cover is read first, and stored with it again. Datasets without
    chunks, or of text and references, are written by HDF5. All is in the file when it returns.

    Parameters
    ----------
    dataset
        An `h5py.h5d.DatasetID`; it is not extended.
    start
        Where the block begins: along the first axis, or along each of them.
    block
        Of as many axes as the dataset, and of its dtype, or one that numpy casts safely to it.

    Raises
    ------
    ValueError
        Where the block does not fit.
    """
    with ChunkWriter(dataset, stable=True) as writer:
        writer.write(start, block)


class ChunkWriter:
    """Takes blocks of a dataset in any order and size, and stores each chunk once it is complete.

    Chunks that blocks cover in part wait for the rest of them, and are stored as far as they came
    when they are too many, or at the end. Use it as a context manager; where its block raises,
    what waits is dropped, and nothing is written any more once it is left.

    Parameters
    ----------
    dataset
        An `h5py.h5d.DatasetID`.
    fresh
        Whether nothing is stored in it yet, so that nothing needs to be read.
    stable
        Whether blocks stay as they are until the end; else they are copied.
    growing
        Axes that will become longer while it is used, so that chunks at their end are not complete.
    report
        Called with the number of bytes of each piece that was taken.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        fresh: bool = False,
        stable: bool = False,
        growing: Collection[int] = (),
        report: Callable[[int], None] | None = None,
    ) -> None:
        plist = dataset.get_create_plist()
        self._dataset = dataset
        self._dtype: np.dtype[Any] = dataset.dtype
        self._report = report or (lambda count: None)
        self._stable = stable
        self._fresh = fresh
        self._stored: set[_Cell] = set()
        self._partial: dict[_Cell, _Partial] = {}
        self._partial_bytes = 0
        self._growing = frozenset(growing)
        self._turns = Turns(dataset)
        self._underway: deque[tuple[int, int]] = deque()
        self._underway_bytes = 0
        self._plain = _is_plain(self._dtype) and bool(
            h5t.py_create(self._dtype, logical=True).equal(dataset.get_type())
        )
        self._chunk: tuple[int, ...] | None = None
        if plist.get_layout() == h5d.CHUNKED:
            self._chunk = plist.get_chunk()
            self._pipeline = Pipeline.of(plist)
            self._fill = np.zeros((), self._dtype)
            if plist.fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED and self._plain:
                plist.get_fill_value(self._fill)
        self._direct = self._chunk is not None and self._plain and self._pipeline.encodable

    def __enter__(self) -> ChunkWriter:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            try:
                self.flush()
            finally:
                self._turns.end()
        else:
            self._turns.end()

    # -- blocks --------------------------------------------------------------------------------

    def write(self, start: int | Sequence[int], block: Any) -> None:
        """Take a block.

        Raises
        ------
        ValueError
            Where it does not fit into the dataset.
        """
        block = np.asarray(block)
        shape = self._dataset.shape
        origin = _origin(start, block, shape)
        stable = self._stable
        if block.dtype != self._dtype and self._plain:
            if not np.can_cast(block.dtype, self._dtype, "safe"):
                raise ValueError(f"expected {self._dtype}, found {block.dtype}")
            block = block.astype(self._dtype)
            stable = True
        if not block.size:
            return
        if self._chunk is None or not self._plain:
            self._put(origin, block)
            return
        for cell, inside, outside in _cells(origin, block.shape, self._chunk):
            self._take(cell, inside, block[outside], shape, stable)

    def write_selection(self, selection: Any, values: Any) -> None:
        """Write to an index that is no block, through HDF5."""
        self.flush()
        h5py.Dataset(self._dataset)[selection] = values
        self._fresh = False
        check_write()
        self._report(np.asarray(values).nbytes)

    def flush(self) -> None:
        """Store all that was taken.

        Raises
        ------
        Exception
            What went wrong with the storing.
        """
        for cell in sorted(self._partial):
            self._submit(cell, self._partial.pop(cell).values)
        self._partial_bytes = 0
        self._drain(0)

    def _take(
        self,
        cell: _Cell,
        inside: tuple[slice, ...],
        piece: np.ndarray[Any, Any],
        shape: tuple[int, ...],
        stable: bool,
    ) -> None:
        """Take the piece of a block that lies in a chunk."""
        assert self._chunk is not None
        there = tuple(
            one if axis in self._growing else min(one, length - number * one)
            for axis, (number, one, length) in enumerate(zip(cell, self._chunk, shape, strict=True))
        )
        partial = self._partial.get(cell)
        if partial is None and piece.shape == there:
            self._submit(cell, piece if stable else piece.copy())
            self._report(piece.nbytes)
            return
        if partial is None:
            partial = self._partial[cell] = self._begin(cell, there)
            self._partial_bytes += partial.values.nbytes
        partial.values[inside] = piece
        partial.missing -= piece.size
        if partial.missing <= 0:
            del self._partial[cell]
            self._partial_bytes -= partial.values.nbytes
            self._submit(cell, partial.values)
        elif self._partial_bytes > _PARTIAL:
            self.flush()
        self._report(piece.nbytes)

    def _begin(self, cell: _Cell, there: tuple[int, ...]) -> _Partial:
        """Make room for a chunk, with what is stored of it already."""
        assert self._chunk is not None
        values = np.empty(self._chunk, self._dtype)
        values[...] = self._fill
        if not self._fresh or cell in self._stored:
            self._drain(0)
            stored = self._get(cell)
            values[tuple(slice(0, length) for length in stored.shape)] = stored
        return _Partial(values, math.prod(there))

    # -- chunks --------------------------------------------------------------------------------

    def _submit(self, cell: _Cell, values: np.ndarray[Any, Any]) -> None:
        """Have a chunk encoded and stored."""
        assert self._chunk is not None
        if self._fresh:
            self._stored.add(cell)
        offset = tuple(number * one for number, one in zip(cell, self._chunk, strict=True))
        if not self._direct:
            within = tuple(
                slice(0, length - at)
                for at, length in zip(offset, self._dataset.shape, strict=True)
            )
            self._put(offset, values[within], report=False)
            return
        check_write()
        self._turns.check()
        turn = self._turns.next()
        if thread_count() == 1:
            self._code(turn, offset, values)
            self._turns.check()
            return
        nbytes = math.prod(self._chunk) * self._dtype.itemsize
        self._drain(max(_UNDERWAY - nbytes, 0), most=_AHEAD * thread_count())
        self._underway.append((turn, nbytes))
        self._underway_bytes += nbytes
        pool().submit(self._code, turn, offset, values)

    def _code(self, turn: int, offset: tuple[int, ...], values: np.ndarray[Any, Any]) -> None:
        """Encode a chunk, and store it when it is its turn; run by the threads."""
        if self._turns.ended:
            return
        try:
            assert self._chunk is not None
            if values.shape != self._chunk:
                whole = np.empty(self._chunk, self._dtype)
                whole[...] = self._fill
                whole[tuple(slice(0, length) for length in values.shape)] = values
                values = whole
            raw = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            self._turns.ready(turn, offset, self._pipeline.encode(raw))
        except BaseException as error:
            self._turns.fail(error)

    def _drain(self, room: int, most: int = 0) -> None:
        """Wait until no more bytes, and no more chunks, are under way."""
        while self._underway and (self._underway_bytes > room or len(self._underway) > most):
            turn, nbytes = self._underway[0]
            self._turns.wait_for(turn)
            self._underway.popleft()
            self._underway_bytes -= nbytes
        check_write()

    # -- through HDF5 --------------------------------------------------------------------------

    def _put(
        self, origin: tuple[int, ...], block: np.ndarray[Any, Any], *, report: bool = True
    ) -> None:
        space = self._dataset.get_space()
        space.select_hyperslab(origin, block.shape)
        memory = h5s.create_simple(block.shape)
        kind = h5t.py_create(self._dtype) if self._dtype.hasobject else None
        self._dataset.write(memory, space, np.ascontiguousarray(block), mtype=kind)
        check_write()
        if report:
            self._report(block.nbytes)

    def _get(self, cell: _Cell) -> np.ndarray[Any, Any]:
        """Read what is stored of a chunk, as far as it lies in the dataset."""
        assert self._chunk is not None
        origin = tuple(number * one for number, one in zip(cell, self._chunk, strict=True))
        shape = tuple(
            min(one, length - at)
            for one, length, at in zip(self._chunk, self._dataset.shape, origin, strict=True)
        )
        space = self._dataset.get_space()
        space.select_hyperslab(origin, shape)
        values = np.empty(shape, self._dtype)
        self._dataset.read(h5s.create_simple(shape), space, values)
        return values


class _Partial:
    """A chunk that is not complete yet."""

    __slots__ = ("missing", "values")

    def __init__(self, values: np.ndarray[Any, Any], missing: int) -> None:
        self.values = values
        self.missing = missing


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Tell whether elements are in the file as they are in memory."""
    if dtype.names is not None:
        return all(_is_plain(dtype[name]) for name in dtype.names)
    return dtype.kind in "iufbcV" and dtype.subdtype is None and not dtype.hasobject


def _origin(
    start: int | Sequence[int], block: np.ndarray[Any, Any], shape: tuple[int, ...]
) -> tuple[int, ...]:
    first = (start,) if isinstance(start, int) else tuple(start)
    origin = (*first, *(0 for _ in shape[len(first) :]))
    fits = len(shape) == block.ndim and all(
        at >= 0 and at + length <= limit
        for at, length, limit in zip(origin, block.shape, shape, strict=False)
    )
    if not fits:
        raise ValueError(
            f"a block of shape {block.shape} at {origin} does not fit into the shape {shape}"
        )
    return origin


def _cells(
    origin: tuple[int, ...], shape: tuple[int, ...], chunk: tuple[int, ...]
) -> Iterator[tuple[_Cell, tuple[slice, ...], tuple[slice, ...]]]:
    """Cut a block at the borders of chunks.

    Yields
    ------
    tuple
        The number of a chunk, which part of the chunk it is, and which part of the block.
    """
    along = []
    for first, length, one in zip(origin, shape, chunk, strict=True):
        parts = []
        for number in range(first // one, -(-(first + length) // one)):
            begin, end = max(first, number * one), min(first + length, (number + 1) * one)
            parts.append(
                (
                    number,
                    slice(begin - number * one, end - number * one),
                    slice(begin - first, end - first),
                )
            )
        along.append(parts)
    for combined in itertools.product(*along):
        cell, inside, outside = zip(*combined, strict=True)
        yield cell, inside, outside

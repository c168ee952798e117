"""The engine beneath `LazyArray`: fill an array with boxes of a dataset, and say why it failed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy
from h5py import h5d, h5f, h5i, h5s, h5z
from numpy.typing import NDArray

from .boxes import Block
from .chunks import ChunkError, Chunks, has_fill_value
from .codecs import FILTERS
from .external import external_files
from .raw import RawFile
from .values import memory_type

__all__ = ["Fetch", "Stored", "fetch", "reason_of"]

_FAR = 1 << 14  # bytes between rows, from which on HDF5 reads much in between


class Fetch(Protocol):
    """An engine: reads each block into its place in `out`.

    `out` is C-contiguous and of the dtype that h5py gives the dataset, or, of a compound, of some
    of its members. HDF5's own exceptions are left as they are; `reason_of` explains them.
    """

    def __call__(self, stored: Stored, blocks: Sequence[Block], out: NDArray[Any], /) -> None:
        """Fill `out`."""


class _Lie(NamedTuple):
    """How data lie that are stored as elements of a dtype, where they are read past HDF5."""

    dtype: numpy.dtype[Any]
    chunks: Chunks | None = None
    offset: int | None = None
    row: tuple[int, ...] = ()
    row_bytes: int = 0


class Stored:
    """An open dataset, and what is known of how to read it.

    Parameters
    ----------
    dataset
        The dataset.
    raw
        Gives the bytes of its file; None where only HDF5 can read them.
    """

    __slots__ = ("_lie", "_raw", "dataset", "is_filled", "lies_inside")

    def __init__(self, dataset: h5d.DatasetID, raw: Callable[[], RawFile | None]) -> None:
        self.dataset = dataset
        self._raw = raw
        self._lie: _Lie | None = None
        self.is_filled = has_fill_value(dataset.get_create_plist())
        """Whether HDF5 gives a value to what was never written, and does not just skip it."""
        self.lies_inside = not any(external_files(dataset))
        """Whether all data lie in the file."""

    def read(self, blocks: Sequence[Block], out: NDArray[Any]) -> bool:
        """Read past HDF5; tell whether that was possible.

        Raises
        ------
        ChunkError
            Where a chunk cannot be decoded.
        """
        lie = self._lie  # of this read: other threads may ask for other dtypes
        if lie is None or lie.dtype != out.dtype:
            lie = self._lie = self._look_at(out.dtype)
        if lie.chunks is None and lie.offset is None:
            return False
        raw = self._raw()
        # Whether addresses count the user block depends on the release of HDF5.
        if raw is None or raw.base:
            return False
        with raw.held() as possible:
            if not possible:  # the file was closed, or is written to, just now
                return False
            if lie.chunks is not None:
                return lie.chunks.read(raw, blocks, out)
            return all(_read_run(raw, lie, block, out) for block in blocks)

    def _look_at(self, dtype: numpy.dtype[Any]) -> _Lie:
        """See how data lie that are stored as elements of this dtype."""
        if dtype.hasobject or not self._is_stored_as(dtype):
            return _Lie(dtype)
        chunks = Chunks.of(self.dataset, dtype)
        layout = self.dataset.get_create_plist().get_layout()
        if layout != h5d.CONTIGUOUS or not self.lies_inside:
            return _Lie(dtype, chunks)
        row = self.dataset.shape[1:]
        size = math.prod(row) * dtype.itemsize
        return _Lie(dtype, chunks, self.dataset.get_offset(), row, size)

    def _is_stored_as(self, dtype: numpy.dtype[Any]) -> bool:
        return bool(self.dataset.get_type().equal(memory_type(self.dataset, dtype)))


def _read_run(raw: RawFile, lie: _Lie, block: Block, out: NDArray[Any]) -> bool:
    """Read rows, or one run of each; leave all else, and short files, to HDF5."""
    if not block.shape or block.pick is not None:
        return False
    target = out if block.at is None else out[block.at]
    if not target.flags.c_contiguous:
        return False
    assert lie.offset is not None
    buffer = memoryview(target.reshape(-1).view(numpy.uint8).data)
    rows, step = block.shape[0], block.step[0]
    start = lie.offset + block.start[0] * lie.row_bytes
    if block.shape[1:] == lie.row and (step == 1 or rows == 1):
        return raw.read_into(start, buffer)
    within = _run_in_row(block, lie.row, out.dtype.itemsize)
    if within is None or lie.row_bytes < _FAR:
        return False
    size = len(buffer) // rows
    return all(
        raw.read_into(
            start + within + row * step * lie.row_bytes, buffer[row * size : (row + 1) * size]
        )
        for row in range(rows)
    )


def _run_in_row(block: Block, row: tuple[int, ...], itemsize: int) -> int | None:
    """Tell where in each row a block lies, if it is one run of it; None if it is not."""
    within, stride, whole = 0, itemsize, True
    for start, count, step, length in zip(
        block.start[:0:-1], block.shape[:0:-1], block.step[:0:-1], row[::-1], strict=True
    ):
        if count > 1 and (step != 1 or not whole):
            return None
        whole = whole and count == length
        within += start * stride
        stride *= length
    return within


def fetch(stored: Stored, blocks: Sequence[Block], out: NDArray[Any]) -> None:
    """Read past HDF5 what lies as it is wanted, or decodes in threads, and all else by HDF5."""
    if not stored.read(blocks, out):
        _fetch_by_hdf5(stored.dataset, blocks, out)


def _fetch_by_hdf5(dataset: h5d.DatasetID, blocks: Sequence[Block], out: NDArray[Any]) -> None:
    """Read by HDF5 itself, one request per block."""
    stored = memory_type(dataset, out.dtype)
    file_space = dataset.get_space()
    memory_space = h5s.create_simple(out.shape) if out.ndim else None
    for block in blocks:
        if memory_space is None:
            dataset.read(h5s.ALL, h5s.ALL, out, stored)
            continue
        file_space.select_hyperslab(block.start, block.shape, block.step)
        if block.pick is None:
            if block.at is not None:
                corner = tuple(part.start for part in block.at)
                memory_space.select_hyperslab(corner, block.shape)
            dataset.read(memory_space, file_space, out, stored)
        else:
            box = numpy.zeros(block.shape, out.dtype)
            dataset.read(h5s.create_simple(block.shape), file_space, box, stored)
            out[... if block.at is None else block.at] = box[block.pick]


def reason_of(dataset: h5d.DatasetID, file: str, error: Exception) -> tuple[str, str | None]:
    """Return why a read from this file failed, and what can be done about it."""
    stated = str(error)
    lower = stated.lower()
    missing = [] if isinstance(error, ChunkError) else _missing_filters(dataset)
    if missing:
        names = " and ".join(missing)
        return (
            f"the data are compressed with {names}, which is not available: {stated}",
            "`pip install hdf5plugin` and `import hdf5plugin` usually provide it",
        )
    words = ("overflow", "truncated", "file read failed", "eof")
    if _is_truncated(dataset, file) or any(word in lower for word in words):
        return (
            f"the file ends before the data do, so it is truncated: {stated}",
            "copy or download the file again",
        )
    if any(word in lower for word in ("filter", "inflate", "checksum", "deflate", "decompress")):
        return (
            f"a stored chunk is corrupt, it cannot be decoded: {stated}",
            "other chunks may still be readable",
        )
    return f"HDF5 cannot read the data: {stated}", None


def _is_truncated(dataset: h5d.DatasetID, file: str) -> bool:
    """Whether the file has become shorter than HDF5 takes it to be.

    HDF5 reads zeros beyond its end, and then complains of what they decode to.
    """
    try:
        opened = h5i.get_file_id(dataset)
        # A file being written is shorter until it is flushed.
        reading = opened.get_intent() == h5f.ACC_RDONLY
        return bool(reading and Path(file).stat().st_size < opened.get_filesize())
    except (OSError, RuntimeError, ValueError):
        return False


def _missing_filters(dataset: h5d.DatasetID) -> list[str]:
    """Return a description of each filter of this dataset that cannot be applied."""
    try:
        plist = dataset.get_create_plist()
        used = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    except (OSError, RuntimeError, ValueError):
        return []
    missing = []
    for code, _, _, name in used:
        if not h5z.filter_avail(code):
            label = FILTERS.get(code) or name.rstrip(b"\0").decode("utf-8", "replace")
            missing.append(f"filter {code} ({label})" if label else f"filter {code}")
    return missing

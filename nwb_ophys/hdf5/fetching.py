"""The engine beneath `LazyArray`: fill an array with boxes of a dataset, and say why it failed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy
from h5py import h5d, h5f, h5i, h5s, h5t, h5z
from numpy.typing import NDArray

from .boxes import Block

__all__ = ["FILTERS", "Fetch", "fetch", "reason_of"]

# The filters that change how many bytes a chunk takes, by registered number.
FILTERS = {
    h5z.FILTER_DEFLATE: "gzip",
    h5z.FILTER_SZIP: "szip",
    307: "bzip2",
    32000: "lzf",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32018: "fcidecomp",
    32024: "sz3",
    32026: "blosc2",
    32028: "sperr",
}


class Fetch(Protocol):
    """An engine: reads each block into its place in `out`.

    `out` is C-contiguous and of the dtype that h5py gives the dataset, or, of a compound, of some
    of its members. HDF5's own exceptions are left as they are; `reason_of` explains them.
    """

    def __call__(
        self, dataset: h5d.DatasetID, blocks: Sequence[Block], out: NDArray[Any], /
    ) -> None:
        """Fill `out`."""


def fetch(dataset: h5d.DatasetID, blocks: Sequence[Block], out: NDArray[Any]) -> None:
    """Read by HDF5 itself, one request per block."""
    stored = _hdf5_type(out.dtype)
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


def _hdf5_type(dtype: numpy.dtype[Any]) -> h5t.TypeID:
    # What h5py adds to a dtype counts for nothing when dtypes are compared, so it bars the cache.
    plain = dtype.kind in "iuf" and dtype.metadata is None
    return _hdf5_number(dtype) if plain else h5t.py_create(dtype)


@functools.cache
def _hdf5_number(dtype: numpy.dtype[Any]) -> h5t.TypeID:
    return h5t.py_create(dtype)


def reason_of(dataset: h5d.DatasetID, file: str, error: Exception) -> tuple[str, str | None]:
    """Return why a read from this file failed, and what can be done about it."""
    stated = str(error)
    lower = stated.lower()
    missing = _missing_filters(dataset)
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

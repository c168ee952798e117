"""Create datasets for arrays: in memory, elsewhere, or coming as a stream, and fill them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from h5py import h5d, h5p, h5s

from nwb_ophys.authored import Storage
from nwb_ophys.dtypes import Dims, DTypeSpec, conform_array, shape_mismatch
from nwb_ophys.hdf5.blocks import Incoming, blocks_of_array, blocks_of_stream
from nwb_ophys.hdf5.encoding import ChunkWriter
from nwb_ophys.hdf5.layouts import SMALL, axes_of, chunks_for, grows
from nwb_ophys.hdf5.pipelines import set_filters
from nwb_ophys.hdf5.values import type_of

__all__ = ["properties", "store_array", "store_elsewhere", "store_stream"]

_POINTER: Final = 16  # what texts of any length take in a dataset
_LONG: Final = 1 << 26
"""Bytes from which on writing shows a bar, where that is asked for."""


def properties() -> Any:
    """Make the properties of a dataset in one piece."""
    # Without times, as h5py has it: equal sessions give equal files.
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    return plist


_PLAIN: Final = properties()


def store_array(
    group: Any,
    raw: bytes,
    array: np.ndarray[Any, Any],
    stored: Any,
    storage: Storage,
    dims: Dims,
    *,
    asked: bool,
) -> Any:
    """Create a dataset of an array in memory.

    Parameters
    ----------
    group, raw
        Where, and its name.
    array
        What is in it.
    stored
        Its type on disk.
    storage
        How it is stored.
    dims
        Its declared axes.
    asked
        Whether that was asked for this array, or holds for all that it suits.
    """
    layout = _layout(array.shape, array.dtype, storage, dims, asked=asked)
    dataset = h5d.create(group, raw, stored, layout.space, layout.plist)
    if not array.size:
        return dataset
    if layout.plist is _PLAIN and array.dtype.kind in "biufcV" and array.nbytes <= _LONG:
        mtype = type_of(array.dtype, logical=True)
        dataset.write(h5s.ALL, h5s.ALL, np.ascontiguousarray(array), mtype=mtype)
        return dataset
    with (
        _progress(raw, array.nbytes, storage) as report,
        ChunkWriter(dataset, fresh=True, stable=True, report=report) as writer,
    ):
        writer.write(0, array)
    return dataset


def store_elsewhere(
    group: Any,
    raw: bytes,
    array: Any,
    spec: DTypeSpec,
    storage: Storage,
    dims: Dims,
    *,
    asked: bool,
) -> Any:
    """Create a dataset of an array that is not in memory, and copy it block by block."""
    shape = tuple(int(length) for length in array.shape)
    dtype = conform_array(spec, np.empty(0, array.dtype)).dtype
    layout = _layout(shape, dtype, storage, dims, asked=asked)
    stored = type_of(dtype, logical=True)
    dataset = h5d.create(group, raw, stored, layout.space, layout.plist)
    rows = layout.chunks[0] if layout.chunks else 1
    total = math.prod(shape) * dtype.itemsize
    if not total:
        return dataset
    with (
        _progress(raw, total, storage) as report,
        ChunkWriter(dataset, fresh=True, stable=True, report=report) as writer,
    ):
        for block in blocks_of_array(array, rows):
            assert block.origin is not None
            writer.write(block.origin, conform_array(spec, block.values))
    return dataset


def store_stream(
    group: Any,
    raw: bytes,
    stream: Iterator[Any],
    spec: DTypeSpec,
    storage: Storage,
    dims: Dims,
    *,
    asked: bool,
) -> Any:
    """Create a dataset of the blocks of an iterator, which joins them along their first axis.

    Raises
    ------
    ValueError
        Where there is no block, or one that does not fit to those before.
    """
    incoming = blocks_of_stream(stream, dims)
    first = conform_array(spec, incoming.first.values)
    expected = [1 if length is None else length for length in incoming.shape]
    problem = shape_mismatch(dims, expected)
    if problem:
        raise ValueError(f"{problem} of the first block")
    layout = _layout_of_stream(incoming, first.dtype, storage, dims, asked=asked)
    stored = type_of(first.dtype, logical=True)
    dataset = h5d.create(group, raw, stored, layout.space, layout.plist)
    growing = [axis for axis, length in enumerate(incoming.shape) if length is None]
    total = None if growing else math.prod(expected) * first.dtype.itemsize
    with (
        _progress(raw, total, storage) as report,
        ChunkWriter(dataset, fresh=True, growing=growing, report=report) as writer,
    ):
        length = 0
        for block in incoming.blocks:
            values = conform_array(spec, block.values)
            if values.dtype != first.dtype:
                raise _unlike(first, values)
            if block.bounds is None:
                if values.shape[1:] != first.shape[1:]:
                    raise _unlike(first, values)
                dataset.set_extent((length + len(values), *first.shape[1:]))
                writer.write(length, values)
                length += len(values)
                continue
            extent = tuple(map(max, dataset.shape, block.bounds))
            if extent != dataset.shape:
                if any(
                    axis not in growing and length > dataset.shape[axis]
                    for axis, length in enumerate(extent)
                ):
                    raise ValueError(
                        f"a block reaches to {block.bounds}, beyond the shape {incoming.shape} "
                        "that the iterator tells"
                    )
                dataset.set_extent(extent)
            if block.origin is None:
                writer.write_selection(block.selection, values)
            else:
                writer.write(block.origin, values)
    return dataset


def _unlike(first: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> ValueError:
    return ValueError(
        f"expected blocks like the first, {first.dtype} "
        f"(n, {', '.join(map(str, first.shape[1:]))}), found {values.dtype} {values.shape}"
    )


class _Layout:
    """The properties of a dataset, and its space."""

    def __init__(self, plist: Any, shape: Sequence[int], limits: Sequence[int] | None) -> None:
        self.plist = plist
        self.chunks: tuple[int, ...] | None = None if plist is _PLAIN else plist.get_chunk()
        if not shape:
            self.space = h5s.create(h5s.SCALAR)
        else:
            self.space = h5s.create_simple(tuple(shape), None if limits is None else tuple(limits))


def _layout(
    shape: tuple[int, ...], dtype: np.dtype[Any], storage: Storage, dims: Dims, *, asked: bool
) -> _Layout:
    itemsize = _POINTER if dtype.hasobject else dtype.itemsize
    nbytes = math.prod(shape) * itemsize
    exact = asked and storage.chunks != "default"
    has_chunks = storage.chunks not in ("default", False)
    wanted = asked or nbytes >= SMALL
    whole = not shape or 0 in shape[1:] or (not nbytes and not exact)
    if whole or not wanted or (storage.compression is None and not has_chunks):
        return _Layout(_PLAIN, shape, None)
    axes = axes_of(dims, len(shape))
    chunks = chunks_for(storage.chunks, shape, itemsize, axes, exact=exact)
    if chunks is None:
        return _Layout(_PLAIN, shape, None)
    if not grows(axes):
        if not nbytes:
            return _Layout(_PLAIN, shape, None)
        return _Layout(_in_chunks(chunks, dtype, storage), shape, None)
    return _Layout(_in_chunks(chunks, dtype, storage), shape, (h5s.UNLIMITED, *shape[1:]))


def _layout_of_stream(
    incoming: Incoming, dtype: np.dtype[Any], storage: Storage, dims: Dims, *, asked: bool
) -> _Layout:
    shape = incoming.shape
    itemsize = _POINTER if dtype.hasobject else dtype.itemsize
    # Of axes that grow beside the first, the first block shows how long its pieces are.
    likely = [
        incoming.first.bounds[axis] if length is None and axis and incoming.first.bounds else length
        for axis, length in enumerate(shape)
    ]
    exact = asked and storage.chunks != "default"
    axes = axes_of(dims, len(shape))
    chunks = chunks_for(storage.chunks, likely, itemsize, axes, exact=exact)
    if chunks is None or (storage.chunks == "default" and incoming.chunks is not None):
        chunks = _agreeing(chunks, incoming)
    if chunks is None:
        return _Layout(_PLAIN, [length or 0 for length in shape], None)
    known = [0 if length is None else length for length in shape]
    limits = [h5s.UNLIMITED if length is None else length for length in shape]
    if grows(axes):
        limits[0] = h5s.UNLIMITED
    if any(limit == 0 for limit in limits):
        return _Layout(_PLAIN, known, None)
    return _Layout(_in_chunks(chunks, dtype, storage), known, limits)


def _agreeing(chunks: tuple[int, ...] | None, incoming: Incoming) -> tuple[int, ...] | None:
    """Choose the chunks that a stream's blocks are made for, where its blocks cut ours."""
    made_for = incoming.chunks
    if chunks is None or made_for is None or len(made_for) != len(chunks):
        return chunks
    block = incoming.first.values.shape
    cut = any(
        length % one and length != whole
        for one, length, whole in zip(chunks, block, incoming.shape, strict=True)
    )
    return made_for if cut else chunks


def _in_chunks(chunks: tuple[int, ...], dtype: np.dtype[Any], storage: Storage) -> Any:
    plist = properties()
    plist.set_chunk(chunks)
    if not dtype.hasobject:  # of texts, only the places where they are would be compressed
        compression = "gzip" if _is_default(storage.compression) else storage.compression
        set_filters(plist, compression, storage.shuffle, dtype.itemsize)
    return plist


def _is_default(setting: Any) -> bool:
    return isinstance(setting, str) and setting == "default"


@contextmanager
def _progress(
    raw: bytes, total: int | None, storage: Storage
) -> Iterator[Callable[[int], None] | Any]:
    """Show a bar of bytes, with rate and time left, if that is asked for and worth it."""
    if storage.progress is not True or (total is not None and total <= _LONG):
        yield lambda count: None
        return
    from tqdm.auto import tqdm

    name = raw.decode("utf-8", "replace")
    with tqdm(total=total, desc=name, unit="B", unit_scale=True) as bar:
        yield bar.update

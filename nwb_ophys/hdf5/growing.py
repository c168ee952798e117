"""Write what is pending of an array into its dataset, or all of it anew where it must grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5d, h5i, h5s, h5t

from nwb_ophys.dtypes import Dims
from nwb_ophys.errors import NWBError, SchemaError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.datasets import Referrer, encode
from nwb_ophys.hdf5.encoding import write_block
from nwb_ophys.hdf5.guarding import check_write
from nwb_ophys.hdf5.layouts import axes_of, chunks_to_grow
from nwb_ophys.hdf5.pending import Pending
from nwb_ophys.hdf5.storing import properties
from nwb_ophys.hdf5.values import decode_text, dtype_of, encode_text, has_references

__all__ = ["AsArray", "holds_references", "takes_pending", "write_anew", "write_pending"]

_BLOCK: Final = 1 << 23


class AsArray:
    """A lazy array with what is pending of it, to be written as any other array."""

    def __init__(self, array: LazyArray) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, index: Any) -> Any:
        return self._array[index]


def takes_pending(array: LazyArray) -> bool:
    """Tell whether what is pending of an array can be written into its dataset as it is."""
    pending = array.handle.pending
    if pending is None or not pending.grows:
        return True
    limits = array.maxshape or (0,)
    return array.chunks is not None and (limits[0] is None or limits[0] >= pending.shape[0])


def holds_references(array: LazyArray) -> bool:
    """Tell whether the elements of an array are references, or have some."""
    return has_references(array.handle.dataset().get_type())


def write_pending(dataset: Any, pending: Pending, refer: Referrer | None) -> None:
    """Write changed rows into the dataset that they belong to.

    Raises
    ------
    SchemaError
        Where a text does not fit into the length that is stored, or a value into the elements.
    """
    if pending.grows:
        dataset.set_extent(pending.shape)
    try:
        for part in pending.parts:
            _put(dataset, part.start, part.values, refer)
    except NWBError:
        raise
    except (AttributeError, TypeError, ValueError) as error:
        raise SchemaError(
            f"what was assigned is nothing that could be stored there: {error}",
            path=decode_text(h5i.get_name(dataset) or b"") or None,
            hint="assign a new array to the field",
        ) from error


def write_anew(group: Any, name: str, array: LazyArray, refer: Referrer | None, dims: Dims) -> Any:
    """Write an array with what is pending of it to a new dataset, which can grow.

    What was in chunks keeps them, and their filters; what was in one piece gets those that suit
    an array of these axes, and stays as uncompressed as it was.
    """
    old = array.handle.dataset()
    plist = old.get_create_plist()
    if plist.get_layout() != h5d.CHUNKED:
        plist = properties()
        shape = array.shape
        axes = axes_of(dims, len(shape))
        plist.set_chunk(chunks_to_grow(shape, old.get_type().get_size(), axes))
    space = h5s.create_simple(array.shape, (h5s.UNLIMITED, *array.shape[1:]))
    dataset = h5d.create(group, encode_text(name), old.get_type(), space, plist)
    if not has_references(old.get_type()):
        fill(dataset, array, refer)
    return dataset


def fill(dataset: Any, array: LazyArray, refer: Referrer | None) -> None:
    """Write all of an array to a dataset."""
    for start, values in _blocks(array, dataset.get_create_plist().get_chunk()[0]):
        _put(dataset, start, values, refer)


def _blocks(array: LazyArray, rows: int) -> Iterator[tuple[int, Any]]:
    """Cut an array into blocks of whole chunks, so that none is written twice."""
    row = max(1, array.nbytes // max(1, len(array)))
    step = rows * max(1, _BLOCK // (row * rows))
    for start in range(0, len(array), step):
        yield start, array[start : start + step]


def _put(dataset: Any, start: int, values: Any, refer: Referrer | None) -> None:
    values = np.asarray(values)
    if not values.size:
        return
    check_write()
    if not values.dtype.hasobject:
        write_block(dataset, start, values)
        return
    space = dataset.get_space()
    space.select_hyperslab((start, *(0 for _ in values.shape[1:])), values.shape)
    memory = h5s.create_simple(values.shape)
    encoded, _ = encode("any", values, refer)
    stored = dtype_of(dataset.get_type())
    text = h5py.check_string_dtype(stored)
    if text is not None and text.length is not None:
        longest = max(len(one) for one in encoded.flat)
        if longest > text.length:
            raise SchemaError(
                f"texts there take at most {text.length} bytes, and one of these takes {longest}",
                hint="assign a new array to the field",
            )
        own = dataset.get_type()
        # HDF5 would put a zero in the place of the last byte of a text that takes all of them.
        kind = own if own.get_strpad() == h5t.STR_NULLTERM else None
        dataset.write(memory, space, encoded.astype(stored), mtype=kind)
        return
    kind = h5t.py_create(stored) if text is None else h5t.py_create(h5py.string_dtype())
    dataset.write(memory, space, encoded, mtype=kind)

"""Write values: attributes, and datasets of whatever holds data.

Text is written as variable-length UTF-8, booleans as the enumeration that h5py and PyNWB use,
references as object references. What was text, number or array when it was read is so again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5p, h5s, h5t

from nwb_ophys.dtypes import DTypeSpec, conform_array
from nwb_ophys.errors import SchemaError
from nwb_ophys.hdf5.guarding import check_write
from nwb_ophys.hdf5.values import encode_text
from nwb_ophys.storage import is_stream

__all__ = ["Storage", "write_attribute", "write_dataset"]

_OBJECT_REF: Final = h5py.ref_dtype
_TEXT: Final = h5py.string_dtype()
_SCALAR: Final = h5s.create(h5s.SCALAR)
_BLOCK: Final = 1 << 23
_CHUNK: Final = 1 << 20
_SMALL: Final = 1 << 14

Referrer = Callable[[Any], Any]
"""Turns a model into h5py's reference to its object."""


@dataclass(frozen=True)
class Storage:
    """How new arrays are stored.

    Parameters
    ----------
    compression
        ``gzip`` or None. Arrays under 16 KiB are stored as they are.
    level
        The level of gzip.
    progress
        Whether long writes show a bar.
    """

    compression: str | None = "gzip"
    level: int = 4
    progress: bool = False

    def __post_init__(self) -> None:
        if self.compression not in ("gzip", None):
            raise SchemaError(
                f"the compression {self.compression!r} is not known",
                hint="compression is 'gzip' or None",
            )


def _text_type() -> Any:
    kind = h5t.C_S1.copy()
    kind.set_size(h5t.VARIABLE)
    kind.set_cset(h5t.CSET_UTF8)
    return kind


_STORED_TEXT: Final = _text_type()
_MEMORY_TEXT: Final = h5t.py_create(_TEXT)
_DOUBLE: Final = h5t.IEEE_F64LE


def encode(spec: DTypeSpec, value: Any, refer: Referrer | None) -> tuple[Any, Any]:
    """Bring a value to memory as it is to be written, and say its type on disk.

    Raises
    ------
    ValueError
        Where the value does not conform to the dtype.
    """
    if isinstance(value, str):
        return _bytes(value), _STORED_TEXT
    if isinstance(value, datetime):
        return _bytes(value.isoformat()), _STORED_TEXT
    if isinstance(value, (bool, np.bool_)):
        return np.asarray(bool(value)), h5t.py_create(np.dtype(bool), logical=True)
    if isinstance(value, (int, float)):
        number = _narrowest(spec, value)
        return number, _stored_type(number.dtype)
    if isinstance(value, h5py.Reference):
        return np.asarray(value, _OBJECT_REF), h5t.py_create(_OBJECT_REF, logical=True)
    if isinstance(value, (list, tuple)):
        value = _from_list(value)
    array = np.asarray(value)
    if array.dtype.kind == "O" or array.dtype.kind in "UST":
        return _encode_objects(array, refer)
    if array.dtype.names is not None:
        array = _encode_members(conform_array(spec, array), refer)
        return array, h5t.py_create(array.dtype, logical=True)
    if array.ndim:
        array = conform_array(spec, array)
    return array, _stored_type(array.dtype)


def _narrowest(spec: DTypeSpec, value: int | float) -> np.ndarray[Any, Any]:
    if isinstance(value, float) or spec in ("float", "float32", "float64"):
        return np.asarray(value, np.float64)
    if isinstance(spec, str) and spec.lstrip("u").startswith("int"):
        name = spec if spec[-1].isdigit() else f"{spec}32"
        info = np.iinfo(name)
        if info.min <= value <= info.max:
            return np.asarray(value, name)
    return np.asarray(value)


def _from_list(value: Any) -> np.ndarray[Any, Any]:
    if not value:
        return np.empty(0, object)
    if isinstance(value[0], datetime):
        return np.array([one.isoformat() for one in value], object)
    if isinstance(value[0], (str, int, float, np.generic, list, tuple, np.ndarray)):
        array = np.asarray(value)
        return array.astype(object) if array.dtype.kind == "U" else array
    result = np.empty(len(value), object)
    result[:] = value
    return result


def _bytes(text: str) -> np.ndarray[Any, Any]:
    array = np.empty((), object)
    array[()] = encode_text(text)
    return array


def _encode_objects(array: np.ndarray[Any, Any], refer: Referrer | None) -> tuple[Any, Any]:
    first = next((one for one in array.flat if one is not None), "")
    if isinstance(first, (str, bytes, np.str_)):
        out = np.empty(array.shape, object)
        for index in np.ndindex(array.shape):
            text = array[index]
            out[index] = text if isinstance(text, bytes) else encode_text(str(text))
        return out, _STORED_TEXT
    if refer is None:
        raise ValueError(f"expected text or numbers, found {first!r}")
    out = np.empty(array.shape, _OBJECT_REF)
    for index in np.ndindex(array.shape):
        out[index] = refer(array[index])
    return out, h5t.py_create(_OBJECT_REF, logical=True)


def _encode_members(array: np.ndarray[Any, Any], refer: Referrer | None) -> np.ndarray[Any, Any]:
    kinds: list[tuple[str, Any]] = []
    columns = {}
    for name in array.dtype.names or ():
        column = array[name]
        if column.dtype.kind == "O":
            column, stored = _encode_objects(column, refer)
            kinds.append((name, _TEXT if stored is _STORED_TEXT else _OBJECT_REF))
        else:
            kinds.append((name, column.dtype))
        columns[name] = column
    if all(array.dtype[name].kind != "O" for name, _ in kinds):
        return array
    result = np.empty(array.shape, kinds)
    for name, column in columns.items():
        result[name] = column
    return result


def _memory_type(stored: Any, array: np.ndarray[Any, Any]) -> Any:
    if stored is _STORED_TEXT:
        return _MEMORY_TEXT
    return stored if array.dtype.kind in "iuf" else h5t.py_create(array.dtype)


def _stored_type(dtype: np.dtype[Any]) -> Any:
    # What h5py adds to a dtype counts for nothing when dtypes are compared, so it bars the cache.
    plain = dtype.kind in "iuf" and dtype.metadata is None
    return _number_type(dtype) if plain else h5t.py_create(dtype, logical=True)


@cache
def _number_type(dtype: np.dtype[Any]) -> Any:
    return h5t.py_create(dtype)


def _space(shape: tuple[int, ...]) -> Any:
    return h5s.create_simple(shape) if shape else _SCALAR


def write_attribute(
    owner: Any, name: str, value: Any, spec: DTypeSpec = "any", refer: Referrer | None = None
) -> None:
    """Write an attribute, in place of one of that name.

    Raises
    ------
    ValueError
        Where the value does not conform to the dtype.
    """
    raw = encode_text(name)
    if isinstance(value, h5py.Empty):
        stored, array, space = h5t.py_create(value.dtype, logical=True), None, h5s.create(h5s.NULL)
    else:
        array, stored = encode(spec, value, refer)
        space = _space(array.shape)
    try:
        attribute = h5a.create(owner, raw, stored, space)
    except (OSError, RuntimeError, ValueError):
        if not h5a.exists(owner, raw):
            raise
        attribute = h5a.open(owner, raw)
        if not _takes(attribute, stored, space):
            h5a.delete(owner, raw)
            attribute = h5a.create(owner, raw, stored, space)
    if array is not None and array.size:
        attribute.write(array, mtype=_memory_type(stored, array))


def _takes(attribute: Any, stored: Any, space: Any) -> bool:
    """Tell whether an attribute can be written again in its place among the others."""
    present = attribute.get_space()
    return bool(
        attribute.get_type().equal(stored)
        and present.get_simple_extent_type() == space.get_simple_extent_type()
        and present.shape == space.shape
    )


def write_dataset(
    group: Any,
    name: str,
    value: Any,
    spec: DTypeSpec,
    storage: Storage,
    refer: Referrer | None = None,
) -> Any:
    """Create a dataset of a scalar, a list, an array of any kind, or an iterator of blocks.

    Returns
    -------
    h5py.h5d.DatasetID
        The new dataset.

    Raises
    ------
    ValueError
        Where the value does not conform to the dtype.
    """
    raw = encode_text(name)
    stored_as = _stored_dataset(value)
    if stored_as is not None and _is_plain(stored_as) and not _needs_widening(spec, value):
        return _copy_stored(group, raw, stored_as)
    if is_stream(value):
        return _write_stream(group, raw, name, value, spec, storage)
    if isinstance(value, h5py.Empty):
        kind = h5t.py_create(value.dtype, logical=True)
        return h5d.create(group, raw, kind, h5s.create(h5s.NULL), _properties())
    if (
        hasattr(value, "shape")
        and hasattr(value, "dtype")
        and not isinstance(value, (np.ndarray, np.generic))
    ):
        if len(value.shape) and value.dtype.kind not in "OUST" and value.dtype.names is None:
            return _write_blocks(group, raw, name, value, spec, storage)
        value = np.asarray(value[()])
    array, stored = encode(spec, value, refer)
    plist = _creation(array.shape, array.dtype, storage)
    dataset = h5d.create(group, raw, stored, _space(array.shape), plist)
    if array.size:
        array = np.ascontiguousarray(array) if array.ndim else array
        dataset.write(h5s.ALL, h5s.ALL, array, mtype=_memory_type(stored, array))
    return dataset


def _stored_dataset(value: Any) -> Any:
    """Give the HDF5 dataset behind a lazy array; None where there is none."""
    handle = getattr(value, "handle", None)
    if handle is not None and hasattr(handle, "dataset"):
        handle.check_readable()
        return handle.dataset()
    return value.id if isinstance(value, h5py.Dataset) else None


def _is_plain(dataset: Any) -> bool:
    from nwb_ophys.hdf5.values import has_references

    plist = dataset.get_create_plist()
    outside = plist.get_layout() == h5d.VIRTUAL or (
        plist.get_layout() == h5d.CONTIGUOUS and plist.get_external_count()
    )
    return not outside and not has_references(dataset.get_type())


def _needs_widening(spec: DTypeSpec, value: Any) -> bool:
    dtype = value.dtype
    if spec in ("any", "numeric") or dtype.kind in "OSU" or dtype.names:
        return False
    return bool(conform_array(spec, np.empty(0, dtype)).dtype != dtype)


def _copy_stored(group: Any, raw: bytes, dataset: Any) -> Any:
    plist = h5p.create(h5p.OBJECT_COPY)
    plist.set_copy_object(h5o.COPY_WITHOUT_ATTR_FLAG)
    h5o.copy(dataset, b".", group, raw, plist)
    return h5d.open(group, raw)


def _properties() -> Any:
    # Without times, as h5py has it: equal sessions give equal files.
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    return plist


_PLAIN: Final = _properties()
"""The properties of a dataset in one piece."""


def _creation(shape: tuple[int, ...], dtype: np.dtype[Any], storage: Storage) -> Any:
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < _SMALL or storage.compression is None or dtype.kind == "O":
        return _PLAIN
    plist = _properties()
    _set_chunks(plist, shape, dtype, storage)
    return plist


def _set_chunks(plist: Any, shape: tuple[int, ...], dtype: np.dtype[Any], storage: Storage) -> None:
    row = max(1, math.prod(shape[1:]) * dtype.itemsize)
    chunks = [max(1, min(shape[0] or 1, _CHUNK // row)), *(max(1, n) for n in shape[1:])]
    axis = 1
    while math.prod(chunks) * dtype.itemsize > 4 * _CHUNK and axis < len(chunks):
        chunks[axis] = max(1, -(-chunks[axis] // 2))
        axis = axis if chunks[axis] > 64 else axis + 1
    plist.set_chunk(tuple(chunks))
    if storage.compression is not None:
        if dtype.itemsize > 1:
            plist.set_shuffle()
        plist.set_deflate(storage.level)


def _write_blocks(
    group: Any, raw: bytes, name: str, value: Any, spec: DTypeSpec, storage: Storage
) -> Any:
    """Write an array that is not in memory, block by block along its first axis."""
    shape = tuple(int(n) for n in value.shape)
    dtype = conform_array(spec, np.empty(0, value.dtype)).dtype
    plist = _creation(shape, dtype, storage)
    stored = h5t.py_create(dtype, logical=True)
    dataset = h5d.create(group, raw, stored, h5s.create_simple(shape), plist)
    row = max(1, math.prod(shape[1:]) * dtype.itemsize)
    step = max(1, _BLOCK // row)
    if plist.get_layout() == h5d.CHUNKED:
        rows = plist.get_chunk()[0]
        step = max(rows, step // rows * rows)
    with _bar(name, shape[0] * row, storage) as bar:
        for first in range(0, shape[0], step):
            block = np.asarray(value[first : first + step])
            _put(dataset, first, conform_array(spec, block))
            bar(block.nbytes)
    return dataset


def _write_stream(
    group: Any, raw: bytes, name: str, blocks: Iterator[Any], spec: DTypeSpec, storage: Storage
) -> Any:
    """Write an iterator of blocks, which are joined along their first axis."""
    dataset: Any = None
    length = 0
    with _bar(name, None, storage) as bar:
        for each in blocks:
            block = np.asarray(each)
            if not block.ndim:
                raise ValueError(f"expected blocks with a first axis, found the scalar {each!r}")
            block = conform_array(spec, block)
            if dataset is None:
                dataset = _create_growing(group, raw, block, storage)
            if dataset.shape[1:] != block.shape[1:] or dataset.dtype != block.dtype:
                raise ValueError(
                    f"expected blocks like the first, {dataset.dtype} "
                    f"(n, {', '.join(map(str, dataset.shape[1:]))}), found {block.dtype} "
                    f"{block.shape}"
                )
            dataset.set_extent((length + len(block), *block.shape[1:]))
            _put(dataset, length, block)
            length += len(block)
            bar(block.nbytes)
    if dataset is None:
        raise ValueError("the iterator gave no block, so its dtype and shape are unknown")
    return dataset


def _create_growing(group: Any, raw: bytes, block: np.ndarray[Any, Any], storage: Storage) -> Any:
    plist = _properties()
    row = max(1, math.prod(block.shape[1:]) * block.dtype.itemsize)
    _set_chunks(plist, (max(1, _CHUNK // row), *block.shape[1:]), block.dtype, storage)
    space = h5s.create_simple((0, *block.shape[1:]), (h5s.UNLIMITED, *block.shape[1:]))
    return h5d.create(group, raw, h5t.py_create(block.dtype, logical=True), space, plist)


def _put(dataset: Any, first: int, block: np.ndarray[Any, Any]) -> None:
    if not block.size:
        return
    block = np.ascontiguousarray(block)
    space = dataset.get_space()
    space.select_hyperslab((first, *(0 for _ in block.shape[1:])), block.shape)
    dataset.write(h5s.create_simple(block.shape), space, block)
    check_write()


class _bar:  # noqa: N801  (a context manager used like a function)
    """A progress bar over bytes, silent unless asked for and worth it."""

    def __init__(self, name: str, total: int | None, storage: Storage) -> None:
        self._bar: Any = None
        if storage.progress and (total is None or total > 1 << 26):
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, desc=name, unit="B", unit_scale=True)

    def __enter__(self) -> Callable[[int], None]:
        return lambda count: self._bar.update(count) if self._bar is not None else None

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

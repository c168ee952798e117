"""Small values on disk: read attributes and scalars as Python has them.

Text is ``str`` (UTF-8 with surrogate escapes, so that no byte is lost), numbers are numpy scalars
or arrays, object references are `Pointer`, region references `RegionPointer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5r, h5s, h5t

__all__ = [
    "Pointer",
    "RegionPointer",
    "decode_text",
    "has_references",
    "read_attribute",
    "read_scalar",
]


@dataclass(frozen=True, slots=True)
class Pointer:
    """An object reference: the address of an object in the same file; 0 leads to nothing."""

    address: int


@dataclass(frozen=True, slots=True)
class RegionPointer:
    """A region reference: the address of a dataset, and h5py's reference to a part of it."""

    address: int
    reference: Any


_VLEN_BYTES: Final = h5t.py_create(np.dtype("O", metadata={"vlen": bytes}))
_OBJECT: Final = np.dtype("O")
_NUMBERS: Final = tuple(
    (h5t.py_create(dtype), dtype)
    for dtype in map(np.dtype, ("f8", "f4", "i4", "u4", "i8", "u8", "u1", "i1", "u2", "i2"))
)
"""Common types of numbers: h5py takes long to make one, or to find its numpy dtype."""
_COMPACT: Final = 1 << 16
"""The most that an attribute takes within an object header."""


def decode_text(raw: bytes | str) -> str:
    """Decode stored text; what is not UTF-8 becomes surrogate escapes."""
    return raw if isinstance(raw, str) else raw.decode("utf-8", "surrogateescape")


def has_references(kind: h5t.TypeID) -> bool:
    """Tell whether a stored type is, or contains, object or region references."""
    code = kind.get_class()
    if code == h5t.REFERENCE:
        return True
    if code == h5t.COMPOUND:
        return any(has_references(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if code in (h5t.VLEN, h5t.ARRAY):
        return has_references(kind.get_super())
    return False


def read_attribute(attribute: h5a.AttrID, file: h5py.h5f.FileID) -> Any:
    """Read the value of an attribute.

    Raises
    ------
    ValueError
        Where it claims to be larger than the file, as it does in a damaged one. HDF5 would ask for
        the memory and fill it with whatever follows.
    """
    kind = attribute.get_type()
    # H5Aget_storage_size gives 0 for an empty attribute, and h5py takes that for an error.
    size = attribute.get_space().get_select_npoints() * kind.get_size()
    if size > _COMPACT and size > file.get_filesize():
        raise ValueError(f"it would take {size} bytes, more than the file has")
    code = kind.get_class()
    space = attribute.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        return h5py.Empty(kind.dtype)
    shape = space.get_simple_extent_dims()
    if size:
        value = _read_plain(kind, code, shape, attribute.read)
        if value is not None:
            return value
    if code == h5t.REFERENCE and kind.equal(h5t.STD_REF_OBJ):
        addresses = np.zeros(shape, np.uint64)
        attribute.read(addresses, mtype=h5t.STD_REF_OBJ)
        return _each(addresses, lambda address: Pointer(int(address)))
    value = np.zeros(shape, kind.dtype)
    if value.size:
        attribute.read(value)
    if code == h5t.STRING:
        return _texts(value)
    if code == h5t.REFERENCE:
        return _each(value, lambda reference: region_pointer(reference, file))
    if code == h5t.COMPOUND and has_references(kind):
        return _pointed(value, file)
    if h5py.check_string_dtype(value.dtype) is not None:
        return _texts(value)
    return value[()]


def read_scalar(dataset: h5d.DatasetID) -> Any:
    """Read a dataset of a single text or number; None where it is anything else, or damaged.

    A `LazyArray` reads those too, but many objects have one, and this takes a tenth of the time.
    """
    if dataset.get_offset() is None or dataset.shape != ():  # stored elsewhere, or an array
        return None
    kind = dataset.get_type()
    read = partial(dataset.read, h5s.ALL, h5s.ALL)
    try:
        return _read_plain(kind, kind.get_class(), (), read)
    except (OSError, RuntimeError, ValueError):
        return None


def _read_plain(kind: h5t.TypeID, code: int, shape: tuple[int, ...], read: Any) -> Any:
    """Read text of any length, or common numbers; give None for what is of another type."""
    if code == h5t.STRING and kind.is_variable_str():
        raw = np.empty(shape, _OBJECT)
        read(raw, _VLEN_BYTES)
        return _texts(raw)
    if code in (h5t.INTEGER, h5t.FLOAT):
        for number, dtype in _NUMBERS:
            if kind.equal(number):
                value = np.zeros(shape, dtype)
                read(value, number)
                return value[()]
    return None


def region_pointer(reference: Any, file: h5py.h5f.FileID) -> RegionPointer:
    """Turn h5py's region reference into ours."""
    return RegionPointer(address_of(reference, file), reference)


def address_of(reference: Any, file: h5py.h5f.FileID) -> int:
    """Find the address that a reference of h5py's leads to; 0 where it leads nowhere."""
    if not reference:
        return 0
    try:
        target = h5r.dereference(reference, file)
    except (ValueError, RuntimeError, KeyError, OSError):
        return 0
    return int(h5o.get_info(target).addr) if target is not None else 0


def _pointed(value: np.ndarray[Any, Any], file: h5py.h5f.FileID) -> Any:
    result = np.empty(
        value.shape, [(name, _member(value.dtype[name])) for name in value.dtype.names or ()]
    )
    for name in value.dtype.names or ():
        column = value[name]
        if h5py.check_ref_dtype(value.dtype[name]) is not None:
            column = _each(column, lambda reference: Pointer(address_of(reference, file)))
        elif h5py.check_string_dtype(value.dtype[name]) is not None:
            column = _texts(column)
        result[name] = column
    return result[()]


def _member(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return _OBJECT if dtype.kind in "OS" else dtype


def _each(values: np.ndarray[Any, Any], make: Any) -> Any:
    result = np.empty(values.shape, _OBJECT)
    for index in np.ndindex(values.shape):
        result[index] = make(values[index])
    return result[()]


def _texts(raw: np.ndarray[Any, Any]) -> Any:
    if raw.ndim == 0:
        return decode_text(raw.item() or b"")
    return _each(raw, lambda one: decode_text(one or b""))

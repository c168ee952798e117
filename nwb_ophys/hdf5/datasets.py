"""Write values: attributes, and datasets of whatever holds data.

Text is written as variable-length UTF-8, booleans as the enumeration that h5py and PyNWB use,
references as object references. What was text, number or array when it was read is so again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5p, h5s, h5t

from nwb_ophys.authored import Storage, is_stream
from nwb_ophys.dtypes import Dims, DTypeSpec, conform_array
from nwb_ophys.hdf5.storing import properties, store_array, store_elsewhere, store_stream
from nwb_ophys.hdf5.values import encode_text, type_of

__all__ = ["encode", "write_attribute", "write_dataset"]

_OBJECT_REF: Final = h5py.ref_dtype
_TEXT: Final = h5py.string_dtype()
_SCALAR: Final = h5s.create(h5s.SCALAR)
_PLAIN: Final = properties()

Referrer = Callable[[Any], Any]
"""Turns a model into h5py's reference to its object."""


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
        return number, type_of(number.dtype, logical=True)
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
    return array, type_of(array.dtype, logical=True)


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
        out[index] = h5py.Reference() if array[index] is None else refer(array[index])
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
    dims: Dims = None,
) -> Any:
    """Create a dataset of a scalar, a list, an array of any kind, or an iterator of blocks.

    Parameters
    ----------
    group, name
        Where.
    value
        What is in it; a `Storage` says how that is stored.
    spec, dims
        Its declared dtype and axes, which tell how it is used.
    storage
        How it is stored where the value does not say.
    refer
        Makes references to objects.

    Returns
    -------
    h5py.h5d.DatasetID
        The new dataset.

    Raises
    ------
    ValueError
        Where the value does not conform to the dtype, or cannot be stored as is asked for.
    """
    raw = encode_text(name)
    asked = False
    if isinstance(value, Storage):
        asked = not value.is_default
        storage, value = value.over(storage), value.array
    stored_as = _stored_dataset(value)
    if (
        not asked
        and stored_as is not None
        and _is_plain(stored_as)
        and not _needs_widening(spec, value)
    ):
        return _copy_stored(group, raw, stored_as)
    if is_stream(value):
        return store_stream(group, raw, value, spec, storage, dims, asked=asked)
    if isinstance(value, h5py.Empty):
        kind = h5t.py_create(value.dtype, logical=True)
        return h5d.create(group, raw, kind, h5s.create(h5s.NULL), properties())
    if (
        hasattr(value, "shape")
        and hasattr(value, "dtype")
        and not isinstance(value, (np.ndarray, np.generic))
    ):
        if len(value.shape) and value.dtype.kind not in "OUST" and value.dtype.names is None:
            return store_elsewhere(group, raw, value, spec, storage, dims, asked=asked)
        value = np.asarray(value[()])
    array, stored = encode(spec, value, refer)
    if array.ndim:
        return store_array(group, raw, array, stored, storage, dims, asked=asked)
    dataset = h5d.create(group, raw, stored, _SCALAR, _PLAIN)
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

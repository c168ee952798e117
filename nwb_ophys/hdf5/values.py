"""Small values on disk: read attributes and scalars as Python has them.

Text is ``str`` (UTF-8 with surrogate escapes, so that no byte is lost), numbers are numpy scalars
or arrays, object references are `Pointer`, region references `RegionPointer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5r, h5s, h5t

from .decoding import decode

__all__ = [
    "Attributes",
    "Pointer",
    "RegionPointer",
    "Unreadable",
    "decode_text",
    "dtype_of",
    "encode_text",
    "has_references",
    "holds_pointers",
    "memory_type",
    "pointers_of",
    "read_attribute",
    "read_scalar",
    "type_of",
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


class Unreadable:
    """What stands for a value that cannot be read, among others that can.

    Parameters
    ----------
    error
        Why not; raised where the value is needed.
    """

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"<not readable: {getattr(self.error, 'message', self.error)}>"


class Attributes(dict[str, Any]):
    """Attributes by name; to ask for one that cannot be read raises why, all else leaves it be."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, Unreadable):
            raise value.error
        return value


LOST: Final = -1
"""In place of the address of an object that is no more."""

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


def encode_text(text: str) -> bytes:
    """Encode text as it is stored: the inverse of `decode_text`, surrogate escapes included."""
    return text.encode("utf-8", "surrogateescape")


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


def read_attribute(attribute: h5a.AttrID, size: int, file: h5py.h5f.FileID) -> Any:
    """Read the value of an attribute.

    Parameters
    ----------
    attribute
        The open attribute.
    size
        The bytes that it claims to take in the file.
    file
        The file it lies in.

    Raises
    ------
    ValueError
        Where it claims to be larger than the file, as it does in a damaged one. HDF5 would ask for
        the memory and fill it with whatever follows.
    """
    if size > _COMPACT and size > file.get_filesize():
        raise ValueError(f"it would take {size} bytes, more than the file has")
    space = attribute.get_space()
    # h5py does not compare shapes: it would read an array beyond the end of a scalar.
    is_scalar = size > 0 and space.get_simple_extent_ndims() == 0
    kind = attribute.get_type()
    if is_scalar:
        value = _read_single(kind, attribute.read)
        if value is not None:
            return value
    code = kind.get_class()
    if space.get_simple_extent_type() == h5s.NULL:
        return h5py.Empty(kind.dtype)
    shape = space.get_simple_extent_dims()
    if size:
        value = _read_plain(kind, shape, attribute.read)
        if value is not None:
            return value
    if code == h5t.REFERENCE and kind.equal(h5t.STD_REF_OBJ):
        addresses = np.zeros(shape, np.uint64)
        attribute.read(addresses, mtype=h5t.STD_REF_OBJ)
        return _each(addresses, lambda address: Pointer(int(address)))
    return _read_elements(kind, shape, attribute, file)


def _read_elements(
    kind: h5t.TypeID, shape: tuple[int, ...], attribute: h5a.AttrID, file: h5py.h5f.FileID
) -> Any:
    """Read elements as h5py does, text as `str`, references as pointers."""
    dtype = dtype_of(kind)
    # Axes of elements that are arrays become axes of the value, as in numpy.
    value = np.zeros(shape, dtype)
    if value.size:
        attribute.read(value, mtype=memory_type(attribute, dtype))
    return decode(value, lambda found: pointers_of(found, file), dtype)[()]


def holds_pointers(kind: h5t.TypeID) -> bool:
    """Tell whether elements of a type are, or contain, places in the file: of text, or objects."""
    code = kind.get_class()
    if code == h5t.COMPOUND:
        return any(holds_pointers(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if code == h5t.ARRAY:
        return holds_pointers(kind.get_super())
    return code in (h5t.VLEN, h5t.REFERENCE) or (code == h5t.STRING and kind.is_variable_str())


def read_scalar(dataset: h5d.DatasetID) -> Any:
    """Read a dataset of a single text or number; None where it is anything else, or damaged.

    A `LazyArray` reads those too, but many objects have one, and this takes a tenth of the time.
    """
    if dataset.get_offset() is None or dataset.shape != ():  # stored elsewhere, or an array
        return None
    return _read_single(dataset.get_type(), partial(dataset.read, h5s.ALL, h5s.ALL))


def _read_single(kind: h5t.TypeID, read: Any) -> Any:
    """Read a scalar of a plain type; None where it is no scalar, of another type, or damaged."""
    try:
        return _read_plain(kind, (), read)
    except (OSError, RuntimeError, TypeError, ValueError):
        return None  # the longer way says what is the matter


def _read_plain(kind: h5t.TypeID, shape: tuple[int, ...], read: Any) -> Any:
    """Read text of any length, or common numbers; give None for what is of another type."""
    code = kind.get_class()
    if code == h5t.STRING and kind.is_variable_str():
        raw = np.empty(shape, _OBJECT)
        read(raw, _VLEN_BYTES)
        return _texts(raw)
    if code in (h5t.INTEGER, h5t.FLOAT):
        number, dtype = _number(kind)
        if dtype is not None:
            value = np.zeros(shape, dtype)
            read(value, number)
            return value[()]
    return None


def _number(kind: h5t.TypeID) -> tuple[Any, np.dtype[Any] | None]:
    """Find a common type of numbers, which needs no making, and its dtype."""
    return next((known for known in _NUMBERS if kind.equal(known[0])), (None, None))


def type_of(dtype: np.dtype[Any], *, logical: bool = False) -> h5t.TypeID:
    """Give the HDF5 type of a numpy dtype; those of plain numbers are made once.

    Parameters
    ----------
    dtype
        The dtype.
    logical
        Whether it is for a file rather than for memory, where text and references differ.
    """
    # What h5py adds to a dtype counts for nothing when dtypes are compared, so it bars the cache.
    plain = dtype.kind in "iuf" and dtype.metadata is None
    return _number_type(dtype) if plain else h5t.py_create(dtype, logical=logical)


@cache
def _number_type(dtype: np.dtype[Any]) -> h5t.TypeID:
    return h5t.py_create(dtype)


def dtype_of(kind: h5t.TypeID) -> np.dtype[Any]:
    """Give the numpy dtype of a stored type.

    What numpy has no word for (integers and floats of odd widths, times) is left as bytes.

    Raises
    ------
    TypeError
        Where elements of it cannot be had as bytes either, or the type is damaged.
    """
    code = kind.get_class()
    dtype = _number(kind)[1] if code in (h5t.INTEGER, h5t.FLOAT) else None
    if dtype is not None:
        return dtype
    _check_sound(kind, code)
    try:
        found: np.dtype[Any] = kind.dtype
    except (TypeError, ValueError):  # the latter of floats that are wider than all of numpy's
        if holds_pointers(kind):
            raise
        found = np.dtype(f"V{kind.get_size()}")
    return found


def memory_type(stored: Any, dtype: np.dtype[Any]) -> h5t.TypeID:
    """Give the HDF5 type by which a dataset or an attribute is read into an array of a dtype.

    What numpy has no word for is read without conversion, and so is opaque data: HDF5 converts it
    only to the same tag, which h5py does not keep.
    """
    if dtype.kind not in "VM":
        return type_of(dtype)
    kind: h5t.TypeID = stored.get_type()
    is_plain = dtype.names is None and dtype.subdtype is None
    if is_plain or (
        kind.get_size() == dtype.itemsize
        and kind.detect_class(h5t.OPAQUE)
        and not holds_pointers(kind)
    ):
        return kind
    return type_of(dtype)


def _check_sound(kind: h5t.TypeID, code: int) -> None:
    """Refuse a type whose elements HDF5 cannot read without crashing the interpreter.

    It takes any variable-length type for sound, but knows what to do with two kinds only, which
    the fourth byte of an encoded type tells: 0 for a sequence, 1 for text.
    """
    if code == h5t.COMPOUND:
        for index in range(kind.get_nmembers()):
            member = kind.get_member_type(index)
            _check_sound(member, member.get_class())
    elif code in (h5t.ARRAY, h5t.VLEN):
        if code == h5t.VLEN and kind.encode()[3] & 0x0F > 1:
            raise TypeError("a variable-length type of an unknown kind, so it is damaged")
        base = kind.get_super()
        _check_sound(base, base.get_class())


def pointers_of(references: np.ndarray[Any, Any], file: h5py.h5f.FileID) -> np.ndarray[Any, Any]:
    """Turn an array of h5py's references into one of pointers."""
    pointers = np.empty(references.shape, object)
    for index in np.ndindex(references.shape):
        reference = references[index]
        if isinstance(reference, h5r.RegionReference):
            pointers[index] = region_pointer(reference, file)
        else:
            pointers[index] = Pointer(address_of(reference, file))
    return pointers


def region_pointer(reference: Any, file: h5py.h5f.FileID) -> RegionPointer:
    """Turn h5py's region reference into ours."""
    return RegionPointer(address_of(reference, file), reference)


def address_of(reference: Any, file: h5py.h5f.FileID) -> int:
    """Find the address that a reference of h5py's leads to; 0 for one that was never set.

    HDF5 finds no address for a target that was deleted, and `LOST` stands for that.
    """
    if not reference:
        return 0
    try:
        target = h5r.dereference(reference, file)
        if isinstance(reference, h5r.RegionReference):
            h5r.get_region(reference, file)  # something else may lie there now
        return LOST if target is None else int(h5o.get_info(target).addr)
    except (ValueError, RuntimeError, KeyError, OSError):
        return LOST


def _each(values: np.ndarray[Any, Any], make: Any) -> Any:
    result = np.empty(values.shape, _OBJECT)
    for index in np.ndindex(values.shape):
        result[index] = make(values[index])
    return result[()]


def _texts(raw: np.ndarray[Any, Any]) -> Any:
    if raw.ndim == 0:
        return decode_text(raw.item() or b"")
    return _each(raw, lambda one: decode_text(one or b""))

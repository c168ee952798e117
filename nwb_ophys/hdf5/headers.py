"""Attributes straight from object headers: texts and single numbers, which nearly all of NWB's are.

By way of h5py an attribute takes 30 µs, three quarters of them for its handles, and an object of
NWB has five. Only headers of version 1 are read here, which are what HDF5 writes unless it is asked
for more: those of version 2 have checksums that HDF5 verifies. Whatever else a header may hold is
left to HDF5 as well, and so is all that looks unusual or damaged. (HDF5 File Format Specification
3.0, IV.A.1.a, IV.A.2.m, III.E)
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Any, Final

import numpy as np
from h5py import h5t

from nwb_ophys.hdf5.raw import RawFile
from nwb_ophys.hdf5.values import decode_text

__all__ = ["Headers"]

_ATTRIBUTE: Final = 0x0C
_CONTINUATION: Final = 0x10
_ATTRIBUTE_INFO: Final = 0x15
_SHARED: Final = 0x02
_PREFIX: Final = 16
"""Bytes of a header before its messages."""

_GUESS: Final = 1 << 10  # holds most headers
_LARGEST: Final = 1 << 16  # of a block or heap that is read here
_MOST_BLOCKS: Final = 256
_MOST_HEAPS: Final = 256

_U32: Final = Struct("<I").unpack_from
_BLOCK: Final = Struct("<QQ").unpack_from
_MESSAGE: Final = Struct("<HHB").unpack_from
_SIZES: Final = Struct("<HHH").unpack_from
_HEAP_ID: Final = Struct("<IQI").unpack_from
_HEAP_SIZE: Final = Struct("<Q").unpack_from
_HEAP_OBJECT: Final = Struct("<H6xQ").unpack_from

_NUMBERS: Final = {
    h5t.py_create(dtype).encode()[2:]: dtype
    for dtype in map(np.dtype, ("f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1"))
}
"""Datatypes as they are stored, without the two bytes that HDF5 puts before them in memory."""


class _NotPlainError(Exception):
    """Something here is for HDF5."""


class Headers:
    """Reads attributes of the objects of an open file.

    Parameters
    ----------
    raw
        The bytes of the file; None where only HDF5 can read them.
    """

    def __init__(self, raw: RawFile | None) -> None:
        self.raw = raw
        self._heaps: dict[int, dict[int, bytes]] = {}

    def attributes(self, address: int) -> dict[str, Any] | None:
        """Read the attributes of the object at an address; None where that is for HDF5 to do."""
        if self.raw is None:
            return None
        try:
            found = [self._attribute(*place) for place in self._messages(address)]
        except (_NotPlainError, OSError, OverflowError, StructError, LookupError):
            return None
        return {decode_text(name): value for name, value in sorted(found, key=lambda one: one[0])}

    def _read(self, address: int, size: int) -> bytes:
        if size > _LARGEST or self.raw is None:
            raise _NotPlainError
        return self.raw.read(self.raw.base + address, size)

    def _messages(self, address: int) -> Iterator[tuple[bytes, int, int]]:
        """Iterate over the attribute messages of a header, as the places where they lie."""
        raw = self._read(address, _GUESS)
        if raw[0] != 1:
            raise _NotPlainError
        end = _PREFIX + _U32(raw, 8)[0]
        if end > len(raw):
            raw = self._read(address, end)
        blocks = [(raw, _PREFIX, end)]
        for raw, at, end in blocks:
            if end > len(raw) or len(blocks) > _MOST_BLOCKS:
                raise _NotPlainError
            while at + 8 <= end:
                kind, size, flags = _MESSAGE(raw, at)
                at += 8
                if at + size > end:
                    raise _NotPlainError
                if kind == _ATTRIBUTE:
                    if flags & _SHARED:
                        raise _NotPlainError
                    yield raw, at, at + size
                elif kind == _CONTINUATION:
                    place, length = _BLOCK(raw, at)
                    blocks.append((self._read(place, length), 0, length))
                elif kind == _ATTRIBUTE_INFO:  # they may lie in a heap of their own
                    raise _NotPlainError
                at += size

    def _attribute(self, raw: bytes, at: int, end: int) -> tuple[bytes, Any]:
        version = raw[at]
        name_size, type_size, space_size = _SIZES(raw, at + 2)
        if version == 1:
            name, up = at + 8, 7
        elif version == 3 and raw[at + 1] == 0:
            name, up = at + 9, 0
        else:
            raise _NotPlainError
        kind = name + (name_size + up & ~up)
        space = kind + (type_size + up & ~up)
        data = space + (space_size + up & ~up)
        if raw[space + 1] or (raw[space] == 2 and raw[space + 3]):  # an array, or a null dataspace
            raise _NotPlainError
        text = raw[name : name + name_size].partition(b"\0")[0]
        if raw[kind] & 15 == h5t.VLEN and raw[kind + 1] & 15 == 1:
            if data + 16 > end:
                raise _NotPlainError
            return text, self._text(*_HEAP_ID(raw, data))
        dtype = _NUMBERS.get(raw[kind : kind + type_size])
        if dtype is None or data + dtype.itemsize > end:
            raise _NotPlainError
        return text, np.frombuffer(raw, dtype, 1, data)[0]

    def _text(self, size: int, heap: int, index: int) -> str:
        if not size:
            return ""
        objects = self._heaps.get(heap)
        if objects is None:
            if len(self._heaps) >= _MOST_HEAPS:
                self._heaps.clear()
            objects = self._heaps[heap] = self._heap(heap)
        text = objects[index]
        if size > len(text):
            raise _NotPlainError
        return decode_text(text[:size].partition(b"\0")[0])

    def _heap(self, address: int) -> dict[int, bytes]:
        raw = self._read(address, 4096)
        if raw[:4] != b"GCOL" or raw[4] != 1:
            raise _NotPlainError
        (size,) = _HEAP_SIZE(raw, 8)
        if size > len(raw):
            raw = self._read(address, size)
        objects: dict[int, bytes] = {}
        at = 16
        while at + 16 <= size:
            index, length = _HEAP_OBJECT(raw, at)
            if not index:
                break
            objects[index] = raw[at + 16 : at + 16 + length]
            at += 16 + (length + 7 & ~7)
        return objects

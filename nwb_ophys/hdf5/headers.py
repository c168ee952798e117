"""Object headers, read without HDF5: attributes, the form of datasets, members of groups.

By way of h5py an attribute takes 30 µs, three quarters of them for its handles, and an object of
NWB has five; to open the object and to close it takes as long again. Only headers of version 1 are
read here, which are what HDF5 writes unless it is asked for more: those of version 2 have checksums
that HDF5 verifies. Read are texts and single numbers, and shape and type of arrays of numbers,
which nearly all of NWB is. Whatever else a header may hold is left to HDF5, and so is all that
looks unusual or damaged. (HDF5 File Format Specification 3.0, IV.A.1.a, IV.A.2, III.E)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Any, Final, NamedTuple

import numpy as np
from h5py import h5t

from nwb_ophys.hdf5.links import LinkRecord, NotPlainError, links_in_table
from nwb_ophys.hdf5.raw import RawFile
from nwb_ophys.hdf5.values import decode_text

__all__ = ["Header", "Headers"]

# The messages of a header that matter here, by their numbers.
_SPACE: Final = 0x01
_LINK_INFO: Final = 0x02
_TYPE: Final = 0x03
_LAYOUT: Final = 0x08
_ATTRIBUTE: Final = 0x0C
_CONTINUATION: Final = 0x10
_SYMBOLS: Final = 0x11
_ATTRIBUTE_INFO: Final = 0x15
_LAST: Final = 0x17
_SHARED: Final = 0x02
_DESCRIBED: Final = {_SPACE, _TYPE}
_PREFIX: Final = 16
"""Bytes of a header before its messages."""

_GUESS: Final = 1 << 10  # holds most headers
_LARGEST: Final = 1 << 16  # of a block or heap that is read here
_MOST_BLOCKS: Final = 256
_MOST_HEAPS: Final = 256
_CONTIGUOUS: Final = 1
_UNDEFINED: Final = (1 << 64) - 1

_COUNT: Final = Struct("<H").unpack_from
_U32: Final = Struct("<I").unpack_from
_PLACE: Final = Struct("<QQ").unpack_from
_MESSAGE: Final = Struct("<HHB").unpack_from
_SIZES: Final = Struct("<HHH").unpack_from
_HEAP_ID: Final = Struct("<IQI").unpack_from
_HEAP_SIZE: Final = Struct("<Q").unpack_from
_HEAP_OBJECT: Final = Struct("<H6xQ").unpack_from

_VLEN: Final = int(h5t.VLEN)
_NUMBERS: Final = {
    h5t.py_create(dtype).encode()[2:]: dtype
    for dtype in map(np.dtype, ("f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1"))
}
"""Datatypes as they are stored, without the two bytes that HDF5 puts before them in memory."""
_NUMBER_BYTES: Final = {int(h5t.INTEGER): 12, int(h5t.FLOAT): 20}
"""How long they are, by class."""
_TEXT_BYTES: Final = 16
"""What a text of any length takes where it is referred to."""

_DAMAGE: Final = (NotPlainError, OSError, OverflowError, StructError, LookupError)


class Header(NamedTuple):
    """What a header says of its object; None for what is for HDF5 to tell.

    Parameters
    ----------
    is_group
        Whether it is a group, rather than a dataset.
    attributes
        The attributes by name.
    shape
        The length of each axis of a dataset.
    dtype
        The type of its elements, if they are numbers.
    is_text
        Whether they are texts of any length.
    data
        Address and size of what is stored in one piece.
    table
        Where the members of a group are listed: the addresses of the tree and of the names.
    """

    is_group: bool | None = None
    attributes: dict[str, Any] | None = None
    shape: tuple[int, ...] | None = None
    dtype: np.dtype[Any] | None = None
    is_text: bool = False
    data: tuple[int, int] | None = None
    table: tuple[int, int] | None = None


_NOTHING: Final = Header()
_Place = tuple[bytes, int, int]


class Headers:
    """Reads the headers of the objects of an open file.

    Parameters
    ----------
    raw
        The bytes of the file; None where only HDF5 can read them.
    """

    def __init__(self, raw: RawFile | None) -> None:
        self.raw = raw
        self._heaps: dict[int, dict[int, bytes]] = {}
        self._are_stored = self._hold()

    def header(self, address: int) -> Header:
        """Read the header at an address, as far as it is plain."""
        if not self._are_stored:
            return _NOTHING
        try:
            return self._header(address)
        except _DAMAGE:
            return _NOTHING

    def _header(self, address: int) -> Header:
        attributes: list[_Place] | None = []
        others: dict[int, _Place | None] = {}
        for kind, flags, place in self._messages(address):
            if kind == _ATTRIBUTE:
                if flags & _SHARED:
                    attributes = None
                elif attributes is not None:
                    attributes.append(place)
            else:
                others.setdefault(kind, None if flags & _SHARED else place)
        if _ATTRIBUTE_INFO in others:  # they may lie in a heap of their own
            attributes = None
        named = None if attributes is None else self._attributes(attributes)
        is_group = _SYMBOLS in others or _LINK_INFO in others
        if is_group is (_LAYOUT in others) or (not is_group and not others.keys() >= _DESCRIBED):
            return Header(None, named)  # a datatype, or damaged
        if is_group:
            return Header(True, named, table=_table(others.get(_SYMBOLS)))
        return _dataset(named, *map(others.get, (_SPACE, _TYPE, _LAYOUT)))

    def links(self, header: Header) -> list[LinkRecord] | None:
        """Read the links of a group in the order of their names; None where that is for HDF5."""
        if header.table is None:
            return None
        try:
            return links_in_table(self._read, *header.table)
        except _DAMAGE:
            return None

    def scalar(self, header: Header) -> Any:
        """Read a dataset of a single text or number; None where that is for HDF5."""
        if header.shape != () or header.data is None:
            return None
        try:
            raw = self._read(*header.data)
            if header.is_text:
                return self._text(*_HEAP_ID(raw))
            return _number(raw, header.dtype, 0, len(raw))
        except _DAMAGE:
            return None

    def _hold(self) -> bool:
        """Tell whether headers are what lies in the file, which holds no image of HDF5's cache.

        What was written last is in such an image alone. A message tells of it in the extension of
        the superblock, later in number than those that are read here. (II.A)
        """
        try:
            raw = self._read(0, 28)
            (extension,) = _HEAP_SIZE(raw, 20)
            if raw[8] > 1 and extension != _UNDEFINED:
                list(self._messages(extension))
        except _DAMAGE:
            return False
        return True

    def _read(self, address: int, size: int, most: int = _LARGEST, /) -> bytes:
        if size > most or self.raw is None:
            raise NotPlainError
        return self.raw.read(self.raw.base + address, size)

    def _messages(self, address: int) -> Iterator[tuple[int, int, _Place]]:
        """Iterate over the messages of a header: what they tell, their flags, where they lie."""
        raw = self._read(address, _GUESS)
        if raw[0] != 1:
            raise NotPlainError
        end = _PREFIX + _U32(raw, 8)[0]
        if end > len(raw):
            raw = self._read(address, end)
        (left,) = _COUNT(raw, 2)
        blocks = [(raw, _PREFIX, end)]
        for raw, at, end in blocks:
            if end > len(raw):
                raise NotPlainError
            while at + 8 <= end:
                kind, size, flags = _MESSAGE(raw, at)
                at += 8
                left -= 1
                if at + size > end or kind > _LAST:
                    raise NotPlainError
                if kind == _CONTINUATION:
                    if len(blocks) > _MOST_BLOCKS:
                        raise NotPlainError
                    place, length = _PLACE(raw, at)
                    blocks.append((self._read(place, length), 0, length))
                elif kind:
                    yield kind, flags, (raw, at, at + size)
                at += size
        if left:
            raise NotPlainError

    def _attributes(self, places: list[_Place]) -> dict[str, Any] | None:
        try:
            found = [self._attribute(*place) for place in places]
        except _DAMAGE:
            return None
        return {decode_text(name): value for name, value in sorted(found, key=lambda one: one[0])}

    def _attribute(self, raw: bytes, at: int, end: int) -> tuple[bytes, Any]:
        version = raw[at]
        name_size, type_size, space_size = _SIZES(raw, at + 2)
        if version == 1:
            name, up = at + 8, 7
        elif version == 3 and raw[at + 1] == 0:
            name, up = at + 9, 0
        else:
            raise NotPlainError
        kind = name + (name_size + up & ~up)
        space = kind + (type_size + up & ~up)
        data = space + (space_size + up & ~up)
        if raw[space + 1] or (raw[space] != 1 and raw[space : space + 4 : 3] != b"\2\0"):
            raise NotPlainError  # an array, or a null dataspace
        text = raw[name : name + name_size - 1].partition(b"\0")[0]
        if _is_text(raw, kind):
            if data + 16 > end:
                raise NotPlainError
            return text, self._text(*_HEAP_ID(raw, data))
        return text, _number(raw, _NUMBERS.get(raw[kind : kind + type_size]), data, end)

    def _text(self, size: int, heap: int, index: int) -> str:
        if not heap:  # it was never written
            return ""
        objects = self._heaps.get(heap)
        if objects is None:
            if len(self._heaps) >= _MOST_HEAPS:
                self._heaps.clear()
            objects = self._heaps[heap] = self._heap(heap)
        text = objects[index]
        if size != len(text):
            raise NotPlainError
        return decode_text(text.partition(b"\0")[0])

    def _heap(self, address: int) -> dict[int, bytes]:
        raw = self._read(address, 4096)
        if raw[:4] != b"GCOL" or raw[4] != 1:
            raise NotPlainError
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


def _is_text(raw: bytes, at: int) -> bool:
    """Tell whether a datatype is that of texts of any length."""
    return raw[at] & 15 == _VLEN and raw[at + 1] & 15 == 1


def _number(raw: bytes, dtype: np.dtype[Any] | None, at: int, end: int) -> Any:
    if dtype is None or at + dtype.itemsize > end:
        raise NotPlainError
    return np.frombuffer(raw, dtype, 1, at)[0]


def _dataset(
    attributes: dict[str, Any] | None, space: _Place | None, kind: _Place | None, at: _Place | None
) -> Header:
    shape, (dtype, is_text), data = _shape(space), _type(kind), _data(at)
    if shape is not None and data is not None:
        size = _TEXT_BYTES if dtype is None else dtype.itemsize
        if math.prod(shape) * size != data[1]:  # damaged, or of a type that is for HDF5
            shape = None
        elif data[0] == _UNDEFINED:  # nothing was written yet, or it lies in another file
            data = None
    return Header(False, attributes, shape, dtype, is_text, data)


def _shape(place: _Place | None) -> tuple[int, ...] | None:
    if place is None:
        return None
    raw, at, end = place
    version, rank = raw[at], raw[at + 1]
    first = at + (8 if version == 1 else 4)
    is_simple = version == 1 or (version == 2 and raw[at + 3] == (rank > 0))
    if not is_simple or first + 8 * rank > end:
        return None
    return Struct(f"<{rank}Q").unpack_from(raw, first)


def _type(place: _Place | None) -> tuple[np.dtype[Any] | None, bool]:
    if place is None:
        return None, False
    raw, at, end = place
    size = _NUMBER_BYTES.get(raw[at] & 15)
    if size is not None and at + size <= end:
        return _NUMBERS.get(raw[at : at + size]), False
    return None, _is_text(raw, at)


def _data(place: _Place | None) -> tuple[int, int] | None:
    if place is None:
        return None
    raw, at, end = place
    if raw[at] not in (3, 4) or raw[at + 1] != _CONTIGUOUS or at + 18 > end:
        return None
    return _PLACE(raw, at + 2)


def _table(place: _Place | None) -> tuple[int, int] | None:
    return None if place is None or place[1] + 16 > place[2] else _PLACE(*place[:2])

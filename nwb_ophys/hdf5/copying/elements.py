"""Stored elements of datasets and attributes, carried over such that nothing of them changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from h5py import h5a, h5d, h5s, h5t
from numpy.typing import NDArray

from nwb_ophys.hdf5.stored import stored_chunks
from nwb_ophys.hdf5.values import decode_text

__all__ = ["Block", "Elements", "Format", "blocks_of"]

_BLOCK: Final = 1 << 24  # bytes of a contiguous dataset held in memory at a time

Elements: TypeAlias = NDArray[Any]


class Block(NamedTuple):
    """A part of the elements of a dataset, or all those of an attribute."""

    shape: tuple[int, ...]
    memory: Any = None
    stored: Any = None


class Format(NamedTuple):
    """How to hold elements of a datatype in memory such that nothing of them changes.

    Raw elements are the bytes that HDF5 gives for the very datatype in the file, without any
    conversion. References in them are addresses in the file, and can be replaced as such, but those
    to regions, and those inside of sequences of variable length, only as objects of h5py.
    """

    type: Any
    raw: bool = True
    variable: bool = False
    """Whether elements hold pointers to what has no fixed length."""
    references: list[tuple[int, str]] = []  # noqa: RUF012 - never changed
    """Byte offsets of object references in a raw element, and the compound member they are."""

    @classmethod
    def of(cls, type_: Any) -> Format:
        """Choose the format for a datatype of the file.

        Raises
        ------
        TypeError
            Where it holds references of a kind that h5py cannot read.
        """
        kind = type_.get_class()
        if kind == h5t.REFERENCE:
            if type_.equal(h5t.STD_REF_OBJ):
                return cls(type_, references=[(0, "")])
            if type_.equal(h5t.STD_REF_DSETREG):
                return cls(type_, raw=False)
            raise TypeError("references of the kind that came with HDF5 1.12 are not supported")
        if kind == h5t.STRING:
            return cls(type_, variable=type_.is_variable_str())
        if kind == h5t.VLEN:
            inner = cls.of(type_.get_super())
            return cls(type_, inner.raw and not inner.references, variable=True)
        parts: list[tuple[int, str, Format]] = []
        if kind == h5t.COMPOUND:
            for i in range(type_.get_nmembers()):
                part = cls.of(type_.get_member_type(i))
                parts.append(
                    (type_.get_member_offset(i), decode_text(type_.get_member_name(i)), part)
                )
        elif kind == h5t.ARRAY:
            part = cls.of(type_.get_super())
            count = math.prod(type_.get_array_dims()) if part.references else 1
            parts = [(i * part.type.get_size(), "", part) for i in range(count)]
        return cls(
            type_,
            raw=all(part.raw for *_, part in parts),
            variable=any(part.variable for *_, part in parts),
            references=[
                (start + offset, ".".join(filter(None, (name, member))))
                for start, name, part in parts
                for offset, member in part.references
            ],
        )

    def read(self, stored: Any, block: Block) -> Elements:
        """Read elements.

        Raw ones of variable length have to be written, once: only that frees what they point at.
        """
        if self.raw:
            values = np.empty((math.prod(block.shape), self.type.get_size()), np.uint8)
        else:
            values = np.empty(block.shape, self.type.dtype)
        self._transfer(stored, stored.read, block, values)
        return values

    def write(self, stored: Any, block: Block, values: Elements) -> None:
        """Write elements as they were read."""
        self._transfer(stored, stored.write, block, values)

    def copy(self, source: Any, target: Any) -> None:
        """Copy all elements of a dataset or an attribute to one of the same datatype and shape."""
        for block in blocks_of(source):
            self.write(target, block, self.read(source, block))

    def _transfer(
        self, stored: Any, call: Callable[..., None], block: Block, values: Elements
    ) -> None:
        spaces = () if block.stored is None else (block.memory, block.stored)
        call(*spaces, values, stored.get_type() if self.raw else h5t.py_create(self.type.dtype))


def blocks_of(stored: Any) -> Iterator[Block]:
    """Split the stored elements of a dataset or an attribute into parts that fit into memory."""
    space = stored.get_space()
    shape = stored.shape
    if space.get_simple_extent_type() == h5s.NULL or 0 in shape:
        return
    if isinstance(stored, h5a.AttrID):
        yield Block(shape)
    elif stored.get_create_plist().get_layout() == h5d.CHUNKED:
        chunk = stored.get_create_plist().get_chunk()
        for offset in stored_chunks(stored):
            yield _hyperslab(space, offset, chunk)
    elif stored.get_space_status() == h5d.SPACE_STATUS_NOT_ALLOCATED:
        return
    elif not shape:
        yield Block(shape, space, space)
    else:
        row = stored.get_type().get_size() * math.prod(shape[1:])
        rows = max(_BLOCK // row, 1)
        for start in range(0, shape[0], rows):
            yield _hyperslab(space, (start, *[0] * (len(shape) - 1)), (rows, *shape[1:]))


def _hyperslab(space: Any, offset: tuple[int, ...], shape: tuple[int, ...]) -> Block:
    full = space.shape
    inside = tuple(min(n, end - start) for n, start, end in zip(shape, offset, full, strict=True))
    stored = space.copy()
    stored.select_hyperslab(offset, inside)
    return Block(inside, h5s.create_simple(inside), stored)

"""Attributes: which ones an object has, and copies of them."""

from __future__ import annotations

from typing import Any

from h5py import h5a, h5o

from nwb_ophys.hdf5.copying.elements import Format
from nwb_ophys.hdf5.values import encode_text

__all__ = ["attributes_of", "copy_attribute_within", "create_like"]


def attributes_of(opened: Any) -> list[tuple[bytes, int]]:
    """List the names of all attributes and their character sets, in the order of their creation."""
    attributes: list[tuple[int, bytes, int]] = []

    def add(name: bytes, info: Any) -> None:
        attributes.append((info.corder if info.corder_valid else 0, name, info.cset))

    h5a.iterate(opened, add, info=True)
    return [(name, charset) for _, name, charset in sorted(attributes)]


def copy_attribute_within(attribute: Any, target: Any, name: str) -> None:
    """Copy an attribute to another object of its file, or of a copy of that, byte by byte.

    References are places in the file, and so are the same in both.
    """
    kind = attribute.get_type()
    same_file = h5o.get_info(attribute).fileno == h5o.get_info(target).fileno
    created = create_like(attribute, target, encode_text(name), kind if same_file else kind.copy())
    Format.of(kind).copy(attribute, created)


def create_like(attribute: Any, target: Any, name: bytes, kind: Any) -> Any:
    """Create an attribute of the same shape, in place of one of that name."""
    if h5a.exists(target, name):
        h5a.delete(target, name)
    return h5a.create(target, name, kind, attribute.get_space())

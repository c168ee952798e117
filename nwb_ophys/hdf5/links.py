"""The links of a group: asked of HDF5, or read from the table that most groups keep them in.

The table is a B-tree of version 1 over symbol table nodes, with a heap of names: what HDF5 writes
unless it is asked for more. To ask HDF5 for links, the group has to be opened. (HDF5 File Format
Specification 3.0, III.A.1, III.B, III.C, III.D)
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final, Literal, NamedTuple, Protocol

from h5py import h5g, h5l

from nwb_ophys.hdf5.values import decode_text

__all__ = ["LinkRecord", "NotPlainError", "links_in_table", "links_of"]

_HEAP: Final = Struct("<QQQ").unpack_from
_COUNT: Final = Struct("<H").unpack_from
_MOST_NAMES: Final = 1 << 24
_MOST_NODES: Final = 1 << 16
_SOFT: Final = 2


class _Kind(NamedTuple):
    """How nodes of a kind are laid out: two bytes at 6 tell how many entries there are."""

    signature: bytes
    size: int
    """What HDF5 makes by default, which is read at one go."""
    first: int
    entry: Struct


_TREE: Final = _Kind(b"TREE\0", 544, 24, Struct("<QQ"))
_NODE: Final = _Kind(b"SNOD\1", 328, 8, Struct("<QQI4xI12x"))


class LinkRecord(NamedTuple):
    """One link of a group.

    Parameters
    ----------
    name
        Its name.
    kind
        ``hard``, ``soft``, ``external`` or ``other`` (user-defined).
    address
        Where a hard link leads.
    target
        The path that a soft or external link holds.
    file
        The file name that an external link holds.
    """

    name: str
    kind: Literal["hard", "soft", "external", "other"]
    address: int = 0
    target: str = ""
    file: str = ""


class NotPlainError(Exception):
    """Something is for HDF5 to read."""


class Read(Protocol):
    """Reads bytes of a file."""

    def __call__(self, address: int, size: int, most: int = ..., /) -> bytes:
        """Read so many bytes, or what there is of them; raise `NotPlainError` for too many."""


def links_of(group: h5g.GroupID) -> list[LinkRecord]:
    """Ask HDF5 for the links of a group, in creation order where the file keeps it."""
    found: list[tuple[int, bytes, int, int]] = []
    group.links.iterate(
        lambda name, info: found.append(
            (info.corder if info.corder_valid else 0, name, info.type, info.u)
        ),
        info=True,
    )
    return [_record(group, *each[1:]) for each in sorted(found)]


def _record(group: h5g.GroupID, raw: bytes, kind: int, address: int) -> LinkRecord:
    name = decode_text(raw)
    if kind == h5l.TYPE_HARD:
        return LinkRecord(name, "hard", address=address)
    if kind == h5l.TYPE_SOFT:
        return LinkRecord(name, "soft", target=decode_text(group.links.get_val(raw)))
    if kind == h5l.TYPE_EXTERNAL:
        file, target = group.links.get_val(raw)
        return LinkRecord(name, "external", target=decode_text(target), file=decode_text(file))
    return LinkRecord(name, "other")


def links_in_table(read: Read, tree: int, heap: int) -> list[LinkRecord]:
    """Read the links of a group from its table, in the order of their names.

    Parameters
    ----------
    read
        Reads so many bytes at an address, or what there is of them.
    tree, heap
        The addresses of the B-tree and of the heap of names.

    Raises
    ------
    NotPlainError
        Where the table is not what HDF5 makes, or damaged.
    """
    names = _names(read, heap)
    found: list[LinkRecord] = []
    last = b""
    for node in _nodes(read, tree):
        _, entries = _listing(read, node, _NODE)
        for name_at, address, kind, target_at in entries:
            name = _text(names, name_at)
            if name <= last:  # out of order, where HDF5 finds it not
                raise NotPlainError
            last = name
            if kind == _SOFT:
                target = decode_text(_text(names, target_at))
                found.append(LinkRecord(decode_text(name), "soft", target=target))
            elif kind < _SOFT:
                found.append(LinkRecord(decode_text(name), "hard", address))
            else:
                raise NotPlainError
    return found


def _nodes(read: Read, tree: int) -> list[int]:
    """List the addresses of the nodes that hold the entries, below the root of a tree."""
    below, level = [tree], -1
    while level:
        addresses, below = below, []
        for address in addresses:
            found, entries = _listing(read, address, _TREE)
            if level > 0 and found != level - 1:
                raise NotPlainError
            below += [child for _, child in entries]
        level = found
        is_endless = level > 0 and not below
        if is_endless or len(set(below)) != len(below) or len(below) > _MOST_NODES:
            raise NotPlainError
    return below


def _listing(read: Read, address: int, kind: _Kind) -> tuple[int, Iterator[tuple[Any, ...]]]:
    """Give the level of a node, which one of a tree has, and iterate over its entries."""
    raw = read(address, kind.size)
    (count,) = _COUNT(raw, 6)
    end = kind.first + count * kind.entry.size
    if end > len(raw):
        raw = read(address, end)
    if raw[:5] != kind.signature or end > len(raw):
        raise NotPlainError
    return raw[5], kind.entry.iter_unpack(raw[kind.first : end])


def _names(read: Read, heap: int) -> bytes:
    raw = read(heap, 32)
    size, _, address = _HEAP(raw, 8)
    if raw[:5] != b"HEAP\0":
        raise NotPlainError
    return read(address, size, _MOST_NAMES)


def _text(names: bytes, at: int) -> bytes:
    end = names.find(b"\0", at)
    if end <= at:
        raise NotPlainError
    return names[at:end]

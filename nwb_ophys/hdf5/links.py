"""The links of a group: asked of HDF5, or read from the table that most groups keep them in.

The table is a B-tree of version 1 over symbol table nodes, with a heap of names: what HDF5 writes
unless it is asked for more. To ask HDF5 for links, the group has to be opened. (HDF5 File Format
Specification 3.0, III.A.1, III.B, III.C, III.D)
"""

from __future__ import annotations

from struct import Struct
from typing import Final, Literal, NamedTuple, Protocol

from h5py import h5g, h5l

from nwb_ophys.hdf5.values import decode_text

__all__ = ["LinkRecord", "NotPlainError", "links_in_table", "links_of"]

_TREE_BYTES: Final = 544  # both are what HDF5 makes by default, and are read at one go
_NODE_BYTES: Final = 328
_HEAP: Final = Struct("<QQQ").unpack_from
_COUNT: Final = Struct("<H").unpack_from
_ENTRY: Final = Struct("<QQI4xI12x")
_ENTRY_BYTES: Final = 40
_MOST_NAMES: Final = 1 << 24
_MOST_NODES: Final = 1 << 16
_SOFT: Final = 2


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
        raw = read(node, _NODE_BYTES)
        (count,) = _COUNT(raw, 6)
        end = 8 + count * _ENTRY_BYTES
        if end > len(raw):
            raw = read(node, end)
        if raw[:5] != b"SNOD\1" or end > len(raw):
            raise NotPlainError
        for name_at, address, kind, target_at in _ENTRY.iter_unpack(raw[8:end]):
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
            raw = read(address, _TREE_BYTES)
            (count,) = _COUNT(raw, 6)
            end = 24 + 16 * count
            if end > len(raw):
                raw = read(address, end)
            if raw[:5] != b"TREE\0" or end > len(raw) or (level > 0 and raw[5] != level - 1):
                raise NotPlainError
            below += Struct(f"<{2 * count}Q").unpack_from(raw, 24)[1::2]
        level = raw[5]
        is_endless = level > 0 and not below
        if is_endless or len(set(below)) != len(below) or len(below) > _MOST_NODES:
            raise NotPlainError
    return below


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

"""Links of groups as they are stored: listed in their order, and followed by address."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

from h5py import h5g, h5l, h5o

from nwb_ophys.hdf5.paths import absolute
from nwb_ophys.hdf5.values import decode_text, encode_text

__all__ = ["Link", "Resolved", "links_of", "resolve"]

_SOFT_LINKS: Final = 16  # soft links that a path may pass, as in HDF5

Resolved: TypeAlias = int | tuple[bytes, bytes, str] | None
"""What a path leads to: the address of an object, an object of another file, or nothing."""


class Link(NamedTuple):
    """A link, out of h5py's ``LinkInfo`` (which is overwritten by the next one)."""

    name: bytes
    kind: int
    address: int
    charset: int
    order: int = 0  # of creation; the same for all when the group does not track it


def links_of(group: Any) -> list[Link]:
    """List the links of a group, in the order of their creation where that is known, else by name.

    What they lead to is not looked at.
    """
    links: list[Link] = []

    def add(name: bytes, info: Any) -> None:
        order = info.corder if info.corder_valid else 0
        links.append(Link(name, info.type, info.u, info.cset, order))

    group.links.iterate(add, info=True)
    return sorted(links, key=lambda link: link.order)


def resolve(root: Any, path: str, depth: int = _SOFT_LINKS) -> Resolved:
    """Follow a path as HDF5 does, but never into another file."""
    group = root
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for i, part in enumerate(parts):
        if not isinstance(group, h5g.GroupID) or not group.links.exists(encode_text(part)):
            return None
        info = group.links.get_info(encode_text(part))
        rest = "/".join(parts[i + 1 :])
        if info.type == h5l.TYPE_SOFT:
            text = decode_text(group.links.get_val(encode_text(part)))
            target = absolute("/".join(["", *parts[:i]]), text)
            return resolve(root, f"{target}/{rest}", depth - 1) if depth else None
        if info.type == h5l.TYPE_EXTERNAL:
            return (*group.links.get_val(encode_text(part)), rest)
        if not rest:
            return int(info.u)
        group = h5o.open(group, encode_text(part))
    return int(h5o.get_info(root).addr)

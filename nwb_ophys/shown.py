"""Stored objects and values in a few words, for `diff` and `tree`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import h5py
import numpy as np

from nwb_ophys.errors import NWBError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.kinds import kind_of_elements, kind_of_type
from nwb_ophys.hdf5.links import LinkRecord
from nwb_ophys.hdf5.nodes import Node
from nwb_ophys.hdf5.values import Pointer, RegionPointer

__all__ = ["described", "first_paths", "form_of", "link_text", "shown", "target_of"]

_LONGEST: Final = 60
_MOST: Final = 8

PathOf = Callable[[int], str | None]
"""Gives the path of the object at an address; None where there is none."""


def shown(value: Any, path_of: PathOf) -> str:
    """Show a value, or the beginning of it, in one line.

    Parameters
    ----------
    value
        A single value or an array, as attributes and elements of datasets are read.
    path_of
        Finds the path that a reference leads to.
    """
    if isinstance(value, (Pointer, RegionPointer)):
        part = "" if isinstance(value, Pointer) else " (a region)"
        nothing = "nothing that is still there" if value.address else "nothing"
        return f"-> {path_of(value.address) or nothing}{part}"
    if isinstance(value, h5py.Empty):
        return "nothing"
    if isinstance(value, np.void) and value.dtype.names:
        return f"({', '.join(shown(item, path_of) for item in value.tolist())})"
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return shown(value[()], path_of)
        items = ", ".join(shown(item, path_of) for item in value[:_MOST])
        return f"[{items}, ... {len(value):,} in all]" if len(value) > _MOST else f"[{items}]"
    text = str(value) if isinstance(value, np.generic) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


def form_of(node: Node) -> str:
    """Say what an object is: its neurodata type, and of a dataset the elements and the shape."""
    type_name = _type_name(node)
    parts = [type_name] if type_name else []
    if node.is_dataset:
        parts.append(kind_of_elements(node.id, exact=True))
        shape = LazyArray(node).shape
        if shape is None:
            parts.append("without data")
        elif shape:
            parts.append(str(shape))
    elif not node.is_group:
        parts.append(f"datatype {kind_of_type(node.id, exact=True)}")
    return " ".join(parts)


def _type_name(node: Node) -> str:
    try:
        name = node.attributes.get("neurodata_type")
    except NWBError:  # one of the attributes is unreadable
        return ""
    return name if isinstance(name, str) else ""


def link_text(record: LinkRecord) -> str:
    """Show where a soft, external or user-defined link leads."""
    if record.kind == "soft":
        return f"-> {record.target}"
    if record.kind == "external":
        return f"-> {record.file}:{record.target}"
    return "-> (user-defined link)"


def described(group: Node, record: LinkRecord) -> str:
    """Say what a member of a group is: an object, or a link and where it leads."""
    if record.kind == "hard":
        node = group.child(record.name)
        return form_of(node) or ("group" if node.is_group else "dataset")
    missing = " (dangling)" if record.kind == "soft" and target_of(group, record) is None else ""
    return f"{record.kind} link {link_text(record)}{missing}"


def target_of(group: Node, record: LinkRecord) -> Node | None:
    """Give the object that a link leads to; None where it leads nowhere or may not be followed."""
    try:
        return group.child(record.name)
    except NWBError:
        return None


def first_paths(root: Node) -> dict[int, str]:
    """Give the path of every object by its address, of several the first in the order of names."""
    found: dict[int, str] = {}
    stack = [("", root)]
    while stack:
        path, node = stack.pop()
        if node.address in found:
            continue
        found[node.address] = path or "/"
        try:
            hard = sorted(one.name for one in node.links.values() if one.kind == "hard")
        except NWBError:  # an object that cannot be opened holds nothing that can be reached
            continue
        stack += [(f"{path}/{name}", node.child(name)) for name in reversed(hard)]
    return found

"""One of two files that are compared."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from h5py import h5r, h5s

from nwb_ophys.hdf5.links import LinkRecord
from nwb_ophys.hdf5.nodes import Node
from nwb_ophys.hdf5.values import Pointer, RegionPointer
from nwb_ophys.shown import first_paths, shown

__all__ = ["Side"]


class Side:
    """A file, and what of it is compared: all but the text of the cached specifications.

    Parameters
    ----------
    root
        Its root group.
    """

    def __init__(self, root: Node) -> None:
        self.root = root
        self.specifications = _specifications(root)

    def members(self, group: Node) -> dict[str, LinkRecord]:
        """Give the links of a group, but for the one to the cached specifications."""
        specs = self.specifications
        return {
            name: record
            for name, record in group.links.items()
            if specs is None or record.kind != "hard" or record.address != specs.address
        }

    def attributes(self, node: Node) -> dict[str, Any]:
        """Give the attributes of an object, but for the one to the cached specifications."""
        found = node.attributes
        if node is self.root:
            return {name: value for name, value in found.items() if name != ".specloc"}
        return found

    def namespaces(self) -> dict[str, str]:
        """Give the versions of each namespace that has its specification in the file."""
        group = self.specifications
        if group is None:
            return {}
        return {name: ", ".join(sorted(group.child(name).links)) for name in group.links}

    def selection(self, pointer: RegionPointer) -> Any:
        """Give what part of its dataset a region reference selects."""
        with self.root.lock:
            space = h5r.get_region(pointer.reference, self.root.source.id)
            if space.get_select_type() == h5s.SEL_HYPERSLABS:
                return space.get_select_hyper_blocklist().tolist()
            if space.get_select_type() == h5s.SEL_POINTS:
                return space.get_select_elem_pointlist().tolist()
            return space.get_select_type()

    @cached_property
    def paths(self) -> dict[int, str]:
        """The first path of each object, by address."""
        return first_paths(self.root)

    def shown(self, value: Any) -> str:
        """Show a value in short, references by the path they lead to."""
        return shown(value, lambda address: self.paths.get(address))


def _specifications(root: Node) -> Node | None:
    location = root.attributes.get(".specloc")
    for record in root.links.values():
        is_named = record.name == "specifications" and not isinstance(location, Pointer)
        if record.kind == "hard" and (is_named or location == Pointer(record.address)):
            return root.child(record.name)
    return None

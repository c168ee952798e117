"""`diff`: what differs in meaning between two files or sessions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import h5py
import numpy as np
from h5py import h5a

from nwb_ophys.errors import NWBError
from nwb_ophys.hdf5.equality import Tally, compare_arrays, compare_stored, same_chunks
from nwb_ophys.hdf5.external import external_files
from nwb_ophys.hdf5.kinds import kind_of_elements, kind_of_type
from nwb_ophys.hdf5.links import LinkRecord
from nwb_ophys.hdf5.nodes import DAMAGE, Node
from nwb_ophys.hdf5.unresolved import unresolved
from nwb_ophys.hdf5.values import Pointer, RegionPointer, Unreadable, encode_text
from nwb_ophys.shown import described, target_of
from nwb_ophys.side import Side
from nwb_ophys.snapshot import opened

if TYPE_CHECKING:
    from nwb_ophys.snapshot import Target

__all__ = ["Difference", "diff"]

Kind = Literal[
    "added",
    "removed",
    "object",
    "type",
    "link",
    "alias",
    "dtype",
    "shape",
    "value",
    "specification",
    "unreadable",
]
"""What may differ.

``added`` and ``removed``: a member or attribute that is only in one file. ``object``: a group
against a dataset. ``type``: the neurodata type or its namespace. ``link``: where a link leads, or
whether there is one. ``alias``: which paths share one object. ``dtype``: the kind of elements.
``shape``, ``value``: of a dataset or an attribute. ``specification``: the versions of the cached
schemas. ``unreadable``: what could not be compared.
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two files differ.

    Parameters
    ----------
    path
        Where: the path of an object, or ``path@name`` of an attribute.
    kind
        What differs: "added", "removed", "object", "type", "link", "alias", "dtype", "shape",
        "value", "specification", or "unreadable".
    message
        What differs, in words.
    a, b
        What was found on either side, in short; empty for what is not there.
    """

    path: str
    kind: Kind
    message: str
    a: str = ""
    b: str = ""

    def __str__(self) -> str:
        if self.a and self.b:
            return f"{self.path}: {self.message}: {self.a} in a, {self.b} in b"
        found = self.a or self.b
        return f"{self.path}: {self.message}{': ' if found else ''}{found}"


def diff(a: Target, b: Target) -> list[Difference]:
    """List what differs in meaning between two files or sessions.

    Compared are members, types, attributes, the values of datasets (NaN equals NaN), and where
    links and references lead. How things are stored is not: chunks, filters, the width of numbers,
    byte order, the length and character set of text, the order of members and attributes. Of the
    cached specifications only the versions count. Other files that external links lead to are not
    opened.

    Parameters
    ----------
    a, b
        Paths, open binary files, or sessions: opened, changed or authored. A session that was
        authored or changed is written to a temporary file for it.

    Returns
    -------
    list of Difference
        By path; empty where both mean the same.

    Raises
    ------
    NWBError
        Where a file cannot be opened, or a session cannot be written, or has data in an iterator
        that can be read only once.
    """
    with opened(a) as one, opened(b) as other:
        comparison = _Comparison(Side(one), Side(other))
        comparison.run()
    return sorted(comparison.found, key=lambda found: found.path.split("/"))


class _Comparison:
    """The comparison of two files: first which objects belong together, then what they hold."""

    def __init__(self, a: Side, b: Side) -> None:
        self.a = a
        self.b = b
        self.found: list[Difference] = []
        self.pairs: dict[tuple[int, int], str] = {}

    def run(self) -> None:
        """Find all differences."""
        if self.a.specifications is not None and self.b.specifications is not None:
            self.pairs[self.a.specifications.address, self.b.specifications.address] = ""
        self._versions()
        for path, a, b in list(self._pair()):
            try:
                self._object(path, a, b)
            except (NWBError, *DAMAGE) as error:
                self._add(path, "unreadable", f"it cannot be compared: {error}")

    def _add(self, path: str, kind: Kind, message: str, a: str = "", b: str = "") -> None:
        self.found.append(Difference(path, kind, message, a, b))

    def _one_sided(self, path: str, a: str, b: str) -> None:
        if a:
            self._add(path, "removed", "only in a", a=a)
        else:
            self._add(path, "added", "only in b", b=b)

    # -- which objects belong together -------------------------------------------------------

    def _pair(self) -> Iterator[tuple[str, Node, Node]]:
        """Walk both files along their common hard links; each pair of objects comes once."""
        firsts: tuple[dict[int, tuple[int, str]], ...] = ({}, {})
        stack = [("/", self.a.root, self.b.root, False)]
        while stack:
            path, a, b, known = stack.pop()
            if (a.address, b.address) in self.pairs:
                continue
            self.pairs[a.address, b.address] = path
            for side, first, one, other in zip("ab", firsts, (a, b), (b, a), strict=True):
                partner, place = first.setdefault(one.address, (other.address, path))
                if partner != other.address and not known:
                    self._add(path, "alias", f"the same object as {place} only in {side}")
                    known = True
            yield path, a, b
            for name in _common(self.a, a, self.b, b):
                stack.append((_join(path, name), a.child(name), b.child(name), known))

    def _same(self, a: Any, b: Any) -> bool:
        """Tell whether two references lead to objects that belong together."""
        if type(a) is not type(b):
            return False
        if (a.address, b.address) not in self.pairs:
            # References to nothing, and to objects that were deleted.
            places = self.a.paths.get(a.address), self.b.paths.get(b.address)
            return places == (None, None) and bool(a.address) == bool(b.address)
        if isinstance(a, RegionPointer):
            return bool(self.a.selection(a) == self.b.selection(b))
        return True

    # -- what they hold ----------------------------------------------------------------------

    def _versions(self) -> None:
        a, b = self.a.namespaces(), self.b.namespaces()
        for name in sorted(a.keys() | b.keys()):
            if a.get(name) != b.get(name):
                message = "the cached specification differs"
                path = f"/specifications/{name}"
                self._add(path, "specification", message, a.get(name, "none"), b.get(name, "none"))

    def _object(self, path: str, a: Node, b: Node) -> None:
        forms = tuple(_form(one) for one in (a, b))
        if forms[0] != forms[1]:
            self._add(path, "object", "one is not what the other is", *forms)
            return
        self._attributes(path, a, b)
        if a.is_group:
            self._links(path, a, b)
        elif a.is_dataset:
            self._data(path, a, b)
        else:
            self._kinds(path, kind_of_type(a.id), kind_of_type(b.id))

    def _attributes(self, path: str, a: Node, b: Node) -> None:
        in_a, in_b = self.a.attributes(a), self.b.attributes(b)
        for name in sorted(in_a.keys() | in_b.keys()):
            place = f"{path}@{name}"
            if name not in in_a or name not in in_b:
                values = [
                    side.shown(found[name]) if name in found else ""
                    for side, found in ((self.a, in_a), (self.b, in_b))
                ]
                self._one_sided(place, *values)
            elif not _plainly_equal(in_a[name], in_b[name]):
                self._attribute(place, name, (a, in_a[name]), (b, in_b[name]))

    def _attribute(self, path: str, name: str, a: tuple[Node, Any], b: tuple[Node, Any]) -> None:
        for _, value in (a, b):
            if isinstance(value, Unreadable):
                self._add(path, "unreadable", f"it cannot be compared: {value.error}")
                return
        if not self._kinds(path, _attribute_kind(a[0], name), _attribute_kind(b[0], name)):
            return
        one, other = _as_array(a[1]), _as_array(b[1])
        if self._shapes(path, one, other) and one is not None and other is not None:
            is_type = name in ("neurodata_type", "namespace")
            tally = compare_arrays(one, other, self._same)
            self._values(path, "type" if is_type else "value", tally, one)

    def _data(self, path: str, a: Node, b: Node) -> None:
        kinds = [kind_of_elements(one.id) for one in (a, b)]
        arrays = unresolved(a), unresolved(b)
        if not self._kinds(path, *kinds) or not self._shapes(path, *arrays):
            return
        if arrays[0].shape is None:
            return
        # Found first: what has failed to read keeps HDF5 from opening such a dataset otherwise.
        outside = [_outside(one) for one in (a, b)]
        try:
            tally = compare_stored(*arrays, self._same)
        except NWBError:
            if not all(outside):
                if same_chunks(a.dataset(), b.dataset()):
                    return  # a filter is missing, or they are damaged, in the same way
                raise
            # The data lie in other files, and cannot be read: compare which files those are.
            if outside[0] != outside[1]:
                files = (", ".join(sorted(one)) for one in outside)
                self._add(path, "value", "the data lie in other files", *files)
        else:
            self._values(path, "value", tally, arrays[0])

    def _kinds(self, path: str, a: str, b: str) -> bool:
        if a != b:
            self._add(path, "dtype", "the kind of elements differs", a, b)
        return a == b

    def _shapes(self, path: str, a: Any, b: Any) -> bool:
        shapes = [None if one is None else one.shape for one in (a, b)]
        if shapes[0] != shapes[1]:
            named = ("no shape" if shape is None else str(shape) for shape in shapes)
            self._add(path, "shape", "the shape differs", *named)
        return shapes[0] == shapes[1]

    def _values(self, path: str, kind: Kind, tally: Tally, array: Any) -> None:
        if not tally.count:
            return
        message = f"the {kind} differs"
        if array.size > 1:
            message = f"{tally.count:,} of {array.size:,} elements differ, the first at "
            message += str(list(tally.first or ()))
        self._add(path, kind, message, self.a.shown(tally.a), self.b.shown(tally.b))

    # -- links ---------------------------------------------------------------------------------

    def _links(self, path: str, a: Node, b: Node) -> None:
        in_a, in_b = self.a.members(a), self.b.members(b)
        for name in sorted(in_a.keys() | in_b.keys()):
            place = _join(path, name)
            if name not in in_a or name not in in_b:
                members = [
                    described(group, found[name]) if name in found else ""
                    for group, found in ((a, in_a), (b, in_b))
                ]
                self._one_sided(place, *members)
            elif not self._links_alike(a, in_a[name], b, in_b[name]):
                members = [described(a, in_a[name]), described(b, in_b[name])]
                self._add(place, "link", "the link differs", *members)

    def _links_alike(self, a: Node, link_a: LinkRecord, b: Node, link_b: LinkRecord) -> bool:
        if link_a.kind != link_b.kind:
            return False
        if link_a.kind == "external":
            texts = [(link.file, link.target) for link in (link_a, link_b)]
            files = [one.source.beside(link.file) for one, link in ((a, link_a), (b, link_b))]
            return texts[0] == texts[1] or (_same_file(*files) and link_a.target == link_b.target)
        if link_a.kind != "soft":
            return True
        targets = target_of(a, link_a), target_of(b, link_b)
        if targets[0] is None or targets[1] is None:
            # By way of an external link, which is compared itself, and may not be followed here.
            outside = all(
                one is None or one.source is not group.source
                for one, group in zip(targets, (a, b), strict=True)
            )
            return outside and link_a.target == link_b.target
        if targets[0].source is a.source and targets[1].source is b.source:
            return (targets[0].address, targets[1].address) in self.pairs
        paths = [one.source.path or one.file for one in targets if one is not None]
        return _same_file(*paths) and targets[0].path == targets[1].path


def _common(side_a: Side, a: Node, side_b: Side, b: Node) -> list[str]:
    """Name the members that both groups have as objects, the last by name first."""
    try:
        in_a, in_b = side_a.members(a), side_b.members(b)
    except NWBError:  # one of them cannot be opened; comparing them says so
        return []
    both = in_a.keys() & in_b.keys()
    return sorted((n for n in both if in_a[n].kind == in_b[n].kind == "hard"), reverse=True)


def _join(path: str, name: str) -> str:
    return f"{path.rstrip('/')}/{name}"


def _form(node: Node) -> str:
    return "a group" if node.is_group else "a dataset" if node.is_dataset else "a datatype"


def _same_file(a: str, b: str) -> bool:
    return os.path.realpath(a) == os.path.realpath(b)


def _outside(dataset: Node) -> set[str]:
    return {os.path.realpath(dataset.source.beside(file)) for file in external_files(dataset.id)}


def _plainly_equal(a: Any, b: Any) -> bool:
    """Tell whether two values are single ones that are equal at first sight."""
    return type(a) is type(b) and isinstance(a, (str, np.number, np.bool_)) and bool(a == b)


def _as_array(value: Any) -> np.ndarray[Any, Any] | None:
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, (str, Pointer, RegionPointer)):
        single = np.empty((), object)
        single[()] = value
        return single
    return np.asarray(value)


def _attribute_kind(node: Node, name: str) -> str:
    with node.lock:
        return kind_of_elements(h5a.open(node.id, encode_text(name)))

"""Judge objects by the specifications that their file caches, where they ask for more than models.

Models of official types follow the newest release, and `nwb_ophys.mapper.releases` knows what older
ones allowed. What an older one asked for and the newest does not is found here, and so is what an
extension asks of members that it tells by their type alone, beyond what that type says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nwb_ophys.dtypes import array_mismatch, scalar_mismatch, shape_mismatch
from nwb_ophys.errors import NWBError
from nwb_ophys.generated.deltas import Deltas, Spec, bounds_of, is_required, members_of, type_of
from nwb_ophys.generated.members import dims_of, dtype_of
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.values import Pointer, RegionPointer
from nwb_ophys.specs import Catalog, packed_namespaces

if TYPE_CHECKING:
    from nwb_ophys.hdf5.nodes import Node

__all__ = ["Departure", "OwnSchema"]

Departure = tuple[str, str, str]
"""The path of an object, the field or attribute of it, and what is wrong."""


class OwnSchema:
    """The specifications that a file caches, but for official ones of the newest release.

    Parameters
    ----------
    catalog
        The types that the file's specifications define.
    """

    def __init__(self, catalog: Catalog) -> None:
        newest = packed_namespaces()
        self.versions = {
            name: texts.version
            for name, texts in catalog.namespaces.items()
            if name not in newest or texts.version != newest[name].version
        }
        """The namespaces that it judges by."""
        self._catalog = catalog
        self._deltas = Deltas(catalog)

    def departures(self, node: Node) -> Iterator[Departure]:
        """Iterate over what departs from the file's own specification of a type, in an object."""
        namespace, name = (node.attributes.get(key) for key in ("namespace", "neurodata_type"))
        if not isinstance(namespace, str) or not isinstance(name, str):
            return
        entry = self._catalog.get(namespace, name)
        if entry is None or entry.namespace not in self.versions:
            return
        schema = f"{entry.namespace} {self.versions[entry.namespace]}"
        for path, field, message in self._object(self._deltas.whole(namespace, name), node):
            yield path, field, f"{message}, in {schema}"

    def _object(self, spec: Spec, node: Node) -> Iterator[Departure]:
        for each in members_of(spec, "attributes"):
            yield from _attribute(each, node)
        if node.is_dataset:
            yield from _data(spec, node)
            return
        named = [
            (kind, each)
            for kind in ("datasets", "groups", "links")
            for each in members_of(spec, kind)
            if isinstance(each.get("name"), str)
        ]
        for kind, each in named:
            yield from self._member(kind, each, node)
        yield from self._unnamed(spec, node, {each["name"] for _, each in named})

    def _member(self, kind: str, spec: Spec, node: Node) -> Iterator[Departure]:
        name = spec["name"]
        if name not in node.links:
            if is_required(spec):
                yield node.path, name, f"expected a member {name!r}, found none"
            return
        if kind == "links" or node.links[name].kind == "external":
            return
        try:
            child = node.child(name)
        except NWBError:
            return  # which is a problem of its own
        if child.is_dataset == (kind == "datasets"):
            yield from self._object(spec, child)

    def _unnamed(self, spec: Spec, node: Node, named: set[str]) -> Iterator[Departure]:
        """Judge the members that are told by their types, each by the nearest of its types."""
        uses: dict[str, Spec] = {}
        bounds: dict[str, tuple[int, int | None]] = {}
        for kind in ("datasets", "groups", "links"):
            for each in members_of(spec, kind):
                wanted = type_of(each) or each.get("target_type")
                if not isinstance(each.get("name"), str) and isinstance(wanted, str):
                    # Of a type that is named twice, objects and links, nobody can tell the two.
                    bounds[wanted] = (0, None) if wanted in bounds else bounds_of(each)
                    uses[wanted] = {} if wanted in uses or kind == "links" else each
        if not bounds:
            return
        found: Counter[str] = Counter()
        for name, link in node.links.items():
            wanted = None if name in named else self._nearest(node, name, bounds)
            if wanted is None:
                continue
            found[wanted] += 1
            if link.kind == "hard":
                yield from self._object(uses[wanted], node.child(name))
        for wanted, (least, most) in bounds.items():
            count = found[wanted]
            if count < least or (most is not None and count > most):
                bound = f"{least} at least" if count < least else f"{most} at most"
                yield node.path, "children", f"expected {bound} of {wanted}, found {count}"

    def _nearest(self, node: Node, name: str, types: Any) -> str | None:
        try:
            attributes = node.child(name).attributes
        except NWBError:
            return None
        namespace, kind = attributes.get("namespace"), attributes.get("neurodata_type")
        if not isinstance(namespace, str) or not isinstance(kind, str):
            return None
        lineage = (entry.name for entry in self._catalog.bases(namespace, kind))
        return next((one for one in lineage if one in types), None)


def _attribute(spec: Spec, node: Node) -> Iterator[Departure]:
    name = spec.get("name")
    value = node.attributes.get(str(name))
    if value is None:
        if is_required(spec) and isinstance(name, str):
            yield node.path, name, f"expected an attribute {name!r}, found none"
        return
    dtype = dtype_of(spec)
    if dtype in ("any", "reference") or isinstance(value, (Pointer, RegionPointer)):
        return
    if isinstance(value, np.ndarray):
        problem = array_mismatch(dtype, value.dtype) if value.size else None
        problem = problem or shape_mismatch(dims_of(spec), value.shape)
    elif dtype == "isodatetime":
        problem = None if isinstance(value, str) else f"expected a date, found {value!r}"
    else:
        problem = scalar_mismatch(dtype, value)
    if problem:
        yield node.path, str(name), problem


def _data(spec: Spec, node: Node) -> Iterator[Departure]:
    array = LazyArray(node)
    dtype = dtype_of(spec)
    shape = array.shape
    if shape is None or (not array.size and shape):
        return  # of nothing, writers do not know the dtype
    problem = None if dtype == "reference" else array_mismatch(dtype, array.dtype)
    dims = dims_of(spec)
    if problem is None and dims is not None:
        problem = shape_mismatch(dims, shape)
    if problem:
        yield node.path, "array", problem.replace("found object", "found text or references")

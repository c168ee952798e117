"""What plain h5py can see of an HDF5 file, as facts that can be compared with those of another.

Of how things are stored, too: datatypes, layouts, filters, links, the order of creation.
"""

from __future__ import annotations

import os
import re
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5p, h5r, h5s, h5t

__all__ = [
    "Side",
    "attributes_of",
    "dataspace",
    "fill_value",
    "has_elements",
    "join",
    "points_elsewhere",
    "read",
    "stored_chunks",
]

_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError)
_LINK_KINDS = {h5l.TYPE_HARD: "hard", h5l.TYPE_SOFT: "soft", h5l.TYPE_EXTERNAL: "external"}


class Side:
    """One of the files, and for every object in it a name: its first path in order of names."""

    def __init__(self, file: h5py.File, folder: str | None) -> None:
        self.file = file.id
        self.folder = folder
        self.root = h5g.open(file.id, b"/")
        self.names: dict[int, str] = {}
        stack = [("/", self.root)]
        while stack:
            path, opened = stack.pop()
            address = h5o.get_info(opened).addr
            if address in self.names:
                continue
            self.names[address] = path
            if isinstance(opened, h5g.GroupID):
                for name, link in sorted(_links_of(opened).items(), reverse=True):
                    if link["kind"] == "hard":
                        stack.append((join(path, name), h5o.open(opened, name)))

    def name(self, opened: Any) -> str:
        """Name an object by its first path."""
        return self.names.get(h5o.get_info(opened).addr, "an object without a path")

    def other_file(self, name: Any) -> object:
        """Name another file as it is stored, or by where it lies."""
        if self.folder is None or os.fsencode(name) == b".":  # "." is the file itself
            return name
        place = os.path.join(os.fsencode(self.folder), os.fsencode(name))
        # Names of files that are numbered by virtual datasets are those of none.
        found = os.path.exists(place) or re.search(rb"%\d*b", place)
        return os.path.realpath(place) if found else os.fsencode(name)

    def links(self, group: Any) -> dict[bytes, dict[str, Any]]:
        """Give the facts of the links in a group, by their names."""
        found = _links_of(group)
        for facts in found.values():
            if facts["kind"] == "external":
                file, target = facts["target"]
                facts["target"] = self.other_file(file), target
        return found

    def reference(self, reference: Any) -> object:
        """Tell what a reference leads to."""
        if not reference:
            return "null"
        try:
            target = h5r.dereference(reference, self.file)
        except _ERRORS:
            return "dangling"
        if isinstance(reference, h5r.RegionReference):
            try:
                return self.name(target), _selection(h5r.get_region(reference, self.file))
            except _ERRORS:
                return "dangling"
        return self.name(target)

    def datatype(self, tid: Any) -> dict[str, object]:
        """Give the facts of a datatype."""
        kind = tid.get_class()
        facts: dict[str, object] = {"class": kind, "size": tid.get_size()}
        if tid.committed():
            facts["committed as"] = self.name(tid)
        if kind in (h5t.INTEGER, h5t.FLOAT, h5t.BITFIELD):
            facts["byte order"] = tid.get_order()
        if kind in (h5t.INTEGER, h5t.FLOAT):
            facts["bits"] = (tid.get_precision(), tid.get_offset(), tid.get_pad())
        if kind == h5t.INTEGER:
            facts["sign"] = tid.get_sign()
        elif kind == h5t.FLOAT:
            facts["fields"] = (tid.get_fields(), tid.get_ebias(), tid.get_norm(), tid.get_inpad())
        elif kind == h5t.STRING:
            facts["variable"] = tid.is_variable_str()
            facts["charset"] = tid.get_cset()
            facts["padding"] = tid.get_strpad()
        elif kind == h5t.OPAQUE:
            facts["tag"] = tid.get_tag()
        elif kind == h5t.REFERENCE:
            facts["of"] = [tid.equal(known) for known in (h5t.STD_REF_OBJ, h5t.STD_REF_DSETREG)]
        elif kind == h5t.ENUM:
            facts["base"] = self.datatype(tid.get_super())
            members = range(tid.get_nmembers())
            facts["values"] = [(tid.get_member_name(i), tid.get_member_value(i)) for i in members]
        elif kind == h5t.COMPOUND:
            facts["members"] = [
                (tid.get_member_name(i), tid.get_member_offset(i), self.datatype(t))
                for i, t in ((i, tid.get_member_type(i)) for i in range(tid.get_nmembers()))
            ]
        elif kind == h5t.ARRAY:
            facts["dims"] = tid.get_array_dims()
            facts["base"] = self.datatype(tid.get_super())
        elif kind == h5t.VLEN:
            facts["base"] = self.datatype(tid.get_super())
        return facts

    def properties(self, plist: Any) -> dict[str, object]:
        """Give the facts of a creation property list, of those properties that its kind has."""
        facts: dict[str, object] = {
            "attribute order": plist.get_attr_creation_order(),
            "attribute storage": plist.get_attr_phase_change(),
            "times tracked": plist.get_obj_track_times(),
        }
        if isinstance(plist, h5p.PropGCID):
            facts["link order"] = plist.get_link_creation_order()
        if isinstance(plist, h5p.PropFCID):
            facts["sizes"] = plist.get_sizes()
            facts["file space"] = plist.get_file_space_strategy()
            facts["page size"] = plist.get_file_space_page_size()
        if isinstance(plist, h5p.PropDCID):
            layout = plist.get_layout()
            facts["layout"] = layout
            facts["chunks"] = plist.get_chunk() if layout == h5d.CHUNKED else None
            facts["filters"] = [plist.get_filter(i) for i in range(plist.get_nfilters())]
            facts["fill value defined"] = plist.fill_value_defined()
            facts["fill time"] = plist.get_fill_time()
            facts["allocation time"] = plist.get_alloc_time()
            external = range(plist.get_external_count())
            facts["external files"] = [
                (self.other_file(name), *place)
                for name, *place in (plist.get_external(i) for i in external)
            ]
            virtual = range(plist.get_virtual_count()) if layout == h5d.VIRTUAL else ()
            facts["virtual sources"] = [
                (
                    _selection(plist.get_virtual_vspace(i)),
                    self.other_file(plist.get_virtual_filename(i)),
                    plist.get_virtual_dsetname(i),
                    _selection(plist.get_virtual_srcspace(i)),
                )
                for i in virtual
            ]
        return facts

    def values(self, array: Any) -> object:
        """Give what is equal when the values are, with references by what they lead to."""
        dtype = array.dtype
        if dtype.names is not None and dtype.hasobject:
            return [self.values(array[name]) for name in dtype.names]
        if dtype.hasobject:
            return [self.value(item) for item in array.flat]
        return dtype.str, array.tobytes()

    def value(self, item: Any) -> object:
        """Give what is equal when an element is: see `values`."""
        if isinstance(item, h5r.Reference):
            return self.reference(item)
        return self.values(item) if isinstance(item, np.ndarray | np.void) else item


def join(path: str, name: bytes) -> str:
    """Give the path of a member of a group."""
    return f"{path.rstrip('/')}/{name.decode('utf-8', 'surrogateescape')}"


def _links_of(group: Any) -> dict[bytes, dict[str, Any]]:
    found: dict[bytes, dict[str, Any]] = {}

    def add(name: bytes, info: Any) -> None:
        found[name] = {
            "kind": _LINK_KINDS.get(info.type, "user-defined"),
            "charset": info.cset,
            "order": info.corder if info.corder_valid else -1,
        }

    group.links.iterate(add, info=True)
    for name, facts in found.items():
        if facts["kind"] in ("soft", "external"):
            facts["target"] = group.links.get_val(name)
    return found


def attributes_of(opened: Any) -> dict[bytes, dict[str, Any]]:
    """Give the facts of the attributes of an object, by their names."""
    found: dict[bytes, dict[str, Any]] = {}
    # HDF5 makes an order up where none is kept, so the object itself is asked.
    has_order = not isinstance(opened, h5t.TypeID) and bool(
        opened.get_create_plist().get_attr_creation_order() & h5p.CRT_ORDER_TRACKED
    )

    def add(name: bytes, info: Any) -> None:
        found[name] = {"charset": info.cset, "order": info.corder if has_order else -1}

    h5a.iterate(opened, add, info=True)
    return found


def dataspace(space: Any) -> dict[str, object]:
    """Give the facts of a dataspace."""
    kind = space.get_simple_extent_type()
    simple = kind == h5s.SIMPLE
    return {
        "dataspace": {h5s.NULL: "null", h5s.SCALAR: "scalar", h5s.SIMPLE: "simple"}[kind],
        "shape": space.get_simple_extent_dims() if simple else None,
        "maxshape": space.get_simple_extent_dims(maxdims=True) if simple else None,
    }


def _selection(space: Any) -> object:
    kind = space.get_select_type()
    extent = space.get_simple_extent_dims(), space.get_simple_extent_dims(maxdims=True)
    if kind == h5s.SEL_HYPERSLABS:
        if space.is_regular_hyperslab():
            return "slab", extent, space.get_regular_hyperslab()
        return "slabs", extent, space.get_select_hyper_blocklist().tolist()
    if kind == h5s.SEL_POINTS:
        return "points", extent, space.get_select_elem_pointlist().tolist()
    return {h5s.SEL_ALL: "all", h5s.SEL_NONE: "none"}[kind], extent


def has_elements(stored: Any) -> bool:
    """Tell whether there is anything in a dataset or an attribute."""
    space = stored.get_space()
    return space.get_simple_extent_type() != h5s.NULL and 0 not in stored.shape


def points_elsewhere(tid: Any) -> bool:
    """Tell whether elements of a datatype hold places in the file."""
    kind = tid.get_class()
    if kind == h5t.COMPOUND:
        return any(points_elsewhere(tid.get_member_type(i)) for i in range(tid.get_nmembers()))
    if kind == h5t.ARRAY:
        return points_elsewhere(tid.get_super())
    if kind == h5t.STRING:
        return bool(tid.is_variable_str())
    return kind in (h5t.VLEN, h5t.REFERENCE)


def read(stored: Any, block: tuple[slice, ...] | None = None) -> Any:
    """Read values: bytes without any conversion, or what h5py makes of text and references."""
    tid = stored.get_type()
    shape = stored.shape
    spaces: tuple[Any, ...] = ()
    if isinstance(stored, h5d.DatasetID):
        file_space = stored.get_space()
        memory = file_space
        if block:
            shape = tuple(part.stop - part.start for part in block)
            file_space.select_hyperslab(tuple(part.start for part in block), shape)
            memory = h5s.create_simple(shape)
        spaces = (memory, file_space)
    if points_elsewhere(tid):
        array = np.empty(shape, tid.dtype)
        stored.read(*spaces, array, h5t.py_create(tid.dtype))
    else:
        array = np.zeros((*shape, tid.get_size()), np.uint8)
        stored.read(*spaces, array, tid)
    return array


def stored_chunks(dataset: Any) -> dict[tuple[int, ...], int]:
    """Give the filters skipped of every chunk that is in the file, by its offset."""
    if not has_elements(dataset):
        return {}
    found: dict[tuple[int, ...], int] = {}
    dataset.chunk_iter(lambda chunk: found.update({chunk.chunk_offset: chunk.filter_mask}))
    return found


def fill_value(dataset: Any, plist: Any) -> object:
    """Give what is equal when the fill value of a dataset is."""
    try:
        value = np.zeros((1,), dataset.dtype)
        plist.get_fill_value(value)
    except (TypeError, RuntimeError) as error:
        return f"not to be had by h5py: {error}"
    return value.tobytes() if not value.dtype.hasobject else repr(value[0])

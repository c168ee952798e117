"""Compare two HDF5 files by plain h5py, in everything that can be seen of them.

Not only what is stored, but how: datatypes, layouts, chunks, filters, links, references, the order
of creation. Tests use this as their judge, so it shares no code with what it judges.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5p, h5r, h5s, h5t

__all__ = ["differences"]

_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError)
_LINK_KINDS = {h5l.TYPE_HARD: "hard", h5l.TYPE_SOFT: "soft", h5l.TYPE_EXTERNAL: "external"}
_KINDS = {h5g.GroupID: "group", h5d.DatasetID: "dataset"}


def differences(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    ignore: Callable[[str], bool] = lambda path: False,
    moved: bool = False,
) -> list[str]:
    """Give every difference of two files.

    Parameters
    ----------
    a, b
        The files.
    ignore
        Asked for the path of every member (``/group/dataset``) and attribute
        (``/group/dataset@unit``); what it says yes to is not compared, nor is what is below.
    moved
        Whether names of other files count as equal when they lead to the same file from the
        folders of ``a`` and of ``b``.

    Returns
    -------
    list of str
        One line a difference, each beginning with the path; empty where there is none.
    """
    with h5py.File(a, "r") as file_a, h5py.File(b, "r") as file_b:
        side_a, side_b = (
            _Side(file, os.path.dirname(os.path.realpath(path)) if moved else None)
            for file, path in ((file_a, a), (file_b, b))
        )
        comparison = _Comparison(side_a, side_b, ignore)
        comparison.run()
        size_a, size_b = file_a.userblock_size, file_b.userblock_size
    if size_a != size_b:
        comparison.found.append(f"/: user block of {size_a} bytes, then of {size_b}")
    else:
        with open(a, "rb") as raw_a, open(b, "rb") as raw_b:
            if raw_a.read(size_a) != raw_b.read(size_b):
                comparison.found.append("/: contents of the user block differ")
    return comparison.found


class _Side:
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
                for name, link in sorted(_links(opened).items(), reverse=True):
                    if link["kind"] == "hard":
                        stack.append((_join(path, name), h5o.open(opened, name)))

    def name(self, opened: Any) -> str:
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
        found = _links(group)
        for facts in found.values():
            if facts["kind"] == "external":
                file, target = facts["target"]
                facts["target"] = self.other_file(file), target
        return found

    def reference(self, reference: Any) -> object:
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
        """Facts of a creation property list, of those properties that its kind has."""
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
        """Something that is equal when the values are, with references by what they lead to."""
        dtype = array.dtype
        if dtype.names is not None and dtype.hasobject:
            return [self.values(array[name]) for name in dtype.names]
        if dtype.hasobject:
            return [self.value(item) for item in array.flat]
        return dtype.str, array.tobytes()

    def value(self, item: Any) -> object:
        if isinstance(item, h5r.Reference):
            return self.reference(item)
        return self.values(item) if isinstance(item, np.ndarray | np.void) else item


class _Comparison:
    def __init__(self, a: _Side, b: _Side, ignore: Callable[[str], bool]) -> None:
        self.a = a
        self.b = b
        self.ignore = ignore
        self.found: list[str] = []

    def run(self) -> None:
        self.facts(
            "/", *(side.properties(side.file.get_create_plist()) for side in (self.a, self.b))
        )
        seen = {"/"}
        stack = [("/", self.a.root, self.b.root)]
        while stack:
            path, a, b = stack.pop()
            kinds = [_KINDS.get(type(opened), "datatype") for opened in (a, b)]
            if kinds[0] != kinds[1]:
                self.add(path, "kind", *kinds)
                continue
            self.attributes(path, a, b)
            if isinstance(a, h5d.DatasetID):
                self.dataset(path, a, b)
            elif isinstance(a, h5g.GroupID):
                for name in self.members(path, a, b):
                    member = _join(path, name)
                    pair = h5o.open(a, name), h5o.open(b, name)
                    names = self.a.name(pair[0]), self.b.name(pair[1])
                    if names[0] != names[1]:
                        self.add(member, "object (by its first path)", *names)
                    elif names[0] not in seen:
                        seen.add(names[0])
                        stack.append((member, *pair))
            else:
                self.facts(path, self.a.datatype(a), self.b.datatype(b))

    def add(self, path: str, what: str, a: object, b: object) -> None:
        self.found.append(f"{path}: {what}: {_shortened(a)}, then {_shortened(b)}")

    def facts(self, path: str, a: dict[str, object], b: dict[str, object]) -> None:
        for what in a.keys() | b.keys():
            if a.get(what) != b.get(what):
                self.add(path, what, a.get(what), b.get(what))

    def common(self, path: str, what: str, a: dict[bytes, Any], b: dict[bytes, Any]) -> list[bytes]:
        """Names on both sides that are to be compared; others, and other orders, are noted."""
        to_path = _join if what == "member" else _attribute_path
        a, b = (
            {name: facts for name, facts in side.items() if not self.ignore(to_path(path, name))}
            for side in (a, b)
        )
        self.found += (f"{to_path(path, name)}: {what} is missing" for name in a if name not in b)
        self.found += (f"{to_path(path, name)}: {what} is new" for name in b if name not in a)
        both = [name for name in a if name in b]
        tracked = [{facts["order"] >= 0 for facts in side.values()} for side in (a, b)]
        if tracked[0] == tracked[1] == {True}:
            orders = [[name for name in _in_order(side) if name in both] for side in (a, b)]
            if orders[0] != orders[1]:
                self.add(path, f"order of creation of {what}s", *orders)
        elif tracked[0] != tracked[1] and all(tracked):  # of none, no order is known
            self.add(path, f"creation order of {what}s known", *tracked)
        return both

    def members(self, path: str, a: Any, b: Any) -> Iterator[bytes]:
        """Compare the links of a group, and give the names of those with objects to compare."""
        self.facts(
            path,
            self.a.properties(a.get_create_plist()),
            self.b.properties(b.get_create_plist()),
        )
        if a.get_comment(b".") != b.get_comment(b"."):
            self.add(path, "comment", a.get_comment(b"."), b.get_comment(b"."))
        links_a, links_b = self.a.links(a), self.b.links(b)
        for name in self.common(path, "member", links_a, links_b):
            facts_a, facts_b = (
                {key: value for key, value in side[name].items() if key != "order"}
                for side in (links_a, links_b)
            )
            self.facts(_join(path, name), facts_a, facts_b)
            if facts_a["kind"] == facts_b["kind"] == "hard":
                yield name

    def attributes(self, path: str, a: Any, b: Any) -> None:
        infos_a, infos_b = _attributes(a), _attributes(b)
        for name in self.common(path, "attribute", infos_a, infos_b):
            where = _attribute_path(path, name)
            if infos_a[name]["charset"] != infos_b[name]["charset"]:
                self.add(
                    where, "charset of name", infos_a[name]["charset"], infos_b[name]["charset"]
                )
            pair = h5a.open(a, name), h5a.open(b, name)
            if self.types_and_spaces(where, *pair):
                values = [
                    side.values(_read(attribute)) if _has_elements(attribute) else None
                    for side, attribute in zip((self.a, self.b), pair, strict=True)
                ]
                if values[0] != values[1]:
                    self.add(where, "values", *values)

    def types_and_spaces(self, path: str, a: Any, b: Any) -> bool:
        before = len(self.found)
        self.facts(path, self.a.datatype(a.get_type()), self.b.datatype(b.get_type()))
        self.facts(path, _dataspace(a.get_space()), _dataspace(b.get_space()))
        return len(self.found) == before

    def dataset(self, path: str, a: Any, b: Any) -> None:
        alike = self.types_and_spaces(path, a, b)
        plists = a.get_create_plist(), b.get_create_plist()
        facts = self.a.properties(plists[0]), self.b.properties(plists[1])
        self.facts(path, *facts)
        if not alike or facts[0]["layout"] != facts[1]["layout"]:
            return
        if facts[0]["fill value defined"] == h5d.FILL_VALUE_USER_DEFINED:
            fills = [_fill_value(side, plist) for side, plist in zip((a, b), plists, strict=True)]
            if fills[0] != fills[1]:
                self.add(path, "fill value", *fills)
        if facts[0]["layout"] == h5d.VIRTUAL or facts[0]["external files"]:
            return  # the values are not in these files
        if facts[0]["layout"] == h5d.CHUNKED:
            self.chunks(path, a, b)
            return
        status = a.get_space_status(), b.get_space_status()
        if status[0] != status[1]:
            self.add(path, "space allocated", *status)
        elif status[0] != h5d.SPACE_STATUS_NOT_ALLOCATED and _has_elements(a):
            for block in _blocks(a):
                if self.a.values(_read(a, block)) != self.b.values(_read(b, block)):
                    self.found.append(f"{path}: values differ in {block}")

    def chunks(self, path: str, a: Any, b: Any) -> None:
        stored_a, stored_b = _stored_chunks(a), _stored_chunks(b)
        if stored_a.keys() != stored_b.keys():
            self.add(path, "stored chunks", sorted(stored_a), sorted(stored_b))
        size = a.get_create_plist().get_chunk()
        for offset in stored_a.keys() & stored_b.keys():
            if _pointers(a.get_type()):
                # What is stored are places in the file, which may be others.
                if stored_a[offset] != stored_b[offset]:
                    self.found.append(f"{path}: filters skipped differ in chunk {offset}")
                block = tuple(
                    slice(start, min(start + n, end))
                    for start, n, end in zip(offset, size, a.shape, strict=True)
                )
                if self.a.values(_read(a, block)) != self.b.values(_read(b, block)):
                    self.found.append(f"{path}: values differ in chunk {offset}")
            elif a.read_direct_chunk(offset) != b.read_direct_chunk(offset):
                self.found.append(f"{path}: chunk {offset} is stored differently")


def _join(path: str, name: bytes) -> str:
    return f"{path.rstrip('/')}/{name.decode('utf-8', 'surrogateescape')}"


def _attribute_path(path: str, name: bytes) -> str:
    return f"{path}@{name.decode('utf-8', 'surrogateescape')}"


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _links(group: Any) -> dict[bytes, dict[str, Any]]:
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


def _in_order(found: dict[bytes, dict[str, Any]]) -> list[bytes]:
    return sorted(found, key=lambda name: found[name]["order"])


def _attributes(opened: Any) -> dict[bytes, dict[str, Any]]:
    found: dict[bytes, dict[str, Any]] = {}
    # HDF5 makes an order up where none is kept, so the object itself is asked.
    has_order = not isinstance(opened, h5t.TypeID) and bool(
        opened.get_create_plist().get_attr_creation_order() & h5p.CRT_ORDER_TRACKED
    )

    def add(name: bytes, info: Any) -> None:
        found[name] = {"charset": info.cset, "order": info.corder if has_order else -1}

    h5a.iterate(opened, add, info=True)
    return found


def _dataspace(space: Any) -> dict[str, object]:
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


def _has_elements(stored: Any) -> bool:
    space = stored.get_space()
    return space.get_simple_extent_type() != h5s.NULL and 0 not in stored.shape


def _pointers(tid: Any) -> bool:
    """Whether elements of a datatype hold places in the file."""
    kind = tid.get_class()
    if kind == h5t.COMPOUND:
        return any(_pointers(tid.get_member_type(i)) for i in range(tid.get_nmembers()))
    if kind == h5t.ARRAY:
        return _pointers(tid.get_super())
    if kind == h5t.STRING:
        return bool(tid.is_variable_str())
    return kind in (h5t.VLEN, h5t.REFERENCE)


def _read(stored: Any, block: tuple[slice, ...] | None = None) -> Any:
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
    if _pointers(tid):
        array = np.empty(shape, tid.dtype)
        stored.read(*spaces, array, h5t.py_create(tid.dtype))
    else:
        array = np.zeros((*shape, tid.get_size()), np.uint8)
        stored.read(*spaces, array, tid)
    return array


def _blocks(dataset: Any) -> Iterator[tuple[slice, ...]]:
    shape = dataset.shape
    if not shape:
        yield ()
        return
    row = dataset.get_type().get_size() * int(np.prod(shape[1:], dtype=object))
    step = max((1 << 24) // max(row, 1), 1)
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])), *(slice(0, n) for n in shape[1:]))


def _stored_chunks(dataset: Any) -> dict[tuple[int, ...], int]:
    """Offset -> filters skipped, of every chunk that is in the file."""
    if not _has_elements(dataset):
        return {}
    found: dict[tuple[int, ...], int] = {}
    dataset.chunk_iter(lambda chunk: found.update({chunk.chunk_offset: chunk.filter_mask}))
    return found


def _fill_value(dataset: Any, plist: Any) -> object:
    try:
        value = np.zeros((1,), dataset.dtype)
        plist.get_fill_value(value)
    except (TypeError, RuntimeError) as error:
        return f"not to be had by h5py: {error}"
    return value.tobytes() if not value.dtype.hasobject else repr(value[0])

"""Compare two HDF5 files by plain h5py, in everything that can be seen of them.

Not only what is stored, but how: datatypes, layouts, chunks, filters, links, references, the order
of creation. Tests use this as their judge, so it shares no code with what it judges.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5o

from nwb_ophys.testing.h5facts import (
    Side,
    attributes_of,
    dataspace,
    fill_value,
    has_elements,
    join,
    points_elsewhere,
    read,
    stored_chunks,
)

__all__ = ["differences"]

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
            Side(file, os.path.dirname(os.path.realpath(path)) if moved else None)
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


class _Comparison:
    def __init__(self, a: Side, b: Side, ignore: Callable[[str], bool]) -> None:
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
                    member = join(path, name)
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
        to_path = join if what == "member" else _attribute_path
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
            self.facts(join(path, name), facts_a, facts_b)
            if facts_a["kind"] == facts_b["kind"] == "hard":
                yield name

    def attributes(self, path: str, a: Any, b: Any) -> None:
        infos_a, infos_b = attributes_of(a), attributes_of(b)
        for name in self.common(path, "attribute", infos_a, infos_b):
            where = _attribute_path(path, name)
            if infos_a[name]["charset"] != infos_b[name]["charset"]:
                self.add(
                    where, "charset of name", infos_a[name]["charset"], infos_b[name]["charset"]
                )
            pair = h5a.open(a, name), h5a.open(b, name)
            if self.types_and_spaces(where, *pair):
                values = [
                    side.values(read(attribute)) if has_elements(attribute) else None
                    for side, attribute in zip((self.a, self.b), pair, strict=True)
                ]
                if values[0] != values[1]:
                    self.add(where, "values", *values)

    def types_and_spaces(self, path: str, a: Any, b: Any) -> bool:
        before = len(self.found)
        self.facts(path, self.a.datatype(a.get_type()), self.b.datatype(b.get_type()))
        self.facts(path, dataspace(a.get_space()), dataspace(b.get_space()))
        return len(self.found) == before

    def dataset(self, path: str, a: Any, b: Any) -> None:
        alike = self.types_and_spaces(path, a, b)
        plists = a.get_create_plist(), b.get_create_plist()
        facts = self.a.properties(plists[0]), self.b.properties(plists[1])
        self.facts(path, *facts)
        if not alike or facts[0]["layout"] != facts[1]["layout"]:
            return
        if facts[0]["fill value defined"] == h5d.FILL_VALUE_USER_DEFINED:
            fills = [fill_value(side, plist) for side, plist in zip((a, b), plists, strict=True)]
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
        elif status[0] != h5d.SPACE_STATUS_NOT_ALLOCATED and has_elements(a):
            for block in _blocks(a):
                if self.a.values(read(a, block)) != self.b.values(read(b, block)):
                    self.found.append(f"{path}: values differ in {block}")

    def chunks(self, path: str, a: Any, b: Any) -> None:
        stored_a, stored_b = stored_chunks(a), stored_chunks(b)
        if stored_a.keys() != stored_b.keys():
            self.add(path, "stored chunks", sorted(stored_a), sorted(stored_b))
        size = a.get_create_plist().get_chunk()
        for offset in stored_a.keys() & stored_b.keys():
            if points_elsewhere(a.get_type()):
                # What is stored are places in the file, which may be others.
                if stored_a[offset] != stored_b[offset]:
                    self.found.append(f"{path}: filters skipped differ in chunk {offset}")
                block = tuple(
                    slice(start, min(start + n, end))
                    for start, n, end in zip(offset, size, a.shape, strict=True)
                )
                if self.a.values(read(a, block)) != self.b.values(read(b, block)):
                    self.found.append(f"{path}: values differ in chunk {offset}")
            elif a.read_direct_chunk(offset) != b.read_direct_chunk(offset):
                self.found.append(f"{path}: chunk {offset} is stored differently")


def _attribute_path(path: str, name: bytes) -> str:
    return f"{path}@{name.decode('utf-8', 'surrogateescape')}"


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _in_order(found: dict[bytes, dict[str, Any]]) -> list[bytes]:
    return sorted(found, key=lambda name: found[name]["order"])


def _blocks(dataset: Any) -> Iterator[tuple[slice, ...]]:
    shape = dataset.shape
    if not shape:
        yield ()
        return
    row = dataset.get_type().get_size() * int(np.prod(shape[1:], dtype=object))
    step = max((1 << 24) // max(row, 1), 1)
    for start in range(0, shape[0], step):
        yield (slice(start, min(start + step, shape[0])), *(slice(0, n) for n in shape[1:]))

"""Copy HDF5 objects from one file to another without losing anything.

HDF5's own ``H5Ocopy`` carries stored chunks over without decompressing them and keeps creation
orders, attribute types and fill values. But it drops references, knows only one subtree at a time
(so it doubles what is linked from several places), doubles committed datatypes, and cannot fill a
root group. So a copy first looks at every object below (`_Node`), then leaves to ``H5Ocopy`` the
largest subtrees that it copies faithfully, and builds the rest piece by piece. References are
written in a second pass, when it is known where every object went.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5l, h5o, h5p, h5r, h5s, h5t
from numpy.typing import NDArray

from nwb_ophys.errors import DataError, LinkError, MemberNotFoundError, NWBError
from nwb_ophys.hdf5.guarding import check_write
from nwb_ophys.hdf5.values import decode_text, encode_text

__all__ = [
    "Outside",
    "TreeCopier",
    "access_properties",
    "copy_file",
    "copy_user_block",
    "creation_properties",
    "stored_chunks",
]

_BLOCK = 1 << 24  # bytes of a contiguous dataset held in memory at a time
_SOFT_LINKS = 16  # soft links that a path may pass, as in HDF5
# What h5py raises when HDF5 fails.
_HDF5_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError)

# Classes of datatypes that are references or may contain some.
_COMPOSED = (h5t.TypeReferenceID, h5t.TypeCompoundID, h5t.TypeArrayID, h5t.TypeVlenID)
# The address that HDF5 itself uses for "none"; no object has it.
_NOWHERE = 2**64 - 1

_Array: TypeAlias = NDArray[Any]
# What to do about a reference to an object that was not copied: its path, and who refers to it.
_Missing: TypeAlias = "Callable[[str, _Place], None]"
# What a path leads to: the address of an object, an object of another file, or nothing.
_Resolved: TypeAlias = int | tuple[bytes, bytes, str] | None


class Outside(NamedTuple):
    """What copied objects point at that was not copied.

    Both members are keyed by the path in the source of what is missing, and list what points at it.
    """

    links: dict[str, list[str]]
    """Soft links that lead somewhere in the source, but not to its copy in the target."""
    references: dict[str, list[str]]
    """Datasets and attributes that refer to objects which were not copied."""


class _Place(NamedTuple):
    """Where a reference is stored: an object, and its attribute or compound member."""

    path: str
    field: str | None = None

    def __str__(self) -> str:
        return f"{self.path}, field {self.field!r}" if self.field else self.path

    def member(self, name: str) -> _Place:
        """Give the place of a compound member of what is stored here."""
        return _Place(self.path, ".".join(filter(None, (self.field, name))) or None)


class _Link(NamedTuple):
    """A link, out of h5py's ``LinkInfo`` (which is overwritten by the next one)."""

    name: bytes
    kind: int
    address: int
    charset: int
    order: int  # of creation; the same for all when the group does not track it


@dataclass(slots=True, eq=False)
class _Node:
    """What has to be known of an object of the source to copy it."""

    path: str
    address: int
    parent: _Node | None
    is_group: bool = False
    is_type: bool = False
    apart: bool = False  # H5Ocopy would lose something of it, or of what is below
    own_data: bool = False  # ... even of the data of a dataset
    members: list[tuple[_Link, _Node | None]] = field(default_factory=list)
    references: list[bytes | None] = field(default_factory=list)  # attributes; None: the data

    def set_apart(self) -> None:
        """Build this and the groups that hold it piece by piece."""
        node: _Node | None = self
        while node is not None and not node.apart:
            node.apart = True
            node = node.parent


class _Block(NamedTuple):
    """A part of the elements of a dataset, or all those of an attribute."""

    shape: tuple[int, ...]
    memory: Any = None
    stored: Any = None


class _Format(NamedTuple):
    """How to hold elements of a datatype in memory such that nothing of them changes.

    Raw elements are the bytes that HDF5 gives for the very datatype in the file, without any
    conversion. References in them are addresses in the file, and can be replaced as such, but those
    to regions, and those inside of sequences of variable length, only as objects of h5py.
    """

    type: Any
    raw: bool = True
    variable: bool = False
    """Whether elements hold pointers to what has no fixed length."""
    references: list[tuple[int, str]] = []  # noqa: RUF012 - never changed
    """Byte offsets of object references in a raw element, and the compound member they are."""

    @classmethod
    def of(cls, type_: Any) -> _Format:
        kind = type_.get_class()
        if kind == h5t.REFERENCE:
            if type_.equal(h5t.STD_REF_OBJ):
                return cls(type_, references=[(0, "")])
            if type_.equal(h5t.STD_REF_DSETREG):
                return cls(type_, raw=False)
            raise TypeError("references of the kind that came with HDF5 1.12 are not supported")
        if kind == h5t.STRING:
            return cls(type_, variable=type_.is_variable_str())
        if kind == h5t.VLEN:
            inner = cls.of(type_.get_super())
            return cls(type_, inner.raw and not inner.references, variable=True)
        parts: list[tuple[int, str, _Format]] = []
        if kind == h5t.COMPOUND:
            for i in range(type_.get_nmembers()):
                part = cls.of(type_.get_member_type(i))
                parts.append(
                    (type_.get_member_offset(i), decode_text(type_.get_member_name(i)), part)
                )
        elif kind == h5t.ARRAY:
            part = cls.of(type_.get_super())
            count = math.prod(type_.get_array_dims()) if part.references else 1
            parts = [(i * part.type.get_size(), "", part) for i in range(count)]
        return cls(
            type_,
            raw=all(part.raw for *_, part in parts),
            variable=any(part.variable for *_, part in parts),
            references=[
                (start + offset, ".".join(filter(None, (name, member))))
                for start, name, part in parts
                for offset, member in part.references
            ],
        )

    def read(self, stored: Any, block: _Block) -> _Array:
        """Read elements.

        Raw ones of variable length have to be written, once: only that frees what they point at.
        """
        if self.raw:
            values = np.empty((math.prod(block.shape), self.type.get_size()), np.uint8)
        else:
            values = np.empty(block.shape, self.type.dtype)
        self._transfer(stored, stored.read, block, values)
        return values

    def write(self, stored: Any, block: _Block, values: _Array) -> None:
        self._transfer(stored, stored.write, block, values)

    def _transfer(
        self, stored: Any, call: Callable[..., None], block: _Block, values: _Array
    ) -> None:
        spaces = () if block.stored is None else (block.memory, block.stored)
        call(*spaces, values, stored.get_type() if self.raw else h5t.py_create(self.type.dtype))


def _blocks(stored: Any) -> Iterator[_Block]:
    """Split the stored elements of a dataset or an attribute into parts that fit into memory."""
    space = stored.get_space()
    shape = stored.shape
    if space.get_simple_extent_type() == h5s.NULL or 0 in shape:
        return
    if isinstance(stored, h5a.AttrID):
        yield _Block(shape)
    elif stored.get_create_plist().get_layout() == h5d.CHUNKED:
        chunk = stored.get_create_plist().get_chunk()
        for offset in stored_chunks(stored):
            yield _hyperslab(space, offset, chunk)
    elif stored.get_space_status() == h5d.SPACE_STATUS_NOT_ALLOCATED:
        return
    elif not shape:
        yield _Block(shape, space, space)
    else:
        row = stored.get_type().get_size() * math.prod(shape[1:])
        rows = max(_BLOCK // row, 1)
        for start in range(0, shape[0], rows):
            yield _hyperslab(space, (start, *[0] * (len(shape) - 1)), (rows, *shape[1:]))


def _hyperslab(space: Any, offset: tuple[int, ...], shape: tuple[int, ...]) -> _Block:
    full = space.shape
    inside = tuple(min(n, end - start) for n, start, end in zip(shape, offset, full, strict=True))
    stored = space.copy()
    stored.select_hyperslab(offset, inside)
    return _Block(inside, h5s.create_simple(inside), stored)


def stored_chunks(dataset: Any) -> list[tuple[int, ...]]:
    """Offsets of the chunks that a dataset has in the file."""
    if not hasattr(dataset, "chunk_iter"):  # built with an HDF5 before 1.10.10
        return [dataset.get_chunk_info(i).chunk_offset for i in range(dataset.get_num_chunks())]
    offsets: list[tuple[int, ...]] = []
    dataset.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    return offsets


def _links(group: Any) -> list[_Link]:
    """All links of a group, in the order of their creation where that is known, else by name."""
    links: list[_Link] = []

    def add(name: bytes, info: Any) -> None:
        order = info.corder if info.corder_valid else 0
        links.append(_Link(name, info.type, info.u, info.cset, order))

    group.links.iterate(add, info=True)
    return sorted(links, key=lambda link: link.order)


def _attributes(opened: Any) -> list[tuple[bytes, int]]:
    """Names of all attributes and their character sets, in the same order."""
    attributes: list[tuple[int, bytes, int]] = []

    def add(name: bytes, info: Any) -> None:
        attributes.append((info.corder if info.corder_valid else 0, name, info.cset))

    h5a.iterate(opened, add, info=True)
    return [(name, charset) for _, name, charset in sorted(attributes)]


def _link_properties(charset: int) -> Any:
    properties = h5p.create(h5p.LINK_CREATE)
    properties.set_char_encoding(charset)
    return properties


def _group_properties(group: Any, new: Any) -> Any:
    """Set how a group was created in another property list, and return that.

    The group's own list will not do: it also holds where its links are stored in its own file, and
    a group that is created with it looks for them there.
    """
    old = group.get_create_plist()
    new.set_link_creation_order(old.get_link_creation_order())
    new.set_attr_creation_order(old.get_attr_creation_order())
    new.set_attr_phase_change(*old.get_attr_phase_change())
    new.set_obj_track_times(old.get_obj_track_times())
    return new


def _files_of(properties: Any) -> list[bytes]:
    """Names of the files that hold the data of a dataset, when that is not the file it is in."""
    names = [properties.get_external(i)[0] for i in range(properties.get_external_count())]
    if properties.get_layout() == h5d.VIRTUAL:
        count = properties.get_virtual_count()
        names += (encode_text(properties.get_virtual_filename(i)) for i in range(count))
    return names


def _resolve(root: Any, path: str, depth: int = _SOFT_LINKS) -> _Resolved:
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
            target = _absolute("/".join(["", *parts[:i]]), text)
            return _resolve(root, f"{target}/{rest}", depth - 1) if depth else None
        if info.type == h5l.TYPE_EXTERNAL:
            return (*group.links.get_val(encode_text(part)), rest)
        if not rest:
            return int(info.u)
        group = h5o.open(group, encode_text(part))
    return int(h5o.get_info(root).addr)


def _absolute(group: str, path: str) -> str:
    parts = path.split("/") if path.startswith("/") else f"{group}/{path}".split("/")
    return "/" + "/".join(part for part in parts if part not in ("", "."))


def _join(group: str, name: bytes) -> str:
    return f"{group.rstrip('/')}/{decode_text(name)}"


class TreeCopier:
    """Copies objects from one open file to another: `copy` all that is wanted, then `finish`.

    Parameters
    ----------
    source, target
        The `h5py.h5f.FileID` of both, the target open for writing.
    source_file, target_file
        Their names, for error messages.
    relocate
        Gives the name to store for a file that an external link, a virtual dataset or external raw
        storage names. By default, names are kept.
    skip
        Absolute paths in the source whose links are not copied.

    Attributes
    ----------
    paths : dict of int to str
        Address in the source -> path in the target, of every copied object. References to an
        address that the caller adds lead to the path given for it.
    notes : list of str
        What could not be copied as it was.
    """

    def __init__(
        self,
        source: Any,
        target: Any,
        *,
        source_file: str,
        target_file: str,
        relocate: Callable[[str], str] | None = None,
        skip: Collection[str] = (),
    ) -> None:
        self.source_file = source_file
        self.target_file = target_file
        self.paths: dict[int, str] = {}
        self.notes: list[str] = []
        self._file = source
        self._source = h5g.open(source, b"/")
        self._target = h5g.open(target, b"/")
        self._relocate = relocate
        self._skip = frozenset(skip)
        self._soft_links: list[tuple[str, str]] = []  # their paths in source and target
        self._pending: list[tuple[str, str, bytes | None]] = []  # the same, and the attribute
        self._target_addresses: dict[str, int] = {}
        self._types: dict[int, Any] = {}  # committed datatypes of the target, by source address
        self._bare = h5p.create(h5p.OBJECT_COPY)
        self._bare.set_copy_object(h5o.COPY_WITHOUT_ATTR_FLAG)

    @property
    def addresses(self) -> dict[int, int]:
        """Address in the source -> address in the target, of every copied object."""
        self._target_addresses.clear()
        return {address: self._target_address(path) for address, path in self.paths.items()}

    # -------------------------------------------------------------------- first pass: objects

    def copy(self, source_path: str, target_path: str) -> None:
        """Copy what is at `source_path`, and all that is hard-linked below it.

        An object that was copied before gets one more hard link; a soft or external link is copied
        as that. The root, copied to the root, adds its members and attributes to those of the
        target. Groups on the way to `target_path` are created when they are missing.

        Raises
        ------
        MemberNotFoundError
            There is nothing at `source_path`.
        LinkError
            There is something at `target_path`, or a link of the source cannot be copied.
        DataError
            HDF5 failed to read or write an object; the error names it.
        """
        if target_path == "/":
            if source_path != "/":
                raise ValueError("only the root can be copied to the root")
            with self._errors("/"):
                root = self._plan("/", h5o.get_info(self._source).addr)
                root.set_apart()
                self._record(root, "/")
                self._fill(root, self._target, "/")
            return
        parent_path, _, name = target_path.rpartition("/")
        with self._errors(source_path):
            link = self._link(source_path)._replace(name=encode_text(name))
            parent = self._require_group(parent_path)
            if parent.links.exists(link.name):
                raise LinkError(
                    f"cannot be copied, as {self.target_file} has a {target_path} already",
                    file=self.source_file,
                    path=source_path,
                )
        node = None
        if link.kind == h5l.TYPE_HARD:
            if link.address in self.paths:
                node = _Node(source_path, link.address, None)
            else:
                node = self._plan(source_path, link.address)
        created = self._place(link, node, source_path, parent, target_path)
        if node is not None and created is not None:
            self._fill(node, created, target_path)

    def _link(self, path: str) -> _Link:
        if path == "/":
            return _Link(b"", h5l.TYPE_HARD, h5o.get_info(self._source).addr, h5t.CSET_UTF8, 0)
        parent_path, _, name = path.rpartition("/")
        where = _resolve(self._source, parent_path)
        if isinstance(where, tuple):
            raise LinkError(
                "is in another file, behind an external link", file=self.source_file, path=path
            )
        group = None if where is None else h5o.open(self._source, encode_text(parent_path or "/"))
        if not isinstance(group, h5g.GroupID) or not group.links.exists(encode_text(name)):
            raise MemberNotFoundError(
                "there is nothing to copy here", file=self.source_file, path=path
            )
        info = group.links.get_info(encode_text(name))
        return _Link(encode_text(name), info.type, info.u, info.cset, 0)

    def _require_group(self, path: str) -> Any:
        group = self._target
        for part in filter(None, path.split("/")):
            if group.links.exists(encode_text(part)):
                group = h5g.open(group, encode_text(part))
            else:
                charset = h5t.CSET_ASCII if part.isascii() else h5t.CSET_UTF8
                group = h5g.create(group, encode_text(part), _link_properties(charset))
        if group.fileno != self._target.fileno:
            raise LinkError(
                "is in another file, behind an external link", file=self.target_file, path=path
            )
        return group

    def _plan(self, path: str, address: int) -> _Node:
        """Look at an object and all below it, and find what H5Ocopy would not do right."""
        top = _Node(path, address, None)
        nodes = {address: top}
        try:
            opened = self._inspect(top, self._source, encode_text(path))
            stack = [(top, opened)] if top.is_group else []
            while stack:
                node, group = stack.pop()
                for link in _links(group):
                    path = _join(node.path, link.name)
                    if path in self._skip:
                        node.set_apart()
                        continue
                    child = None
                    if link.kind == h5l.TYPE_HARD:
                        known = nodes.get(link.address)
                        if known is not None or link.address in self.paths:
                            # H5Ocopy would make several objects of one with several names.
                            node.set_apart()
                            if known is not None and known.parent is not None:
                                known.parent.set_apart()
                            child = known or _Node(path, link.address, node)
                        else:
                            child = nodes[link.address] = _Node(path, link.address, node)
                            opened = self._inspect(child, group, link.name)
                            if child.is_group:
                                stack.append((child, opened))
                    elif link.kind == h5l.TYPE_EXTERNAL:
                        if self._moves(group.links.get_val(link.name)[0]):
                            node.set_apart()
                    elif link.kind != h5l.TYPE_SOFT:
                        raise LinkError(
                            f"is a user-defined link (class {link.kind}), which HDF5 cannot copy",
                            file=self.source_file,
                            path=path,
                        )
                    node.members.append((link, child))
        except NWBError:
            raise
        except _HDF5_ERRORS as error:
            raise self._failure(error, path) from error
        return top

    def _inspect(self, node: _Node, parent: Any, name: bytes) -> Any:
        """Note what has to be known of an object itself; return it, opened."""
        opened = h5o.open(parent, name)
        attributes: list[bytes] = []
        h5a.iterate(opened, attributes.append)
        for attribute in attributes:
            self._inspect_type(node, h5a.open(opened, attribute).get_type(), attribute)
        if isinstance(opened, h5g.GroupID):
            node.is_group = True
        elif isinstance(opened, h5d.DatasetID):
            self._inspect_type(node, opened.get_type(), None)
            if self._relocate is not None:
                files = _files_of(opened.get_create_plist())
                if any(map(self._moves, files)):
                    node.own_data = True
                    node.set_apart()
        else:
            # Whatever is built piece by piece must find it, to share it.
            node.is_type = True
            node.set_apart()
        return opened

    def _inspect_type(self, node: _Node, type_: Any, attribute: bytes | None) -> None:
        if type_.committed():
            # H5Ocopy would give each object that shares the datatype one of its own.
            node.own_data |= attribute is None
            node.set_apart()
        if isinstance(type_, _COMPOSED) and type_.detect_class(h5t.REFERENCE):
            _Format.of(type_)  # refuses kinds of references that cannot be copied
            node.references.append(attribute)

    def _fill(self, node: _Node, group: Any, path: str) -> None:
        """Copy the attributes and members of a group into one of the target."""
        stack = [(node, group, path)]
        while stack:
            node, group, path = stack.pop()
            with self._errors(node.path):
                source = h5o.open(self._source, encode_text(node.path))
                self._copy_attributes(node, source, group)
                if comment := source.get_comment(b"."):
                    group.set_comment(b".", comment)
            for link, child in node.members:
                member_path = _join(path, link.name)
                created = self._place(link, child, _join(node.path, link.name), group, member_path)
                if child is not None and created is not None:
                    stack.append((child, created, member_path))

    def _place(
        self, link: _Link, node: _Node | None, source_path: str, parent: Any, path: str
    ) -> Any:
        """Make a link in a group of the target; return the group made there if it is to be filled.

        `node` is what a hard link leads to, and None for the other kinds.
        """
        properties = _link_properties(link.charset)
        with self._errors(source_path):
            if node is None:
                value = self._source.links.get_val(encode_text(source_path))
                if link.kind == h5l.TYPE_SOFT:
                    parent.links.create_soft(link.name, value, properties)
                    self._soft_links.append((source_path, path))
                else:
                    file, target = value
                    parent.links.create_external(
                        link.name, self._relocated(file), target, properties
                    )
                return None
            if node.address in self.paths:
                first = encode_text(self.paths[node.address])
                parent.links.create_hard(link.name, self._target, first, properties)
                return None
            if not node.apart:
                try:
                    h5o.copy(
                        self._source, encode_text(node.path), parent, link.name, None, properties
                    )
                except _HDF5_ERRORS:
                    if not node.is_group:
                        raise
                    # Once more, piece by piece, to find the object that is to blame.
                else:
                    self._record_all(node, path)
                    return None
            source = h5o.open(self._source, encode_text(node.path))
            if node.is_group:
                self._record(node, path)
                form = _group_properties(source, h5p.create(h5p.GROUP_CREATE))
                return h5g.create(parent, link.name, properties, form)
            if node.own_data:
                created = self._create_dataset(node, source, parent, link.name, properties)
            elif node.address in self._types:
                created = self._types[node.address]
                h5o.link(created, parent, link.name, properties)
            else:
                h5o.copy(source, b".", parent, link.name, self._bare, properties)
                created = h5o.open(parent, link.name)
                if node.is_type:
                    self._types[node.address] = created
            self._copy_attributes(node, source, created)
            self._record(node, path)
        return None

    def _create_dataset(
        self, node: _Node, source: Any, parent: Any, name: bytes, link_properties: Any
    ) -> Any:
        properties = source.get_create_plist()
        if self._relocate is not None and any(map(self._moves, _files_of(properties))):
            properties = self._relocated_storage(source, properties)
        type_, space = source.get_type(), source.get_space()
        created = h5d.create(
            parent, name, self._shared_type(type_), space, properties, link_properties
        )
        elsewhere = properties.get_layout() == h5d.VIRTUAL or properties.get_external_count()
        if elsewhere or None in node.references:
            return created  # references are written when it is known what to
        form = _Format.of(type_)
        if properties.get_layout() == h5d.CHUNKED and not form.variable:
            for offset in stored_chunks(source):
                mask, data = source.read_direct_chunk(offset)
                created.write_direct_chunk(offset, data, mask)
                check_write()
        else:
            for block in _blocks(source):
                form.write(created, block, form.read(source, block))
        return created

    def _copy_attributes(self, node: _Node, source: Any, target: Any) -> None:
        for name, charset in _attributes(source):
            with self._errors(node.path, name):
                attribute = h5a.open(source, name)
                type_ = attribute.get_type()
                if h5a.exists(target, name):
                    h5a.delete(target, name)
                created = h5a.create(target, name, self._shared_type(type_), attribute.get_space())
                if name not in node.references:
                    form = _Format.of(type_)
                    for block in _blocks(attribute):
                        form.write(created, block, form.read(attribute, block))
                if charset != h5t.CSET_ASCII:
                    self.notes.append(
                        f"{_Place(node.path, decode_text(name))}: the name of this attribute is no "
                        "longer marked as UTF-8"
                    )

    def _shared_type(self, type_: Any) -> Any:
        """Give the datatype to create something with: for a committed one, its copy."""
        if not type_.committed():
            return type_
        address = h5o.get_info(type_).addr
        if address not in self._types:
            name = str(len(self._types)).encode()
            h5o.copy(type_, b".", self._nursery, name)
            self._types[address] = h5t.open(self._nursery, name)
        return self._types[address]

    @cached_property
    def _nursery(self) -> Any:
        """A group without a name, where datatypes can be committed before they get theirs.

        Those that never do live on without one, as long as something uses them.
        """
        return h5g.create(self._target, None)

    def _record(self, node: _Node, path: str) -> None:
        """Remember where an object went, and which references of it are still to be written."""
        self.paths[node.address] = path
        self._pending += ((node.path, path, attribute) for attribute in node.references)

    def _record_all(self, node: _Node, path: str) -> None:
        """Remember where everything in a subtree went that H5Ocopy has copied."""
        stack = [(node, path)]
        while stack:
            node, path = stack.pop()
            self._record(node, path)
            for link, child in node.members:
                member_path = _join(path, link.name)
                if child is not None:
                    stack.append((child, member_path))
                elif link.kind == h5l.TYPE_SOFT:
                    self._soft_links.append((_join(node.path, link.name), member_path))

    # ---------------------------------------------------------------------- names of files

    def _relocated(self, name: bytes) -> bytes:
        # A single dot is how virtual datasets name the file that they are in.
        if self._relocate is None or name == b".":
            return name
        return os.fsencode(self._relocate(os.fsdecode(name)))

    def _moves(self, name: bytes) -> bool:
        return self._relocated(name) != name

    def _relocated_storage(self, dataset: Any, old: Any) -> Any:
        """Give the creation properties of a dataset whose data are in other files.

        Names can be added to a property list, but not changed, so that it is made anew.
        """
        new = h5p.create(h5p.DATASET_CREATE)
        if old.fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED:
            value = np.empty((), dataset.dtype)
            old.get_fill_value(value)
            new.set_fill_value(value)
        new.set_fill_time(old.get_fill_time())
        new.set_alloc_time(old.get_alloc_time())
        new.set_obj_track_times(old.get_obj_track_times())
        new.set_attr_creation_order(old.get_attr_creation_order())
        new.set_attr_phase_change(*old.get_attr_phase_change())
        for i in range(old.get_external_count()):
            name, offset, size = old.get_external(i)
            new.set_external(self._relocated(name), offset, size)
        if old.get_layout() == h5d.VIRTUAL:
            for i in range(old.get_virtual_count()):
                here, there = old.get_virtual_vspace(i), old.get_virtual_srcspace(i)
                if there.get_select_type() == h5s.SEL_ALL:
                    # Of the other dataset, nothing is stored then, and any shape will do.
                    there = h5s.create_simple((here.get_select_npoints(),))
                file, name = old.get_virtual_filename(i), old.get_virtual_dsetname(i)
                new.set_virtual(here, self._relocated(encode_text(file)), encode_text(name), there)
        return new

    # ----------------------------------------------------------------- second pass: references

    def outside(self) -> Outside:
        """Find what the objects copied so far point at that was not copied, nor is dangling."""
        result = Outside(defaultdict(list), defaultdict(list))
        self._target_addresses.clear()
        for source_path, target_path in self._soft_links:
            wanted = _resolve(self._source, source_path)
            if isinstance(wanted, int):
                copied = wanted in self.paths
                expected: _Resolved = self._target_address(self.paths[wanted]) if copied else None
            elif wanted is not None:
                expected = (self._relocated(wanted[0]), *wanted[1:])
            else:
                continue
            if expected is None or _resolve(self._target, target_path) != expected:
                text = decode_text(self._source.links.get_val(encode_text(source_path)))
                group = source_path.rpartition("/")[0]
                result.links[_absolute(group, text)].append(source_path)
        for pending in self._pending:
            self._carry(*pending, lambda path, place: result.references[path].append(str(place)))
        return Outside(*map(dict, result))

    def finish(self) -> None:
        """Write all references, now that it is known where every object went.

        A reference that leads nowhere in the source either becomes null, which `notes` says.

        Raises
        ------
        LinkError
            A reference leads to an object that was not copied.
        """

        def refuse(path: str, place: _Place) -> None:
            raise LinkError(
                f"refers to {path}, which was not copied to {self.target_file}",
                file=self.source_file,
                path=place.path,
                field=place.field,
            )

        self._target_addresses.clear()
        for pending in self._pending:
            self._carry(*pending, refuse, write=True)
        self._pending.clear()

    def _carry(
        self,
        source_path: str,
        target_path: str,
        attribute: bytes | None,
        missing: _Missing,
        write: bool = False,
    ) -> None:
        """Translate the references in a dataset, or in an attribute of an object."""
        place = _Place(source_path, None if attribute is None else decode_text(attribute))
        with self._errors(source_path, attribute):
            source = h5o.open(self._source, encode_text(source_path))
            target = h5o.open(self._target, encode_text(target_path)) if write else None
            if attribute is not None:
                source = h5a.open(source, attribute)
                target = h5a.open(target, attribute) if write else None
            form = _Format.of(source.get_type())
            if form.variable and not write:
                form = form._replace(raw=False)
            for block in _blocks(source):
                values = form.read(source, block)
                if form.raw:
                    self._translate_raw(values, form, place, missing)
                else:
                    self._translate(values, form.type.dtype.base, place, missing)
                if write:
                    form.write(target, block, values)

    def _translate_raw(
        self, values: _Array, form: _Format, place: _Place, missing: _Missing
    ) -> None:
        for offset, member in form.references:
            stored = values[:, offset : offset + 8]
            old, where = np.unique(stored.copy().view(np.uint64), return_inverse=True)
            new = np.zeros_like(old)
            for i, address in enumerate(old.tolist()):
                path = self._target_path(address, place.member(member), missing)
                if path is not None:
                    new[i] = self._target_address(path)
            stored[...] = new[where.reshape(-1, 1)].view(np.uint8)

    def _translate(
        self, values: _Array, dtype: np.dtype[Any], place: _Place, missing: _Missing
    ) -> None:
        """Replace h5py's reference objects, also in members and in arrays inside of arrays.

        `dtype` is that of the values, which h5py leaves unmarked in inner arrays.
        """
        if dtype.names is not None:
            for name in dtype.names:
                self._translate(values[name], dtype[name].base, place.member(name), missing)
        elif h5t.check_ref_dtype(dtype) is not None:
            for i, reference in enumerate(values.flat):
                values.flat[i] = self._translated(reference, place, missing)
        elif isinstance(inner := h5t.check_vlen_dtype(dtype), np.dtype):
            for value in values.flat:
                self._translate(value, inner.base, place, missing)

    def _translated(self, reference: Any, place: _Place, missing: _Missing) -> Any:
        null = type(reference)()
        if not reference:
            return null
        try:
            referred = h5r.dereference(reference, self._file)
            address = h5o.get_info(referred).addr
        except _HDF5_ERRORS:
            address = _NOWHERE
        path = self._target_path(address, place, missing)
        if path is None:
            return null
        if isinstance(reference, h5r.RegionReference):
            region = h5r.get_region(reference, self._file)
            return h5r.create(self._target, encode_text(path), h5r.DATASET_REGION, region)
        return h5r.create(self._target, encode_text(path), h5r.OBJECT)

    def _target_path(self, address: int, place: _Place, missing: _Missing) -> str | None:
        """Find where the copy of the object at an address is; None for a reference to nothing."""
        if address == 0:
            return None
        if address in self.paths:
            return self.paths[address]
        if address in self._source_paths:
            missing(self._source_paths[address], place)
        else:
            note = f"{place}: a reference to an object that does not exist became null"
            if note not in self.notes:
                self.notes.append(note)
        return None

    def _target_address(self, path: str) -> int:
        if path not in self._target_addresses:
            self._target_addresses[path] = h5o.get_info(self._target, encode_text(path)).addr
        return self._target_addresses[path]

    @cached_property
    def _source_paths(self) -> dict[int, str]:
        """A path of every object in the source, by address."""
        found = {h5o.get_info(self._source).addr: "/"}
        stack = [("/", self._source)]
        while stack:
            path, group = stack.pop()
            for link in _links(group):
                if link.kind == h5l.TYPE_HARD and link.address not in found:
                    found[link.address] = member_path = _join(path, link.name)
                    with self._errors(member_path):
                        member = h5o.open(group, link.name)
                    if isinstance(member, h5g.GroupID):
                        stack.append((member_path, member))
        return found

    @contextmanager
    def _errors(self, path: str, attribute: bytes | None = None) -> Iterator[None]:
        try:
            yield
        except NWBError:
            raise
        except _HDF5_ERRORS as error:
            raise self._failure(error, path, attribute) from error

    def _failure(self, error: Exception, path: str, attribute: bytes | None = None) -> NWBError:
        return DataError(
            f"cannot be copied to {self.target_file}: {error}",
            file=self.source_file,
            path=path,
            field=None if attribute is None else decode_text(attribute),
        )


def creation_properties(source: Any) -> Any:
    """Give the property list to create a file with that is to become a copy of `source`.

    What it holds can only be set when a file is created: size of the user block, creation order of
    the root group, sizes of addresses, handling of free space.
    """
    return _group_properties(h5g.open(source, b"/"), source.get_create_plist())


def access_properties(source: Any) -> Any:
    """Give the property list to open a copy of `source` with, for the same formats of objects.

    The version of a file's first block, the superblock, tells which formats its writer allowed.
    With an older bound, new groups would lose the order of their attributes and the choice of
    keeping no times; with a newer one, older programs could not read what they can in `source`.
    """
    version = source.get_create_plist().get_version()[0]
    oldest = {0: h5f.LIBVER_EARLIEST, 1: h5f.LIBVER_EARLIEST, 2: h5f.LIBVER_V18}
    properties = h5p.create(h5p.FILE_ACCESS)
    properties.set_libver_bounds(oldest.get(version, h5f.LIBVER_V110), h5f.LIBVER_LATEST)
    return properties


def copy_user_block(source_file: str, target_file: str, size: int) -> None:
    """Copy the bytes before the HDF5 part of a file, which belong to other programs."""
    if size:
        with open(source_file, "rb") as source, open(target_file, "r+b") as target:
            target.write(source.read(size))


def copy_file(
    source: Any,
    target: Any,
    *,
    source_file: str,
    target_file: str,
    relocate: Callable[[str], str] | None = None,
    skip: Collection[str] = (),
    user_block: bool = True,
) -> list[str]:
    """Copy everything in a file to one created with its `creation_properties`.

    Parameters
    ----------
    source, target, source_file, target_file, relocate, skip
        As in `TreeCopier`.
    user_block
        Whether the bytes before the HDF5 part are copied; the target must be flushed for that.

    Returns
    -------
    list of str
        What could not be copied as it was.
    """
    copier = TreeCopier(
        source,
        target,
        source_file=source_file,
        target_file=target_file,
        relocate=relocate,
        skip=skip,
    )
    copier.copy("/", "/")
    copier.finish()
    if user_block:
        copy_user_block(source_file, target_file, source.get_create_plist().get_userblock())
    return copier.notes

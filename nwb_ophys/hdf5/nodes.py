"""`Node`: one object of an open file, with its attributes and links, and no model.

A node is told by its address, which every hard link carries; HDF5 is never asked for a name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from h5py import h5a, h5d, h5g, h5o

from nwb_ophys.errors import ClosedError, DataError, LinkError, MemberNotFoundError, NWBError
from nwb_ophys.hdf5.external import external_files, lies_beside, open_beside
from nwb_ophys.hdf5.headers import Header
from nwb_ophys.hdf5.links import LinkRecord, links_of
from nwb_ophys.hdf5.raw import RawFile
from nwb_ophys.hdf5.source import Identity, Source
from nwb_ophys.hdf5.values import (
    Unreadable,
    decode_text,
    encode_text,
    pointers_of,
    read_attribute,
    read_scalar,
)

if TYPE_CHECKING:
    from nwb_ophys.hdf5.pending import Pending

__all__ = ["DAMAGE", "Node", "explained", "node_at", "objects_below", "root_of"]

_MAX_LINKS = 64


class explained:  # noqa: N801  (a context manager used like a function)
    """Turn what HDF5 raises where a file is damaged into a `DataError` that says where.

    Parameters
    ----------
    source, path
        What the block reads.
    what
        What is not possible then: "the object cannot be opened".
    """

    __slots__ = ("_path", "_source", "_what", "field")

    def __init__(self, source: Source, path: str, what: str) -> None:
        self._source, self._path, self._what = source, path, what
        self.field: str | None = None
        """What the block is about to read of the object, set in passing."""

    def __enter__(self) -> explained:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, DAMAGE) and not isinstance(error, NWBError):
            raise DataError(
                f"{self._what}: {error}",
                file=self._source.file,
                path=self._path,
                field=self.field,
            ) from error


# h5py has no error of its own: which one it raises depends on the step that failed.
DAMAGE = (LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)


class Node:
    """One group, dataset or named datatype of a file.

    Parameters
    ----------
    source
        The file.
    path
        The path by which it was reached, without soft links.
    address
        Its address in the file.
    """

    __slots__ = (
        "_attributes",
        "_beside",
        "_header",
        "_id",
        "_links",
        "address",
        "generation",
        "gone",
        "path",
        "pending",
        "source",
    )

    def __init__(self, source: Source, path: str, address: int) -> None:
        self.source = source
        self.path = path
        self.address = address
        self._id: Any = None
        self._header: Header | None = None
        self._beside = False
        self._attributes: dict[str, Any] | None = None
        self._links: dict[str, LinkRecord] | None = None
        self.generation = 0
        self.gone = False
        """Whether it was deleted from the file."""
        self.pending: Pending | None = None
        """What was changed of a dataset, and is not in the file yet."""

    @property
    def file(self) -> str:
        """The name of the file, for messages."""
        return self.source.file

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The lock of the file."""
        return self.source.lock

    @property
    def id(self) -> Any:
        """The open HDF5 handle of the object."""
        own, source = self._id, self.source
        if own is None or source.closed:
            with source.lock:
                file = self._file_id()
                own = self._id
                if own is None:
                    path = self.path
                    if source.place_of is not None:
                        path = source.place_of(path) or path
                    with explained(source, path, "the object cannot be opened"):
                        own = self._id = h5o.open(file, encode_text(path))
        return own

    @property
    def header(self) -> Header:
        """What the object's header says of it, as far as that can be told without HDF5."""
        # Kept under the lock, and not looked up again: another thread may replace the file.
        header = self._header
        if header is None:
            with self.source.lock:
                header = self._header = self._read_header()
        return header

    def _read_header(self) -> Header:
        self._file_id()
        return self.source.headers.header(self.address)

    def _file_id(self) -> Any:
        """Give the handle of the file that the object is in, if both are still there."""
        try:
            file = self.source.id
        except ClosedError as error:
            error.path = self.path
            raise
        if self.gone:
            raise DataError("the object was deleted from the file", file=self.file, path=self.path)
        return file

    def release(self) -> None:
        """Let the handle go, as the file is closing."""
        self._id = None

    def forget(self) -> None:
        """Forget what was read of the object, as the file was replaced."""
        self._id = self._header = self._attributes = self._links = self.pending = None
        self._beside = False
        self.generation += 1

    @property
    def is_group(self) -> bool:
        """Whether the object is a group."""
        known = self.header.is_group
        return isinstance(self.id, h5g.GroupID) if known is None else known

    @property
    def is_dataset(self) -> bool:
        """Whether the object is a dataset."""
        known = self.header.is_group
        return isinstance(self.id, h5d.DatasetID) if known is None else not known

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]

    # -- what a LazyArray asks of its handle -------------------------------------------------

    def dataset(self) -> h5d.DatasetID:
        """Give the open dataset."""
        if not self._beside:
            return self.id
        with self.source.lock, explained(self.source, self.path, "the data cannot be opened"):
            self._id = None
            return open_beside(self.source.id, encode_text(self.path), self.source.folder)

    def form(self) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        """Give shape and dtype of an array of numbers; None where HDF5 is to be asked."""
        header = self.header
        if header.shape is None or header.dtype is None:
            return None
        return header.shape, header.dtype

    def scalar(self) -> Any:
        """Read a dataset of a single text or number; None where it is anything else, or damaged.

        A `LazyArray` reads those too, but many objects have one, and this takes a tenth of the
        time.
        """
        with self.source.lock:
            self._file_id()
            value = self.source.headers.scalar(self.header)
            return read_scalar(self.dataset()) if value is None else value

    def raw(self) -> RawFile | None:
        """Give the bytes of the file; None where only HDF5 can read them."""
        return self.source.raw

    def resolve(self, references: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Turn h5py references into what the session makes of their targets."""
        resolved = pointers_of(references, self.source.id)
        for index in np.ndindex(references.shape):
            resolved[index] = self.follow(resolved[index])
        return resolved

    def follow(self, pointer: Any) -> Any:
        """Turn a `Pointer` into what the session makes of its target."""
        resolver = self.source.resolver
        return pointer if resolver is None else resolver(self, pointer)

    def check_readable(self) -> None:
        """Refuse a dataset whose data lie in files that may not be opened.

        Raises
        ------
        LinkError
            Naming the file that is out of bounds.
        """
        if self._beside:  # it was found readable, and may be open just now in the other way
            return
        with self.source.lock:  # the file stays open
            for file in external_files(self.id):
                if not self.source.may_open(self.source.beside(file)):
                    raise LinkError(
                        f"the data lie in another file, {file!r}, which may not be opened",
                        file=self.file,
                        path=self.path,
                        hint=self.source.how_to_allow,
                    )
            self._beside = lies_beside(
                self.id, self.source.folder, in_memory=self.source.path is None
            )

    def missing_files(self) -> list[str]:
        """Name the files that hold data of the dataset, may be opened, and are not there."""
        with self.source.lock:
            return [
                file
                for file in external_files(self.id)
                if "%" not in file  # a pattern for several
                and self.source.may_open(self.source.beside(file))
                and not os.path.exists(self.source.beside(file))
            ]

    def __reduce__(self) -> tuple[Any, ...]:
        source = self.source
        if source.path is None or source.identity is None:
            raise DataError(
                "an array of a file object cannot be pickled",
                file=self.file,
                path=self.path,
                hint="open the file by its path",
            )
        return _reopen, (source.path, source.identity, source.external, self.path)

    # -- attributes and links ----------------------------------------------------------------

    @property
    def attributes(self) -> dict[str, Any]:
        """All attributes, read once; `Unreadable` stands for those that cannot be."""
        attributes = self._attributes
        if attributes is None:
            with self.source.lock:
                attributes = self._attributes = self._read_attributes()
        return attributes

    def _read_attributes(self) -> dict[str, Any]:
        plain = self.header.attributes
        if plain is not None:
            return plain
        own = self.id
        # h5py hands the same info object to each call, so its values are taken at once.
        listed: list[tuple[bytes, int]] = []
        with explained(self.source, self.path, "the attributes cannot be listed"):
            h5a.iterate(own, lambda name, info: listed.append((name, info.data_size)), info=True)
        found: dict[str, Any] = {}
        reading = explained(self.source, self.path, "the attribute cannot be read")
        for raw, size in listed:
            reading.field = name = decode_text(raw)
            try:
                with reading:
                    found[name] = read_attribute(h5a.open(own, raw), size, self.source.id)
            except DataError as error:  # which is no reason to lose the others
                found[name] = Unreadable(error)
        return found

    @property
    def links(self) -> dict[str, LinkRecord]:
        """All links of the group, read once; in creation order where the file keeps it."""
        links = self._links
        if links is None:
            with self.source.lock:
                links = self._links = self._read_links()
        return links

    def _read_links(self) -> dict[str, LinkRecord]:
        if not self.is_group:
            return {}
        records = self.source.headers.links(self.header)
        if records is None:
            with explained(self.source, self.path, "the members of the group cannot be listed"):
                records = links_of(self.id)
        return {record.name: record for record in records}

    # -- walking -----------------------------------------------------------------------------

    def child(self, name: str) -> Node:
        """Follow one link, of whatever kind, to its object.

        Raises
        ------
        MemberNotFoundError
            Where the group has no such link.
        LinkError
            Where the link leads nowhere, in a circle, or to a file that may not be opened.
        """
        return self._follow(name, 0)

    def _follow(self, name: str, depth: int) -> Node:
        record = self.links.get(name)
        if record is None:
            raise MemberNotFoundError(
                f"there is no {name!r} in the group", file=self.file, path=self.path
            )
        if record.kind == "hard":
            return self._hard(record)
        here = f"{self.path.rstrip('/')}/{name}"
        if depth > _MAX_LINKS:
            raise LinkError("the links lead in a circle", file=self.file, path=here)
        if record.kind == "soft":
            start = root_of(self.source) if record.target.startswith("/") else self
            kind, target = "soft link", record.target
        elif record.kind == "external":
            start = root_of(self._external(record, here))
            kind, target = "external link", f"{record.target} of {record.file}"
        else:
            raise LinkError("a user-defined link cannot be followed", file=self.file, path=here)
        try:
            return _walk(start, record.target, depth + 1)
        except MemberNotFoundError as error:
            raise LinkError(
                f"dangling {kind}: its target {target} is not there",
                file=self.file,
                path=here,
                hint="the object it led to was deleted or renamed",
            ) from error

    def _hard(self, record: LinkRecord) -> Node:
        nodes = self.source.nodes
        node = nodes.get(record.address)
        if node is None:
            path = f"{self.path.rstrip('/')}/{record.name}"
            node = nodes.setdefault(record.address, Node(self.source, path, record.address))
        return node

    def _external(self, record: LinkRecord, here: str) -> Source:
        target = self.source.beside(record.file)
        if not self.source.may_open(target):
            raise LinkError(
                f"the external link leads to {record.file!r}, which may not be opened",
                file=self.file,
                path=here,
                hint=self.source.how_to_allow,
            )
        try:
            return self.source.sibling(target)
        except (OSError, ValueError) as error:
            raise LinkError(
                f"the external link leads to {record.file!r}, which cannot be opened: {error}",
                file=self.file,
                path=here,
            ) from error

    def __repr__(self) -> str:
        return f"<Node {self.path} of {self.file}>"


def _reopen(path: str, identity: Identity, external: Any, hdf5_path: str) -> Node:
    return node_at(Source.reopened(path, identity, external), hdf5_path)


def root_of(source: Source) -> Node:
    """Give the root group of a file."""
    with source.lock:
        for node in source.nodes.values():
            if node.path == "/":
                return node
            break  # the root is always the first
        with explained(source, "/", "the root group cannot be opened"):
            address = int(h5o.get_info(source.id).addr)
        return source.nodes.setdefault(address, Node(source, "/", address))


def objects_below(top: Node) -> Iterator[Node]:
    """Iterate over an object and all that is hard-linked below it, each once.

    Below a group that is damaged, nothing is found.
    """
    stack = [top]
    seen = set()
    while stack:
        node = stack.pop()
        if node.address not in seen:
            seen.add(node.address)
            yield node
            with suppress(DataError):
                stack += [node.child(one.name) for one in node.links.values() if one.kind == "hard"]


def node_at(source: Source, path: str) -> Node:
    """Walk from the root to the object at an absolute path, through links of any kind.

    Raises
    ------
    MemberNotFoundError
        Where there is no such object; the message says how far the path goes.
    LinkError
        Where a link on the way leads nowhere.
    """
    return _walk(root_of(source), path, 0)


def _walk(start: Node, path: str, depth: int) -> Node:
    node = start
    for part in path.split("/"):
        if part and part != ".":
            node = node._follow(part, depth)
    return node

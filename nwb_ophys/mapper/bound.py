"""`Bound`: the tie of one model to its object in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from nwb_ophys.children import Children
from nwb_ophys.errors import ClosedError, LinkError, NWBError, SchemaError
from nwb_ophys.hdf5.nodes import Node, node_at
from nwb_ophys.hdf5.values import Attributes, Unreadable
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper import reader
from nwb_ophys.storage import Child, Members

if TYPE_CHECKING:
    from nwb_ophys.mapper.session import Session

__all__ = ["TYPE_ATTRIBUTES", "Bound", "fingerprint"]

TYPE_ATTRIBUTES = frozenset({"neurodata_type", "namespace", ".specloc"})
"""Attributes that say what an object is; the writer sets them, and nobody else."""


class Bound:
    """The tie of one model to its object in a file (`nwb_ophys.binding.Binding`)."""

    __slots__ = ("node", "session", "stored", "unreadable")

    def __init__(self, session: Session, node: Node) -> None:
        self.session = session
        self.node = node
        self.stored: dict[str, Any] = {}
        """What was read of fields whose values can be changed in place, to tell changes by."""
        self.unreadable: dict[str, Unreadable] | None = None
        """What stands for attributes that cannot be read, the same each time."""

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.node.file

    def load(self, model: Any, field: FieldLayout) -> Any:
        """Read a field, check it, and remember it."""
        with self.session.lock:
            values = model.__dict__
            if field.name in values:  # another thread was faster
                return values[field.name]
            value = reader.read_field(self, model, field)
            self.remember(field.name, value)
            values[field.name] = value
            return value

    def remember(self, name: str, value: Any) -> None:
        """Keep a copy of a value that can be changed in place."""
        if isinstance(value, (list, np.ndarray)):
            self.stored[name] = fingerprint(value)

    def attributes(self, model: Any) -> dict[str, Any]:
        """Read the attributes that the model does not declare; `Unreadable` for what cannot be."""
        declared = layout_of(type(model)).attributes
        found = Attributes()
        with self.session.lock:
            for name, value in self.node.attributes.items():
                if name in declared or name in TYPE_ATTRIBUTES:
                    continue
                try:
                    found[name] = reader.pointed(self.node, value)
                except ClosedError:
                    raise
                except NWBError as error:
                    self.note(name, error)
                    self.unreadable = self.unreadable or {}
                    found[name] = self.unreadable.setdefault(name, Unreadable(error))
        return found

    def rename(self, model: Any, name: str) -> None:
        """Give an object another name in the collection that it is in.

        Raises
        ------
        SchemaError
            Where its name is fixed, or another object has that name.
        """
        if name == model.__dict__["name"]:
            return
        if self.node.path in self._parts():
            raise SchemaError(
                "the name of this object is fixed, as what it is a part of knows it by that",
                file=self.file,
                path=self.node.path,
                field="name",
            )
        holders = [one for one in self._collections() if one.holds(model)]
        for one in holders:
            one.check_free(name)
        for one in holders:
            one.rename(model, name)
        if holders:
            return
        model.__dict__["name"] = name  # it was taken out, and is not put elsewhere yet

    def _collections(self) -> Iterator[Children[Any]]:
        """Iterate over the collections that may hold the object, those of new objects included."""
        parent, _, own = self.node.path.rpartition("/")
        with suppress(NWBError):
            self.session.root._located(parent)
        owners = self.session.loaded(self.node.source)
        for owner in owners:
            for field in layout_of(type(owner)).fields.values():
                place = "/".join((owner.hdf5_path.rstrip("/"), *field.groups))
                if isinstance(field.marker, Members) and place == parent:
                    with suppress(NWBError):
                        getattr(owner, field.name).get(own)
        seen = set(map(id, owners))
        while owners:
            for value in list(owners.pop().__dict__.values()):
                if isinstance(value, Children):
                    yield value
                    new = [value.raw(one) for one in value.added]
                    owners += [one for one in new if hasattr(one, "_attrs") and id(one) not in seen]
                    seen.update(map(id, new))

    def _parts(self) -> set[str]:
        """List the paths of what loaded objects declare as their parts, by fixed names."""
        return {
            "/".join((owner.hdf5_path.rstrip("/"), field.path))
            for owner in self.session.loaded(self.node.source)
            for field in layout_of(type(owner)).fields.values()
            if isinstance(field.marker, Child)
        }

    def pointed(self, value: Any) -> Any:
        """Turn the references in the value of an attribute into models."""
        return reader.pointed(self.node, value)

    def group(self, groups: tuple[str, ...]) -> Node | None:
        """Find a structural group of the object; None where it has none."""
        node = self.node
        for name in groups:
            if name not in node.links:
                return None
            node = node.child(name)
        return node

    def member(self, groups: tuple[str, ...], name: str) -> Any:
        """Give the model of a member."""
        group = self.group(groups)
        assert group is not None
        try:
            return self.session.model_of(group.child(name))
        except NWBError as error:
            self.note("/".join((*groups, name)), error)
            raise

    def note(self, field: str, error: NWBError) -> None:
        """Note what could not be read in the problems of the session."""
        rule = "link" if isinstance(error, LinkError) else "data"
        self.session.problem(self.node.path, field, rule, error.message)

    def member_names(self, groups: tuple[str, ...]) -> Iterable[str]:
        """Name all members of one of the object's groups."""
        group = self.group(groups)
        return group.links.keys() if group is not None else ()

    def link_names(self, groups: tuple[str, ...]) -> frozenset[str]:
        """Name the members that are links to objects elsewhere."""
        group = self.group(groups)
        links = group.links.values() if group is not None else ()
        return frozenset(record.name for record in links if record.kind != "hard")

    def held_by_link(self, places: tuple[str, ...]) -> str | None:
        """Give the path that the first link holds, on the way to a member, that leads nowhere.

        That of another file has the name of the file in front; None where all links lead somewhere.
        """
        node = self.node
        for name in places:
            record = node.links.get(name)
            if record is None:
                return None
            try:
                node = node.child(name)
            except LinkError:
                held = f"{record.file}:{record.target}" if record.file else record.target
                return held or None
        return None

    def reduce(self) -> tuple[Any, ...]:
        """Tell pickle how to find the object again.

        Raises
        ------
        SchemaError
            Where the session has changes, which would be lost: pickle keeps the place of an object.
        """
        source = self.node.source
        if self.session.is_changed:
            raise SchemaError(
                "a session with changes cannot be pickled",
                file=source.file,
                path=self.node.path,
                hint="write it first; an object of a file is pickled as the place where it lies",
            )
        return _at, (self.session, source.path, self.node.path)


def fingerprint(value: Any) -> Any:
    """Give what tells a list or an array in memory from a changed one, without a copy of it."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        import hashlib

        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes()).digest()
        return value.dtype, value.shape, digest
    if isinstance(value, np.ndarray):
        return value.shape, [fingerprint(one) for one in value.ravel().tolist()]
    return [fingerprint(one) for one in value] if isinstance(value, (list, tuple)) else value


def _at(session: Session, source_path: str | None, path: str) -> Any:
    if source_path is None or source_path == session.source.path:
        return session.root[path]
    return session.model_of(node_at(session.source.sibling(source_path), path))

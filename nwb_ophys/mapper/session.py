"""`Session`: the objects loaded from a file and the files it links to, each once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nwb_ophys import registry
from nwb_ophys.authored import Storage, is_stream
from nwb_ophys.children import Children
from nwb_ophys.errors import LinkError, NWBError, SchemaError
from nwb_ophys.hdf5.nodes import Node, node_at, root_of
from nwb_ophys.hdf5.source import ExternalPolicy, Identity, Source
from nwb_ophys.hdf5.values import Pointer, RegionPointer
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper import reader
from nwb_ophys.models.container import NWBContainer, NWBData
from nwb_ophys.models.dataset import Dataset, DatasetModel
from nwb_ophys.models.file import NWBFile
from nwb_ophys.models.group import Group, GroupModel
from nwb_ophys.problems import Problem, Severity
from nwb_ophys.storage import Array, Child, Members, Value

if TYPE_CHECKING:
    from nwb_ophys.mapper.plan import Plan
    from nwb_ophys.specs import Catalog

__all__ = ["Bound", "Region", "Session", "fingerprint"]

TYPE_ATTRIBUTES = frozenset({"neurodata_type", "namespace", ".specloc"})
"""Attributes that say what an object is; the writer sets them, and nobody else."""


@dataclass(frozen=True, slots=True)
class Region:
    """A region reference, which old files use: a part of a dataset.

    Parameters
    ----------
    target
        The model of the dataset.
    data
        The dataset, to be read at ``selection``.
    reference
        h5py's reference to the part.
    """

    target: Any
    node: Node
    reference: Any

    def __getitem__(self, index: Any) -> Any:
        """Read the part, flattened where it is no block, and give ``part[index]``."""
        import h5py

        from nwb_ophys.hdf5.decoding import decode

        with self.node.lock:
            dataset = h5py.Dataset(self.node.id)
            part = decode(np.asarray(dataset[self.reference]), self.node.resolve, dataset.dtype)
        return part[index]


class Session:
    """The models of one opened file, keyed by file and object address, and its problems.

    Parameters
    ----------
    source
        The open file.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lock = source.lock
        self.problems: dict[tuple[str, str, str], Problem] = {}
        self.earlier: dict[tuple[str, str, str], Problem] = {}
        """What departs from the newest schema, and followed that of its day."""
        self._models: dict[tuple[int, int], Any] = {}
        self._catalogs: dict[int, Catalog] = {}
        self._scanned: set[tuple[int, int]] = set()
        source.resolver = self.resolve
        root = root_of(source)
        self.root: Any = self._make(root, NWBFile)
        if source.half_saved:
            message = "a save was interrupted: this is the file as it was before, by its journal"
            self.problem("/", "", "interrupted", message, "warning")

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.source.file

    def close(self) -> None:
        """Close the file and all that were opened on its behalf."""
        self.source.close()

    @contextmanager
    def as_stored(self) -> Iterator[Any]:
        """Open the file once more, and give its session without the changes of this one."""
        source = self.source
        again = Source(source.path or source.image() or b"", external=source.external)
        try:
            yield Session(again).root
        finally:
            again.close()

    def problem(
        self, path: str, field: str, rule: str, message: str, severity: Severity = "error"
    ) -> None:
        """Note a departure from the schema, once."""
        self.problems.setdefault((path, field, rule), Problem(path, field, rule, message, severity))

    def loaded(self, source: Source | None = None) -> list[Any]:
        """List the models that were loaded, of one file or of all."""
        with self.lock:
            return [
                model
                for (key, _), model in self._models.items()
                if source is None or key == id(source)
            ]

    @property
    def is_changed(self) -> bool:
        """Whether anything was assigned, added or removed since the file was read."""
        if any(node.pending is not None for node in list(self.source.nodes.values())):
            return True
        return any(
            model.__pydantic_fields_set__
            or any(
                isinstance(value, Children) and (value.added or value.removed)
                for value in model.__dict__.values()
            )
            for model in self.loaded()
        )

    def rebase(self, plan: Plan, *, in_place: bool) -> None:
        """Go on with the file as a write just left it.

        Parameters
        ----------
        plan
            What was done.
        in_place
            Whether it was done to the file itself; else another was put in its place, and all
            objects have new addresses.
        """
        with self.lock:
            main = id(self.source)
            nodes = list(self.source.nodes.values())
            bound = {key[1]: model for key, model in self._models.items() if key[0] == main}
            self._models = {key: one for key, one in self._models.items() if key[0] != main}
            self._scanned = {key for key in self._scanned if key[0] != main}
            self._catalogs.pop(main, None)
            self.source.replaced()
            for node in nodes:
                node.forget()
            places = [(node, plan.place_of(node.path)) for node in nodes]
            nodes = []
            for node, place in places:
                if place is None:
                    node.gone = True
                else:
                    node.path = place
                    nodes.append(node)
            moved = [node for node in nodes if not in_place or node.address in plan.replaced]
            by_address: dict[int, Node] = {node.address: node for node in nodes}
            self.source.renumber(nodes, moved)
            kept = set(map(id, self.source.nodes.values()))
            for address, model in bound.items():
                same = by_address.get(address)
                if same is not None and id(same) in kept:
                    self._settle(model, same)
            for item in plan.new:
                self._settle(item.model, node_at(self.source, item.path))

    def _settle(self, model: Any, node: Node) -> None:
        """Take the present state of a model for the stored one."""
        bound = model._binding = Bound(self, node)
        model.__dict__["hdf5_path"] = node.path
        self._models[id(self.source), node.address] = model
        object.__setattr__(model, "__pydantic_fields_set__", set())
        for name, one in layout_of(type(model)).fields.items():
            value = model.__dict__.get(name)
            # An iterator is spent; arrays in memory are let go: both are in the file now.
            settled = is_stream(value) or isinstance(value, Storage)
            if settled or (isinstance(value, np.ndarray) and _is_lazy(one)):
                del model.__dict__[name]
                continue
            bound.remember(name, value)
            if isinstance(value, Children):
                value.settle(partial(bound.member, one.groups))

    # -- from objects of a file to models ----------------------------------------------------

    def model_of(self, node: Node, declared: tuple[type[Any], ...] = ()) -> Any:
        """Give the one model of an object.

        Parameters
        ----------
        node
            The object.
        declared
            The classes that the place it is found in declares.
        """
        with self.lock:
            model = self._models.get((id(node.source), node.address))
            if model is None:
                model = self._make(node, *declared)
            return model

    def _make(self, node: Node, *declared: type[Any]) -> Any:
        cls: Any = self._class_of(node, declared)
        model = cls.__new__(cls)
        state = {"name": node.name or "root", "hdf5_path": node.path}
        object.__setattr__(model, "__dict__", state)
        object.__setattr__(model, "__pydantic_fields_set__", set())
        object.__setattr__(model, "__pydantic_extra__", None)
        object.__setattr__(model, "__pydantic_private__", None)
        model._binding = Bound(self, node)
        self._models[id(node.source), node.address] = model
        return model

    def _class_of(self, node: Node, declared: tuple[type[Any], ...]) -> type[Any]:
        is_group = node.is_group
        plain: type[Any] = Group if is_group else Dataset
        if not is_group and not node.is_dataset:
            raise LinkError("a named datatype is no object", file=node.file, path=node.path)
        kind = GroupModel if is_group else DatasetModel
        untyped: type[Any] = NWBContainer if is_group else NWBData
        first = declared[0] if declared else None
        type_name = node.attributes.get("neurodata_type")
        if isinstance(type_name, str):
            namespace = node.attributes.get("namespace")
            base = first if first is not None and issubclass(first, kind) else None
            cls = self._resolve_type(node, namespace, type_name, base or untyped)
            if first is not None and not issubclass(cls, declared):
                # What a parent declares of a member may be more than the member says of itself:
                # a part of its own, or a type that older schemas did not have yet.
                if issubclass(first, cls):
                    cls = first
                elif not registry.of_the_type(cls, declared):
                    wanted = " or ".join(one.__name__ for one in declared)
                    self.problem(node.path, "", "type", f"expected {wanted}, found {cls.__name__}")
                    if node.path == "/":  # whatever it says, it is the file
                        cls = first
        elif first is not None:
            cls = first
            if first.neurodata_type is not None:
                self.problem(
                    node.path,
                    "neurodata_type",
                    "type",
                    f"expected {first.__name__}, found a {plain.__name__.lower()} without a type",
                )
        else:
            cls = plain
        if not issubclass(cls, kind):
            found = "group" if is_group else "dataset"
            self.problem(node.path, "", "kind", f"{cls.__name__} is no {found}, but found one")
            return plain
        return cls

    def _resolve_type(
        self, node: Node, namespace: Any, name: str, fallback: type[Any]
    ) -> type[Any]:
        """Find the class of a type; one that is specified nowhere is known as the fallback."""
        if not isinstance(namespace, str):
            self.problem(node.path, "namespace", "missing", f"the type {name!r} names no namespace")
            namespace = "core"
        found = registry.hand_written(namespace, name)
        if found is not None:
            return found
        catalog = self.catalog(node.source)
        if catalog.get(namespace, name) is None:
            self.problem(
                node.path,
                "neurodata_type",
                "unknown-type",
                f"the type {name!r} of namespace {namespace!r} is specified nowhere",
                "warning",
            )
        cls = registry.resolve(namespace, name, catalog, fallback)
        family = catalog.family
        if family is not None and (namespace, name) in family.broken:
            self.problem(
                node.path,
                "neurodata_type",
                "specification",
                f"the specification of {name!r} of namespace {namespace!r} cannot be followed: "
                f"{family.broken[namespace, name]}",
                "warning",
            )
        return cls

    def catalog(self, source: Source) -> Catalog:
        """Give the types that a file's cached specifications define, read when first needed."""
        catalog = self._catalogs.get(id(source))
        if catalog is None:
            import h5py

            from nwb_ophys.generated.extensions import remember
            from nwb_ophys.specs import Catalog, cached_namespaces

            try:
                group = h5py.Group(root_of(source).child("specifications").id)
                namespaces = cached_namespaces(group)
            except LookupError:
                namespaces = {}
            catalog = self._catalogs[id(source)] = Catalog.from_texts(namespaces.values())
            remember(catalog)
        return catalog

    def at(self, node: Node) -> Any:
        """Give the model of an object as the place it lies in declares it."""
        if node.path == "/" or (id(node.source), node.address) in self._models:
            return self.model_of(node, (NWBFile,) if node.path == "/" else ())
        if node.source is self.source:
            return self.root[node.path]
        return self.model_of(node)

    def resolve(self, origin: Node, pointer: Any) -> Any:
        """Give the model that a reference leads to; None for one that leads nowhere.

        Raises
        ------
        LinkError
            Where its target is no longer in the file.
        """
        if not isinstance(pointer, (Pointer, RegionPointer)) or not pointer.address:
            return None
        with self.lock:
            node = origin.source.nodes.get(pointer.address) or self._search(origin, pointer.address)
            if node is None:
                raise LinkError(
                    "an object reference leads to an object that is not in the file",
                    file=origin.file,
                    path=origin.path,
                    hint="the object it led to was deleted",
                )
            target = self.at(node)
        if isinstance(pointer, RegionPointer):
            return Region(target, node, pointer.reference)
        return target

    def _search(self, origin: Node, address: int) -> Node | None:
        """Look for an address, from near the origin outwards, each group only once.

        What lies below a group is looked through to its end, so that a group that was seen need
        never be entered again.
        """
        nodes = origin.source.nodes
        ancestors = [root_of(origin.source)]
        for part in origin.path.split("/")[1:-1]:
            ancestors.append(ancestors[-1].child(part))
        for start in reversed(ancestors):
            stack = [start]
            while stack:
                group = stack.pop()
                if (id(group.source), group.address) in self._scanned:
                    continue
                self._scanned.add((id(group.source), group.address))
                for record in group.links.values():
                    if record.kind == "hard":
                        child = group.child(record.name)
                        if child.is_group:
                            stack.append(child)
            if address in nodes:
                return nodes[address]
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        source = self.source
        if source.path is None or source.identity is None:
            image = source.image()
            return _from_image, (image, source.file, source.external)
        return _from_path, (source.path, source.identity, source.external)


def _is_lazy(field: FieldLayout) -> bool:
    """Tell whether a field of an opened file holds its data as a lazy array."""
    marker = field.marker
    return isinstance(marker, (Array, Value)) and marker.shape != () and not field.is_list


def _from_path(path: str, identity: Identity, external: ExternalPolicy) -> Session:
    source = Source.reopened(path, identity, external)
    owner = getattr(source.resolver, "__self__", None)
    return owner if isinstance(owner, Session) else Session(source)


def _from_image(image: bytes, name: str, external: ExternalPolicy) -> Session:
    return Session(Source(image, name=name, external=external))


def _at(session: Session, source_path: str | None, path: str) -> Any:
    if source_path is None or source_path == session.source.path:
        return session.root[path]
    return session.model_of(node_at(session.source.sibling(source_path), path))


def fingerprint(value: Any) -> Any:
    """Give what tells a list or an array in memory from a changed one, without a copy of it."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OV":
        import hashlib

        digest = hashlib.blake2b(np.ascontiguousarray(value).tobytes()).digest()
        return value.dtype.str, value.shape, digest
    return value.tolist() if isinstance(value, np.ndarray) else list(value)


class Bound:
    """The tie of one model to its object in a file (`nwb_ophys.binding.Binding`)."""

    __slots__ = ("node", "session", "stored")

    def __init__(self, session: Session, node: Node) -> None:
        self.session = session
        self.node = node
        self.stored: dict[str, Any] = {}
        """What was read of fields whose values can be changed in place, to tell changes by."""

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
        """Read the attributes that the model does not declare."""
        declared = layout_of(type(model)).attributes
        with self.session.lock:
            return {
                name: reader.pointed(self.node, value)
                for name, value in self.node.attributes.items()
                if name not in declared and name not in TYPE_ATTRIBUTES
            }

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
            self.session.root[parent or "/"]
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

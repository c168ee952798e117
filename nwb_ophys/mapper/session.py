"""`Session`: the objects loaded from a file and the files it links to, each once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nwb_ophys.authored import Storage, is_stream
from nwb_ophys.children import Children
from nwb_ophys.errors import LinkError
from nwb_ophys.hdf5.nodes import Node, node_at, root_of
from nwb_ophys.hdf5.source import ExternalPolicy, Identity, Source
from nwb_ophys.hdf5.values import Pointer, RegionPointer
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.bound import Bound
from nwb_ophys.mapper.classes import Classes
from nwb_ophys.models.file import NWBFile
from nwb_ophys.problems import Problem, Severity
from nwb_ophys.storage import Array, Value

if TYPE_CHECKING:
    from nwb_ophys.mapper.plan import Plan

__all__ = ["Session"]


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
        self.classes = Classes(self.problem)
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
            self.classes.forget(self.source)
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
        cls: Any = self.classes.of(node, declared)
        model = cls.__new__(cls)
        state = {"name": node.name or "root", "hdf5_path": node.path}
        object.__setattr__(model, "__dict__", state)
        object.__setattr__(model, "__pydantic_fields_set__", set())
        object.__setattr__(model, "__pydantic_extra__", None)
        object.__setattr__(model, "__pydantic_private__", None)
        model._binding = Bound(self, node)
        self._models[id(node.source), node.address] = model
        return model

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
            from nwb_ophys.mapper.regions import Region

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

"""`Plan`: what a write is to do, before the first byte is written.

An opened session is written as its file plus what changed: fields that were assigned, objects that
were added or removed. An authored session is all new. Either way the plan says where each object
will lie, so that links and references can be checked while nothing has happened yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nwb_ophys.errors import LinkError
from nwb_ophys.layout import FieldLayout
from nwb_ophys.mapper.session import Session
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.file import NWBFile
from nwb_ophys.specs import packed_namespaces

__all__ = [
    "ExternalLink",
    "Graft",
    "NewArray",
    "NewLink",
    "NewObject",
    "Plan",
    "Reference",
    "SetField",
    "join",
]


class ExternalLink:
    """A link to an object of another file, to be written in place of the object.

    Parameters
    ----------
    target
        The object, of an opened session.

    Raises
    ------
    LinkError
        Where the object is in no file.
    """

    __slots__ = ("link_target",)

    def __init__(self, target: ConfiguredBaseModel) -> None:
        if not isinstance(target, ConfiguredBaseModel):
            raise LinkError(
                f"expected an object of an opened file to link to, found {target!r} of type "
                f"{type(target).__name__}"
            )
        binding = target._binding
        if binding is None or binding.node.source.path is None:
            raise LinkError(
                f"{target!r} is in no file that a link could lead to",
                hint="write its session first, and link to the object of the opened file",
            )
        self.link_target = target

    @property
    def name(self) -> str:
        """The name of the object."""
        return str(self.link_target.name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.link_target, name)

    def __getitem__(self, index: Any) -> Any:
        return self.link_target[index]  # type: ignore[index]

    def __len__(self) -> int:
        return len(self.link_target)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self.link_target, dtype)

    def __repr__(self) -> str:
        return f"<link to {self.link_target!r}>"


class NewObject(NamedTuple):
    """An object to be created."""

    path: str
    model: Any


class NewArray(NamedTuple):
    """The dataset of a field of a new object."""

    path: str
    name: str
    value: Any


class NewLink(NamedTuple):
    """A link to be created, soft within the file, external to another."""

    path: str
    target: Any


class Reference(NamedTuple):
    """A reference that a field of a new object holds; the path is that of the object."""

    path: str
    name: str
    target: Any


class SetField(NamedTuple):
    """A field of an object that is there, to be written again."""

    path: str
    model: Any
    field: FieldLayout


class Graft(NamedTuple):
    """An object of another session, to be copied with what it refers to."""

    path: str
    model: Any


@dataclass
class Plan:
    """What is to be written.

    Parameters
    ----------
    root
        The session's root object.
    session
        The opened session, None where it was authored.
    homes
        Where each object will lie, by ``id`` of its model.
    removed
        Paths of the opened file that are to go, and whether objects go with them or only links.
    replaced
        Addresses of datasets that are created anew, and their paths.
    moves
        Where objects of the opened file are to lie instead of where they are, by path.
    """

    root: NWBFile
    session: Session | None
    homes: dict[int, str] = field(default_factory=dict)
    removed: dict[str, bool] = field(default_factory=dict)
    replaced: dict[int, str] = field(default_factory=dict)
    moves: dict[str, str] = field(default_factory=dict)
    new: list[NewObject] = field(default_factory=list)
    arrays: list[NewArray] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    links: list[NewLink] = field(default_factory=list)
    fields: list[SetField] = field(default_factory=list)
    attributes: list[tuple[str, Any]] = field(default_factory=list)
    grafts: list[Graft] = field(default_factory=list)
    groups: dict[str, None] = field(default_factory=dict)

    def add_link(self, path: str, target: Any) -> None:
        """Enter a link; one to an object of the file itself is no external one."""
        if isinstance(target, ExternalLink) and self.session is not None:
            binding = target.link_target._binding
            if binding is not None and binding.node.source is self.session.source:
                target = target.link_target
        self.links.append(NewLink(path, target))

    @property
    def unchanged(self) -> bool:
        """Whether the opened file is to be written as it is."""
        return self.session is not None and not (
            self.removed
            or self.moves
            or self.new
            or self.links
            or self.fields
            or self.attributes
            or self.grafts
        )

    @property
    def adds_types(self) -> bool:
        """Whether objects are added, for which the file needs the newest schema."""
        return bool(self.grafts) or any(item.model.neurodata_type is not None for item in self.new)

    @property
    def sets_newest(self) -> bool:
        """Whether the file is said to follow the newest schema, so that it has to carry it."""
        newest = packed_namespaces()["core"].version
        return self.root.nwb_version == newest and any(
            one.model is self.root and one.field.name == "nwb_version" for one in self.fields
        )

    @property
    def drops_objects(self) -> bool:
        """Whether objects go, so that the file is to be made anew without their bytes."""
        return any(self.removed.values())

    def is_removed(self, path: str) -> bool:
        """Tell whether an object of the opened file is to go, itself or with one above it."""
        return self.place_of(path) is None

    def place_of(self, path: str) -> str | None:
        """Say where an object of the opened file will lie; None where it goes."""
        if not self.removed and not self.moves:
            return path
        kept = set(self.replaced.values())
        above = path
        while above:
            if above in self.moves:
                return self.moves[above] + path[len(above) :]
            if above in self.removed and not (above == path and above in kept):
                return None
            above = above.rpartition("/")[0]
        return path

    def home_of(self, model: Any) -> str | None:
        """Say where an object will lie; None where it will not be in the file."""
        home = self.homes.get(id(model))
        if home is not None:
            return home
        binding = model._binding
        if binding is None:
            return None
        if binding.node.gone:
            return None
        path: str = binding.node.path
        if self.session is not None and binding.node.source is self.session.source:
            return self.place_of(path)
        for graft in self.grafts:
            origin = graft.model._binding.node
            if binding.node.source is origin.source and (
                path == origin.path or path.startswith(origin.path + "/")
            ):
                return graft.path + path[len(origin.path) :]
        return None


def join(parent: str, *names: str) -> str:
    """Join names to a path."""
    return "/".join((parent.rstrip("/"), *(name for name in names if name))) or "/"

"""Compile a model class into its layout: the one table that reader, writer and checks follow."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from functools import cached_property
from typing import Any, ForwardRef, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from nwb_ophys import models
from nwb_ophys.annotations import is_list, is_optional, named_types
from nwb_ophys.storage import (
    Array,
    Attr,
    Child,
    Internal,
    Link,
    Marker,
    Members,
    Ref,
    Value,
)

__all__ = ["FieldLayout", "Layout", "complete", "is_under_way", "layout_of"]


_IMMUTABLE = (str, int, float, type(None), type(PydanticUndefined))


class FieldLayout:
    """Where and how one field of a model is stored.

    Parameters
    ----------
    name
        The field of the model.
    marker
        Its storage marker.
    groups, stored
        The structural groups on the way from the object, and the name in the last of them; for
        an attribute ``stored`` is the name of the attribute.
    annotation, owner
        Its annotation without the marker, and the class whose field it is.
    is_list
        Whether values come as a list rather than as an array.
    required
        Whether the schema asks for it: then its annotation does not admit None, and it is
        always written, its default included.
    """

    __slots__ = (
        "_accepts",
        "_types",
        "annotation",
        "groups",
        "info",
        "is_list",
        "marker",
        "name",
        "owner",
        "required",
        "stored",
    )

    def __init__(
        self,
        owner: type[BaseModel],
        name: str,
        info: FieldInfo,
        marker: Marker,
        groups: tuple[str, ...],
        stored: str,
    ) -> None:
        self.owner = owner
        self.name = name
        self.info = info
        self.marker = marker
        self.groups = groups
        self.stored = stored
        self.annotation: Any = info.annotation
        self.is_list = is_list(self.annotation)
        self.required = not is_optional(self.annotation)
        self._types: tuple[type[Any], ...] | None = None
        self._accepts: tuple[Any, ...] | None = None

    @property
    def types(self) -> tuple[type[Any], ...]:
        """The model classes it may hold; what its annotation names by text loads now."""
        if self._types is None:
            if not isinstance(self.marker, (Child, Members, Link)):
                return ()
            self._types = named_types(self.annotation, names_of(self.owner))
        return self._types

    @property
    def accepts(self) -> tuple[Any, ...]:
        """The model classes it may hold; those to be built at run time are not built yet."""
        if self._types is not None:
            return self._types
        if self._accepts is None:
            self._accepts = named_types(self.annotation, names_of(self.owner), build=False)
        return self._accepts

    @property
    def path(self) -> str:
        """The path below the object."""
        return "/".join((*self.groups, self.stored)) if self.stored else "/".join(self.groups)

    def default(self) -> Any:
        """Make the value that the schema gives to an absent field; None where it gives none."""
        info = self.info
        if info.default_factory is None and isinstance(info.default, _IMMUTABLE):
            return None if info.default is PydanticUndefined else info.default
        return info.get_default(call_default_factory=True)


class Layout:
    """How a model class is stored.

    Parameters
    ----------
    fields
        All stored fields by name.
    value
        The field that holds the data, where the model is a dataset.
    attributes
        The object's own attributes by their stored names.
    of
        The attributes of plain datasets, by the field that holds the dataset.
    members
        The declared members, by structural groups and stored name.
    collections
        The collections over each group, those that take only their types first.
    quotas
        Those of them that must hold so many objects of a type.
    declared
        The names in each group that are those of declared members or of structural groups.
    flat
        Flat names of the constructor, and the field whose child takes them.
    """

    def __init__(self, fields: dict[str, FieldLayout]) -> None:
        self.fields = fields
        self.value = next((one for one in fields.values() if isinstance(one.marker, Value)), None)
        self.attributes: dict[str, FieldLayout] = {}
        self.of: dict[str, list[FieldLayout]] = {}
        self.members: dict[tuple[str, ...], dict[str, FieldLayout]] = {}
        self.collections: dict[tuple[str, ...], list[FieldLayout]] = {}
        self.quotas: list[FieldLayout] = []
        self.declared: dict[tuple[str, ...], set[str]] = {}
        self.flat: dict[str, str] = {}

    @cached_property
    def structural_groups(self) -> tuple[tuple[str, ...], ...]:
        """The structural groups that the declarations imply, outer ones first."""
        paths = sorted({*self.members, *self.collections})
        found = (path[:depth] for path in paths for depth in range(1, len(path) + 1))
        return tuple(dict.fromkeys(found))

    def declares(self, groups: tuple[str, ...], name: str) -> bool:
        """Tell whether a member is declared, as a field or as a structural group."""
        return name in self.declared.get(groups, ())


_LAYOUTS: dict[type[BaseModel], Layout] = {}


def layout_of(cls: type[BaseModel]) -> Layout:
    """Give the layout of a model class, which is compiled once.

    Raises
    ------
    TypeError
        Where a field has no storage marker, or more than one.
    """
    layout = _LAYOUTS.get(cls)
    if layout is None:
        layout = _LAYOUTS[cls] = _compile(cls)
    return layout


def _compile(cls: type[BaseModel]) -> Layout:
    fields: dict[str, FieldLayout] = {}
    for name, info in cls.model_fields.items():
        markers = [item for item in info.metadata if isinstance(item, Marker)]
        if len(markers) != 1:
            raise TypeError(
                f"{cls.__name__}.{name} has {len(markers)} storage markers; every field has one, "
                "outermost in its Annotated[...]"
            )
        if not isinstance(markers[0], Internal):
            fields[name] = _compile_field(cls, name, info, markers[0])
    layout = Layout(fields)
    for one in fields.values():
        _enter(layout, one)
    for collections in layout.collections.values():
        collections.sort(key=lambda one: not one.marker.only)  # type: ignore[attr-defined]
    return layout


class _Names(dict[str, Any]):
    """Names of modules, and of the models, each of which loads when its name is asked for."""

    def __missing__(self, name: str) -> Any:
        if name not in models.HOMES:
            raise KeyError(name)
        return getattr(models, name)


def names_of(cls: type[BaseModel]) -> dict[str, Any]:
    """Gather the names that the annotations of a class and of its bases may use."""
    names = _Names()
    for base in reversed(cls.__mro__):
        names.update(vars(sys.modules[base.__module__]))
    return names


def awaits_names(cls: type[BaseModel]) -> bool:
    """Tell whether annotations of a class name others that were not there when it was made.

    Pydantic itself tells it since 2.11 only.
    """
    return any(_has_names(info.annotation) for info in cls.model_fields.values())


def _has_names(annotation: Any) -> bool:
    if isinstance(annotation, (ForwardRef, str)):
        return True
    if get_origin(annotation) is Literal:  # its texts are values
        return False
    return any(_has_names(arg) for arg in get_args(annotation))


_building: ContextVar[Any] = ContextVar("_building", default=None)


def complete(cls: type[BaseModel]) -> None:
    """Build the validator of a class, before it is first needed."""
    if not cls.__pydantic_complete__:
        names = names_of(cls)
        if awaits_names(cls):  # of models that may not be loaded yet
            names |= {name: getattr(models, name) for name in models.HOMES if name not in names}
        token = _building.set(cls)
        try:
            cls.model_rebuild(_types_namespace=names)
        finally:
            _building.reset(token)


def is_under_way(cls: type[BaseModel]) -> bool:
    """Tell whether `complete` is at a class just now."""
    return _building.get() is cls


def _compile_field(
    owner: type[BaseModel], name: str, info: FieldInfo, marker: Marker
) -> FieldLayout:
    groups: tuple[str, ...] = ()
    stored = name
    if isinstance(marker, Attr):
        stored = marker.name or name
    elif isinstance(marker, Members):
        groups = tuple((marker.path or "").split("/")) if marker.path else ()
        stored = ""
    elif isinstance(marker, (Array, Child, Link)) and marker.path:
        *parents, stored = marker.path.split("/")
        groups = tuple(parents)
    return FieldLayout(owner, name, info, marker, groups, stored)


def _enter(layout: Layout, one: FieldLayout) -> None:
    marker = one.marker
    if isinstance(marker, Attr):
        if marker.of is None:
            layout.attributes[one.stored] = one
        else:
            layout.of.setdefault(marker.of, []).append(one)
    elif isinstance(marker, Ref):
        layout.attributes[one.stored] = one
    elif isinstance(marker, (Array, Child, Link)):
        layout.members.setdefault(one.groups, {})[one.stored] = one
        _declare(layout, (*one.groups, one.stored))
        if isinstance(marker, Child):
            layout.flat.update(dict.fromkeys(marker.flat, one.name))
    elif isinstance(marker, Members):
        layout.collections.setdefault(one.groups, []).append(one)
        if marker.quotas:
            layout.quotas.append(one)
        _declare(layout, one.groups)


def _declare(layout: Layout, path: tuple[str, ...]) -> None:
    for depth, name in enumerate(path):
        layout.declared.setdefault(path[:depth], set()).add(name)

"""Compile a model class into its layout: the one table that reader, writer and checks follow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

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
    is_list,
    is_optional,
    model_types,
)

__all__ = ["FieldLayout", "Layout", "layout_of"]


@dataclass(frozen=True, slots=True)
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
    types
        The model classes it may hold.
    is_list
        Whether values come as a list rather than as an array.
    required
        Whether the schema asks for it: then its annotation does not admit None, and it is
        always written, its default included.
    """

    name: str
    marker: Marker
    groups: tuple[str, ...]
    stored: str
    types: tuple[type[Any], ...]
    is_list: bool
    required: bool
    info: FieldInfo

    @property
    def path(self) -> str:
        """The path below the object."""
        return "/".join((*self.groups, self.stored)) if self.stored else "/".join(self.groups)

    def default(self) -> Any:
        """Make the value that the schema gives to an absent field; None where it gives none."""
        if self.info.is_required():
            return None
        return self.info.get_default(call_default_factory=True)


@dataclass(frozen=True, slots=True)
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
    declared
        The names in each group that are those of declared members or of structural groups.
    flat
        Flat names of the constructor, and the field whose child takes them.
    """

    fields: dict[str, FieldLayout]
    value: FieldLayout | None
    attributes: dict[str, FieldLayout] = field(default_factory=dict)
    of: dict[str, list[FieldLayout]] = field(default_factory=dict)
    members: dict[tuple[str, ...], dict[str, FieldLayout]] = field(default_factory=dict)
    collections: dict[tuple[str, ...], list[FieldLayout]] = field(default_factory=dict)
    declared: dict[tuple[str, ...], set[str]] = field(default_factory=dict)
    flat: dict[str, str] = field(default_factory=dict)

    def structural_groups(self) -> Iterator[tuple[str, ...]]:
        """Iterate over the structural groups that the declarations imply, outer ones first."""
        seen: set[tuple[str, ...]] = set()
        for path in sorted({*self.members, *self.collections}):
            for depth in range(1, len(path) + 1):
                if path[:depth] not in seen:
                    seen.add(path[:depth])
                    yield path[:depth]

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
    hints: dict[str, Any] = {}
    if not cls.__pydantic_fields_complete__:
        # Types that name one another could not be resolved when their classes were made.
        hints = get_type_hints(cls, localns=names_of(cls), include_extras=True)
    for name, info in cls.model_fields.items():
        annotation, metadata = info.annotation, info.metadata
        if name in hints:
            annotation, *metadata = get_args(hints[name])
        markers = [item for item in metadata if isinstance(item, Marker)]
        if len(markers) != 1:
            raise TypeError(
                f"{cls.__name__}.{name} has {len(markers)} storage markers; every field has one, "
                "outermost in its Annotated[...]"
            )
        if not isinstance(markers[0], Internal):
            fields[name] = _compile_field(name, info, annotation, markers[0])
    value = next((one for one in fields.values() if isinstance(one.marker, Value)), None)
    layout = Layout(fields=fields, value=value)
    for one in fields.values():
        _enter(layout, one)
    for collections in layout.collections.values():
        collections.sort(key=lambda one: not one.marker.only)  # type: ignore[attr-defined]
    return layout


def names_of(cls: type[BaseModel]) -> dict[str, Any]:
    """Gather the names that the annotations of a class and of its bases may use."""
    names: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        names.update(vars(sys.modules[base.__module__]))
    return names


def _compile_field(name: str, info: FieldInfo, annotation: Any, marker: Marker) -> FieldLayout:
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
    types = model_types(annotation) if isinstance(marker, (Child, Members, Link)) else ()
    return FieldLayout(
        name=name,
        marker=marker,
        groups=groups,
        stored=stored,
        types=types,
        is_list=is_list(annotation),
        required=not is_optional(annotation),
        info=info,
    )


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
        _declare(layout, one.groups)


def _declare(layout: Layout, path: tuple[str, ...]) -> None:
    for depth, name in enumerate(path):
        layout.declared.setdefault(path[:depth], set()).add(name)

"""Enter new objects into a plan: where they and the links to them will lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nwb_ophys.errors import SchemaError
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.checking import check_rules, referred_to
from nwb_ophys.mapper.plan import (
    ExternalLink,
    Graft,
    NewArray,
    NewObject,
    Plan,
    Reference,
    join,
)
from nwb_ophys.storage import Array, Attr, Child, Members, Ref, Value

__all__ = ["add_new", "is_here", "missing", "place", "place_member", "prepare"]


def place(plan: Plan, parent: str, name: str, item: Any) -> None:
    """Put an object, or a link to one, under a name of a group."""
    path = join(parent, name)
    if isinstance(item, ExternalLink):
        plan.add_link(path, item)
        return
    own = getattr(item, "name", name)
    if own != name and item._binding is None and "name" not in item.model_fields_set:
        own = item.__dict__["name"] = name  # it was not given one, and goes under this
    if own != name:
        raise SchemaError(f"expected the name {name!r}, found {own!r}", path=path, field="name")
    home = plan.home_of(item)
    if home == path and is_here(plan, item):
        return  # it was moved here
    if home is not None:
        plan.add_link(path, item)
    elif item._binding is not None and item._binding.node.gone:
        raise SchemaError(
            "the object was deleted from its file, in a save before",
            file=item._binding.file,
            path=item._binding.node.path,
            hint="to move an object, add it elsewhere before the session is saved",
        )
    elif item._binding is not None:
        plan.homes[id(item)] = path
        plan.grafts.append(Graft(path, item))
    else:
        add_new(plan, path, item)


def place_member(plan: Plan, parent: str, name: str, item: Any, one: FieldLayout) -> None:
    """Put a member of a collection, or a link to one of a type that is only linked there."""
    links = one.marker.links  # type: ignore[attr-defined]
    if links is not None and isinstance(item, links()):
        plan.add_link(join(parent, name), item)
    else:
        place(plan, parent, name, item)


def add_new(plan: Plan, path: str, model: Any) -> None:
    """Put an object that is in no file yet at a path, with all that is in it.

    Raises
    ------
    SchemaError
        Where it does not conform to the schema.
    """
    plan.homes[id(model)] = path
    plan.new.append(NewObject(path, model))
    prepare(model)
    for one in layout_of(type(model)).fields.values():
        value = getattr(model, one.name)
        marker = one.marker
        if value is None:
            if one.required or isinstance(marker, Value):
                raise missing(one, path)
        elif isinstance(marker, Attr):
            continue
        elif isinstance(marker, (Array, Value)):
            at = path if isinstance(marker, Value) else join(path, one.path)
            plan.arrays.append(NewArray(at, one.name, value))
            plan.references += [Reference(path, one.name, to) for to in referred_to(one, value)]
        elif isinstance(marker, Members):
            parent = join(path, *one.groups)
            for name in value:
                place_member(plan, parent, name, value.raw(name), one)
            if one.groups and (marker.always or len(value)):
                plan.groups[parent] = None
        elif isinstance(marker, Child):
            place(plan, join(path, *one.groups), one.stored, value)
        elif isinstance(marker, Ref):
            plan.references.append(Reference(path, one.name, value))
        else:
            plan.add_link(join(path, one.path), value)
    check_rules(model, path)


def is_here(plan: Plan, item: Any) -> bool:
    """Tell whether an object is one of the opened file."""
    binding = item._binding
    return (
        binding is not None
        and plan.session is not None
        and binding.node.source is plan.session.source
    )


def prepare(model: Any) -> None:
    """Have a model complete what follows from its other fields."""
    complete: Callable[[], None] | None = getattr(model, "_before_write", None)
    if complete is not None:
        complete()


def missing(field: FieldLayout, path: str) -> SchemaError:
    """Make the error of an object without what the schema requires."""
    return SchemaError(
        f"the schema requires a {field.stored!r}, found None", path=path, field=field.name
    )

"""Tell what of an object is not as its file has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nwb_ophys.children import Children
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.equality import same_arrays
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.bound import TYPE_ATTRIBUTES, fingerprint
from nwb_ophys.mapper.session import Session
from nwb_ophys.storage import Members

__all__ = ["changed_fields", "collections_of", "is_changed", "is_modified", "same_attributes"]


def changed_fields(model: Any) -> Iterator[FieldLayout]:
    """Iterate over the loaded fields whose values are not those of the file."""
    stored = model._binding.stored
    for name, one in layout_of(type(model)).fields.items():
        if name not in model.__dict__ or isinstance(one.marker, Members):
            continue
        value = model.__dict__[name]
        assigned = name in model.__pydantic_fields_set__
        if (
            assigned
            or (name in stored and stored[name] != fingerprint(value))
            or (isinstance(value, LazyArray) and value.handle.pending is not None)
        ):
            yield one


def collections_of(model: Any) -> Iterator[tuple[FieldLayout, Children[Any]]]:
    """Iterate over the loaded collections of an object."""
    for name, one in layout_of(type(model)).fields.items():
        if isinstance(one.marker, Members) and name in model.__dict__:
            yield one, model.__dict__[name]


def is_changed(model: Any) -> bool:
    """Tell whether an object itself was changed, what lies in it aside."""
    return next(changed_fields(model), None) is not None or any(
        members.added or members.removed or one.name in model.__pydantic_fields_set__
        for one, members in collections_of(model)
    )


def same_attributes(model: Any) -> bool:
    """Tell whether the attributes that a model does not declare are those of the file."""
    stored = model._binding.attributes(model)
    own = model._binding.node.attributes
    for name in TYPE_ATTRIBUTES & model._attrs.keys() & own.keys():
        stored[name] = own[name]  # an upgrade sets them
    return stored.keys() == model._attrs.keys() and all(
        stored.get(name) is value or _equal_attribute(stored[name], value)
        for name, value in model._attrs.items()
    )


def _equal_attribute(stored: Any, value: Any) -> bool:
    if isinstance(stored, np.ndarray | np.generic) and isinstance(value, np.ndarray | np.generic):
        return same_arrays(np.asarray(stored), np.asarray(value))
    return type(stored) is type(value) and bool(np.all(stored == value))


def is_modified(session: Session) -> bool:
    """Tell whether anything was changed, arrays and lists in memory included."""
    return session.is_changed or any(
        next(changed_fields(model), None) is not None
        or (model._attrs is not None and not same_attributes(model))
        for model in session.loaded(session.source)
    )

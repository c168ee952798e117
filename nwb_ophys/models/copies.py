"""Copies of models: they belong to no file, and links among what is copied lead to the copies."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import BaseModel

from nwb_ophys.children import Children
from nwb_ophys.layout import layout_of
from nwb_ophys.storage import Link

if TYPE_CHECKING:
    from nwb_ophys.models.base import ConfiguredBaseModel

__all__ = ["copied", "deep_copied"]

T = TypeVar("T", bound="ConfiguredBaseModel")

_PENDING, _DEPTH = "nwb_ophys.pending", "nwb_ophys.depth"
"""What a deep copy under way keeps in its memo: holders of links, and how deep it is."""


def copied(model: T) -> T:
    """Copy a model; the copy holds the same children and arrays."""
    return _twin(model, lambda value: value)


def deep_copied(model: T, memo: dict[Any, Any]) -> T:
    """Copy a model with its children and arrays, as `copy.deepcopy` asks for it."""
    pending: list[Any] = memo.setdefault(_PENDING, [])
    memo[_DEPTH] = memo.get(_DEPTH, 0) + 1
    twin = _twin(model, lambda value: copy.deepcopy(value, memo), memo)
    pending += (twin.__dict__, twin._attrs)
    memo[_DEPTH] -= 1
    if not memo[_DEPTH]:  # what links lead to may be copied after what holds them
        for holder in pending:
            _relink(holder, memo)
    return twin


def _twin(model: T, each: Callable[[Any], Any], memo: dict[Any, Any] | None = None) -> T:
    twin = type(model).__new__(type(model))
    fields = layout_of(type(model)).fields
    if memo is not None:
        memo[id(model)] = twin
    values = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if name == "hdf5_path":
            value = None
        elif name == "object_id":
            value = fields[name].default()
        elif isinstance(value, Children):
            value = Children([each(v) for v in value.values()], accepts=value._accepts)
        elif isinstance(value, BaseModel):
            field = fields.get(name)
            is_link = field is not None and isinstance(field.marker, Link)
            value = value if is_link else each(value)
        elif isinstance(value, np.ndarray) and value.dtype.hasobject:
            value = value.copy()  # it may hold references, which are links
        elif memo is not None and _refers(value):
            value = np.asarray(value)
        elif isinstance(value, (list, np.ndarray)):
            value = each(value)
        values[name] = value
    object.__setattr__(twin, "__dict__", values)
    object.__setattr__(twin, "__pydantic_fields_set__", model._fields_present())
    object.__setattr__(twin, "__pydantic_extra__", None)
    object.__setattr__(twin, "__pydantic_private__", None)
    twin._attrs = dict(model.attrs)
    return twin


def _refers(value: Any) -> bool:
    """Tell whether a lazy array holds references."""
    if not hasattr(value, "handle"):
        return False
    from nwb_ophys.hdf5.values import has_references

    return has_references(value.handle.dataset().get_type())


def _relink(holder: Any, memo: dict[Any, Any]) -> None:
    """Turn links to objects that were copied to the copies, in fields, attributes and arrays."""
    if isinstance(holder, dict):
        for name, value in holder.items():
            if isinstance(value, BaseModel):
                holder[name] = memo.get(id(value), value)
            else:
                _relink(value, memo)
    elif isinstance(holder, np.ndarray) and holder.dtype.hasobject:
        columns = [holder[name] for name in holder.dtype.names] if holder.dtype.names else [holder]
        for column in columns:
            for index in np.ndindex(column.shape) if column.dtype.kind == "O" else ():
                if isinstance(column[index], BaseModel):
                    column[index] = memo.get(id(column[index]), column[index])

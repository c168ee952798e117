"""Models as plain Python: children as dictionaries, links as paths."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
from pydantic import BaseModel
from pydantic_core import core_schema

from nwb_ophys.children import Children, target_of
from nwb_ophys.errors import LinkError
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.storage import Link

__all__ = ["WITHIN_OTHERS", "dumped"]


def dumped(model: Any, mode: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a model, as `ConfiguredBaseModel.model_dump` says."""
    fields = layout_of(type(model)).fields
    include, exclude = options.get("include"), options.get("exclude") or ()
    below = {"mode": mode, "exclude_none": bool(options.get("exclude_none"))}
    values = {}
    for name in type(model).model_fields:
        if name in exclude or (include is not None and name not in include):
            continue
        field = fields.get(name)
        try:
            value = getattr(model, name)
        except LinkError:
            value = None if field is None else _held_by_link(model, field)
        else:
            if isinstance(value, Children):
                value = _members(model, field, value, below)
            else:
                is_link = field is not None and isinstance(field.marker, Link)
                value = _dumped(value, below, is_link)
        if value is not None or not below["exclude_none"]:
            values[name] = value
    return values


def _members(
    model: Any, field: FieldLayout | None, members: Children[Any], below: Mapping[str, Any]
) -> dict[str, Any]:
    values = {}
    for name in members:
        try:
            member = members[name]
        except LinkError:
            values[name] = None if field is None else _held_by_link(model, field, name)
        else:
            values[name] = _dumped(member, below, False)
    return values


def _held_by_link(model: Any, field: FieldLayout, name: str = "") -> str | None:
    """Give the path that a dangling link holds; an object reference that dangles holds none."""
    places = (*field.groups, *filter(None, (name or field.stored,)))
    found: str | None = None if model._binding is None else model._binding.held_by_link(places)
    return found


def _dumped(value: Any, below: Mapping[str, Any], is_link: bool) -> Any:
    value = target_of(value)
    if isinstance(value, BaseModel):
        if is_link:
            return getattr(value, "hdf5_path", None) or getattr(value, "name", None)
        return value.model_dump(**below)
    if below["mode"] != "json":
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if hasattr(value, "shape"):
        if value.shape is None:  # a null dataspace, with nothing in it
            return None
        array = np.asarray(value)
        plain = array.tolist()
        return plain if array.dtype.kind in "biuf" else _dumped(plain, below, True)
    if isinstance(value, (list, tuple)):
        return [_dumped(item, below, True) for item in value]
    return value if isinstance(value, (str, int, float, type(None))) else repr(value)


def _within_others(model: Any, info: core_schema.SerializationInfo) -> dict[str, Any]:
    dump: dict[str, Any] = model.model_dump(
        mode=info.mode,
        include=info.include,
        exclude=info.exclude,
        exclude_none=info.exclude_none,
    )
    return dump


WITHIN_OTHERS = core_schema.plain_serializer_function_ser_schema(_within_others, info_arg=True)
"""How pydantic dumps a model that another one holds, which is not ours."""

"""Read one field of a model as its layout says, checked against the schema, never refused.

What breaks the schema is noted in the session's problems and handed out as it is stored. Only what
cannot be had at all (a dangling link, data that do not decode) raises, when it is asked for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from nwb_ophys.children import Children
from nwb_ophys.dtypes import (
    array_mismatch,
    parse_isodatetime,
    scalar_mismatch,
    shape_mismatch,
)
from nwb_ophys.errors import NWBError
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.nodes import Node, root_of
from nwb_ophys.hdf5.values import Pointer, RegionPointer, Unreadable
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.problems import Problem
from nwb_ophys.storage import Array, Attr, Child, Link, Members, Ref, Value

if TYPE_CHECKING:
    from nwb_ophys.mapper.bound import Bound

__all__ = ["pointed", "read_field"]

_ABSENT: Any = object()
_SMALL = 1 << 16
"""The most elements that are read at once where the schema has a single one, or a short list."""


def read_field(bound: Bound, model: Any, field: FieldLayout) -> Any:
    """Read a field of the model of an object.

    Raises
    ------
    LinkError
        Where the field is a link or reference that leads nowhere.
    DataError
        Where what is stored cannot be decoded.
    """
    marker = field.marker
    try:
        if isinstance(marker, Attr):
            value = _read_attribute(bound, model, field, marker)
        elif isinstance(marker, Members):
            return _read_members(bound, model, field)
        elif isinstance(marker, Ref):
            value = _read_reference(bound, field)
        elif isinstance(marker, Value):
            value = _data(bound, field, marker, bound.node)
        else:
            value = _read_member(bound, field)
    except NWBError as error:
        bound.note(field.name, error)
        raise
    if value is not _ABSENT:
        return value
    if field.required:
        _note(bound, field, "missing", f"the schema requires {field.path!r}")
    return field.default()


def _read_member(bound: Bound, field: FieldLayout) -> Any:
    group = bound.group(field.groups)
    if group is None or field.stored not in group.links:
        return _ABSENT
    node = group.child(field.stored)
    marker = field.marker
    if isinstance(marker, (Child, Link)):
        return bound.session.model_of(node, field.types)
    assert isinstance(marker, Array)
    if not node.is_dataset:
        bound.session.problem(node.path, field.name, "kind", "expected a dataset, found a group")
        return bound.session.model_of(node)
    return _data(bound, field, marker, node)


def _read_members(bound: Bound, model: Any, field: FieldLayout) -> Children[Any]:
    group = bound.group(field.groups)
    place = f"{bound.node.path.rstrip('/')}/{'/'.join(field.groups)}".rstrip("/") or "/"
    names: list[str] = []
    if group is not None:
        layout = layout_of(type(model))
        names = [name for name in group.links if not layout.declares(field.groups, name)]
        others = [one for one in layout.collections[field.groups] if one is not field]
        if others:
            names = [name for name in names if _belongs(bound, name, field, others)]
    return Children.lazy(
        names,
        partial(bound.member, field.groups),
        accepts=field.accepts,
        place=f"{bound.file}, {place}",
    )


def _belongs(bound: Bound, name: str, field: FieldLayout, others: list[FieldLayout]) -> bool:
    """Tell which of several collections over one group a member falls to."""
    try:
        member = bound.member(field.groups, name)
    except NWBError:
        member = None  # what cannot be followed is for the collection that takes the rest
    if field.marker.only:  # type: ignore[attr-defined]
        return isinstance(member, field.types)
    return not any(
        isinstance(member, one.types)
        for one in others
        if one.marker.only  # type: ignore[attr-defined]
    )


def _read_reference(bound: Bound, field: FieldLayout) -> Any:
    raw = bound.node.attributes.get(field.stored, _ABSENT)
    if raw is _ABSENT:
        # MeaningsTable.target was a link before hdmf-common 1.10 settled on a reference.
        if field.stored in bound.node.links:
            return bound.session.model_of(bound.node.child(field.stored))
        return _ABSENT
    if not isinstance(raw, Pointer):
        _note(bound, field, "dtype", f"expected an object reference, found {raw!r}")
        return pointed(bound.node, raw)
    target = bound.node.follow(raw)
    if target is None:
        _note(bound, field, "link", "the object reference leads to nothing")
    elif not isinstance(target, field.types):
        wanted = " or ".join(one.__name__ for one in field.types)
        _note(bound, field, "type", f"expected {wanted}, found {type(target).__name__}")
    return target


def _read_attribute(bound: Bound, model: Any, field: FieldLayout, marker: Attr) -> Any:
    node = bound.node
    if marker.of is not None:
        owner = layout_of(type(model)).fields[marker.of]
        group = bound.group(owner.groups)
        if group is None or owner.stored not in group.links:
            return _ABSENT
        node = group.child(owner.stored)
    raw = node.attributes.get(field.stored, _ABSENT)
    if raw is _ABSENT:
        if marker.fixed is not None:
            _note(bound, field, "missing", f"the schema fixes it at {marker.fixed!r}")
        return _ABSENT
    value = _decoded(bound, field, marker, pointed(node, raw))
    if marker.fixed is not None and value != marker.fixed:
        _note(bound, field, "fixed", f"expected {marker.fixed!r}, found {value!r}")
    return value


def _data(bound: Bound, field: FieldLayout, marker: Array | Value, node: Node) -> Any:
    array = LazyArray(node)
    if marker.shape == () or field.is_list:
        value = node.scalar()
        if value is None and array.size > _SMALL:
            _note(bound, field, "shape", f"expected few values, found shape {array.shape}")
            return array
        return _decoded(bound, field, marker, array[()] if value is None else value)
    if array.shape is None:
        _note(bound, field, "shape", "expected an array, found a null dataspace")
        return array
    problem = array_mismatch(marker.dtype, array.dtype)
    if problem and not (array.size == 0 and array.dtype.kind == "f"):
        _note(bound, field, "dtype", problem)
    problem = shape_mismatch(marker.shape, array.shape)
    if problem:
        _note(bound, field, "shape", problem)
    return array


def _decoded(bound: Bound, field: FieldLayout, marker: Array | Attr | Value, raw: Any) -> Any:
    """Turn a small stored value into what the field holds, or leave it as it is stored."""
    dtype = marker.dtype
    if marker.shape == ():
        if type(raw) is str and dtype == "text":
            return raw
        value = raw.item() if isinstance(raw, np.generic) else raw
        if dtype == "isodatetime":
            value = _datetime(value)
        problem = scalar_mismatch(dtype, raw if isinstance(raw, np.number) else value)
        if problem:
            _note(bound, field, "dtype", problem)
        return value
    if isinstance(raw, h5py.Empty):
        _note(bound, field, "shape", "expected an array, found a null dataspace")
        return [] if field.is_list else raw
    array = np.asarray(raw, dtype=object if isinstance(raw, str) else None)
    if not field.is_list:
        problem = array_mismatch(dtype, array.dtype) or shape_mismatch(marker.shape, array.shape)
        if problem and array.size:
            _note(bound, field, "dtype", problem)
        return array
    values = np.atleast_1d(array).tolist()
    if dtype == "isodatetime":
        values = [_datetime(value) for value in values]
    for value in values:
        problem = scalar_mismatch(dtype, value)
        if problem:
            _note(bound, field, "dtype", problem)
    return values


def _datetime(value: Any) -> Any:
    try:
        return parse_isodatetime(value)
    except (TypeError, ValueError):
        return value


def pointed(node: Node, value: Any) -> Any:
    """Turn the references in an attribute's value into models.

    Raises
    ------
    LinkError
        Where one leads to an object that is no more.
    DataError
        Where the attribute cannot be read.
    """
    if isinstance(value, (str, np.number)):
        return value
    if isinstance(value, Unreadable):
        raise value.error
    if isinstance(value, (Pointer, RegionPointer)):
        return node.follow(value)
    if isinstance(value, (np.void, np.ndarray)) and value.dtype.names and value.dtype.hasobject:
        result = value.copy()
        for name in value.dtype.names:
            result[name] = pointed(node, value[name])
        return result
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        result = np.empty(value.shape, object)
        for index in np.ndindex(value.shape):
            result[index] = pointed(node, value[index])
        return result
    return value


def _note(bound: Bound, field: FieldLayout, rule: str, message: str) -> None:
    """Note that a field departs from the schema, unless that of its day had it so."""
    if _was_legal(bound, field, rule, message):
        path = bound.node.path
        bound.session.earlier[path, field.name, rule] = Problem(
            path, field.name, rule, message, "warning"
        )
        return
    bound.session.problem(bound.node.path, field.name, rule, message)


def _was_legal(bound: Bound, field: FieldLayout, rule: str, message: str) -> bool:
    from nwb_ophys.mapper.releases import was_legal  # most files need it never

    version = root_of(bound.node.source).attributes.get("nwb_version")
    cls = type(bound.session.model_of(bound.node))
    return isinstance(version, str) and was_legal(cls, field.name, rule, message, version)

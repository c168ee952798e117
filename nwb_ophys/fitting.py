"""Whether an object is what one use of its type asks for, beyond what the type itself does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nwb_ophys.authored import is_stream
from nwb_ophys.dtypes import array_mismatch, scalar_mismatch, shape_mismatch
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.storage import Array, Attr, Child, Value

__all__ = ["misfits"]


def misfits(model: Any, part: type[Any]) -> Iterator[str]:
    """Iterate over what keeps an object from being one of a part.

    Parameters
    ----------
    model
        The object.
    part
        The class of one use of its type, or of a type that it extends.
    """
    own = layout_of(type(model)).fields
    for name, field in layout_of(part).fields.items():
        marker, known = field.marker, own.get(name)
        if not isinstance(marker, (Attr, Array, Value, Child)):
            continue
        if known is not None:
            value = getattr(model, name)
        else:
            value = model.attrs.get(field.stored) if isinstance(marker, Attr) else None
        if field.required and (known is None or not known.required):
            if value is None:
                yield f"{name}: it is required there, found None"
                continue
            if known is not None and _is_only_a_default(model, known):
                yield f"{name}: it is required there, and its default is not stored: assign it"
                continue
        if value is None:
            continue
        if isinstance(marker, Child):
            if known is None or known.types != field.types:
                yield from (f"{name}.{one}" for one in misfits(value, field.types[0]))
        elif known is None or known.marker != marker:
            problem = _mismatch(field, marker, value)
            if problem:
                yield f"{name}: {problem}"


def _is_only_a_default(model: Any, known: FieldLayout) -> bool:
    """Tell whether the value of an attribute is the schema's default, which no file has."""
    marker = known.marker
    if not isinstance(marker, Attr) or marker.of is not None:
        return False
    if model._binding is not None and known.stored in model._binding.node.attributes:
        return False
    written = marker.always or marker.fixed is not None
    return not written and known.name not in model.model_fields_set


def _mismatch(field: FieldLayout, marker: Attr | Array | Value, value: Any) -> str | None:
    if is_stream(value) or field.is_list:
        return None
    if marker.fixed is not None and not np.array_equal(value, marker.fixed):
        return f"expected {marker.fixed!r}, found {value!r}"
    if marker.shape == ():
        return scalar_mismatch(marker.dtype, value)
    shape = getattr(value, "shape", None)
    dtype = getattr(value, "dtype", None)
    return array_mismatch(marker.dtype, dtype) or shape_mismatch(marker.shape, shape)

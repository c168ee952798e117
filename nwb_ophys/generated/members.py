"""From the words of the schema language to those of our markers: dtypes, axes, Python types."""

from __future__ import annotations

import keyword
import re
from datetime import datetime
from typing import Any, Optional

from nwb_ophys.dtypes import Dims, DTypeSpec
from nwb_ophys.generated.deltas import Spec
from nwb_ophys.storage import NDArray

__all__ = ["dims_of", "dtype_of", "field_name", "optional", "python_type", "target_of"]

_DTYPES = {
    "float": "float32",
    "float32": "float32",
    "double": "float64",
    "float64": "float64",
    "long": "int64",
    "int64": "int64",
    "int": "int32",
    "int32": "int32",
    "short": "int16",
    "int16": "int16",
    "int8": "int8",
    "uint": "uint32",
    "uint64": "uint64",
    "uint32": "uint32",
    "uint16": "uint16",
    "uint8": "uint8",
    "numeric": "numeric",
    "text": "text",
    "utf": "text",
    "utf8": "text",
    "utf-8": "text",
    "ascii": "ascii",
    "bytes": "ascii",
    "str": "text",
    "bool": "bool",
    "boolean": "bool",
    "isodatetime": "isodatetime",
    "datetime": "isodatetime",
    "date": "isodatetime",
    "object": "reference",
    "ref": "reference",
    "reference": "reference",
}
_PYTHON: dict[str, Any] = {
    "text": str,
    "ascii": str,
    "isodatetime": datetime,
    "bool": bool,
    "numeric": float,
}


def dtype_of(spec: Spec) -> DTypeSpec:
    """Give the dtype of a spec in the words of `nwb_ophys.dtypes`; what those lack is ``any``."""
    dtype = spec.get("dtype")
    if isinstance(dtype, list):
        members = [each for each in dtype if isinstance(each, dict) and each.get("name")]
        return tuple((str(each["name"]), str(dtype_of(each))) for each in members) or "any"
    if isinstance(dtype, dict):
        return "any" if dtype.get("reftype") == "region" else "reference"
    if dtype in ("int", "uint", "float"):
        return str(dtype)
    return _DTYPES.get(dtype, "any") if isinstance(dtype, str) else "any"


def target_of(spec: Spec) -> str | None:
    """Name the type that an object reference leads to."""
    dtype = spec.get("dtype")
    if not isinstance(dtype, dict) or dtype.get("reftype") == "region":
        return None
    target = dtype.get("target_type")
    return target if isinstance(target, str) else None


def dims_of(spec: Spec) -> Dims:
    """Give the axes that a spec declares; None where it declares none."""
    shape, dims = spec.get("shape"), spec.get("dims")
    if not isinstance(shape, list) or not shape:
        shape = dims if isinstance(dims, list) else None
        dims = None if shape is None else dims
        if not shape:
            return None
    if isinstance(shape[0], list):
        words = dims if isinstance(dims, list) and len(dims) == len(shape) else [None] * len(shape)
        return tuple(_axes(one, word) for one, word in zip(shape, words, strict=True))
    return _axes(shape, dims)


def _axes(shape: Any, words: Any) -> tuple[str | int, ...]:
    axes = shape if isinstance(shape, list) else [shape]
    named = words if isinstance(words, list) and len(words) == len(axes) else [None] * len(axes)
    return tuple(
        axis if isinstance(axis, int) else str(word or f"dim{index}")
        for index, (axis, word) in enumerate(zip(axes, named, strict=True))
    )


def python_type(dtype: DTypeSpec, dims: Dims, *, as_list: bool) -> Any:
    """Give the annotation of values: a scalar's type, a list of them, or an array."""
    if not isinstance(dtype, str):
        return NDArray
    scalar = _PYTHON.get(dtype)
    if scalar is None:
        whole = dtype.lstrip("u").startswith("int")
        scalar = int if whole else float if dtype.startswith("float") else Any
    if dims == ():
        return scalar
    one_axis = bool(dims) and len(dims or ()) == 1 and not isinstance((dims or ("",))[0], tuple)
    texts = dtype in ("text", "ascii") and as_list
    listed: Any = list.__class_getitem__(scalar)
    return listed if one_axis and (texts or dtype == "isodatetime") else NDArray


def optional(annotation: Any) -> Any:
    """Let an annotation admit None."""
    return Optional[annotation]  # noqa: UP045


_NO_LETTERS = re.compile(r"\W+", re.ASCII)


def field_name(stored: str, taken: Any) -> str:
    """Give a field a name that Python can have and that no other member of the class has.

    Parameters
    ----------
    stored
        The name in the file.
    taken
        Tells whether a name means something else already.
    """
    name = _NO_LETTERS.sub("_", stored).strip("_") or "field"
    if name[0].isdigit():
        name = f"n{name}"
    while keyword.iskeyword(name) or taken(name):
        name += "_"
    return name

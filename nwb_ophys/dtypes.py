"""The one table of NWB dtypes: what each accepts, how authored values are brought to it.

NWB dtypes name a minimum width (schema language, "dtype"): a wider value of the same kind
conforms and is never narrowed. `conform_scalar` and `conform_array` raise for authored values;
`array_mismatch` and `scalar_mismatch` say the same of stored ones without raising.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

__all__ = [
    "DTypeSpec",
    "Dims",
    "array_mismatch",
    "conform_array",
    "conform_scalar",
    "describe",
    "parse_isodatetime",
    "scalar_mismatch",
    "shape_mismatch",
]

DTypeSpec: TypeAlias = "str | tuple[tuple[str, str], ...]"
"""A name of the table below, or the members of a compound as (name, dtype name)."""

Dims: TypeAlias = "tuple[str | int, ...] | tuple[tuple[str | int, ...], ...] | None"
"""Axis words, an integer where the length is fixed; several tuples for alternatives; None: any."""


class _Numbers(NamedTuple):
    kinds: str
    itemsize: int
    widen_to: str


_NUMBERS: Final = {
    "float": _Numbers("f", 4, "float32"),
    "float32": _Numbers("f", 4, "float32"),
    "float64": _Numbers("f", 8, "float64"),
    "int": _Numbers("i", 4, "int32"),
    "int8": _Numbers("i", 1, "int8"),
    "int16": _Numbers("i", 2, "int16"),
    "int32": _Numbers("i", 4, "int32"),
    "int64": _Numbers("i", 8, "int64"),
    "uint": _Numbers("u", 4, "uint32"),
    "uint8": _Numbers("u", 1, "uint8"),
    "uint16": _Numbers("u", 2, "uint16"),
    "uint32": _Numbers("u", 4, "uint32"),
    "uint64": _Numbers("u", 8, "uint64"),
    "numeric": _Numbers("iuf", 1, "float64"),
}
_TEXTS: Final = frozenset({"text", "ascii", "isodatetime"})
_OTHERS: Final = frozenset({"any", "bool", "reference"})


def describe(spec: DTypeSpec) -> str:
    """Name a dtype as the schema does, for messages."""
    if isinstance(spec, tuple):
        return "compound (" + ", ".join(f"{name}: {dtype}" for name, dtype in spec) + ")"
    return spec


def parse_isodatetime(text: str) -> datetime:
    """Read an ISO 8601 date, or date and time.

    Raises
    ------
    ValueError
        Where the text is neither.
    """
    return datetime.fromisoformat(text)


def scalar_mismatch(spec: DTypeSpec, value: Any) -> str | None:
    """Say why a stored scalar departs from a dtype, or None where it conforms."""
    if spec == "any":
        return None
    if spec == "isodatetime":
        if not isinstance(value, datetime):
            return f"expected an ISO 8601 date, found {value!r}"
        return None if value.tzinfo else f"the time {value.isoformat()} has no offset from UTC"
    if spec in _TEXTS:
        return None if isinstance(value, str) else f"expected {spec}, found {_kind_of(value)}"
    if spec == "bool":
        good = isinstance(value, (bool, np.bool_))
        return None if good else f"expected bool, found {_kind_of(value)}"
    if isinstance(spec, str) and spec in _NUMBERS:
        if isinstance(value, np.number):
            return array_mismatch(spec, value.dtype)
        if isinstance(value, (str, list, tuple)) or np.ndim(value):
            return f"expected a single {spec}, found {_kind_of(value)}"
        return array_mismatch(spec, np.asarray(value).dtype)
    return None


def array_mismatch(spec: DTypeSpec, dtype: np.dtype[Any] | None) -> str | None:
    """Say why an array's dtype departs from the declared one, or None where it conforms."""
    if spec == "any" or dtype is None:
        return None
    if isinstance(spec, tuple):
        return _compound_mismatch(spec, dtype)
    numbers = _NUMBERS.get(spec)
    if numbers is not None:
        if dtype.kind not in numbers.kinds:
            return f"expected {spec}, found {dtype.name}"
        if dtype.itemsize < numbers.itemsize:
            return f"expected {spec} or wider, found {dtype.name}"
        return None
    if spec in _TEXTS:
        good = dtype.kind in "OUST"
    elif spec == "bool":
        good = dtype.kind == "b"
    elif spec == "reference":
        good = dtype.kind == "O"
    else:
        raise ValueError(f"unknown dtype {spec!r} in a declaration")
    return None if good else f"expected {spec}, found {dtype.name}"


def _compound_mismatch(spec: tuple[tuple[str, str], ...], dtype: np.dtype[Any]) -> str | None:
    if dtype.names is None:
        return f"expected {describe(spec)}, found {dtype.name}"
    wanted = tuple(name for name, _ in spec)
    if tuple(dtype.names) != wanted:
        return f"expected members {', '.join(wanted)}, found {', '.join(dtype.names)}"
    for name, member in spec:
        problem = array_mismatch(member, dtype[name])
        if problem:
            return f"member {name!r}: {problem}"
    return None


def shape_mismatch(dims: Dims, shape: Sequence[int] | None) -> str | None:
    """Say why a shape departs from the declared axes, or None where it conforms."""
    if dims is None or shape is None:
        return None
    if dims and isinstance(dims[0], tuple):
        alternatives: tuple[tuple[str | int, ...], ...] = dims
    else:
        alternatives = (dims,)  # type: ignore[assignment]
    if any(_fits(axes, shape) for axes in alternatives):
        return None
    wanted = " or ".join("(" + ", ".join(str(axis) for axis in axes) + ")" for axes in alternatives)
    return f"expected axes {wanted}, found shape {tuple(shape)}"


def _fits(axes: tuple[str | int, ...], shape: Sequence[int]) -> bool:
    return len(axes) == len(shape) and all(
        isinstance(axis, str) or axis == length for axis, length in zip(axes, shape, strict=True)
    )


def conform_scalar(spec: DTypeSpec, value: Any) -> Any:
    """Bring an authored scalar to a dtype, as a plain Python object where there is one.

    Raises
    ------
    ValueError
        Where the value is of another kind: nothing is cast in silence but an integer to a float.
    """
    if type(value) is str and spec == "text":
        return value
    if spec == "isodatetime":
        return _conform_datetime(value)
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(spec, str) and spec in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"expected {spec}, found {_kind_of(value)}")
        kinds = _NUMBERS[spec].kinds
        if isinstance(value, float) and "f" not in kinds:
            raise ValueError(f"expected {spec}, found the float {value!r}")
        if kinds == "u" and value < 0:
            raise ValueError(f"expected {spec}, found the negative number {value!r}")
        return float(value) if kinds == "f" else value
    problem = scalar_mismatch(spec, value)
    if problem:
        raise ValueError(problem)
    if spec == "ascii" and not value.isascii():
        raise ValueError(f"expected ASCII text, found {value!r}")
    return value


def _conform_datetime(value: Any) -> datetime:
    if isinstance(value, str):
        value = parse_isodatetime(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    problem = scalar_mismatch("isodatetime", value)
    if problem:
        raise ValueError(f"{problem}; give it a time zone, e.g. datetime(..., tzinfo=timezone.utc)")
    result: datetime = value
    return result


def conform_array(spec: DTypeSpec, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Bring an authored numpy array to a dtype, widening it where the schema asks for more.

    Raises
    ------
    ValueError
        Where the array is of another kind; only integers become floats.
    """
    if isinstance(spec, tuple) and array.dtype.names is not None:
        return _conform_compound(spec, array)
    numbers = _NUMBERS.get(spec) if isinstance(spec, str) else None
    if numbers is None:
        problem = array_mismatch(spec, array.dtype)
        if problem and not (array.size == 0 and isinstance(spec, str)):
            raise ValueError(problem)
        return array if not problem else array.astype(object if spec != "bool" else bool)
    kind = array.dtype.kind
    if kind in numbers.kinds:
        wide = array.dtype.itemsize >= numbers.itemsize
        return array if wide else array.astype(numbers.widen_to)
    if array.size == 0 and kind in "fO":
        return array.astype(numbers.widen_to)
    if numbers.kinds == "f" and kind in "iu":
        return array.astype("float64")
    if numbers.kinds in "iu" and kind in "iu":
        return _change_sign(spec, array, numbers)
    raise ValueError(f"expected {spec}, found {array.dtype.name}")


def _change_sign(
    spec: DTypeSpec, array: np.ndarray[Any, Any], numbers: _Numbers
) -> np.ndarray[Any, Any]:
    # numpy makes int64 of every list of counts, which an unsigned field must take, and uint64 of
    # what other libraries count with. Only values that survive the change are let through.
    width = max(array.dtype.itemsize, numbers.itemsize)
    changed = array.astype(f"{numbers.kinds}{width}")
    if not np.array_equal(changed, array) or np.any((changed < 0) != (array < 0)):
        raise ValueError(f"expected {spec}, found {array.dtype.name} with values beyond it")
    return changed


def _conform_compound(
    spec: tuple[tuple[str, str], ...], array: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    if array.dtype.names != tuple(name for name, _ in spec):
        raise ValueError(_compound_mismatch(spec, array.dtype))
    columns = {}
    for name, member in spec:
        try:
            columns[name] = conform_array(member, array[name])
        except ValueError as error:
            raise ValueError(f"member {name!r}: {error}") from None
    if all(columns[name].dtype == array.dtype[name] for name in columns):
        return array
    result = np.empty(array.shape, [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        result[name] = column
    return result


def _kind_of(value: Any) -> str:
    if isinstance(value, (str, bytes)):
        return f"the text {value!r}"
    shape = getattr(value, "shape", None)
    if shape:
        return f"an array of shape {tuple(shape)}"
    shown = value.item() if isinstance(value, np.generic) else value
    return f"{shown!r} of type {type(value).__name__}"

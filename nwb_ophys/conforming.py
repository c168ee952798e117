"""Authored arrays, brought to what a field holds: of its dtype and axes, or refused."""

from __future__ import annotations

from collections.abc import Set, ValuesView
from typing import Any

import numpy as np

from nwb_ophys.authored import Storage, adapted, is_stream
from nwb_ophys.children import target_of
from nwb_ophys.dtypes import (
    Dims,
    DTypeSpec,
    array_mismatch,
    conform_array,
    conform_scalar,
    describe,
    shape_mismatch,
)

__all__ = ["as_array"]


def as_array(value: Any, dtype: DTypeSpec, shape: Dims) -> Any:
    """Check an authored array, without touching the data of one that is not in memory.

    Raises
    ------
    ValueError
        Where dtype or axes are not the declared ones.
    """
    if not isinstance(value, np.ndarray):
        if target_of(value) is not value:
            raise ValueError(f"expected an array, found a {value!r}")
        # What wraps arrays for others may refuse to be asked for anything.
        if hasattr(type(value), "neurodata_type") and not hasattr(type(value), "shape"):
            raise ValueError(f"expected an array, found {value!r} (give one of its arrays)")
        value = adapted(value)
    if is_stream(value):
        return value
    if isinstance(value, Storage):
        array = as_array(value.array, dtype, shape)
        return value if array is value.array else value.around(array)
    if not (hasattr(value, "shape") and hasattr(value, "dtype")):
        value = _from_sequence(value, dtype)
    if value.dtype.kind in "mM":
        raise ValueError(
            f"expected numbers or text, found {value.dtype} (give times as numbers, in "
            "seconds, or as text: numpy.datetime_as_string)"
        )
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError("expected all elements, found some masked (give array.filled(value))")
        value = value.data
    if isinstance(value, np.ndarray):
        value = conform_array(dtype, value)
        if dtype in ("text", "ascii") and value.dtype.kind == "O":
            _check_texts(value)
    else:
        problem = array_mismatch(dtype, value.dtype)
        if problem:
            raise ValueError(problem)
    problem = shape_mismatch(shape, value.shape)
    if problem:
        raise ValueError(problem)
    return value


def _check_texts(array: np.ndarray[Any, Any]) -> None:
    for item in array.flat:
        if not isinstance(item, (str, bytes)):
            raise ValueError(f"expected text, found {item!r} of type {type(item).__name__}")


def _from_sequence(value: Any, dtype: DTypeSpec) -> np.ndarray[Any, Any]:
    if isinstance(value, Set | ValuesView):
        value = list(value)
    if isinstance(dtype, tuple):
        if (
            isinstance(value, tuple)
            and len(value) == len(dtype)
            and not isinstance(value[0], (tuple, list))
        ):
            return _rows([value], dtype)[0:1].reshape(())
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            raise ValueError(f"expected rows of {describe(dtype)}, found {value!r}")
        return _rows(value, dtype)
    if dtype == "reference":
        if hasattr(value, "hdf5_path"):  # a single object
            single = np.empty((), object)
            single[()] = value
            return single
        if isinstance(value, (str, bytes)) or not hasattr(value, "__len__"):
            raise ValueError(f"expected objects to refer to, found {value!r}")
        # numpy would take objects that behave as arrays apart.
        result = np.empty(len(value), object)
        result[:] = [None] * len(value)
        for index, item in enumerate(value):
            result[index] = item
        return result
    if _has_text(value):
        return np.asarray(value, dtype=object)
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise ValueError("expected an array, found rows of unequal length or mixed kinds")
    return array


def _rows(value: Any, dtype: tuple[tuple[str, str], ...]) -> np.ndarray[Any, Any]:
    """Make a compound array of rows, each member checked against its dtype."""
    members = [(name, _COMPOUND_MEMBERS.get(member, member)) for name, member in dtype]
    rows = np.empty(len(value), members)
    for index, row in enumerate(value):
        if len(row) != len(dtype):
            raise ValueError(f"row {index}: expected {describe(dtype)}, found {row!r}")
        rows[index] = tuple(
            one if member == "reference" else conform_scalar(member, one)
            for (_, member), one in zip(dtype, row, strict=True)
        )
    return rows


_COMPOUND_MEMBERS = {
    **dict.fromkeys(("text", "ascii", "isodatetime", "reference", "any"), object),
    "numeric": "float64",
}


def _has_text(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, str)

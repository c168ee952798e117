"""Bring what a `Segmentation` is made of to its form, and say what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from nwb_ophys.errors import SchemaError
from nwb_ophys.ragged import RaggedColumn

__all__ = [
    "as_array",
    "as_column",
    "as_mapping",
    "check_rows",
    "check_times",
    "check_trace",
    "reasons_of",
    "shown",
]


def reasons_of(error: ValidationError) -> str:
    """Say why a result was refused, without what pydantic says around it."""
    reasons = []
    for one in error.errors():
        place = ".".join(map(str, one["loc"]))
        message = one["msg"].removeprefix("Value error, ")
        reasons.append(f"{place}: {message}" if place else message)
    return "; ".join(reasons)


def as_array(value: Any, name: str) -> Any:
    """Leave what is an array, in memory or not; make one of a list."""
    value = getattr(value, "array", value)  # of the dataset of a session, which stays its own
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "O":
        raise SchemaError(f"{name}: expected an array, found {type(value).__name__}")
    return array


def as_mapping(value: Any, name: str) -> dict[str, Any]:
    """Make a dictionary of a mapping, an empty one of None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SchemaError(f"{name}: expected a mapping of names, found {type(value).__name__}")
    return {str(key): one for key, one in value.items()}


def as_column(value: Any, name: str) -> Any:
    """Make an array of a column, or where its rows have unequal lengths a list."""
    if isinstance(value, RaggedColumn):
        return list(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return np.asarray(value)
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise SchemaError(f"columns[{name!r}]: expected one value a ROI, found {value!r}")
    rows = list(value)
    if rows and any(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        lengths = {len(row) for row in rows}
        if len(lengths) > 1:
            return rows
    array = np.asarray(rows)
    return array.astype(object) if array.dtype.kind in "UST" else array


def check_trace(name: str, trace: Any, count: int) -> None:
    """Refuse traces that are no (time, roi) numbers, or of other ROIs."""
    shape = tuple(trace.shape)
    if len(shape) != 2 or np.dtype(trace.dtype).kind not in "biuf":
        raise SchemaError(
            f"{name}: expected (time, roi) numbers, found {trace.dtype} of shape {shape}"
        )
    if shape[1] != count:
        turned = shape[0] == count
        raise SchemaError(
            f"{name} has {shape[1]} ROIs (its axes are time, roi), but masks has {count}",
            hint=f"it looks like (roi, time): give {name}.T" if turned else None,
        )


def check_rows(name: str, array: Any, count: int, *, ndim: int) -> None:
    """Refuse what has not one value a ROI."""
    if len(array.shape) != ndim:
        raise SchemaError(f"{name}: expected one value a ROI, found shape {tuple(array.shape)}")
    if array.shape[0] != count:
        raise SchemaError(f"{name} has {array.shape[0]} rows, but masks has {count} ROIs")


def check_times(timestamps: Any) -> int:
    """Refuse times that do not increase; else count them."""
    times = np.asarray(timestamps)
    if times.ndim != 1 or times.dtype.kind not in "iuf":
        raise SchemaError(f"timestamps: expected (time,) seconds, found shape {times.shape}")
    wrong = np.flatnonzero(~np.isfinite(times))
    if wrong.size:
        raise SchemaError(f"timestamps: expected finite times, found {times[wrong[0]]}")
    falls = np.flatnonzero(np.diff(times) <= 0)
    if falls.size:
        place = int(falls[0]) + 1
        raise SchemaError(
            f"timestamps: expected times that increase, found {times[place]:g} after "
            f"{times[place - 1]:g} at sample {place}"
        )
    return len(times)


def shown(shape: Sequence[int]) -> str:
    """Show a shape."""
    return " x ".join(map(str, shape))

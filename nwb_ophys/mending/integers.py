"""Whole numbers of another kind than the schema says, brought to it where that is exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from nwb_ophys.dtypes import DTypeSpec, array_mismatch

__all__ = ["as_declared"]

_LARGE: Final = 1 << 27
"""The most elements that are read for that."""


def as_declared(spec: DTypeSpec, stored: Any) -> np.ndarray[Any, Any] | None:
    """Bring whole numbers to the declared kind of integers; None where they are not exact."""
    if (stored.size or 0) > _LARGE:
        return None
    array = np.asarray(stored)
    if not isinstance(spec, tuple):
        return _whole(str(spec), array)
    if array.dtype.names != tuple(name for name, _ in spec):
        return None
    parts = {name: _whole(str(one), array[name]) for name, one in spec}
    kinds = [(name, part.dtype) for name, part in parts.items() if part is not None]
    if len(kinds) < len(parts):
        return None
    made = np.empty(array.shape, kinds)
    for name, part in parts.items():
        made[name] = part
    return made


def _whole(spec: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    if array_mismatch(spec, array.dtype) is None:
        return array
    if not spec.startswith(("int", "uint")) or array.dtype.kind not in "iuf":
        return None
    least = np.dtype(spec if spec not in ("int", "uint") else f"{spec}32")
    for kind in _as_wide(least, array.dtype):
        limits = np.iinfo(kind)
        if array.size and not (array.min() >= limits.min and array.max() <= limits.max):
            continue  # NaN is neither
        made = array.astype(kind)
        if np.array_equal(made, array):
            return made
    return None


def _as_wide(least: np.dtype[Any], stored: np.dtype[Any]) -> Iterator[np.dtype[Any]]:
    """Iterate over the kinds of integers to try: as wide as what is stored, then the widest."""
    size = max(least.itemsize, stored.itemsize if stored.kind in "iu" else 0)
    yield np.dtype(f"{least.kind}{size}")
    if size < 8:
        yield np.dtype(f"{least.kind}8")

"""The axes, positions and weights of masks: what is allowed, and how it is held."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from nwb_ophys.errors import NWBError, SchemaError

__all__ = ["Array", "import_sparse", "positions_of", "weight_dtype", "whole_axes"]

Array: TypeAlias = "np.ndarray[Any, Any]"


def whole_axes(axes: str, ndim: int) -> str:
    """Say what each spatial axis of an array is, as a text of ``x``, ``y`` and ``z``.

    Parameters
    ----------
    axes
        "xy" or "yx", to which z is added at the end where there are three axes; or the order of
        all three, such as "zyx".
    ndim
        The number of spatial axes, 2 or 3.

    Raises
    ------
    SchemaError
        Where the text is no such order.
    """
    if sorted(axes) not in (["x", "y"], ["x", "y", "z"]):
        raise SchemaError(
            f"expected axes 'xy' or 'yx', in volumes also an order such as 'zyx', found {axes!r}"
        )
    if len(axes) > ndim:
        raise SchemaError(f"expected {ndim} axes, as the masks have, found {axes!r}")
    return axes if len(axes) == ndim else axes + "z"


def weight_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Choose the narrowest floating type, 32 bits at least, that holds all numbers of a type."""
    if dtype.kind not in "biuf":
        raise SchemaError(f"expected weights that are numbers, found {dtype}")
    return np.dtype(np.result_type(dtype, np.float32))


def import_sparse() -> Any:
    """Import `scipy.sparse`, an optional dependency."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise NWBError(
            "sparse matrices need scipy", hint="pip install 'nwb-ophys[scipy]'"
        ) from error
    return sparse


def positions_of(column: Array, axis: str) -> Array:
    """Check that numbers are positions: whole, from 0."""
    if column.dtype.kind == "u":
        return column.astype(np.uint32, copy=False) if column.dtype.itemsize <= 4 else column
    if column.dtype.kind not in "biuf":
        raise SchemaError(f"expected positions along {axis}, found {column.dtype}")
    whole = (column >= 0) & (column <= 0xFFFFFFFF)
    if not (whole.all() and np.array_equal(column, np.floor(column))):
        wrong = column[~whole] if not whole.all() else column[column != np.floor(column)]
        raise SchemaError(
            f"expected positions along {axis}, whole numbers from 0, found {wrong[0]}"
        )
    return column.astype(np.uint32)

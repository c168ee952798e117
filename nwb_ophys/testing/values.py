"""The values that objects are made with: `Values`, and those of a usual session, `Sensible`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import numpy as np

from nwb_ophys.dtypes import DTypeSpec
from nwb_ophys.layout import FieldLayout

__all__ = ["Sensible", "Values"]


class Values(Protocol):
    """Where a `Factory` takes its values from."""

    times: int
    """The number of samples of each series."""
    rows: int
    """The number of rows of each table."""

    def name(self, cls: type[Any]) -> str:
        """Give a name for an object."""

    def wants(self, field: FieldLayout) -> bool:
        """Say whether a field that may be left out is given a value."""

    def scalar(self, field: str, dtype: DTypeSpec) -> Any:
        """Give a single value for a field."""

    def array(self, dtype: DTypeSpec, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Give an array of text, numbers or truth values."""

    def pick(self, options: Sequence[Any]) -> Any:
        """Choose one of several."""

    def rest(self, axes: Sequence[str | int]) -> tuple[int, ...]:
        """Give the lengths of the axes after the first."""

    def counts(self) -> list[int]:
        """Give the number of elements in each row of a ragged column."""

    def positions(self) -> list[int]:
        """Give rows of a table."""


_SCALARS: Final[dict[str, Any]] = {
    "age": "P90D",
    "continuity": "continuous",
    "emission_lambda": 513.0,
    "excitation_lambda": 920.0,
    "image_format": "PNG",
    "indicator": "GCaMP6f",
    "location": "Primary visual area",
    "rate": 30.0,
    "sex": "U",
    "species": "Mus musculus",
    "unit": "n.a.",
}
_LENGTHS: Final = (3, 4, 2)


class Sensible:
    """Values that look like those of a real session, the same every time.

    Parameters
    ----------
    numbered
        Whether objects are numbered, so that those of one type may lie in one place.
    """

    times = 7
    rows = 5

    def __init__(self, *, numbered: bool = False) -> None:
        self._count = 0
        self._numbered = numbered

    def name(self, cls: type[Any]) -> str:
        """Name an object after its type."""
        self._count += 1
        return f"{cls.__name__}_{self._count}" if self._numbered else cls.__name__

    def wants(self, field: FieldLayout) -> bool:
        """Leave out what may be left out."""
        return False

    def scalar(self, field: str, dtype: DTypeSpec) -> Any:
        """Give a value that is usual for the field."""
        if field in _SCALARS:
            return _SCALARS[field]
        if dtype == "isodatetime":
            return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        if dtype in ("text", "ascii", "any"):
            return f"The {field.replace('_', ' ')}."
        return 1.5 if str(dtype).startswith("float") or dtype == "numeric" else 1

    def array(self, dtype: DTypeSpec, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        """Count up from 0, so that no two elements are equal."""
        count = np.arange(np.prod(shape, dtype=int)).reshape(shape)
        if dtype in ("text", "ascii"):
            return np.array([f"text {n}" for n in count.flat], object).reshape(shape)
        if dtype == "bool":
            return np.asarray(count % 2 == 0)
        if dtype in ("float", "float32", "float64", "any"):
            return count / 2
        return count.astype("int16" if dtype == "numeric" else str(dtype))

    def pick(self, options: Sequence[Any]) -> Any:
        """Choose the first."""
        return options[0]

    def rest(self, axes: Sequence[str | int]) -> tuple[int, ...]:
        """Give lengths that differ from one another."""
        lengths = zip(axes, _LENGTHS, strict=False)
        return tuple(axis if isinstance(axis, int) else length for axis, length in lengths)

    def counts(self) -> list[int]:
        """Give none, one or two."""
        return [(row + 1) % 3 for row in range(self.rows)]

    def positions(self) -> list[int]:
        """Give all rows."""
        return list(range(self.rows))

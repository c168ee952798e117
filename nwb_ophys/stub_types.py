"""The names that the stubs of models use in the signatures of constructors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

import numpy.typing as npt

from nwb_ophys.storage import NDArray

__all__ = [
    "Any",
    "ArrayInput",
    "Iterable",
    "Literal",
    "Mapping",
    "Sequence",
    "date",
    "datetime",
]

ArrayInput: TypeAlias = "npt.ArrayLike | NDArray | Iterator[Any]"
"""What a constructor takes for an array: an array of any kind, numbers, or a stream of blocks."""

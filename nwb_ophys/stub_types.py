"""The names that the stubs of models use for their constructors and fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeAlias, TypeVar, overload

import numpy.typing as npt

from nwb_ophys.storage import NDArray

__all__ = [
    "DEFAULT",
    "Any",
    "ArrayInput",
    "Iterable",
    "Literal",
    "Mapping",
    "Sequence",
    "Stored",
    "date",
    "datetime",
]

ArrayInput: TypeAlias = "npt.ArrayLike | NDArray | Iterator[Any]"
"""What a constructor takes for an array: an array of any kind, numbers, or a stream of blocks."""

DEFAULT: Any = None
"""What stands for the defaults of fields: pydantic's plugin for mypy takes ``...`` for none."""

Held = TypeVar("Held", covariant=True)
Taken = TypeVar("Taken", contravariant=True)


class Stored(Generic[Held, Taken]):
    """A field that takes more than it holds, for type checkers only.

    Reading gives the first type, assigning and constructing take the second: checkers know that of
    descriptors, also in the constructors that they make for classes which extend a model.
    """

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any, /) -> Self: ...

        @overload
        def __get__(self, instance: object, owner: Any, /) -> Held: ...

        def __get__(self, instance: object, owner: Any, /) -> Any: ...

        def __set__(self, instance: Any, value: Taken, /) -> None: ...

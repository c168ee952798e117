"""Hypothesis strategies: names, texts, arrays, objects of any model, and whole sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final, TypeVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from nwb_ophys import models as nwb
from nwb_ophys.dtypes import DTypeSpec
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.storage import Array, Attr, Child
from nwb_ophys.testing.factories import Factory, hand_written_models
from nwb_ophys.testing.placing import put_into
from nwb_ophys.testing.sessions import start_session

__all__ = ["arrays", "models", "names", "sessions", "texts"]

M = TypeVar("M", bound=ConfiguredBaseModel)

_DTYPES: Final[dict[str, tuple[str, ...]]] = {
    "float": ("f4", "f8", ">f8"),
    "float32": ("f4", "f8", ">f4"),
    "float64": ("f8", ">f8"),
    "int": ("i4", "i8", ">i4"),
    "int8": ("i1", "i2", "i4", "i8"),
    "int16": ("i2", "i4", "i8"),
    "int32": ("i4", "i8", ">i8"),
    "int64": ("i8", ">i8"),
    "uint": ("u4", "u8"),
    "uint8": ("u1", "u2", "u4", "u8"),
    "uint16": ("u2", "u4", "u8"),
    "uint32": ("u4", "u8", ">u4"),
    "uint64": ("u8", ">u8"),
    "numeric": ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">i2", ">f4"),
    "bool": ("?",),
}
"""What conforms to each dtype of the schema."""

_CHOICES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "age_reference": st.sampled_from(["birth", "gestational"]),
    "continuity": st.sampled_from(["continuous", "instantaneous", "step"]),
    "image_format": st.sampled_from(["PNG", "JPEG", "GIF"]),
    "rate": st.floats(0.001, 1e6),
}
"""Fields of which only some values mean something."""

_RESERVED: Final = frozenset(
    part for one in layout_of(nwb.NWBFile).fields.values() for part in (*one.groups, one.stored)
)
"""Names that the schema has a use for in the root of a file."""

_NOT_IN_TEXT: Final = "\0"
_NOT_IN_NAMES: Final = "/:."


def texts(max_size: int = 20) -> st.SearchStrategy[str]:
    """Draw text of any script.

    Parameters
    ----------
    max_size
        The largest number of characters.
    """
    characters = st.characters(exclude_categories=["Cs"], exclude_characters=_NOT_IN_TEXT)
    return st.text(characters, max_size=max_size)


def names() -> st.SearchStrategy[str]:
    """Draw names of objects: text that HDF5 and PyNWB take for one."""
    characters = st.characters(
        exclude_categories=["Cs", "Cc", "Z"], exclude_characters=_NOT_IN_NAMES
    )
    return st.text(characters, min_size=1, max_size=12)


def arrays(dtype: str, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Draw arrays that conform to a dtype of the schema, wider ones among them.

    Parameters
    ----------
    dtype
        What the schema asks for, such as "float32", "numeric", "text" or "any".
    shape
        The length of each axis.
    """
    if dtype == "any":
        return st.sampled_from(["numeric", "text", "bool"]).flatmap(
            lambda kind: arrays(kind, shape)
        )
    if dtype in ("text", "ascii"):
        size = int(np.prod(shape, dtype=int))
        return st.lists(texts(), min_size=size, max_size=size).map(
            lambda values: _of_objects(values, shape)
        )
    return st.sampled_from(_DTYPES[dtype]).flatmap(lambda kind: numpy_st.arrays(kind, shape))


def _of_objects(values: list[str], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    result = np.empty(len(values), object)
    result[:] = values
    return result.reshape(shape)


def _scalars(dtype: DTypeSpec) -> st.SearchStrategy[Any]:
    if dtype == "isodatetime":
        offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
        return st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=offsets)
    if dtype in ("text", "ascii", "any"):
        return texts()
    if dtype == "bool":
        return st.booleans()
    kind = np.dtype(_DTYPES[str(dtype)][0])
    if kind.kind == "f":
        return st.floats(width=64)
    return st.integers(int(np.iinfo(kind).min), int(np.iinfo(kind).max))


class _Drawn:
    """Values that hypothesis draws."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw
        self._names: set[str] = set()
        self.times: int = draw(st.integers(1, 4))
        self.rows: int = draw(st.integers(0, 3))

    def name(self, cls: type[Any]) -> str:
        taken = self._names | _RESERVED
        name: str = self._draw(names().filter(lambda name: name not in taken))
        self._names |= {name, f"{name}_index"}
        return name

    def wants(self, field: FieldLayout) -> bool:
        part = isinstance(field.marker, Child) and "neurodata_type" not in field.types[0].__dict__
        stored = isinstance(field.marker, (Attr, Array)) or part
        return bool(stored and self._draw(st.booleans()))

    def scalar(self, field: str, dtype: DTypeSpec) -> Any:
        return self._draw(_CHOICES[field] if field in _CHOICES else _scalars(dtype))

    def array(self, dtype: DTypeSpec, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = self._draw(arrays(str(dtype), shape))
        return array

    def pick(self, options: Sequence[Any]) -> Any:
        return self._draw(st.sampled_from(options))

    def rest(self, axes: Sequence[str | int]) -> tuple[int, ...]:
        return tuple(
            axis if isinstance(axis, int) else self._draw(st.integers(1, 3)) for axis in axes
        )

    def counts(self) -> list[int]:
        counts: list[int] = self._draw(
            st.lists(st.integers(0, 3), min_size=self.rows, max_size=self.rows)
        )
        return counts

    def positions(self) -> list[int]:
        rows = st.integers(0, max(self.rows - 1, 0))
        positions: list[int] = self._draw(st.lists(rows, min_size=self.rows, max_size=self.rows))
        return positions


@st.composite
def models(draw: Callable[[Any], Any], cls: type[M], /, **given: Any) -> M:
    """Draw objects of any hand-written model, together with what they link to.

    Parameters
    ----------
    draw
        Given by hypothesis.
    cls
        The model.
    given
        Values of fields that are not to be drawn.
    """
    return Factory(_Drawn(draw)).make(cls, **given)


@st.composite
def sessions(draw: Callable[[Any], Any], max_objects: int = 3) -> nwb.NWBFile:
    """Draw sessions that can be written, with objects of any types.

    Parameters
    ----------
    draw
        Given by hypothesis.
    max_objects
        The largest number of objects that are drawn; those that they lie in and link to come on
        top.
    """
    values = _Drawn(draw)
    factory = Factory(values)
    started = start_session("drawn", draw(texts()))
    session = factory.make(
        nwb.NWBFile,
        session_start_time=started.session_start_time,
        file_create_date=started.file_create_date,
        subject=factory.make(nwb.Subject) if draw(st.booleans()) else None,
    )
    kinds = [cls for cls in hand_written_models() if _stands_alone(cls)]
    drawn = draw(st.lists(st.sampled_from(kinds), max_size=max_objects, unique=True))
    put_into(session, *[factory.make(kind) for kind in drawn])
    return session


def _stands_alone(cls: type[Any]) -> bool:
    bases = (nwb.NWBFile, nwb.Subject, nwb.Container, nwb.Data, nwb.NWBContainer, nwb.NWBData)
    return cls.__dict__.get("neurodata_type") is not None and cls not in bases

"""Make objects of any hand-written model, following its declarations; and sessions around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar, get_origin

import numpy as np

from nwb_ophys import models as nwb
from nwb_ophys.dtypes import Dims, DTypeSpec
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.mapper.checking import objects_in
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.storage import Array, Attr, Child, Link, Members, Ref, Value
from nwb_ophys.testing.sessions import stamp, start_session

__all__ = ["Factory", "Sensible", "Values", "hand_written_models", "make", "make_session_with"]

M = TypeVar("M", bound=ConfiguredBaseModel)


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


_INSTEAD: dict[type[Any], type[Any]] = {nwb.BaseImage: nwb.GrayscaleImage}
"""What is made of a type that has no data of its own."""

_ALSO: dict[type[Any], tuple[str, ...]] = {
    nwb.DynamicTableRegion: ("table",),
    nwb.VectorIndex: ("target",),
    nwb.IndexSeries: ("indexed_images",),
    nwb.MeaningsTable: ("target", "value", "meaning"),
}
"""What the schema requires, though a constructor does without it."""


def _also(cls: type[Any]) -> tuple[str, ...]:
    if issubclass(cls, nwb.VectorIndex) and cls is not nwb.VectorIndex:
        return ()  # it belongs to a table, whose column is told when it is written
    return next((names for kind, names in _ALSO.items() if issubclass(cls, kind)), ())


_FOLLOWS = frozenset(
    {
        *("object_id", "nwb_version", "file_create_date", "id", "colnames", "categories"),
        *("starting_time", "timestamps"),  # one of them
        *("external_file", "starting_frame", "num_samples", "format"),  # all or none
        "order_of_images",
    }
)
"""What follows from other fields, or goes only together with them."""


def _goes_with_others(cls: type[Any], name: str) -> bool:
    """Tell the columns that are made to fit others: indices, and masks of one image."""
    ragged = name.endswith("_index") and name.removesuffix("_index") in layout_of(cls).fields
    return ragged or (issubclass(cls, nwb.PlaneSegmentation) and "_mask" in name)


class Factory:
    """Makes objects, and those that they link to.

    Parameters
    ----------
    values
        Where values come from.
    """

    def __init__(self, values: Values) -> None:
        self.values = values
        self._linked: dict[type[Any], Any] = {}

    def make(self, cls: type[M], **given: Any) -> M:
        """Make an object.

        Parameters
        ----------
        cls
            Its model.
        given
            Values of fields; others that are needed are made.
        """
        name = cls.model_fields.get("name")
        if name is not None and "name" not in given and name.is_required():
            given["name"] = self.values.name(cls)
            if cls is nwb.VectorIndex:
                column = given.setdefault("target", self.linked(nwb.VectorData))
                given["name"] = f"{column.name}_index"
                given.setdefault("array", self._ends(len(column)))
        for one in layout_of(cls).fields.values():
            if one.name not in given and self._is_needed(cls, one, given):
                given[one.name] = self._value(cls, one)
        if issubclass(cls, nwb.DynamicTable):
            self._complete_table(cls, given)
        if issubclass(cls, nwb.TimeSeries):
            self._complete_series(cls, given)
        if issubclass(cls, nwb.AlignedDynamicTable):
            given.setdefault("children", [self.make(nwb.DynamicTable)])
        if issubclass(cls, nwb.Images) and "order_of_images" not in given:
            given["order_of_images"] = self.make(
                nwb.ImagesOrderOfImages, array=list(given["children"])
            )
        return cls(**given)

    def linked(self, cls: type[Any]) -> Any:
        """Make an object that others link to, once."""
        if cls not in self._linked:
            self._linked[cls] = self.make(_INSTEAD.get(cls, cls))
        return self._linked[cls]

    # -- which fields, and what goes there -------------------------------------------------------

    def _is_needed(self, cls: type[Any], one: FieldLayout, given: dict[str, Any]) -> bool:
        marker = one.marker
        if isinstance(marker, Value) or one.info.is_required():
            return one.name != "file_create_date"
        if one.name in _also(cls):
            return True
        if isinstance(marker, Members):
            return any(quota.least for quota in marker.quotas)
        if (
            one.name in _FOLLOWS
            or _goes_with_others(cls, one.name)
            or getattr(marker, "fixed", None) is not None
        ):
            return False
        if isinstance(marker, Attr) and marker.of is not None and given.get(marker.of) is None:
            return False
        return self.values.wants(one)

    def _value(self, cls: type[Any], one: FieldLayout) -> Any:
        marker = one.marker
        if isinstance(marker, Link):
            return self.linked(one.types[0])
        if isinstance(marker, Members):
            return [self.make(_INSTEAD.get(one.types[0], one.types[0]))]
        if isinstance(marker, Child):
            return self._child(one)
        assert isinstance(marker, (Attr, Array, Value))
        if marker.shape == ():
            return self.values.scalar(one.name, marker.dtype)
        if one.is_list:
            return [self.values.scalar(one.name, marker.dtype)]
        return self._array(cls, marker.dtype, self._shape(cls, marker.shape))

    def _child(self, one: FieldLayout, **given: Any) -> Any:
        kind = one.types[0]
        name = kind.model_fields.get("name")
        if name is not None and get_origin(name.annotation) is not Literal:
            given["name"] = one.stored
        return self.make(kind, **given)

    def _shape(self, cls: type[Any], dims: Dims) -> tuple[int, ...]:
        if dims is None:
            dims = ("any",)
        if isinstance(dims[0], tuple):
            per_roi = issubclass(cls, nwb.RoiResponseSeriesData)
            dims = dims[-1] if per_roi else self.values.pick(dims)
        first, *rest = dims
        if isinstance(first, int):
            return (first, *self.values.rest(rest))
        in_table = issubclass(cls, (nwb.VectorData, nwb.ElementIdentifiers))
        is_series = first in ("num_times", "frame", "time") and not in_table
        is_image = first in ("x", "height", "width")
        if is_image:
            return self.values.rest(dims)
        if issubclass(cls, nwb.ImageReferences):
            return (max(self.values.rows, 1),)
        lengths = list(self.values.rest(rest))
        for axis, word in enumerate(rest):
            if word == "num_ROIs":
                lengths[axis] = self.values.rows
        return (self.values.times if is_series else self.values.rows, *lengths)

    def _array(self, cls: type[Any], dtype: DTypeSpec, shape: tuple[int, ...]) -> Any:
        if issubclass(cls, nwb.DynamicTableRegion):
            return np.array(self.values.positions(), np.int32)
        if issubclass(cls, nwb.VectorIndex):
            return np.cumsum(self.values.counts(), dtype=np.uint32)
        if isinstance(dtype, tuple):
            members = [(name, self._array(cls, kind, shape)) for name, kind in dtype]
            table = np.empty(shape, [(name, column.dtype) for name, column in members])
            for name, column in members:
                table[name] = column
            return table
        if dtype == "reference":
            targets = np.empty(shape, object)
            kind = nwb.TimeSeries if issubclass(cls, nwb.VectorData) else nwb.GrayscaleImage
            targets.fill(self.linked(kind))
            return targets
        return self.values.array(dtype, shape)

    # -- what spans fields -----------------------------------------------------------------------

    def _complete_series(self, cls: type[Any], given: dict[str, Any]) -> None:
        """Tell the times of samples in one of the two ways."""
        if not {"rate", "starting_time", "timestamps"} & given.keys():
            irregular = issubclass(cls, (nwb.AnnotationSeries, nwb.IntervalSeries))
            if not irregular and self.values.pick([True, False]):
                given["rate"] = self.values.scalar("rate", "float32")
            else:
                given["timestamps"] = self.values.array("float64", (self.values.times,))

    def _complete_table(self, cls: type[Any], given: dict[str, Any]) -> None:
        """Give each ragged column its index, and each table a column."""
        fields = layout_of(cls).fields
        if issubclass(cls, nwb.PlaneSegmentation) and not any(
            name.partition("_")[2].startswith("mask") for name in given
        ):
            kind = self.values.pick(["image_mask", "pixel_mask", "voxel_mask"])
            given[kind] = self._child(fields[kind])
        for name, index in [(n, f"{n}_index") for n in fields if f"{n}_index" in fields]:
            if given.get(name) is not None and given.get(index) is None:
                given[index] = self._child(fields[index], array=self._ends(len(given[name])))
            elif given.get(index) is not None and given.get(name) is None:
                ends = np.asarray(given[index])
                given[name] = self._column(fields[name], int(ends[-1]) if len(ends) else 0)
        has_column = any(
            isinstance(one.marker, Child) and isinstance(given.get(one.name), nwb.VectorData)
            for one in fields.values()
        )
        if not has_column and not given.get("vector_data") and cls.__name__ != "MeaningsTable":
            given["vector_data"] = [self.make(nwb.VectorData)]

    def _ends(self, length: int) -> np.ndarray[Any, Any]:
        """Cut a column of some length into rows."""
        ends = np.cumsum(self.values.counts(), dtype=np.uint32).clip(max=length)
        ends[-1:] = length
        return ends

    def _column(self, one: FieldLayout, length: int) -> Any:
        kind = one.types[0]
        marker = layout_of(kind).value.marker  # type: ignore[union-attr]
        assert isinstance(marker, Value)
        shape = (length, *self._shape(kind, marker.shape)[1:])
        return self._child(one, array=self._array(kind, marker.dtype, shape))


def make(cls: type[M], /, **given: Any) -> M:
    """Make an object of any hand-written model, with sensible defaults.

    What the schema requires is filled in: names, texts, arrays whose axes all differ in length,
    and objects to link to. `make_session_with` puts the object into a session.

    Parameters
    ----------
    cls
        The model.
    given
        Values of fields, to have instead of the defaults.

    Examples
    --------
    >>> from nwb_ophys import TwoPhotonSeries
    >>> make(TwoPhotonSeries, rate=15.0)
    <TwoPhotonSeries TwoPhotonSeries: int16 (7, 3, 4), n.a., 15 Hz>
    """
    return Factory(Sensible()).make(cls, **given)


@cache
def hand_written_models() -> tuple[type[Any], ...]:
    """List the models that objects can be made of, parts of types included, bases first."""
    bases = (ConfiguredBaseModel, nwb.GroupModel, nwb.DatasetModel)
    everything = (getattr(nwb, name) for name in nwb.__all__)
    found = [cls for cls in everything if issubclass(cls, ConfiguredBaseModel) and cls not in bases]
    return tuple(sorted(found, key=lambda cls: len(cls.__mro__)))


# -- sessions around objects ---------------------------------------------------------------------


class _Place(NamedTuple):
    owner: type[Any]
    field: FieldLayout


_GENERAL: Final = (object, nwb.Container, nwb.NWBContainer, nwb.Data, nwb.NWBData)


@cache
def _route(cls: type) -> tuple[_Place, ...]:
    """Find the places that lead from the root of a file to an object of a type, the best way."""
    ways: list[tuple[tuple[Any, ...], tuple[_Place, ...]]] = []
    seen: set[type[Any]] = {nwb.NWBFile}
    queue: list[tuple[type[Any], tuple[_Place, ...]]] = [(nwb.NWBFile, ())]
    for owner, way in queue:
        for one in layout_of(owner).fields.values():
            for kind in _kinds(one):
                here = (*way, _Place(owner, one))
                if _takes(kind, cls):
                    ways.append((_rank(cls, kind, here), here))
                if kind not in _GENERAL:
                    new = [k for k in hand_written_models() if issubclass(k, kind)]
                    queue += [(each, here) for each in new if each not in seen]
                    seen.update(new)
    return min(ways, key=lambda found: found[0])[1]


def _kinds(one: FieldLayout) -> tuple[type[Any], ...]:
    """Give the types that a field takes under any name, or under their own one."""
    if isinstance(one.marker, Members):
        return one.types or (object,)
    named = isinstance(one.marker, Child) and "name" in one.types[0].model_fields
    return () if not named or one.types[0].model_fields["name"].is_required() else one.types


def _takes(kind: type[Any], cls: type[Any]) -> bool:
    is_part = "neurodata_type" not in cls.__dict__
    return kind in (cls, object) if is_part else issubclass(cls, kind)


def _rank(cls: type[Any], kind: type[Any], way: tuple[_Place, ...]) -> tuple[Any, ...]:
    """Say how good a place is: lower is better."""
    general = kind in _GENERAL and kind is not cls
    last = general or way[-1].field.name == "stimulus_template"
    return kind is object, last, len(way), cls.__mro__.index(kind)


def make_session_with(*objects: ConfiguredBaseModel) -> nwb.NWBFile:
    """Make a session that holds objects and all that they link to.

    Each goes where the schema has a place for it: a device among the devices, a channel into an
    imaging plane, which is made for it, with a microscope.

    Parameters
    ----------
    objects
        Authored objects.

    Returns
    -------
    NWBFile
        A session that can be written.
    """
    session = start_session("objects", "A session around some objects.")
    put_into(session, *objects)
    return stamp(session, "objects", [type(one).__name__ for one in objects])


def put_into(session: nwb.NWBFile, *objects: ConfiguredBaseModel) -> None:
    """Put objects, and all that they link to, into a session."""
    factory = Factory(Sensible(numbered=True))
    waiting = list(objects)
    while waiting:
        placed = {id(model) for model in session.walk()}
        model = waiting.pop(0)
        if id(model) not in placed:
            _put(session, model, factory, objects)
        waiting += [
            target
            for found in session.walk()
            for target in _targets(found)
            if id(target) not in placed and target is not model
        ]


def _put(session: nwb.NWBFile, model: Any, factory: Factory, given: Sequence[Any]) -> None:
    _fit(factory, model)
    first, *inner = _route(type(model))  # type: ignore[arg-type]
    item = model
    for place in reversed(inner):
        several = isinstance(place.field.marker, Members)
        members: Any = _companions(item) if several else item
        fields = {place.field.name: members}
        if isinstance(item, nwb.ImagesOrderOfImages):
            fields["children"] = list(dict.fromkeys(item.array))  # type: ignore[call-overload]
        item = factory.make(place.owner, **fields)
    if isinstance(first.field.marker, Members):
        members = getattr(session, first.field.name)
        if not any(item is one for one in given):
            # What was made around an object, or for it to link to, gives way.
            while item.name in members or any(item.name == one.name for one in given):
                item.name += "_"
        members.add(item)
    else:
        setattr(session, first.field.name, item)


def _fit(factory: Factory, model: Any) -> None:
    """Have what is made around a dataset be as long as the dataset is."""
    factory.values.times, factory.values.rows = Sensible.times, Sensible.rows
    shape = model.shape if isinstance(model, nwb.DatasetModel) else ()
    if shape and isinstance(model, (nwb.VectorData, nwb.ElementIdentifiers)):
        factory.values.rows = shape[0]
    elif shape:
        factory.values.times = shape[0]
        factory.values.rows = shape[1] if len(shape) > 1 else 1


def _companions(item: Any) -> list[Any]:
    """List what has to lie beside an object: a column beside its index."""
    target = item.target if isinstance(item, nwb.VectorIndex) else None
    return [item] if target is None else [target, item]


def _targets(model: Any) -> Iterator[Any]:
    """Iterate over the objects that an object links or refers to."""
    for one in layout_of(type(model)).fields.values():
        value = getattr(model, one.name)
        if isinstance(one.marker, (Link, Ref)) and value is not None:
            yield value
        elif isinstance(value, np.ndarray):
            yield from objects_in(value)

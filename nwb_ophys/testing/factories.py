"""Make objects of any hand-written model, following its declarations."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypeVar, get_origin

import numpy as np

from nwb_ophys import models as nwb
from nwb_ophys.dtypes import Dims, DTypeSpec
from nwb_ophys.layout import FieldLayout, layout_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.storage import Array, Attr, Child, Link, Members, Value
from nwb_ophys.testing.values import Sensible, Values

__all__ = ["Factory", "hand_written_models", "make"]

M = TypeVar("M", bound=ConfiguredBaseModel)


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

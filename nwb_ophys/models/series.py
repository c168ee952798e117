"""`TimeSeries` and its parts, and the reference from a table row into a series."""

from typing import Annotated, Any, Literal

import numpy as np

from nwb_ophys.errors import SchemaError
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.columns import COLUMN_AXES, VectorData
from nwb_ophys.models.container import NWBDataInterface
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.group import GroupModel
from nwb_ophys.storage import Array, Attr, Child, Internal, NDArray, Value

__all__ = [
    "DATA_FLAT",
    "TimeSeries",
    "TimeSeriesData",
    "TimeSeriesReferenceVectorData",
    "TimeSeriesStartingTime",
    "TimeSeriesSync",
]

DATA_FLAT = ("unit", "conversion", "offset", "resolution", "continuity")
"""The fields of a series' data that its constructor takes too."""

_ONE_TO_FOUR_AXES = (
    ("num_times",),
    ("num_times", "num_dim2"),
    ("num_times", "num_dim2", "num_dim3"),
    ("num_times", "num_dim2", "num_dim3", "num_dim4"),
)


def no_number(model: ConfiguredBaseModel, field: str, found: str) -> SchemaError:
    """Make the error of a value that is to be reckoned with, and is no number."""
    return SchemaError(
        f"expected numbers, found {found}",
        file=model._file,
        path=model.hdf5_path or model.__dict__.get("name"),
        field=field,
        hint="mend it, or read the stored values as they are",
    )


def number_in(model: ConfiguredBaseModel, field: str, absent: float) -> float:
    """Give a field as a number; files hold some as arrays of one, and some as no numbers at all.

    Raises
    ------
    SchemaError
        Where it is no number.
    """
    value = getattr(model, field)
    if value is None:
        return absent
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or array.size != 1:
        raise no_number(model, field, repr(value))
    return float(array.reshape(()))


class TimeSeriesData(DatasetModel, part=True):
    """The data of a series, with what turns them into a physical quantity.

    Parameters
    ----------
    array
        (time, ...), up to four axes, of any dtype.
    unit
        The unit of ``array * conversion + offset``.
    conversion
        What to multiply the stored values with.
    offset
        What to add after that.
    resolution
        The smallest difference between values that means something; -1 where unknown.
    continuity
        Whether values are ``continuous``, ``instantaneous`` or a ``step`` up to the next.
    """

    name: Annotated[Literal["data"], Internal()] = "data"
    array: Annotated[NDArray | None, Value("any", _ONE_TO_FOUR_AXES)] = None
    unit: Annotated[str, Attr()]
    conversion: Annotated[float | None, Attr("float32")] = 1.0
    offset: Annotated[float | None, Attr("float32")] = 0.0
    resolution: Annotated[float | None, Attr("float32")] = -1.0
    continuity: Annotated[str | None, Attr()] = None

    def to_unit(self, index: Any = slice(None)) -> np.ndarray[Any, Any]:
        """Read data in their unit: ``array[index] * conversion + offset``.

        Parameters
        ----------
        index
            Which part; all where it is left out.

        Raises
        ------
        SchemaError
            Where data, conversion or offset are no numbers.
        """
        if self.dtype.kind not in "biufc":
            raise no_number(self, "array", f"{self.dtype} {self.shape}")
        conversion, offset = number_in(self, "conversion", 1.0), number_in(self, "offset", 0.0)
        result: np.ndarray[Any, Any] = np.asarray(self[index]) * conversion + offset
        return result


class TimeSeriesStartingTime(DatasetModel, part=True):
    """When a regularly sampled series begins, and how often it is sampled.

    Parameters
    ----------
    value
        The time of the first sample, in seconds.
    rate
        Samples per second.
    unit
        Fixed by the schema to "seconds".
    """

    name: Annotated[Literal["starting_time"], Internal()] = "starting_time"
    value: Annotated[float, Value("float64")] = 0.0
    rate: Annotated[float, Attr("float32")]
    unit: Annotated[str | None, Attr(fixed="seconds")] = "seconds"

    @property
    def array(self) -> float:
        """The value, under the name that the data of other models have."""
        return self.value


class TimeSeriesSync(GroupModel, part=True):
    """What the hardware recorded to align the series with others; the schema leaves it open."""

    name: Annotated[Literal["sync"], Internal()] = "sync"


class TimeSeries(NWBDataInterface, schema="core"):
    """Values over time.

    The time of each sample is told either by ``starting_time`` and its ``rate`` or by
    ``timestamps``, in seconds from ``NWBFile.timestamps_reference_time``.

    Parameters
    ----------
    description, comments
        What was recorded, and remarks.
    data
        (time, ...), the values.
    starting_time
        The time of the first sample; a number together with ``rate``.
    timestamps
        (time,), in seconds.
    interval, timestamps_unit
        Fixed by the schema: 1, and seconds.
    control
        (time,), labels to select samples by.
    control_description
        (label,), what each label means.
    sync
        Records of the hardware for alignment.
    """

    description: Annotated[str | None, Attr()] = "no description"
    comments: Annotated[str | None, Attr()] = "no comments"
    data: Annotated[TimeSeriesData, Child(flat=DATA_FLAT)]
    starting_time: Annotated[TimeSeriesStartingTime | None, Child(flat=("rate",))] = None
    timestamps: Annotated[NDArray | None, Array("float64", ("num_times",))] = None
    interval: Annotated[int | None, Attr("int32", of="timestamps", fixed=1)] = 1
    timestamps_unit: Annotated[str | None, Attr(name="unit", of="timestamps", fixed="seconds")] = (
        "seconds"
    )
    control: Annotated[NDArray | None, Array("uint8", ("num_times",))] = None
    control_description: Annotated[NDArray | None, Array("text", ("num_control_values",))] = None
    sync: Annotated[TimeSeriesSync | None, Child()] = None

    @property
    def num_frames(self) -> int:
        """The number of samples along time."""
        if self.timestamps is not None:
            return len(self.timestamps)
        shape = self.data.shape if self.data is not None else ()
        return int(shape[0]) if shape else 0

    def get_timestamps(self, index: Any = slice(None)) -> np.ndarray[Any, Any]:
        """Give the times of samples, in seconds, from ``timestamps`` or from the rate.

        Parameters
        ----------
        index
            Which samples; all where it is left out.

        Raises
        ------
        SchemaError
            Where the series tells its times in neither way, or they are no numbers.
        """
        if self.timestamps is not None:
            if self.timestamps.dtype.kind not in "iuf":
                raise no_number(self, "timestamps", str(self.timestamps.dtype))
            return np.asarray(self.timestamps[index], np.float64)
        start = self.starting_time
        rate = 0.0 if start is None else number_in(start, "rate", 0.0)
        if start is None or not rate:
            raise SchemaError(
                "the series has neither timestamps nor a rate",
                file=self._file,
                path=self.hdf5_path or self.name,
                field="timestamps",
            )
        if isinstance(index, slice):
            samples: Any = np.arange(*index.indices(self.num_frames))
        else:
            samples = np.arange(self.num_frames)[index]
        times: np.ndarray[Any, Any] = number_in(start, "value", 0.0) + samples / rate
        return times

    def to_xarray(self) -> Any:
        """Give the data with named axes, times in seconds as coordinates, units as attributes.

        Needs xarray (``pip install 'nwb-ophys[xarray]'``). Where dask is installed too, stored
        data stay in the file until they are computed; without it they are loaded.

        Returns
        -------
        xarray.DataArray
            With dimensions (time, ...), the values as they are stored: ``conversion`` and
            ``offset`` are attributes.

        Raises
        ------
        SchemaError
            Where the series has no data, or neither timestamps nor a rate.
        """
        import importlib.util

        import xarray

        if self.data is None or self.data._data is None:
            raise SchemaError("the series has no data", path=self.hdf5_path, field="data")
        values: Any = self.data._data
        if hasattr(values, "to_dask") and importlib.util.find_spec("dask") is not None:
            values = values.to_dask()
        times = self.get_timestamps()
        names = self.data._axes()
        told = {name: getattr(self.data, name) for name in ("unit", "conversion", "offset")}
        return xarray.DataArray(
            values,
            dims=("time", *names[1:]),
            coords={"time": ("time", times, {"units": "s"})},
            name=self.name,
            attrs={
                "units": told["unit"],
                **{name: one for name, one in told.items() if name != "unit" and one is not None},
                "description": self.description or "",
            },
        )

    def _summary(self) -> str:
        data = self.data
        parts = [] if data is None else [data._summary(), str(data.unit)]
        start = self.__dict__.get("starting_time")
        if start is not None:
            parts.append(f"{start.rate:g} Hz")
        return ", ".join(parts)


class TimeSeriesReferenceVectorData(VectorData, schema="core"):
    """A column of references into series: from which sample on, how many, of which series.

    Parameters
    ----------
    array
        (row,), compound of ``idx_start``, ``count`` and ``timeseries``, the last a `TimeSeries`.
    """

    name: Annotated[str, Internal()] = "timeseries"
    array: Annotated[
        NDArray | None,
        Value(
            (("idx_start", "int32"), ("count", "int32"), ("timeseries", "reference")),
            COLUMN_AXES,
        ),
    ] = None
    description: Annotated[str, Attr()] = "References into series, by first sample and count."

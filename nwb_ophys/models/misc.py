"""Series of annotations and of intervals."""

from typing import Annotated

from nwb_ophys.models.series import DATA_FLAT, TimeSeries, TimeSeriesData
from nwb_ophys.storage import Attr, Child, NDArray, Value

__all__ = [
    "AnnotationSeries",
    "AnnotationSeriesData",
    "IntervalSeries",
    "IntervalSeriesData",
]


class AnnotationSeriesData(TimeSeriesData, part=True):
    """Annotations as text.

    Parameters
    ----------
    array
        (time,), text.
    unit, resolution
        Fixed by the schema to "n/a" and -1.
    """

    array: Annotated[NDArray | None, Value("text", ("num_times",))] = None
    unit: Annotated[str, Attr(fixed="n/a")] = "n/a"
    resolution: Annotated[float, Attr("float32", fixed=-1.0)] = -1.0


class AnnotationSeries(TimeSeries, schema="core"):
    """Remarks made in the course of a session; the schema prefers an `EventsTable` today.

    Parameters
    ----------
    data
        (time,), what was remarked.
    """

    data: Annotated[AnnotationSeriesData, Child(flat=DATA_FLAT)]


class IntervalSeriesData(TimeSeriesData, part=True):
    """Beginnings and ends.

    Parameters
    ----------
    array
        (time,), above 0 where an interval begins, below 0 where it ends; the number tells kinds
        of intervals apart.
    unit, resolution
        Fixed by the schema to "n/a" and -1.
    """

    array: Annotated[NDArray | None, Value("int8", ("num_times",))] = None
    unit: Annotated[str, Attr(fixed="n/a")] = "n/a"
    resolution: Annotated[float, Attr("float32", fixed=-1.0)] = -1.0


class IntervalSeries(TimeSeries, schema="core"):
    """Intervals as a series of their beginnings and ends.

    Parameters
    ----------
    data
        (time,), which kind of interval begins (above 0) or ends (below 0).
    """

    data: Annotated[IntervalSeriesData, Child(flat=DATA_FLAT)]

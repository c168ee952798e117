"""Tables of intervals of time, and of events."""

from typing import Annotated, Literal

from nwb_ophys.models.columns import COLUMN_AXES, VectorData, VectorIndex
from nwb_ophys.models.series import TimeSeriesReferenceVectorData
from nwb_ophys.models.table import DynamicTable
from nwb_ophys.storage import Attr, Child, Internal, NDArray, Value

__all__ = [
    "DurationVectorData",
    "EventsTable",
    "EventsTableAnnotation",
    "EventsTableDuration",
    "EventsTableTimestamp",
    "TimeIntervals",
    "TimeIntervalsStartTime",
    "TimeIntervalsStopTime",
    "TimeIntervalsTags",
    "TimeIntervalsTagsIndex",
    "TimeIntervalsTimeseriesIndex",
    "TimestampVectorData",
]


class TimeIntervalsStartTime(VectorData, part=True):
    """When each interval begins.

    Parameters
    ----------
    array
        (row,), in seconds.
    """

    name: Annotated[Literal["start_time"], Internal()] = "start_time"
    array: Annotated[NDArray | None, Value("float32", COLUMN_AXES)] = None
    description: Annotated[str, Attr()] = "Start time of each interval, in seconds."


class TimeIntervalsStopTime(VectorData, part=True):
    """When each interval ends.

    Parameters
    ----------
    array
        (row,), in seconds.
    """

    name: Annotated[Literal["stop_time"], Internal()] = "stop_time"
    array: Annotated[NDArray | None, Value("float32", COLUMN_AXES)] = None
    description: Annotated[str, Attr()] = "Stop time of each interval, in seconds."


class TimeIntervalsTags(VectorData, part=True):
    """Words that tell intervals apart, those of one interval after those of the other.

    Parameters
    ----------
    array
        (tag,), text.
    """

    name: Annotated[Literal["tags"], Internal()] = "tags"
    array: Annotated[NDArray | None, Value("text", COLUMN_AXES)] = None
    description: Annotated[str, Attr()] = "Tags of each interval."


class TimeIntervalsTagsIndex(VectorIndex, part=True):
    """Where the tags of each interval end.

    Parameters
    ----------
    array
        (row,), end offsets into ``tags``.
    """

    name: Annotated[Literal["tags_index"], Internal()] = "tags_index"
    description: Annotated[str, Attr()] = "Index for tags"


class TimeIntervalsTimeseriesIndex(VectorIndex, part=True):
    """Where the references of each interval end.

    Parameters
    ----------
    array
        (row,), end offsets into ``timeseries``.
    """

    name: Annotated[Literal["timeseries_index"], Internal()] = "timeseries_index"
    description: Annotated[str, Attr()] = "Index for timeseries"


class TimeIntervals(DynamicTable, schema="core"):
    """A table of intervals of time, one row an interval: trials, epochs, states.

    Parameters
    ----------
    start_time, stop_time
        (row,), when each begins and ends, in seconds.
    tags
        (tag,), words for each interval, concatenated.
    tags_index
        (row,), where the tags of each interval end in ``tags``.
    timeseries
        (reference,), the samples of series that lie in each interval, as first sample, count and
        series, concatenated.
    timeseries_index
        (row,), where the references of each interval end in ``timeseries``.
    """

    start_time: Annotated[TimeIntervalsStartTime, Child()]
    stop_time: Annotated[TimeIntervalsStopTime, Child()]
    tags: Annotated[TimeIntervalsTags | None, Child()] = None
    tags_index: Annotated[TimeIntervalsTagsIndex | None, Child()] = None
    timeseries: Annotated[TimeSeriesReferenceVectorData | None, Child()] = None
    timeseries_index: Annotated[TimeIntervalsTimeseriesIndex | None, Child()] = None


class TimestampVectorData(VectorData, schema="core"):
    """A column of times.

    Parameters
    ----------
    array
        (row,), in seconds from the start of the session, in any order.
    unit
        Fixed by the schema to "seconds".
    resolution
        The smallest difference that the clock tells, in seconds.
    """

    array: Annotated[NDArray | None, Value("float", ("num_times",))] = None
    unit: Annotated[str | None, Attr(fixed="seconds")] = "seconds"
    resolution: Annotated[float | None, Attr("float")] = None


class DurationVectorData(VectorData, schema="core"):
    """A column of durations.

    Parameters
    ----------
    array
        (row,), in seconds.
    unit
        Fixed by the schema to "seconds".
    resolution
        The smallest difference that the clock tells, in seconds.
    """

    array: Annotated[NDArray | None, Value("float", ("num_times",))] = None
    unit: Annotated[str | None, Attr(fixed="seconds")] = "seconds"
    resolution: Annotated[float | None, Attr("float")] = None


class EventsTableTimestamp(TimestampVectorData, part=True):
    """When each event happened.

    Parameters
    ----------
    array
        (row,), in seconds.
    """

    name: Annotated[Literal["timestamp"], Internal()] = "timestamp"
    description: Annotated[str, Attr()] = "Time of each event, in seconds."


class EventsTableDuration(DurationVectorData, part=True):
    """How long each event lasted.

    Parameters
    ----------
    array
        (row,), in seconds; NaN where there is nothing to tell.
    """

    name: Annotated[Literal["duration"], Internal()] = "duration"
    description: Annotated[str, Attr()] = "Duration of each event, in seconds."


class EventsTableAnnotation(VectorData, part=True):
    """A remark on each event.

    Parameters
    ----------
    array
        (row,), text.
    """

    name: Annotated[Literal["annotation"], Internal()] = "annotation"
    array: Annotated[NDArray | None, Value("text", ("num_times",))] = None
    description: Annotated[str, Attr()] = "Annotation of each event."


class EventsTable(DynamicTable, schema="core"):
    """A table of events of one kind, one row an event.

    Parameters
    ----------
    source_description
        Where the events come from, in a few words.
    timestamp
        (row,), when each happened, in seconds.
    duration
        (row,), how long each lasted, in seconds.
    annotation
        (row,), a remark on each.
    """

    source_description: Annotated[str | None, Attr()] = None
    timestamp: Annotated[EventsTableTimestamp, Child()]
    duration: Annotated[EventsTableDuration | None, Child()] = None
    annotation: Annotated[EventsTableAnnotation | None, Child()] = None

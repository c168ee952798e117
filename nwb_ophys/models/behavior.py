"""Behavior: positions and directions, and the collections that say what they are of."""

from typing import Annotated

from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.models.container import NWBDataInterface
from nwb_ophys.models.misc import IntervalSeries
from nwb_ophys.models.series import DATA_FLAT, TimeSeries, TimeSeriesData
from nwb_ophys.storage import Array, Attr, Child, Internal, Members, NDArray, Quota, Value

__all__ = [
    "BehavioralEpochs",
    "BehavioralEvents",
    "BehavioralTimeSeries",
    "CompassDirection",
    "EyeTracking",
    "Position",
    "PupilTracking",
    "SpatialSeries",
    "SpatialSeriesData",
]


class SpatialSeriesData(TimeSeriesData, part=True):
    """Positions or directions.

    Parameters
    ----------
    array
        (time,), or (time, axis) of one to three axes x, y, z, of any numbers.
    unit
        The unit of ``array * conversion + offset``.
    """

    array: Annotated[
        NDArray | None,
        Value("numeric", (("num_times",), ("num_times", 1), ("num_times", 2), ("num_times", 3))),
    ] = None
    unit: Annotated[str | None, Attr(always=True)] = "meters"  # type: ignore[assignment]


class SpatialSeries(TimeSeries, schema="core"):
    """A position or direction over time.

    Parameters
    ----------
    data
        (time,), or (time, axis) of up to three axes.
    reference_frame
        Where the zero position, or the direction of angle zero, is.
    """

    data: Annotated[SpatialSeriesData, Child(flat=DATA_FLAT)]
    reference_frame: Annotated[str | None, Array()] = None


class BehavioralEpochs(NWBDataInterface, schema="core"):
    """Intervals of behavior.

    Parameters
    ----------
    children
        The intervals, one series at least.
    """

    name: Annotated[str, Internal()] = "BehavioralEpochs"
    children: Annotated[Children[IntervalSeries], Members(quotas=(Quota("IntervalSeries"),))] = (
        Field(default_factory=Children)
    )


class BehavioralEvents(NWBDataInterface, schema="core"):
    """Events of behavior; the schema prefers an `EventsTable` today.

    Parameters
    ----------
    children
        The events, one series at least.
    """

    name: Annotated[str, Internal()] = "BehavioralEvents"
    children: Annotated[Children[TimeSeries], Members(quotas=(Quota("TimeSeries"),))] = Field(
        default_factory=Children
    )


class BehavioralTimeSeries(NWBDataInterface, schema="core"):
    """Continuous measures of behavior.

    Parameters
    ----------
    children
        The measures, one series at least.
    """

    name: Annotated[str, Internal()] = "BehavioralTimeSeries"
    children: Annotated[Children[TimeSeries], Members(quotas=(Quota("TimeSeries"),))] = Field(
        default_factory=Children
    )


class PupilTracking(NWBDataInterface, schema="core"):
    """The size of the pupil.

    Parameters
    ----------
    children
        The measures, one series at least.
    """

    name: Annotated[str, Internal()] = "PupilTracking"
    children: Annotated[Children[TimeSeries], Members(quotas=(Quota("TimeSeries"),))] = Field(
        default_factory=Children
    )


class EyeTracking(NWBDataInterface, schema="core"):
    """Where the eyes look.

    Parameters
    ----------
    children
        Directions of gaze, one series at least.
    """

    name: Annotated[str, Internal()] = "EyeTracking"
    children: Annotated[Children[SpatialSeries], Members(quotas=(Quota("SpatialSeries"),))] = Field(
        default_factory=Children
    )


class CompassDirection(NWBDataInterface, schema="core"):
    """The direction that the subject faces or travels in, as an angle in radians or degrees.

    Parameters
    ----------
    children
        The angles, one series at least; their ``reference_frame`` tells where zero is, and which
        way they grow.
    """

    name: Annotated[str, Internal()] = "CompassDirection"
    children: Annotated[Children[SpatialSeries], Members(quotas=(Quota("SpatialSeries"),))] = Field(
        default_factory=Children
    )


class Position(NWBDataInterface, schema="core"):
    """Where the subject is, along one to three axes.

    Parameters
    ----------
    children
        The positions, one series at least.
    """

    name: Annotated[str, Internal()] = "Position"
    children: Annotated[Children[SpatialSeries], Members(quotas=(Quota("SpatialSeries"),))] = Field(
        default_factory=Children
    )

"""The traces of regions of interest."""

from typing import Annotated, Literal

from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.models.container import NWBDataInterface
from nwb_ophys.models.series import DATA_FLAT, TimeSeries, TimeSeriesData
from nwb_ophys.models.table import DynamicTableRegion
from nwb_ophys.storage import Attr, Child, Internal, Members, NDArray, Quota, Value

__all__ = [
    "DfOverF",
    "Fluorescence",
    "RoiResponseSeries",
    "RoiResponseSeriesData",
    "RoiResponseSeriesRois",
]


class RoiResponseSeriesData(TimeSeriesData, part=True):
    """The traces of ROIs.

    Parameters
    ----------
    array
        (time,) of one ROI, or (time, roi), of any numbers.
    """

    array: Annotated[
        NDArray | None, Value("numeric", (("num_times",), ("num_times", "num_ROIs")))
    ] = None


class RoiResponseSeriesRois(DynamicTableRegion, part=True):
    """Which ROIs the traces are of.

    Parameters
    ----------
    array
        (roi,), rows of the segmentation, from 0.
    table
        The `PlaneSegmentation`.
    description
        What the selection is.
    """

    name: Annotated[Literal["rois"], Internal()] = "rois"
    description: Annotated[str, Attr()] = "The ROIs of the traces."


class RoiResponseSeries(TimeSeries, schema="core"):
    """Traces of ROIs over time.

    Parameters
    ----------
    data
        (time, roi), or (time,) of a single ROI.
    rois
        (roi,), the rows of a segmentation that the traces belong to, in their order:
        ``segmentation.create_region()``. A region is copied, so one may serve several series.
    """

    data: Annotated[RoiResponseSeriesData, Child(flat=DATA_FLAT)]
    rois: Annotated[RoiResponseSeriesRois, Child()]


class DfOverF(NWBDataInterface, schema="core"):
    """Traces of relative change, dF/F.

    Parameters
    ----------
    children
        The traces, one series at least.
    """

    name: Annotated[str, Internal()] = "DfOverF"
    children: Annotated[
        Children[RoiResponseSeries], Members(quotas=(Quota("RoiResponseSeries"),))
    ] = Field(default_factory=Children)


class Fluorescence(NWBDataInterface, schema="core"):
    """Traces of fluorescence: raw, of the neuropil, deconvolved.

    Parameters
    ----------
    children
        The traces, one series at least.
    """

    name: Annotated[str, Internal()] = "Fluorescence"
    children: Annotated[
        Children[RoiResponseSeries], Members(quotas=(Quota("RoiResponseSeries"),))
    ] = Field(default_factory=Children)

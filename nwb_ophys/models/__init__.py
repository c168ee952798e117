"""The models of NWB types, each module of them loaded when one of its models is first named."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nwb_ophys.models.aligned import *  # noqa: F403
    from nwb_ophys.models.base import *  # noqa: F403
    from nwb_ophys.models.behavior import *  # noqa: F403
    from nwb_ophys.models.columns import *  # noqa: F403
    from nwb_ophys.models.container import *  # noqa: F403
    from nwb_ophys.models.dataset import *  # noqa: F403
    from nwb_ophys.models.device import *  # noqa: F403
    from nwb_ophys.models.file import *  # noqa: F403
    from nwb_ophys.models.group import *  # noqa: F403
    from nwb_ophys.models.images import *  # noqa: F403
    from nwb_ophys.models.imaging import *  # noqa: F403
    from nwb_ophys.models.intervals import *  # noqa: F403
    from nwb_ophys.models.meanings import *  # noqa: F403
    from nwb_ophys.models.misc import *  # noqa: F403
    from nwb_ophys.models.responses import *  # noqa: F403
    from nwb_ophys.models.segmentation import *  # noqa: F403
    from nwb_ophys.models.series import *  # noqa: F403
    from nwb_ophys.models.table import *  # noqa: F403

_MODULES = {
    "aligned": ("AlignedDynamicTable",),
    "base": (
        "ConfiguredBaseModel",
        "LinkML_Meta",
    ),
    "behavior": (
        "BehavioralEpochs",
        "BehavioralEvents",
        "BehavioralTimeSeries",
        "CompassDirection",
        "EyeTracking",
        "Position",
        "PupilTracking",
        "SpatialSeries",
        "SpatialSeriesData",
    ),
    "columns": (
        "ElementIdentifiers",
        "VectorData",
        "VectorIndex",
    ),
    "container": (
        "Container",
        "Data",
        "NWBContainer",
        "NWBData",
        "NWBDataInterface",
        "SimpleMultiContainer",
    ),
    "dataset": (
        "Dataset",
        "DatasetModel",
    ),
    "device": (
        "Device",
        "DeviceModel",
    ),
    "file": (
        "LabMetaData",
        "NWBFile",
        "ProcessingModule",
        "ScratchData",
        "Subject",
    ),
    "group": (
        "Group",
        "GroupModel",
    ),
    "images": (
        "BaseImage",
        "ExternalImage",
        "GrayscaleImage",
        "Image",
        "ImageMaskSeries",
        "ImageReferences",
        "ImageSeries",
        "ImageSeriesData",
        "Images",
        "ImagesOrderOfImages",
        "IndexSeries",
        "IndexSeriesData",
        "OpticalSeries",
        "OpticalSeriesData",
        "RGBAImage",
        "RGBImage",
    ),
    "imaging": (
        "CorrectedImageStack",
        "ImagingPlane",
        "MotionCorrection",
        "OnePhotonSeries",
        "OpticalChannel",
        "TwoPhotonSeries",
        "TwoPhotonSeriesFieldOfView",
    ),
    "intervals": (
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
    ),
    "meanings": (
        "MeaningsTable",
        "MeaningsTableMeaning",
    ),
    "misc": (
        "AnnotationSeries",
        "AnnotationSeriesData",
        "IntervalSeries",
        "IntervalSeriesData",
    ),
    "responses": (
        "DfOverF",
        "Fluorescence",
        "RoiResponseSeries",
        "RoiResponseSeriesData",
        "RoiResponseSeriesRois",
    ),
    "segmentation": (
        "ImageSegmentation",
        "PlaneSegmentation",
        "PlaneSegmentationImageMask",
        "PlaneSegmentationPixelMask",
        "PlaneSegmentationPixelMaskIndex",
        "PlaneSegmentationVoxelMask",
        "PlaneSegmentationVoxelMaskIndex",
    ),
    "series": (
        "TimeSeries",
        "TimeSeriesData",
        "TimeSeriesReferenceVectorData",
        "TimeSeriesStartingTime",
        "TimeSeriesSync",
    ),
    "table": (
        "DynamicTable",
        "DynamicTableRegion",
    ),
}
HOMES = {name: module for module, names in _MODULES.items() for name in names}
"""The module of each model."""

if not TYPE_CHECKING:  # which takes the names from the imports above
    __all__ = sorted(HOMES)


def __getattr__(name: str) -> Any:
    home = HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    model = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = model
    return model


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})

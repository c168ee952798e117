"""Imaging planes, the movies recorded in them, and their motion correction."""

from typing import Annotated, Literal

from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.models.container import NWBContainer, NWBDataInterface
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.device import Device
from nwb_ophys.models.images import ImageSeries
from nwb_ophys.models.series import TimeSeries
from nwb_ophys.storage import Array, Attr, Child, Internal, Link, Members, NDArray, Quota, Value

__all__ = [
    "CorrectedImageStack",
    "ImagingPlane",
    "MotionCorrection",
    "OnePhotonSeries",
    "OpticalChannel",
    "TwoPhotonSeries",
    "TwoPhotonSeriesFieldOfView",
]

_TWO_OR_THREE = ((2,), (3,))


class OpticalChannel(NWBContainer, schema="core"):
    """A channel in which light of an imaging plane is detected.

    Parameters
    ----------
    description
        What the channel is.
    emission_lambda
        The wavelength that is detected, in nm.
    """

    description: Annotated[str, Array()]
    emission_lambda: Annotated[float, Array("float32")]


class ImagingPlane(NWBContainer, schema="core"):
    """The plane or volume that was imaged, and how.

    Parameters
    ----------
    description
        What the plane is.
    excitation_lambda
        The wavelength of the excitation, in nm.
    imaging_rate
        Frames per second; for a plane whose series does not tell.
    indicator
        The fluorescent indicator, such as "GCaMP6f".
    location
        Where it lies: area, layer, coordinates.
    reference_frame
        What ``origin_coords`` and ``grid_spacing`` are relative to, and where each axis points.
    origin_coords
        (2,) or (3,), the position of the first pixel or voxel along x, y and z.
    origin_coords_unit
        The unit of that.
    grid_spacing
        (2,) or (3,), the distance between pixels or voxels along x, y and z.
    grid_spacing_unit
        The unit of that.
    manifold
        (height, width, 3) or (height, width, depth, 3), the x, y and z position of each pixel.
        Deprecated by the schema in favor of ``origin_coords`` and ``grid_spacing``.
    manifold_conversion, manifold_unit
        What to multiply ``manifold`` with, and the unit of the result.
    children
        The channels in which its light is detected, one at least.
    device
        The microscope.
    """

    description: Annotated[str | None, Array()] = None
    excitation_lambda: Annotated[float, Array("float32")]
    imaging_rate: Annotated[float | None, Array("float32")] = None
    indicator: Annotated[str, Array()]
    location: Annotated[str, Array()]
    reference_frame: Annotated[str | None, Array()] = None
    origin_coords: Annotated[NDArray | None, Array("float32", _TWO_OR_THREE)] = None
    origin_coords_unit: Annotated[str | None, Attr(name="unit", of="origin_coords")] = "meters"
    grid_spacing: Annotated[NDArray | None, Array("float32", _TWO_OR_THREE)] = None
    grid_spacing_unit: Annotated[str | None, Attr(name="unit", of="grid_spacing")] = "meters"
    manifold: Annotated[
        NDArray | None,
        Array("float32", (("height", "width", 3), ("height", "width", "depth", 3))),
    ] = None
    manifold_conversion: Annotated[
        float | None, Attr("float32", name="conversion", of="manifold")
    ] = 1.0
    manifold_unit: Annotated[str | None, Attr(name="unit", of="manifold")] = "meters"
    children: Annotated[Children[OpticalChannel], Members(quotas=(Quota("OpticalChannel"),))] = (
        Field(default_factory=Children)
    )
    device: Annotated[Device, Link()]


class OnePhotonSeries(ImageSeries, schema="core"):
    """A movie from a one-photon microscope.

    Parameters
    ----------
    data
        (time, width, height) or (time, width, height, depth), the frames.
    pmt_gain
        The gain of the photomultiplier.
    scan_line_rate
        Lines scanned per second.
    exposure_time
        How long each frame was exposed, in seconds.
    binning
        How many pixels were combined into one, along each axis.
    power
        The power of the excitation, in mW.
    intensity
        The intensity of the excitation, in mW/mm^2.
    imaging_plane
        What was imaged.
    """

    pmt_gain: Annotated[float | None, Attr("float32")] = None
    scan_line_rate: Annotated[float | None, Attr("float32")] = None
    exposure_time: Annotated[float | None, Attr("float32")] = None
    binning: Annotated[int | None, Attr("uint8")] = None
    power: Annotated[float | None, Attr("float32")] = None
    intensity: Annotated[float | None, Attr("float32")] = None
    imaging_plane: Annotated[ImagingPlane, Link()]


class TwoPhotonSeriesFieldOfView(DatasetModel, part=True):
    """How large the imaged area or volume is.

    Parameters
    ----------
    array
        (2,) or (3,), width, height and, in volumes, depth, in meters.
    """

    name: Annotated[Literal["field_of_view"], Internal()] = "field_of_view"
    array: Annotated[NDArray | None, Value("float32", _TWO_OR_THREE)] = None


class TwoPhotonSeries(ImageSeries, schema="core"):
    """A movie from a two-photon microscope.

    Parameters
    ----------
    data
        (time, width, height) or (time, width, height, depth), the frames; width is the axis
        scanned fast.
    pmt_gain
        The gain of the photomultiplier.
    scan_line_rate
        Lines scanned per second.
    field_of_view
        (2,) or (3,), width, height and, in volumes, depth of what was imaged, in meters.
    imaging_plane
        What was imaged.
    """

    pmt_gain: Annotated[float | None, Attr("float32")] = None
    scan_line_rate: Annotated[float | None, Attr("float32")] = None
    field_of_view: Annotated[TwoPhotonSeriesFieldOfView | None, Child()] = None
    imaging_plane: Annotated[ImagingPlane, Link()]


class CorrectedImageStack(NWBDataInterface, schema="core"):
    """A movie after motion correction, and by how much each frame was moved.

    Parameters
    ----------
    corrected
        The movie with its frames moved into one coordinate system; its name is "corrected".
    xy_translation
        (time, 2), the shift of each frame along x and y; its name is "xy_translation".
    original
        The movie that was corrected.
    """

    corrected: Annotated[ImageSeries, Child()]
    xy_translation: Annotated[TimeSeries, Child()]
    original: Annotated[ImageSeries, Link()]


class MotionCorrection(NWBDataInterface, schema="core"):
    """The results of motion correction.

    Parameters
    ----------
    children
        The corrected movies, one at least.
    """

    name: Annotated[str, Internal()] = "MotionCorrection"
    children: Annotated[
        Children[CorrectedImageStack], Members(quotas=(Quota("CorrectedImageStack"),))
    ] = Field(default_factory=Children)

"""Image stacks over time, and single images."""

import os
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from nwb_ophys.children import Children
from nwb_ophys.models.container import NWBData, NWBDataInterface
from nwb_ophys.models.device import Device
from nwb_ophys.models.series import DATA_FLAT, TimeSeries, TimeSeriesData
from nwb_ophys.storage import Array, Attr, Child, Internal, Link, Members, NDArray, Quota, Value

__all__ = [
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
]

_FRAMES = (("frame", "x", "y"), ("frame", "x", "y", "z"))


class ImageSeriesData(TimeSeriesData, part=True):
    """The frames of an image stack.

    Parameters
    ----------
    array
        (frame, x, y) or (frame, x, y, z), x the width (column) and y the height (row), of any
        numbers; (0, 0, 0) where the frames are in external files.
    """

    array: Annotated[NDArray | None, Value("numeric", _FRAMES)] = None


class ImageSeries(TimeSeries, schema="core"):
    """Images over time: in the file, or in image files that lie beside it.

    With ``external_file`` and without ``data``, the series is one of external files: its data are
    empty, and ``format`` is "external".

    Parameters
    ----------
    data
        (frame, x, y) or (frame, x, y, z), the frames.
    dimension
        (axis,), the number of pixels along x, y and, in volumes, z.
    external_file
        (file,), paths of the files that hold the frames, relative to the NWB file.
    starting_frame
        (file,), which frame of the series each external file begins with, from 0; told by itself
        where there is one file.
    num_samples
        The number of frames in all external files; they are what tells it where times follow from
        a rate.
    format
        "raw" where the frames are in ``data``, "external" where they are in other files.
    device
        What recorded the images.
    """

    data: Annotated[ImageSeriesData, Child(flat=DATA_FLAT)]
    dimension: Annotated[NDArray | None, Array("int32", ("rank",))] = None
    external_file: Annotated[NDArray | None, Array("text", ("num_files",))] = None
    starting_frame: Annotated[NDArray | None, Attr("int32", ("num_files",), of="external_file")] = (
        None
    )
    num_samples: Annotated[int | None, Array("uint32")] = None
    format: Annotated[str | None, Array()] = "raw"
    device: Annotated[Device | None, Link()] = None

    completed: ClassVar[tuple[str, ...]] = ("data",)

    def __init__(self, /, **data: Any) -> None:
        files = data.get("external_file")
        if files is not None:
            data["external_file"] = files = _paths(files)
            if data.get("starting_frame") is None and len(files) == 1:
                data["starting_frame"] = [0]
            if data.get("data") is None:
                data["data"] = np.empty((0, 0, 0), np.uint8)
                data.setdefault("unit", "n.a.")
                data.setdefault("format", "external")
        super().__init__(**data)

    @property
    def num_frames(self) -> int:
        """The number of frames, those in external files included."""
        if self.timestamps is None and self.external_file is not None and self.num_samples:
            return self.num_samples
        return super().num_frames


def _paths(files: Any) -> Any:
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    if isinstance(files, (list, tuple)):
        return [os.fspath(file) if isinstance(file, os.PathLike) else file for file in files]
    return files


class ImageMaskSeries(ImageSeries, schema="core"):
    """Alpha masks laid over presented images; deprecated by the schema.

    Parameters
    ----------
    masked_imageseries
        The images that the masks are laid over.
    """

    masked_imageseries: Annotated[ImageSeries, Link()]


class OpticalSeriesData(ImageSeriesData, part=True):
    """The frames of an optical series.

    Parameters
    ----------
    array
        (frame, x, y) gray values, or (frame, x, y, 3) of red, green and blue.
    """

    array: Annotated[
        NDArray | None, Value("numeric", (("frame", "x", "y"), ("frame", "x", "y", 3)))
    ] = None


class OpticalSeries(ImageSeries, schema="core"):
    """Images that were shown, or recorded through optics whose geometry is known.

    Parameters
    ----------
    data
        (frame, x, y) or (frame, x, y, 3), gray or colored frames.
    distance
        How far the camera or monitor is from the target or eye, in meters.
    field_of_view
        (2,) or (3,), the extent of the image along x, y and, in volumes, z, in meters.
    orientation
        How the image lies in a frame of reference, which is to be named: which way is up.
    """

    data: Annotated[OpticalSeriesData, Child(flat=DATA_FLAT)]
    distance: Annotated[float | None, Array("float32")] = None
    field_of_view: Annotated[NDArray | None, Array("float32", ((2,), (3,)))] = None
    orientation: Annotated[str | None, Array()] = None


class BaseImage(NWBData, schema="core"):
    """One image, wherever it is kept.

    Parameters
    ----------
    description
        What it shows.
    """

    description: Annotated[str | None, Attr()] = None


class Image(BaseImage, schema="core"):
    """One image in the file.

    Parameters
    ----------
    array
        (x, y), or (x, y, 3) and (x, y, 4) with color channels last; x is the width (column),
        y the height (row).
    resolution
        Pixels per centimeter.
    """

    array: Annotated[
        NDArray | None, Value("numeric", (("x", "y"), ("x", "y", 3), ("x", "y", 4)))
    ] = None
    resolution: Annotated[float | None, Attr("float32")] = None


class GrayscaleImage(Image, schema="core"):
    """One image of gray values.

    Parameters
    ----------
    array
        (x, y).
    """

    array: Annotated[NDArray | None, Value("numeric", ("x", "y"))] = None


class RGBImage(Image, schema="core"):
    """One colored image.

    Parameters
    ----------
    array
        (x, y, 3), the last axis red, green and blue.
    """

    array: Annotated[NDArray | None, Value("numeric", ("x", "y", 3))] = None


class RGBAImage(Image, schema="core"):
    """One colored image with transparency.

    Parameters
    ----------
    array
        (x, y, 4), the last axis red, green, blue and alpha.
    """

    array: Annotated[NDArray | None, Value("numeric", ("x", "y", 4))] = None


class ExternalImage(BaseImage, schema="core"):
    """One image in a file of its own.

    Parameters
    ----------
    array
        The path or URI of the image file.
    image_format
        What the file is: "PNG", "JPEG" or "GIF".
    image_mode
        Its color mode, such as "RGB" or "grayscale".
    """

    array: Annotated[str | None, Value("text")] = None  # type: ignore[assignment]
    image_mode: Annotated[str | None, Attr()] = None
    image_format: Annotated[str, Attr()]


class _Order(Value):
    """References given as the images themselves, which numpy would take apart for arrays."""

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        check = super()._validator(annotation)
        return lambda value: check(value if value is None else _as_references(value))


def _as_references(images: Any) -> Any:
    if hasattr(images, "dtype") or isinstance(images, (str, bytes)):
        return images
    items = list(images)
    for item in items:
        if not isinstance(item, BaseImage):
            raise ValueError(f"expected images, found {item!r} of type {type(item).__name__}")
    order = np.empty(len(items), object)
    for position, item in enumerate(items):
        order[position] = item
    return order


class ImageReferences(NWBData, schema="core"):
    """An order of images.

    Parameters
    ----------
    array
        (image,), the images themselves, each a `BaseImage`.
    """

    array: Annotated[NDArray | None, _Order("reference", ("num_images",))] = None


class ImagesOrderOfImages(ImageReferences, part=True):
    """The order of the images of an `Images`: each of them once.

    Parameters
    ----------
    array
        (image,), the images themselves.
    """

    name: Annotated[Literal["order_of_images"], Internal()] = "order_of_images"


class Images(NWBDataInterface, schema="core"):
    """A collection of single images, such as the mean and maximum projections of a movie.

    Parameters
    ----------
    description
        What the images are.
    children
        The images.
    order_of_images
        (image,), the images in the order that an `IndexSeries` counts them in.
    """

    name: Annotated[str, Internal()] = "Images"
    description: Annotated[str, Attr()]
    children: Annotated[Children[BaseImage], Members(quotas=(Quota("BaseImage"),))] = Field(
        default_factory=Children
    )
    order_of_images: Annotated[ImagesOrderOfImages | None, Child()] = None


class IndexSeriesData(TimeSeriesData, part=True):
    """Which image was there at each time.

    Parameters
    ----------
    array
        (time,), positions of images, from 0.
    unit
        Fixed by the schema to "N/A".
    conversion, offset, resolution
        Without meaning here.
    """

    array: Annotated[NDArray | None, Value("uint32", ("num_times",))] = None
    unit: Annotated[str, Attr(fixed="N/A")] = "N/A"
    conversion: Annotated[float | None, Attr("float32")] = None
    offset: Annotated[float | None, Attr("float32")] = None
    resolution: Annotated[float | None, Attr("float32")] = None


class IndexSeries(TimeSeries, schema="core"):
    """Images that were shown one after the other, by their positions in a collection.

    Parameters
    ----------
    data
        (time,), positions in the collection, from 0.
    indexed_timeseries
        The collection as an image stack; the schema prefers ``indexed_images``.
    indexed_images
        The collection, which needs an ``order_of_images``.
    """

    data: Annotated[IndexSeriesData, Child(flat=DATA_FLAT)]
    indexed_timeseries: Annotated[ImageSeries | None, Link()] = None
    indexed_images: Annotated[Images | None, Link()] = None

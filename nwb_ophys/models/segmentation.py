"""Regions of interest, and their masks."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from nwb_ophys.authored import is_stream
from nwb_ophys.children import Children
from nwb_ophys.models.columns import COLUMN_AXES, VectorData, VectorIndex
from nwb_ophys.models.container import NWBDataInterface
from nwb_ophys.models.table import DynamicTable
from nwb_ophys.storage import Attr, Child, Internal, Link, Members, NDArray, Quota, Value

if TYPE_CHECKING:  # they load when a field that names them is touched
    from nwb_ophys.masks import Masks
    from nwb_ophys.models.images import ImageSeries
    from nwb_ophys.models.imaging import ImagingPlane
    from nwb_ophys.models.responses import RoiResponseSeries

__all__ = [
    "ImageSegmentation",
    "PlaneSegmentation",
    "PlaneSegmentationImageMask",
    "PlaneSegmentationPixelMask",
    "PlaneSegmentationPixelMaskIndex",
    "PlaneSegmentationVoxelMask",
    "PlaneSegmentationVoxelMaskIndex",
]


class _Points(Value):
    """The data of a list of weighted points, which also takes them as rows of plain numbers."""

    names: tuple[str, ...] = ()

    def _validator(self, annotation: Any) -> Callable[[Any], Any]:
        check = super()._validator(annotation)
        return lambda value: check(_as_points(value, self.names))


def _points(*axes: str) -> _Points:
    dtype = (*((axis, "uint32") for axis in axes), ("weight", "float32"))
    return _Points(dtype, COLUMN_AXES, names=(*axes, "weight"))


def _as_points(value: Any, names: tuple[str, ...]) -> Any:
    if value is None or is_stream(value):
        return value
    if hasattr(value, "dtype") and not isinstance(value, np.ndarray):
        return value
    wanted = f"expected rows of ({', '.join(names)}), those of all ROIs one after the other"
    try:
        rows = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{wanted}, found rows of unequal length; masks one ROI at a time are given to "
            "add_column(..., index=True)"
        ) from None
    if rows.dtype.names is not None:
        return rows
    if rows.size == 0:
        rows = np.empty((0, len(names)), np.float32)
    if rows.ndim != 2 or rows.shape[1] != len(names) or rows.dtype.kind not in "iuf":
        raise ValueError(f"{wanted}, found {rows.dtype.name} of shape {rows.shape}")
    return _to_compound(rows, names, keep_weight=isinstance(value, np.ndarray))


def _to_compound(
    rows: np.ndarray[Any, Any], names: tuple[str, ...], *, keep_weight: bool
) -> np.ndarray[Any, Any]:
    # Weights of a float array keep their precision; lists are brought to what the schema asks.
    wide = keep_weight and rows.dtype == np.float64
    dtypes = [(name, "uint32") for name in names[:-1]]
    points = np.empty(len(rows), [*dtypes, (names[-1], "float64" if wide else "float32")])
    for axis, name in enumerate(names[:-1]):
        positions = rows[:, axis]
        whole = (positions >= 0) & (positions <= 0xFFFFFFFF)
        if not (whole.all() and np.array_equal(positions, np.floor(positions))):
            raise ValueError(f"member {name!r}: expected positions, whole numbers from 0")
        points[name] = positions
    points[names[-1]] = rows[:, -1]
    return points


class PlaneSegmentationImageMask(VectorData, part=True):
    """One mask image a ROI, each as large as the imaging plane.

    Parameters
    ----------
    array
        (roi, x, y) or (roi, x, y, z), weights that are not 0 within the ROI; x is the width
        (column), y the height (row).
    description
        What the weights mean.
    """

    name: Annotated[Literal["image_mask"], Internal()] = "image_mask"
    array: Annotated[
        NDArray | None,
        Value("any", (("num_roi", "num_x", "num_y"), ("num_roi", "num_x", "num_y", "num_z"))),
    ] = None
    description: Annotated[str, Attr()] = "One mask image for each ROI."


class PlaneSegmentationPixelMask(VectorData, part=True):
    """The pixels of the ROIs, those of one ROI after those of the other.

    Parameters
    ----------
    array
        (pixel,), compound of ``x``, ``y`` and ``weight``; x indexes the width (column), y the
        height (row). Rows of three plain numbers are taken too.
    description
        What the weights mean.
    """

    name: Annotated[Literal["pixel_mask"], Internal()] = "pixel_mask"
    array: Annotated[NDArray | None, _points("x", "y")] = None
    description: Annotated[str, Attr()] = "Pixels and their weights for each ROI."


class PlaneSegmentationPixelMaskIndex(VectorIndex, part=True):
    """Where the pixels of each ROI end.

    Parameters
    ----------
    array
        (roi,), end offsets into ``pixel_mask``.
    """

    name: Annotated[Literal["pixel_mask_index"], Internal()] = "pixel_mask_index"
    description: Annotated[str, Attr()] = "Index for pixel_mask"


class PlaneSegmentationVoxelMask(VectorData, part=True):
    """The voxels of the ROIs, those of one ROI after those of the other.

    Parameters
    ----------
    array
        (voxel,), compound of ``x``, ``y``, ``z`` and ``weight``. Rows of four plain numbers are
        taken too.
    description
        What the weights mean.
    """

    name: Annotated[Literal["voxel_mask"], Internal()] = "voxel_mask"
    array: Annotated[NDArray | None, _points("x", "y", "z")] = None
    description: Annotated[str, Attr()] = "Voxels and their weights for each ROI."


class PlaneSegmentationVoxelMaskIndex(VectorIndex, part=True):
    """Where the voxels of each ROI end.

    Parameters
    ----------
    array
        (roi,), end offsets into ``voxel_mask``.
    """

    name: Annotated[Literal["voxel_mask_index"], Internal()] = "voxel_mask_index"
    description: Annotated[str, Attr()] = "Index for voxel_mask"


class PlaneSegmentation(DynamicTable, schema="core"):
    """A table of regions of interest in an imaging plane, one row a ROI.

    Masks are given in one way at least; `masks` is one view of them all, and `from_masks` makes a
    table of whatever they are.

    Parameters
    ----------
    image_mask
        (roi, x, y) or (roi, x, y, z), one image a ROI.
    pixel_mask
        (pixel,), the pixels of all ROIs as ``x``, ``y``, ``weight``.
    pixel_mask_index
        (roi,), where the pixels of each ROI end in ``pixel_mask``.
    voxel_mask
        (voxel,), the voxels of all ROIs as ``x``, ``y``, ``z``, ``weight``.
    voxel_mask_index
        (roi,), where the voxels of each ROI end in ``voxel_mask``.
    reference_images
        Image stacks that the masks fit on.
    imaging_plane
        The plane that the ROIs lie in.
    """

    image_mask: Annotated[PlaneSegmentationImageMask | None, Child()] = None
    pixel_mask: Annotated[PlaneSegmentationPixelMask | None, Child()] = None
    pixel_mask_index: Annotated[PlaneSegmentationPixelMaskIndex | None, Child()] = None
    voxel_mask: Annotated[PlaneSegmentationVoxelMask | None, Child()] = None
    voxel_mask_index: Annotated[PlaneSegmentationVoxelMaskIndex | None, Child()] = None
    reference_images: Annotated[
        Children["ImageSeries"], Members("reference_images", always=True)
    ] = Field(default_factory=Children)
    imaging_plane: Annotated["ImagingPlane", Link()]

    @property
    def masks(self) -> "Masks":
        """The masks, in one view of whatever is stored; nothing is read yet.

        Pixels come before voxels and voxels before images, where there are several;
        ``masks.using("image")`` chooses. Positions are those that are stored: some writers have
        rows for x, which `nwb_ophys.read_segmentation` knows.

        Raises
        ------
        SchemaError
            Where there are none.
        """
        from nwb_ophys.masks import Masks
        from nwb_ophys.masks.stored import StoredMasks

        return Masks(StoredMasks(self))

    @classmethod
    def from_masks(
        cls,
        masks: Any,
        *,
        name: str = "PlaneSegmentation",
        description: str,
        imaging_plane: "ImagingPlane",
        kind: str | Sequence[str] | None = None,
        axes: str = "xy",
        shape: Sequence[int] | None = None,
        **fields: Any,
    ) -> Self:
        """Make a table of masks, however they are given.

        Parameters
        ----------
        masks
            (roi, x, y) or (roi, x, y, z) images; an (x, y) image of integer labels, 0 where there
            is no ROI; a scipy.sparse matrix, (roi, pixel), pixels in C order of ``shape``; a list
            with the (pixel, 3) or (pixel, 4) numbers of each ROI, the position and the weight, or
            compound arrays of them; other `Masks`.
        name, description, imaging_plane, fields
            Those of the table.
        kind
            How to store them: "pixel", "voxel", "image", or several; pixels, or voxels in volumes,
            where None.
        axes
            The order of the spatial axes of ``masks`` and ``shape``: "xy", or "yx" for images that
            are (row, column); z comes last, or where a text of three letters says.
        shape
            The number of pixels along each axis; images of masks need it, where they are made of
            pixels.

        Raises
        ------
        SchemaError
            Where the masks are something else, reach beyond the shape, or have weights that are
            not finite.
        """
        from nwb_ophys.masks.tables import put_masks

        table = cls(name=name, description=description, imaging_plane=imaging_plane, **fields)
        put_masks(table, masks, kind, axes, shape)
        return table

    def responses(self) -> list["RoiResponseSeries"]:
        """Find the traces of these ROIs: the series whose ``rois`` are rows of this table.

        Those of a table that `select` made are not in a session yet.
        """
        from nwb_ophys.masks.tables import responses_of

        return responses_of(self)

    def select(self, rows: Any, *, name: str | None = None) -> Self:
        """Make a table of some of the ROIs, with their masks, columns and traces.

        The traces of `responses` are cut to the same ROIs; ``responses()`` of the new table gives
        them. Table and traces are new objects, to be added to a session.

        Parameters
        ----------
        rows
            Which ROIs: a mask of booleans, positions, or a slice.
        name
            The name of the new table; the same where None.

        Raises
        ------
        SchemaError
            Where the rows are not those of the table.
        """
        from nwb_ophys.masks.tables import select_rows

        return select_rows(self, rows, name or self.name)


class ImageSegmentation(NWBDataInterface, schema="core"):
    """The segmentations of imaging planes.

    Parameters
    ----------
    children
        The segmentations, one at least.
    """

    name: Annotated[str, Internal()] = "ImageSegmentation"
    children: Annotated[
        Children[PlaneSegmentation], Members(quotas=(Quota("PlaneSegmentation"),))
    ] = Field(default_factory=Children)

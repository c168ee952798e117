"""`Segmentation`: the result of segmenting one imaging plane or volume."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from nwb_ophys.errors import SchemaError
from nwb_ophys.masks import Masks, parse_masks
from nwb_ophys.masks.basics import whole_axes
from nwb_ophys.segmentation.checking import (
    as_array,
    as_column,
    as_mapping,
    check_rows,
    check_times,
    check_trace,
    reasons_of,
    shown,
)

__all__ = ["IMAGE_NAMES", "TRACES", "Segmentation"]

Array: TypeAlias = "np.ndarray[Any, Any]"

TRACES: Final = ("fluorescence", "neuropil", "dff", "deconvolved")
"""The fields that hold traces of a kind that NWB has a place for."""

IMAGE_NAMES: Final = {
    "meanImg": "mean",
    "max_proj": "max",
    "Vcorr": "correlation",
    "meanImg_chan2": "mean_chan2",
}
"""suite2p's names of summary images, which its reader looks for, and ours."""


class Segmentation(BaseModel):
    """The result of segmenting one imaging plane or volume: masks, traces, images.

    It is no NWB type: `nwb_ophys.write_segmentation` puts it into a file, and
    `nwb_ophys.read_segmentation` finds it there, whoever wrote it. It cannot be changed; `replace`
    makes another one, which is checked as well.

    Parameters
    ----------
    masks
        (roi, x, y) or (roi, x, y, z) images; an (x, y) image of integer labels, 0 where there is
        no ROI; a scipy.sparse matrix, (roi, pixel), pixels in C order of ``shape``; a list with the
        (pixel, 3) or (pixel, 4) numbers of each ROI, the position and the weight; `Masks`. Held as
        `Masks`.
    axes
        The order of the spatial axes of masks, images and ``shape``: "xy", or "yx" where they are
        (row, column), as suite2p, CaImAn and tifffile give them; z comes last, or where a text of
        three letters says.
    shape
        The number of pixels along each axis, where neither masks nor images tell.
    fluorescence, neuropil, dff, deconvolved
        (time, roi), the traces, of any numbers.
    traces
        Further traces by name, each (time, roi), such as those of a second channel.
    accepted
        (roi,), which ROIs are cells.
    columns
        Further values by name, one a ROI, such as a signal to noise ratio.
    images
        Summary images by name, such as "mean", "max" and "correlation"; (x, y), or in volumes also
        (x, y, z).
    rate
        Samples per second.
    starting_time
        The time of the first sample, in seconds. Where it is not told it is that of the movie
        that the result is written beside, if that is as long; else 0.
    timestamps
        (time,), the time of each sample in seconds, instead of a rate.
    ids
        (roi,), the identifiers of the ROIs.
    description
        How the ROIs were found.
    background
        Components of the background, as CaImAn has them, with masks and traces of their own.
    notes
        What was done to data on the way in, such as a writer that was recognised.

    Raises
    ------
    pydantic.ValidationError
        A ValueError that names each field that is wrong, and what it disagrees with.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", frozen=True, defer_build=True
    )

    masks: Masks
    axes: str = "xy"
    shape: tuple[int, ...] | None = None
    fluorescence: Any = None
    neuropil: Any = None
    dff: Any = None
    deconvolved: Any = None
    traces: dict[str, Any] = Field(default_factory=dict)
    accepted: Any = None
    columns: dict[str, Any] = Field(default_factory=dict)
    images: dict[str, Any] = Field(default_factory=dict)
    rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    starting_time: float | None = Field(default=None, allow_inf_nan=False)
    timestamps: Any = None
    ids: Any = None
    description: str = ""
    background: Segmentation | None = None
    notes: tuple[str, ...] = ()

    if TYPE_CHECKING:  # what the constructor takes is more than what the fields hold

        def __init__(
            self,
            *,
            masks: Any,
            axes: str = ...,
            shape: Sequence[int] | None = ...,
            fluorescence: Any = ...,
            neuropil: Any = ...,
            dff: Any = ...,
            deconvolved: Any = ...,
            traces: Mapping[str, Any] = ...,
            accepted: Any = ...,
            columns: Mapping[str, Any] = ...,
            images: Mapping[str, Any] = ...,
            rate: float | None = ...,
            starting_time: float | None = ...,
            timestamps: Any = ...,
            ids: Any = ...,
            description: str = ...,
            background: Segmentation | None = ...,
            notes: Sequence[str] = ...,
        ) -> None: ...

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @model_validator(mode="before")
    @classmethod
    def _bring_to_form(cls, data: Any) -> Any:
        """Bring what was given to the form that is held."""
        if not isinstance(data, dict) or "masks" not in data:
            return data
        data = dict(data)
        shape = data.get("shape")
        flat = parse_masks(data["masks"], data.get("axes") or "xy", shape)
        data["axes"] = flat.axes
        for name in (*TRACES, "accepted", "timestamps", "ids"):
            if data.get(name) is not None:
                data[name] = as_array(data[name], name)
        for name in TRACES:
            if data.get(name) is not None and len(data[name].shape) == 1 and len(flat) == 1:
                data[name] = np.asarray(data[name])[:, None]
        for name in ("traces", "images"):
            given = as_mapping(data.get(name), name)
            data[name] = {key: as_array(one, f"{name}[{key!r}]") for key, one in given.items()}
        data["images"] = {IMAGE_NAMES.get(key, key): one for key, one in data["images"].items()}
        columns = as_mapping(data.get("columns"), "columns")
        data["columns"] = {key: as_column(one, key) for key, one in columns.items()}
        if flat.shape is None:
            shapes = {tuple(one.shape[: flat.ndim]) for one in data["images"].values()}
            if len(shapes) == 1 and len(min(shapes)) == flat.ndim:
                flat = flat.shaped(shapes.pop())
        data["masks"] = Masks.of(flat)
        data["shape"] = flat.shape
        return data

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Check the arrays against one another."""
        count = len(self.masks)
        samples: tuple[str, int] | None = None
        if self.timestamps is not None:
            samples = ("timestamps", check_times(self.timestamps))
        if self.timestamps is not None and self.rate is not None:
            raise SchemaError("expected either a rate or timestamps, found both")
        for name, trace in self.all_traces():
            check_trace(name, trace, count)
            if samples is not None and trace.shape[0] != samples[1]:
                raise SchemaError(
                    f"{name} has {trace.shape[0]} samples, but {samples[0]} has {samples[1]}"
                )
            samples = samples or (name, trace.shape[0])
        if self.accepted is not None:
            check_rows("accepted", self.accepted, count, ndim=1)
            kind = np.dtype(self.accepted.dtype).kind
            values = np.asarray(self.accepted)
            if kind not in "bui" and not (kind == "f" and np.isin(values, (0, 1)).all()):
                raise SchemaError(f"accepted: expected True and False, found {self.accepted.dtype}")
            object.__setattr__(self, "accepted", values.astype(bool))
        if self.ids is not None:
            check_rows("ids", self.ids, count, ndim=1)
            if np.dtype(self.ids.dtype).kind not in "iu":
                raise SchemaError(f"ids: expected whole numbers, found {self.ids.dtype}")
        for name, column in self.columns.items():
            if len(column) != count:
                raise SchemaError(
                    f"columns[{name!r}] has {len(column)} rows, but masks has {count} ROIs"
                )
        for name, image in self.images.items():
            self._check_image(name, image)
        return self

    def _check_image(self, name: str, image: Any) -> None:
        shape = tuple(image.shape)
        if self.shape is None:
            return
        axes = self.axes
        planar = tuple(size for axis, size in zip(axes, self.shape, strict=True) if axis != "z")
        if shape in (self.shape, planar) or (len(axes) == 2 and shape[:-1] == planar):
            return
        turned = shape[:2] == planar[::-1]
        raise SchemaError(
            f"images[{name!r}] is {shown(shape)}, but the masks are {shown(self.shape)} "
            f"({', '.join(axes)})",
            hint="are its axes exchanged? all are in the order of axes=" if turned else None,
        )

    # -- looking -------------------------------------------------------------------------------

    def all_traces(self) -> list[tuple[str, Any]]:
        """List all traces that there are, with their names."""
        named = [(name, getattr(self, name)) for name in TRACES]
        named += [(f"traces[{name!r}]", trace) for name, trace in self.traces.items()]
        return [(name, trace) for name, trace in named if trace is not None]

    @property
    def num_samples(self) -> int | None:
        """The number of samples of the traces; None where there are neither traces nor times."""
        for _, trace in self.all_traces():
            return int(trace.shape[0])
        return None if self.timestamps is None else len(self.timestamps)

    def get_timestamps(self) -> Array:
        """Give the time of each sample in seconds.

        Raises
        ------
        SchemaError
            Where neither timestamps nor a rate tell.
        """
        if self.timestamps is not None:
            return np.asarray(self.timestamps, np.float64)
        if self.rate is None:
            raise SchemaError("there are neither timestamps nor a rate")
        times: Array = (self.starting_time or 0.0) + np.arange(self.num_samples or 0) / self.rate
        return times

    def __len__(self) -> int:
        """Count the ROIs."""
        return len(self.masks)

    def __repr__(self) -> str:
        parts = [f"{len(self)} ROIs"]
        if self.shape is not None:
            parts[0] += f" in {shown(self.shape)} ({self.axes})"
        parts += [name for name, _ in self.all_traces()]
        if self.num_samples is not None:
            rate = f" at {self.rate:g} Hz" if self.rate is not None else ""
            parts.append(f"{self.num_samples} samples{rate}")
        return f"<Segmentation: {', '.join(parts)}>"

    __str__ = __repr__

    # -- making others -------------------------------------------------------------------------

    def replace(self, **changes: Any) -> Self:
        """Make another one with some fields changed; it is checked as a whole."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**values, **changes})

    def select(self, rows: Any) -> Self:
        """Make one of some of the ROIs: a mask of booleans such as ``accepted``, or positions."""
        try:
            chosen = np.atleast_1d(np.arange(len(self))[rows])
        except IndexError as error:
            raise SchemaError(f"expected rows of the {len(self)} ROIs: {error}") from error
        changes: dict[str, Any] = {
            name: None if (trace := getattr(self, name)) is None else trace[:, chosen]
            for name in TRACES
        }
        changes["traces"] = {name: trace[:, chosen] for name, trace in self.traces.items()}
        changes["columns"] = {
            name: [column[int(row)] for row in chosen]
            if isinstance(column, list)
            else column[chosen]
            for name, column in self.columns.items()
        }
        ids = np.arange(len(self)) if self.ids is None else np.asarray(self.ids)
        accepted = None if self.accepted is None else self.accepted[chosen]
        return self.replace(masks=self.masks[chosen], ids=ids[chosen], accepted=accepted, **changes)

    def transposed(self, axes: str) -> Self:
        """Make the same with the spatial axes in another order, such as "yx"."""
        axes = whole_axes(axes, len(self.axes))
        order = [self.axes.index(axis) for axis in axes]
        planar = [axis for axis in self.axes if axis != "z"]
        flat = [planar.index(axis) for axis in axes if axis != "z"]
        images = {}
        for name, image in self.images.items():
            whole = np.asarray(image)
            volume = len(axes) == 3 and whole.ndim == 3
            images[name] = whole.transpose(order if volume else [*flat, *range(2, whole.ndim)])
        shape = None if self.shape is None else tuple(self.shape[one] for one in order)
        background = None if self.background is None else self.background.transposed(axes)
        return self.replace(
            masks=self.masks.transposed(axes),
            axes=axes,
            shape=shape,
            images=images,
            background=background,
        )

    @classmethod
    def from_arrays(cls, masks: Any, **fields: Any) -> Self:
        """Make one of arrays; the same as the constructor."""
        return cls(masks=masks, **fields)

    @classmethod
    def from_suite2p(
        cls, folder: str | os.PathLike[str], *, plane: int | str | None = None
    ) -> Self:
        """Import what suite2p left in a folder.

        Parameters
        ----------
        folder
            A folder such as ``suite2p/plane0`` or ``suite2p/combined``, or the one above.
            From the latter all planes are taken: where there are several, as one volume, in which
            z counts the planes.
        plane
            Which plane to take from the folder above: a number, or "combined".

        Raises
        ------
        FileMissingError
            Where the folder, or a file in it that is needed, is not there.
        UnsafePickleError
            Where a file would run code when it is loaded.
        SchemaError
            Where the files disagree with one another.
        """
        from nwb_ophys.segmentation.suite2p import import_suite2p

        return cls._imported(folder, import_suite2p(folder, plane))

    @classmethod
    def from_caiman(cls, path: str | os.PathLike[str]) -> Self:
        """Import what CaImAn saved with ``cnm.save("results.hdf5")``.

        ``fluorescence`` is C + YrA (the components and their residuals), ``traces["denoised"]`` C,
        ``deconvolved`` S; components of the background are in ``background``.

        Parameters
        ----------
        path
            The HDF5 file.

        Raises
        ------
        FileMissingError, NotNWBError
            Where there is no such file, or it is none of CaImAn's.
        """
        from nwb_ophys.segmentation.caiman import import_caiman

        return cls._imported(path, import_caiman(path))

    @classmethod
    def from_labels(cls, labels: Any, *, axes: str = "yx", **fields: Any) -> Self:
        """Make one of an image of labels, as cellpose and others give it.

        Parameters
        ----------
        labels
            (row, column) or (plane, row, column) whole numbers, 0 where there is no ROI; or the
            path of a TIFF (needs tifffile), a ``.npy``, or cellpose's ``_seg.npy``. The labels
            become ``ids``.
        axes
            The order of its axes; "yx" stands for (plane, row, column) where there are three.
        fields
            Further fields: traces, one for each label in rising order, images, ``rate``.

        Raises
        ------
        FileMissingError
            Where there is no such file.
        SchemaError
            Where there are no whole numbers from 0 in it.
        """
        from nwb_ophys.segmentation.labels import import_labels

        file = labels if isinstance(labels, (str, os.PathLike)) else None
        return cls._imported(file, {**import_labels(labels, axes), **fields})

    @classmethod
    def _imported(cls, file: str | os.PathLike[str] | None, values: dict[str, Any]) -> Self:
        try:
            return cls(**values)
        except ValidationError as error:
            raise SchemaError(reasons_of(error), file=file) from error

"""Rules that a whole file is judged by, beyond those that an authored session must follow.

What breaks one that is an error is wrong, though PyNWB's validator does not look for it. Warnings
and hints are about what readers stumble over, and about what helps others to use the data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from nwb_ophys.checks import Finding, length_of, rule, shape_of, values_of
from nwb_ophys.hdf5.streaming import blocks_of
from nwb_ophys.models.base import ConfiguredBaseModel
from nwb_ophys.models.dataset import DatasetModel
from nwb_ophys.models.file import NWBFile, Subject
from nwb_ophys.models.group import GroupModel
from nwb_ophys.models.images import ImageSeries
from nwb_ophys.models.imaging import ImagingPlane, OpticalChannel
from nwb_ophys.models.responses import RoiResponseSeries
from nwb_ophys.models.segmentation import PlaneSegmentation
from nwb_ophys.models.series import TimeSeries, TimeSeriesData
from nwb_ophys.models.table import DynamicTable

__all__ = ["best_practice"]

best_practice = partial(rule, authored=False)
"""Enter a rule that does not keep a session from being written."""

_BLOCK = "16 MB"


# -- optical physiology -----------------------------------------------------------------------


@best_practice(RoiResponseSeries, mend="store data as (time, roi), with one column for each ROI")
def traces_have_their_rois(series: RoiResponseSeries) -> Iterator[Finding]:
    """There is one trace for each region of interest that the series refers to."""
    shape = shape_of(series.data)
    rois = length_of(series.rois) if series.rois is not None else None
    if rois is None or not shape:
        return
    found = shape[1] if len(shape) > 1 else 1
    if found != rois:
        turned = "; the axes may be the wrong way round" if shape[0] == rois else ""
        yield "data", f"expected traces of {rois} ROIs, found shape {shape}{turned}"


@best_practice(PlaneSegmentation, mend="check the order of x and y, and the size of the movie")
def masks_lie_within_the_image(table: PlaneSegmentation) -> Iterator[Finding]:
    """Pixels of masks are pixels of the frames, and images of masks have their size."""
    from nwb_ophys.masks.stored import plane_shape

    frame = plane_shape(table)
    image = shape_of(table.image_mask)
    if frame and image and len(image) == len(frame) + 1 and image[1:] != frame:
        yield "image_mask", f"expected images of {frame} pixels, as the movie, found {image[1:]}"
    size = frame or (image[1:] if len(image) in (3, 4) else None)
    for name in ("pixel_mask", "voxel_mask"):
        column = getattr(table, name)
        data = getattr(column, "array", None)
        if data is None or getattr(data, "dtype", None) is None or data.dtype.names is None:
            continue
        yield from _within(name, data, size)


def _within(name: str, data: Any, size: tuple[int, ...] | None) -> Iterator[Finding]:
    axes = [axis for axis in ("x", "y", "z") if axis in data.dtype.names]
    for block in _blocks(data):
        for axis, length in zip(axes, size or (), strict=False):
            if block[axis].size and block[axis].max() >= length:
                yield (
                    name,
                    f"expected {axis} from 0 to {length - 1}, within an image of {size} pixels, "
                    f"found {block[axis].max()}",
                )
                return
        if "weight" in data.dtype.names and not np.isfinite(block["weight"]).all():
            yield name, "expected weights that are numbers, found NaN or infinity"
            return


def _blocks(data: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(data, np.ndarray):
        yield data
    elif data.shape and data.shape[0]:
        yield from blocks_of(data, _BLOCK, 0, False, "")


@best_practice(ImagingPlane, OpticalChannel, severity="warning", mend="give it in nanometers")
def wavelengths_are_nanometers(model: Any) -> Iterator[Finding]:
    """Wavelengths are in nanometers, so between 100 and 10,000."""
    for name in ("excitation_lambda", "emission_lambda"):
        value = getattr(model, name, None)
        if isinstance(value, (int, float)) and not 100 <= value <= 10_000:
            yield name, f"expected nanometers, found {value!r}"


@best_practice(ImageSeries, severity="warning", mend="put the files where their paths lead")
def external_files_are_there(series: ImageSeries) -> Iterator[Finding]:
    """External files lie where the series says, seen from the folder of the NWB file."""
    binding = series._binding
    if series.external_file is None or binding is None:
        return
    folder = os.path.dirname(os.path.abspath(binding.file))
    for file in np.atleast_1d(np.asarray(series.external_file, object)).tolist():
        name = str(file)
        if "://" not in name and not os.path.exists(os.path.join(folder, name)):
            yield "external_file", f"expected a file, found none at {name!r}"


@best_practice(ImageSeries, severity="warning", mend="correct num_samples, or the timestamps")
def samples_are_counted(series: ImageSeries) -> Iterator[Finding]:
    """``num_samples`` is the number of samples."""
    count = series.num_samples
    there = length_of(series.timestamps)
    if there is None and series.external_file is None:
        there = length_of(series.data)
    if isinstance(count, int) and there is not None and count != there:
        yield "num_samples", f"expected {there}, as there are, found {count}"


# -- series and tables ------------------------------------------------------------------------


@best_practice(TimeSeries, mend="write the times of samples in seconds, in their order")
def timestamps_are_times(series: TimeSeries) -> Iterator[Finding]:
    """Timestamps are numbers."""
    times = values_of(series.timestamps) if series.timestamps is not None else None
    if times is not None and times.dtype.kind == "f" and not np.isfinite(times).all():
        yield "timestamps", "expected times, found NaN or infinity"


@best_practice(TimeSeries, severity="warning", mend="sort samples by time")
def timestamps_increase(series: TimeSeries) -> Iterator[Finding]:
    """Timestamps never go back."""
    times = values_of(series.timestamps) if series.timestamps is not None else None
    if times is not None and times.ndim == 1 and times.dtype.kind in "iuf":
        back = np.flatnonzero(np.diff(times) < 0)
        if back.size:
            row = int(back[0]) + 1
            yield "timestamps", f"expected times that never go back, found {times[row]} in {row}"


@best_practice(TimeSeries, severity="warning", mend="give the sampling rate in Hz")
def rates_are_positive(series: TimeSeries) -> Iterator[Finding]:
    """Rates of 0 tell no times of several samples."""
    start = series.starting_time
    if start is not None and start.rate == 0 and (length_of(series.data) or 0) > 1:
        yield "rate", "expected more than 0 Hz, found 0"


@best_practice(TimeSeriesData, severity="warning", mend="give what turns the data into their unit")
def conversions_convert(data: TimeSeriesData) -> Iterator[Finding]:
    """Conversions are numbers, and not 0, which loses the data."""
    for name in ("conversion", "offset"):
        value = getattr(data, name)
        if isinstance(value, float) and not np.isfinite(value):
            yield name, f"expected a number, found {value}"
    if data.conversion == 0:
        yield "conversion", "expected another factor than 0, found 0"


@best_practice(DynamicTable, mend="number the rows: 0, 1, 2, ...")
def rows_have_ids(table: DynamicTable) -> Iterator[Finding]:
    """Tables have a column of ids."""
    if table.id is None:
        yield "id", "expected an id for each row, found none"


@best_practice(DynamicTable, severity="warning", mend="give each row an id of its own")
def ids_are_unique(table: DynamicTable) -> Iterator[Finding]:
    """No two rows have one id."""
    ids = values_of(table.id)
    if ids is not None and ids.ndim == 1 and ids.dtype.kind in "iu":
        found, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            yield "id", f"expected each id once, found {found[counts > 1][0]} more than once"


# -- the file ---------------------------------------------------------------------------------


@best_practice(NWBFile, severity="warning", mend="write the version of the schema, such as 2.11.0")
def versions_are_known(session: NWBFile) -> Iterator[Finding]:
    """``nwb_version`` is that of a release."""
    if not re.fullmatch(r"2\.(0b|\d+\.\d+(-?(alpha|beta|rc)[\w.]*)?)", str(session.nwb_version)):
        yield "nwb_version", f"expected a release such as '2.11.0', found {session.nwb_version!r}"


@best_practice(NWBFile, severity="warning", mend="write the time at which the session began")
def sessions_began_in_the_past(session: NWBFile) -> Iterator[Finding]:
    """Sessions began before now."""
    start = session.session_start_time
    if isinstance(start, datetime) and start.tzinfo is not None and start > datetime.now(UTC):
        yield "session_start_time", f"expected a time that is past, found {start.isoformat()}"


@best_practice(NWBFile, severity="hint", mend="nwb-ophys fix FILE -o OUT --only missing")
def specifications_are_cached(session: NWBFile) -> Iterator[Finding]:
    """Specifications lie in the file, for readers that do not know them."""
    binding: Any = session._binding
    if binding is not None and ".specloc" not in binding.node.attributes:
        yield ".specloc", "expected a reference to the cached specifications, found none"


@best_practice(NWBFile, severity="hint", mend="session.subject = nwb_ophys.Subject(...)")
def there_is_a_subject(session: NWBFile) -> Iterator[Finding]:
    """Whom the data are of is told."""
    if session.subject is None:
        yield "subject", "expected a subject, found none"


@best_practice(Subject, severity="hint", mend="fill it in")
def subjects_are_described(subject: Subject) -> Iterator[Finding]:
    """Each subject has an id, a species, a sex and an age or a date of birth."""
    for name in ("subject_id", "species", "sex"):
        if not getattr(subject, name):
            yield name, "expected a text, found none"
    if subject.age is None and subject.date_of_birth is None:
        yield "age", "expected an age or a date of birth, found neither"


@best_practice(GroupModel, DatasetModel, severity="warning", mend="write text as UTF-8")
def texts_are_unicode(model: ConfiguredBaseModel) -> Iterator[Finding]:
    """Text is UTF-8."""
    for name, value in model.__dict__.items():
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                yield name, f"expected UTF-8, found the bytes of {value!r}"


@best_practice(GroupModel, DatasetModel, severity="hint", mend="describe it")
def required_texts_say_something(model: ConfiguredBaseModel) -> Iterator[Finding]:
    """Texts that the schema requires are not empty."""
    for name in ("identifier", "session_description", "description", "location", "indicator"):
        if model.__dict__.get(name) == "":
            yield name, "expected a text, found an empty one"

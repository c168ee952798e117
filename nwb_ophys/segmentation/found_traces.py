"""Find out what the traces of a table are: raw, of the neuropil, relative, deconvolved, others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from nwb_ophys.errors import NWBError
from nwb_ophys.models import DfOverF, RoiResponseSeries

__all__ = ["Traces", "gather", "series_in"]

_BY_SERIES: Final = {
    "neuropil": "neuropil",
    "deconvolved": "deconvolved",
    "dfoverf": "dff",
    "dff": "dff",
    "event_detection": "deconvolved",
}
"""Beginnings of the names of series that say what they are, wherever they lie."""

_BY_CONTAINER: Final = {
    "Fluorescence": "fluorescence",
    "Neuropil": "neuropil",
    "Deconvolved": "deconvolved",
    "Background": "fluorescence",
    "corrected_fluorescence": "fluorescence",
    "neuropil_trace": "neuropil",
}
_APART: Final = ("denoised", "baseline", "background")
"""Beginnings of the names of series that are none of the fields of a result."""
_BACKGROUND: Final = "Background_Fluorescence_Response"


@dataclass
class Traces:
    """The traces that were found.

    Parameters
    ----------
    values
        Fields of a `Segmentation`.
    background, background_rows
        CaImAn's traces of components of the background, and the rows of these.
    """

    values: dict[str, Any] = field(default_factory=dict)
    background: Any = None
    background_rows: Any = None


def series_in(module: Any) -> Iterator[Any]:
    """Iterate over the traces of a module."""
    yield from module.find(RoiResponseSeries)


def gather(series: Sequence[Any], count: int, is_suite2p: bool, notes: list[str]) -> Traces:
    """Read the traces of a table, and sort them.

    Parameters
    ----------
    series
        All series whose ROIs are rows of the table.
    count
        The number of its rows.
    is_suite2p
        Whether suite2p wrote them, old versions of which stored (roi, time).
    notes
        Gains what was done to them.
    """
    found = Traces()
    columns: dict[str, list[tuple[Any, Any, Any]]] = {}
    # Where several could be the raw traces, those with the usual name are.
    for one in sorted(series, key=lambda one: not one.name.startswith("RoiResponseSeries")):
        try:
            rows = np.asarray(one.rois.array)
            data = _time_by_roi(one, rows, is_suite2p, notes)
        except NWBError as error:
            notes.append(f"traces {one.hdf5_path or one.name} left out: {error.message}")
            continue
        if data is None:
            continue
        if one.name == _BACKGROUND:
            found.background, found.background_rows = data, rows
            continue
        kind = _kind_of(one)
        taken = [row for _, those, _ in columns.get(kind, []) for row in those]
        if set(taken) & set(rows.tolist()):
            kind = "/".join(_names(one))
        columns.setdefault(kind, []).append((one, rows, data))
    others: dict[str, Any] = {}
    for kind, parts in columns.items():
        whole = _joined(parts, count)
        if kind in ("fluorescence", "neuropil", "dff", "deconvolved"):
            found.values[kind] = whole
        else:
            others[kind] = whole
    if others:
        found.values["traces"] = others
    _add_times(found, [one for parts in columns.values() for one, _, _ in parts], notes)
    return found


def _names(series: Any) -> tuple[str, str]:
    """Give the names of the container of a series, and of the series."""
    path = series.hdf5_path
    above = path.split("/")[-2] if path else ""
    return above, series.name


def _kind_of(series: Any) -> str:
    container, name = _names(series)
    lowered = name.lower()
    for beginning, kind in _BY_SERIES.items():
        if lowered.startswith(beginning) and "chan2" not in lowered:
            return kind
    if lowered.startswith(_APART) and container in _BY_CONTAINER:
        return name
    if series._binding is not None and series.hdf5_path:
        holder = series._binding.session.root[series.hdf5_path.rpartition("/")[0]]
        if isinstance(holder, DfOverF):
            return "dff"
    return _BY_CONTAINER.get(container) or container or name


def _time_by_roi(series: Any, rows: Any, is_suite2p: bool, notes: list[str]) -> Any:
    """Read data as (time, roi); None where they are no traces."""
    container, name = _names(series)
    data = series.data.array
    shape = tuple(data.shape)
    if len(shape) == 1:
        if len(rows) == 1 and (shape[0] != 1 or series.timestamps is None):
            return np.asarray(data)[:, None]
        notes.append(f"{container}/{name} left out: one number a ROI, no traces")
        return None
    times = None if series.timestamps is None else len(series.timestamps)
    by_roi = shape[0] == len(rows) and (
        shape[1] != len(rows) or times not in (None, shape[0]) or (is_suite2p and container == name)
    )
    if by_roi and times != shape[0]:
        notes.append(f"{container}/{name}: stored as (roi, time), turned")
        return np.ascontiguousarray(np.asarray(data).T)
    if shape[1] != len(rows):
        notes.append(f"{container}/{name} left out: {shape[1]} traces of {len(rows)} ROIs")
        return None
    return np.asarray(data)


def _joined(parts: list[tuple[Any, Any, Any]], count: int) -> Any:
    """Bring the traces of some of the ROIs each to one array; NaN where there are none."""
    if len(parts) == 1 and np.array_equal(parts[0][1], np.arange(count)):
        return parts[0][2]
    samples = max(data.shape[0] for _, _, data in parts)
    dtype = np.result_type(*(data.dtype for _, _, data in parts))
    covered = np.zeros(count, bool)
    for _, rows, data in parts:
        covered[rows] = data.shape[0] == samples
    if not covered.all():
        dtype = np.result_type(dtype, np.float32)
    whole = np.full((samples, count), 0 if covered.all() else np.nan, dtype)
    for _, rows, data in parts:
        whole[: data.shape[0], rows] = data
    return whole


def _add_times(found: Traces, series: list[Any], notes: list[str]) -> None:
    """Take the times of the first series, and tell where another has others."""
    samples = max(
        (one.shape[0] for one in found.values.values() if hasattr(one, "shape")),
        default=None,
    )
    told: list[tuple[Any, ...]] = []
    for one in series:
        start = one.starting_time
        if one.timestamps is not None:
            told.append(("timestamps", one))
        elif start is not None and start.rate:
            told.append(("rate", float(start.rate), float(start.value)))
    if not told:
        return
    first = told[0]
    if first[0] == "rate":
        found.values["rate"], found.values["starting_time"] = first[1:]
        others = {one[1:] for one in told if one[0] == "rate"}
        if len(others) > 1:
            notes.append(f"traces have different times, those of the first are kept: {others}")
    else:
        times = np.asarray(first[1].timestamps)
        if samples is None or len(times) == samples:
            found.values["timestamps"] = times

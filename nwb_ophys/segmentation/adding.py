"""Put a result into a session, under the names that other readers look for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from nwb_ophys import models
from nwb_ophys.errors import SchemaError
from nwb_ophys.masks.stored import frame_shape
from nwb_ophys.masks.tables import chosen_kinds, put_flat
from nwb_ophys.segmentation.matching import chosen_plane, fitted
from nwb_ophys.segmentation.result import IMAGE_NAMES, Segmentation
from nwb_ophys.segmentation.taken import refuse_taken, remove

__all__ = ["CONTAINERS", "DEFAULT_NAME", "add_segmentation", "backgrounds_name"]

nwb: Any = models
"""The models, whose constructors take more than their fields: stubs tell, checkers here cannot."""

DEFAULT_NAME: Final = "PlaneSegmentation"
CONTAINERS: Final = {
    "fluorescence": "Fluorescence",
    "neuropil": "Neuropil",
    "deconvolved": "Deconvolved",
    "dff": "DfOverF",
}
"""The container of each kind of traces; those of suite2p, and that of relative changes."""

_TRACE_TEXTS: Final = {
    "fluorescence": ("Fluorescence of each ROI.", "a.u."),
    "neuropil": ("Fluorescence of the neuropil around each ROI.", "a.u."),
    "deconvolved": ("Activity of each ROI, deconvolved from its fluorescence.", "a.u."),
    "dff": ("Relative change of the fluorescence of each ROI, dF/F.", "n.a."),
}
_RESERVED: Final = ("id", "imaging_plane", "reference_images", "meanings_tables")
_PARTS: Final = {
    "mean": "The mean of the movie.",
    "max": "The maximum of the movie.",
    "correlation": "How much each pixel correlates with its neighbors.",
    "mean_chan2": "The mean of the second channel.",
}


def add_segmentation(
    session: Any,
    segmentation: Segmentation,
    *,
    imaging_plane: Any = None,
    kinds: str | Sequence[str] = ("pixel",),
    module: str = "ophys",
    name: str = DEFAULT_NAME,
    series: str | None = None,
    replace: bool = False,
) -> Any:
    """Put the result of a segmentation into a session; it is written with the session.

    Parameters
    ----------
    session
        An authored or opened session.
    segmentation, imaging_plane, kinds, module, name, series, replace
        As for `nwb_ophys.write_segmentation`; ``imaging_plane`` may be the object.

    Returns
    -------
    PlaneSegmentation
        The table.

    Raises
    ------
    SchemaError
        Where the result does not fit the session, or a name is taken; the session is unchanged.
    MemberNotFoundError
        Where there is no such imaging plane.
    """
    if not isinstance(segmentation, Segmentation):
        raise SchemaError(f"expected a Segmentation, found {type(segmentation).__name__}")
    plane = chosen_plane(session, imaging_plane)
    result, movie = fitted(segmentation, session, plane)
    chosen = chosen_kinds(kinds, len(result.axes))
    table = _table(result, plane, name, chosen, movie)
    series = series or _series_name(result, name)
    parts = _containers(result, table, series)
    images = list(_images(result, name))
    background = None
    if result.background is not None and len(result.background):
        background = _background(result, plane, name, series, chosen)
        parts += background[1]
    tables = [table] if background is None else [table, background[0]]
    refuse_taken(session, module, tables, parts, images, replace)
    home = session.processing.get(module)
    if home is None:
        home = session.processing.add(
            nwb.ProcessingModule(name=module, description="Optical physiology: segmented cells.")
        )
    if replace:
        for one in tables:
            remove(home, one.name)
    holder = home.children.get("ImageSegmentation")
    if holder is None:
        holder = home.children.add(nwb.ImageSegmentation())
    holder.children.add(*tables)
    for container, response in parts:
        there = home.children.get(container.name)
        if there is None:
            there = home.children.add(container)
        there.children.add(response)
    for one in images:
        if replace and one.name in home.children:
            del home.children[one.name]
        home.children.add(one)
    return table


def backgrounds_name(table: str, plane: int = 0) -> str:
    """Name the summary images of a table, as suite2p does for the table that it writes."""
    if table == DEFAULT_NAME:
        return f"Backgrounds_{plane}"
    return f"Backgrounds_{table}" + (f"_{plane}" if plane else "")


def _series_name(result: Segmentation, name: str) -> str:
    """Choose a name for the series, by which readers that know names find them.

    suite2p's reader wants "plane0" and fails where another name comes before it; roiextractors
    wants "RoiResponseSeries". So the former goes where there is all that suite2p's reader needs.
    """
    if name != DEFAULT_NAME:
        return name
    parts = (result.fluorescence, result.neuropil, result.deconvolved)
    complete = all(part is not None for part in parts) and "mean" in result.images
    return "plane0" if complete and result.accepted is not None else "RoiResponseSeries"


def _table(result: Segmentation, plane: Any, name: str, kinds: Sequence[str], movie: Any) -> Any:
    described = result.description or f"Regions of interest in {plane.name}."
    table = nwb.PlaneSegmentation(name=name, description=described, imaging_plane=plane)
    if result.ids is not None:
        table.id = nwb.ElementIdentifiers(array=np.asarray(result.ids))
    flat = result.masks.flat
    if result.shape is not None:
        flat = flat.shaped(result.shape)
    flat.check_finite()
    put_flat(table, flat, kinds)
    if movie is not None and frame_shape(movie) in (None, result.shape):
        table.reference_images.add(movie)
    columns = dict(result.columns)
    if result.accepted is not None:
        accepted = np.asarray(result.accepted)
        columns.pop("accepted", None)
        table.add_column("accepted", accepted, "Whether the ROI was accepted as a cell.")
        if "iscell" not in columns:
            # The column in which suite2p's reader looks for the same.
            chance = np.asarray(columns.get("probability", accepted), float)
            pairs = np.stack([accepted.astype(float), chance.reshape(len(accepted))], axis=1)
            text = "Whether the ROI is a cell (1 or 0), and the probability of it."
            table.add_column("iscell", pairs, text)
    for key, column in columns.items():
        if key in _RESERVED:
            raise SchemaError(f"a column cannot be named {key!r}: the table has another use for it")
        if isinstance(column, list):
            table.add_column(key, column, _column_text(key), index=True)
        else:
            table.add_column(key, column, _column_text(key))
    return table


def _column_text(name: str) -> str:
    return f"{name.replace('_', ' ').strip().capitalize() or name} of each ROI."


def _containers(result: Segmentation, table: Any, series: str) -> list[tuple[Any, Any]]:
    """Make the series, each with the container that it goes into."""
    made: list[tuple[Any, Any]] = []
    region: Any = None
    for kind, container in CONTAINERS.items():
        trace = getattr(result, kind)
        if trace is None:
            continue
        text, unit = _TRACE_TEXTS[kind]
        # In a container of its own, where no reader of suite2p's files looks.
        own = "RoiResponseSeries" if kind == "dff" and series == "plane0" else series
        response = _response(result, trace, table, own, text, unit, region)
        region = region or response.rois
        holder = nwb.DfOverF(name=container) if kind == "dff" else nwb.Fluorescence(name=container)
        made.append((holder, response))
    for name, trace in result.traces.items():
        text = f"{name.replace('_', ' ').capitalize()} of each ROI."
        response = _response(result, trace, table, series, text, "a.u.", region)
        region = region or response.rois
        made.append((nwb.Fluorescence(name=name), response))
    places = [f"{holder.name}/{response.name}" for holder, response in made]
    for place in places:
        if places.count(place) > 1 or place.startswith("ImageSegmentation/"):
            raise SchemaError(
                f"traces[{place.split('/')[0]!r}] would lie where others do, at {place}",
                hint="give them another name",
            )
    return made


def _response(
    result: Segmentation, trace: Any, table: Any, name: str, text: str, unit: str, region: Any
) -> Any:
    times: dict[str, Any]
    if result.timestamps is not None:
        times = {"timestamps": np.asarray(result.timestamps, np.float64)}
    else:
        times = {"rate": result.rate, "starting_time": result.starting_time or 0.0}
    if region is None:
        region = nwb.RoiResponseSeriesRois(
            array=np.arange(len(result)), table=table, description=f"All ROIs of {table.name}."
        )
    return nwb.RoiResponseSeries(
        name=name, description=text, data=trace, unit=unit, rois=region, **times
    )


def _background(
    result: Segmentation, plane: Any, name: str, series: str, kinds: Sequence[str]
) -> tuple[Any, list[tuple[Any, Any]]]:
    """Make the table of the components of the background, and their traces."""
    background = result.background
    assert background is not None
    table = nwb.PlaneSegmentation(
        name=f"Background{name}",
        description=background.description or "Components of the background.",
        imaging_plane=plane,
    )
    flat = background.transposed("xyz"[: len(background.axes)]).masks.flat
    put_flat(table, flat if result.shape is None else flat.shaped(result.shape), kinds)
    parts = []
    if background.fluorescence is not None:
        timed = background.replace(
            rate=result.rate, starting_time=result.starting_time, timestamps=result.timestamps
        )
        text = "Activity of each component of the background."
        response = _response(timed, background.fluorescence, table, series, text, "a.u.", None)
        parts.append((nwb.Fluorescence(name="Background"), response))
    return table, parts


def _images(result: Segmentation, name: str) -> Iterator[Any]:
    """Make the collections of summary images, in volumes one for each plane."""
    stored = {ours: theirs for theirs, ours in IMAGE_NAMES.items()}
    volume = len(result.axes) == 3
    planes: dict[int, list[Any]] = {}
    for key, image in result.images.items():
        whole = np.asarray(image)
        if whole.dtype.kind == "b":
            whole = whole.astype(np.uint8)
        text = _PARTS.get(key, f"{key.replace('_', ' ').capitalize()}.")
        called = stored.get(key, key)
        slices = (
            [whole[..., z] for z in range(whole.shape[2])]
            if volume and whole.ndim == 3
            else [whole]
        )
        for z, one in enumerate(slices):
            kind = {2: nwb.GrayscaleImage}.get(one.ndim) or (
                nwb.RGBImage if one.shape[-1] == 3 else nwb.RGBAImage
            )
            planes.setdefault(z, []).append(kind(name=called, array=one, description=text))
    for z, made in sorted(planes.items()):
        text = "Summary images of the movie" + (f", plane {z}." if volume else ".")
        yield nwb.Images(name=backgrounds_name(name, z), description=text, children=made)

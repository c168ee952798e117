"""Does a result fit the session it is to go into? Its plane, the movie of that plane, the times."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import ValidationError

from nwb_ophys.errors import MemberNotFoundError, NWBError, SchemaError
from nwb_ophys.masks.stored import frame_shape
from nwb_ophys.segmentation.checking import reasons_of
from nwb_ophys.segmentation.result import Segmentation

__all__ = ["chosen_plane", "fitted", "movies_of"]

_SAME_RATE = 0.01
"""Rates that differ by less than this part are those of one clock, rounded."""


def chosen_plane(session: Any, plane: Any) -> Any:
    """Find an imaging plane by its name; the only one where None.

    Raises
    ------
    MemberNotFoundError
        Where there is none of that name; the message says which there are.
    SchemaError
        Where there is none at all, or one has to be chosen.
    """
    planes = session.imaging_planes
    names = ", ".join(map(repr, planes)) or "none"
    place = {"file": session._file, "path": "/general/optophysiology"}
    if plane is None:
        if len(planes) == 1:
            return next(iter(planes.values()))
        raise SchemaError(
            f"expected imaging_plane=, one of those that there are: {names}",
            **place,
            hint=None if len(planes) else "add an nwb.ImagingPlane to session.imaging_planes",
        )
    if not isinstance(plane, str):
        if plane in planes.values():
            return plane
        raise SchemaError(f"the imaging plane {plane!r} is not in the session", **place)
    if plane not in planes:
        raise MemberNotFoundError(
            f"there is no imaging plane {plane!r}; there are {names}", **place
        )
    return planes[plane]


def movies_of(session: Any, plane: Any) -> list[Any]:
    """List the acquired movies of an imaging plane."""
    found = []
    for series in session.acquisition.values():
        try:
            if getattr(series, "imaging_plane", None) is plane:
                found.append(series)
        except NWBError:
            continue  # its link leads nowhere, so not to this plane
    return found


def fitted(result: Segmentation, session: Any, plane: Any) -> tuple[Segmentation, Any]:
    """Check a result against the movie of its plane, and take from it what it does not say.

    Returns
    -------
    result, movie
        The result with axes in the order of NWB, a shape and times; the movie, or None.

    Raises
    ------
    SchemaError
        Where masks and movie have different sizes, traces and movie different lengths, or
        nothing tells the times of the traces.
    """
    try:
        result = result.transposed("xyz"[: len(result.axes)])
    except ValidationError as error:  # arrays were changed in place since they were checked
        raise SchemaError(reasons_of(error), file=session._file) from error
    movies = movies_of(session, plane)
    movie = movies[0] if len(movies) == 1 else None
    if movie is not None:
        result = _sized(result, movie)
        result = _timed(result, movie)
    if result.all_traces() and result.rate is None and result.timestamps is None:
        raise SchemaError(
            "nothing tells the times of the traces",
            file=session._file,
            path=None if movie is None else _path(movie),
            hint="give the Segmentation a rate= or timestamps=",
        )
    return result, movie


def _path(movie: Any) -> str:
    return movie.hdf5_path or f"/acquisition/{movie.name}"


def _sized(result: Segmentation, movie: Any) -> Segmentation:
    frame = frame_shape(movie)
    if frame is None:
        return result
    if result.shape is not None and result.shape[:2] == frame[1::-1] and not _has_frames(movie):
        return result  # writers disagree in which order `dimension` is, and frames are elsewhere
    names = ("x", "y", "z")
    if result.shape is None:
        flat = result.masks.flat
        if flat.ndim < len(frame):
            raise _unlike(movie, f"masks have {flat.ndim} axes", frame)
        shape = (*frame, *(max(1, size) for size in flat.extent[len(frame) :]))
        try:
            flat.check_within(shape)
        except SchemaError as error:
            raise SchemaError(
                f"masks reach beyond the movie of their plane: {error.message}",
                path=_path(movie),
                hint=error.hint,
            ) from error
        return result.replace(shape=shape)
    same = result.shape[: len(frame)] == frame
    if same and len(result.shape) >= len(frame):
        return result
    found = " x ".join(map(str, result.shape))
    hint = None
    if result.shape[:2] == frame[1::-1]:
        hint = "are the axes exchanged? images of (row, column) are given with axes='yx'"
    order = ", ".join(names[: len(result.shape)])
    raise _unlike(movie, f"masks are {found} ({order})", frame, hint)


def _has_frames(movie: Any) -> bool:
    return movie.data is not None and all(movie.data.shape)


def _unlike(movie: Any, found: str, frame: tuple[int, ...], hint: str | None = None) -> SchemaError:
    sizes = " x ".join(map(str, frame))
    return SchemaError(
        f"{found}, but the frames of the movie of their imaging plane are {sizes}",
        path=_path(movie),
        hint=hint,
    )


def _timed(result: Segmentation, movie: Any) -> Segmentation:
    """Check the times against those of a movie, or take them over."""
    samples, frames = result.num_samples, movie.num_frames
    if samples is None or not frames or not result.all_traces() or result.timestamps is not None:
        return result
    clock = _clock(movie)
    if result.rate is None:
        if samples != frames:
            raise _unlike_length(result, movie, frames)
        if movie.timestamps is not None:
            return result.replace(timestamps=np.asarray(movie.timestamps))
        return result if clock is None else result.replace(rate=clock[0], starting_time=clock[1])
    if clock is None or abs(clock[0] - result.rate) >= _SAME_RATE * clock[0]:
        return result  # another clock, such as that of one plane among several
    rate, start = clock
    if result.starting_time is None and samples == frames:
        return result.replace(starting_time=start)
    # A result of a part of the movie says when that part began.
    first = 0.0 if result.starting_time is None else result.starting_time - start
    whole = abs(first) < 0.5 / rate
    if (whole and samples != frames) or first * rate + samples > frames + 0.5:
        raise _unlike_length(result, movie, frames)
    return result


def _clock(movie: Any) -> tuple[float, float] | None:
    """Tell the rate of a movie, and the time at which it begins; None where nothing tells."""
    if movie.timestamps is not None:
        times = movie.timestamps
        if len(times) < 2:
            return None
        first, last = float(times[0]), float(times[len(times) - 1])
        return ((len(times) - 1) / (last - first), first) if last > first else None
    start = movie.starting_time
    if start is None or not start.rate:
        return None
    return float(start.rate), float(start.value)


def _unlike_length(result: Segmentation, movie: Any, frames: int) -> SchemaError:
    name, trace = result.all_traces()[0]
    return SchemaError(
        f"{name} has {trace.shape[0]} samples, but the movie of its imaging plane has {frames} "
        "frames",
        path=_path(movie),
        hint="traces of a part of the movie need starting_time=, or timestamps=",
    )

"""Small sessions of each kind, for tests of whatever reads NWB files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

import nwb_ophys
from nwb_ophys import models
from nwb_ophys.errors import did_you_mean
from nwb_ophys.models import NWBFile
from nwb_ophys.testing.sessions import (
    add_behavior,
    add_plane,
    module,
    ophys,
    record,
    stamp,
    start_session,
)
from nwb_ophys.testing.truth import Truth

__all__ = ["KINDS", "many_series", "write_fixture"]

nwb: Any = models

_REFERENCE = np.dtype([("idx_start", "i4"), ("count", "i4"), ("timeseries", object)])


def _small(seed: int) -> Truth:
    return Truth(frames=40, width=16, height=12, rois=5, rate=10.0, seed=seed)


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, 1])


def minimal(seed: int = 0) -> NWBFile:
    """Make a session that has what the schema requires, and nothing else."""
    whole = start_session(f"minimal-{seed}", "A session without data.")
    names = ("identifier", "session_description", "session_start_time", "file_create_date")
    return stamp(nwb.NWBFile(**{name: getattr(whole, name) for name in names}), "minimal", seed)


def two_photon(seed: int = 0) -> NWBFile:
    """Make a session with all that a two-photon experiment leaves: see `make_session`."""
    return record(_small(seed))


def segmentation(seed: int = 0) -> NWBFile:
    """Make a session of masks and traces, whose movie is not kept."""
    return record(_small(seed), movie=False, behavior=False)


def one_photon(seed: int = 0) -> NWBFile:
    """Make a session with a one-photon movie, timed by the camera."""
    truth = _small(seed)
    session = start_session(f"one-photon-{seed}", "Calcium imaging through a miniature microscope.")
    session.acquisition.add(
        nwb.OnePhotonSeries(
            name="OnePhotonSeries",
            description="Photons counted in each pixel.",
            data=truth.movie(),
            unit="n.a.",
            timestamps=truth.times(),
            imaging_plane=add_plane(session, truth),
            exposure_time=0.05,
            binning=2,
            power=12.5,
        )
    )
    return stamp(session, "one-photon", seed)


def volumetric(seed: int = 0) -> NWBFile:
    """Make a session with a movie of volumes, and masks of voxels."""
    truth = Truth(frames=20, width=10, height=8, rois=3, rate=3.0, seed=seed)
    session = start_session(f"volumetric-{seed}", "Calcium imaging of a volume.")
    plane = add_plane(session, truth)
    plane.grid_spacing = np.array([2e-6, 1.5e-6, 5e-6])
    depth = np.array([1, 3, 2], np.int16)
    session.acquisition.add(
        nwb.TwoPhotonSeries(
            name="TwoPhotonSeries",
            description="Photons counted in each voxel.",
            data=truth.movie()[..., None] * depth,
            unit="n.a.",
            rate=truth.rate,
            imaging_plane=plane,
        )
    )
    table = nwb.PlaneSegmentation(
        name="PlaneSegmentation", description="The cells.", imaging_plane=plane
    )
    voxels = [
        [(x, y, z, weight) for x, y, weight in mask.tolist() for z in range(1, 1 + len(mask) % 2)]
        or [(*mask[0].tolist()[:2], 2, 1.0)]
        for mask in truth.pixel_masks
    ]
    table.add_column("voxel_mask", voxels, "Voxels and weights.", index=True)
    ophys(session).add(nwb.ImageSegmentation(children=[table]))
    return stamp(session, "volumetric", seed)


def behavior(seed: int = 0) -> NWBFile:
    """Make a session with one object of each type of behavior."""
    truth = _small(seed)
    session = start_session(f"behavior-{seed}", "A mouse runs about.")
    add_behavior(session, truth)
    children = module(session, "behavior", "")
    times = truth.times()
    # Rounded: its last digits are those of a release of numpy, and of a processor.
    angle = np.arctan2(*np.gradient(truth.position(), axis=0).T[::-1]).round(9)
    compass = nwb.SpatialSeries(
        name="heading",
        description="Where the animal heads to.",
        data=angle,
        unit="radians",
        timestamps=times,
        reference_frame="0 is along x, and angles grow towards y.",
    )
    gaze = nwb.SpatialSeries(
        name="gaze",
        description="Where the left eye looks.",
        data=truth.position()[:, ::-1] * 100,
        unit="degrees",
        timestamps=times,
        reference_frame="The middle of the screen; x to the right, y up.",
    )
    pupil = nwb.TimeSeries(
        name="pupil",
        description="The diameter of the left pupil.",
        data=1 + truth.speed(),
        unit="millimeters",
        timestamps=times,
    )
    licks = nwb.TimeSeries(
        name="licks",
        description="How often the animal licked, at each moment that it did.",
        data=_random(seed).integers(1, 4, 7),
        unit="n.a.",
        timestamps=np.sort(_random(seed).uniform(0, truth.duration, 7)),
    )
    running = nwb.IntervalSeries(
        name="running",
        description="When the animal ran.",
        data=np.array([1, -1, 1, -1], np.int8),
        timestamps=[0.25, 1.0, 2.75, 4.0],
    )
    children.add(
        nwb.CompassDirection(children=[compass]),
        nwb.EyeTracking(children=[gaze]),
        nwb.PupilTracking(children=[pupil]),
        nwb.BehavioralEvents(children=[licks]),
        nwb.BehavioralEpochs(children=[running]),
    )
    return stamp(session, "behavior", seed)


def many_series(seed: int = 0, count: int = 30) -> NWBFile:
    """Make a session of many small series, by which the cost of an object can be told.

    Parameters
    ----------
    seed
        Which of these sessions.
    count
        How many series.
    """
    session = start_session(f"many-series-{seed}", "Many series.")
    random = _random(seed)
    session.acquisition.add(
        *(
            nwb.TimeSeries(
                name=f"series_{number:05}",
                description=f"Series number {number}.",
                data=random.standard_normal(10),
                unit="V",
                rate=10.0,
            )
            for number in range(count)
        )
    )
    return stamp(session, "many-series", seed, count)


def images(seed: int = 0) -> NWBFile:
    """Make a session with images of each type, and a series that shows them."""
    random = _random(seed)
    session = start_session(f"images-{seed}", "Images are shown.")
    scope = session.devices.add(nwb.Device(name="Screen", description="The screen."))
    pictures = [
        nwb.GrayscaleImage(name="gray", array=random.random((9, 5)), description="Gray."),
        nwb.RGBImage(
            name="color",
            array=random.integers(256, size=(9, 5, 3), dtype="u1"),
            resolution=40.0,
            description="Colored.",
        ),
        nwb.RGBAImage(
            name="transparent",
            array=random.random((7, 4, 4), np.float32),
            description="Colored, and transparent in places.",
        ),
    ]
    shown = nwb.Images(
        name="pictures",
        description="What was shown.",
        children=pictures,
        order_of_images=nwb.ImageReferences(name="order_of_images", array=pictures[::-1]),
    )
    session.stimulus_template.add(shown)
    session.stimulus.add(
        nwb.IndexSeries(
            name="shown",
            description="Which picture was shown when.",
            data=random.integers(3, size=6).astype("u4"),
            timestamps=np.cumsum(random.uniform(0.5, 1.5, 6)),
            indexed_images=shown,
        ),
        nwb.OpticalSeries(
            name="grating",
            description="A drifting grating.",
            data=random.integers(256, size=(11, 9, 5), dtype="u1"),
            unit="n.a.",
            rate=10.0,
            device=scope,
            distance=0.2,
            field_of_view=[0.3, 0.2],
            orientation="The first axis to the right, the second one down.",
        ),
    )
    return stamp(session, "images", seed)


def intervals(seed: int = 0) -> NWBFile:
    """Make a session with tables of intervals and of events, ragged columns and references."""
    truth = _small(seed)
    session = start_session(f"intervals-{seed}", "Trials, epochs and events.")
    add_behavior(session, truth)
    speed = session.processing["behavior"]["BehavioralTimeSeries"]["running_speed"]
    columns = truth.trials
    trials = session.trials = nwb.TimeIntervals(
        name="trials",
        description="A grating is shown, and the animal answers.",
        start_time=columns["start_time"],
        stop_time=columns["stop_time"],
    )
    count = len(trials)
    words = [["long", "first"], ["short"], []]
    trials.add_column("tags", [words[row % 3] for row in range(count)], "Words.", index=True)
    first = np.searchsorted(truth.times(), columns["start_time"]).clip(max=truth.frames - 1)
    samples = [[(int(row), 1, speed)] for row in first]
    trials.add_column(
        "timeseries", [np.array(one, _REFERENCE) for one in samples], "The running.", index=True
    )
    trials.add_column("orientation", columns["orientation"], "Of the grating, in degrees.")
    trials.add_column("correct", columns["correct"], "Whether the answer was right.")
    session.epochs = nwb.TimeIntervals(
        name="epochs", description="Phases.", start_time=[0.0, 2.5], stop_time=[2.5, 5.0]
    )
    session.epochs.add_column("trial", [0, count - 1], "The trial it begins with.", table=trials)
    session.intervals.add(
        nwb.TimeIntervals(name="pauses", description="Pauses.", start_time=[1.75], stop_time=[2.0])
    )
    session.events.add(
        nwb.EventsTable(
            name="rewards",
            description="Drops of water.",
            timestamp=[0.75, 2.25, 4.5],
            duration=[0.05, 0.05, 0.075],
            annotation=["", "large", "größer"],
        )
    )
    return stamp(session, "intervals", seed)


KINDS: Final[dict[str, Callable[..., NWBFile]]] = {
    "two-photon": two_photon,
    "one-photon": one_photon,
    "volumetric": volumetric,
    "segmentation": segmentation,
    "behavior": behavior,
    "minimal": minimal,
    "many-series": many_series,
    "images": images,
    "intervals": intervals,
}
"""The kinds of fixtures, and what makes a session of each; all take a ``seed``."""


def write_fixture(
    kind: str, path: str | os.PathLike[str], *, seed: int = 0, overwrite: bool = False
) -> Path:
    """Write a small NWB file of a kind. The same kind and seed give the same file.

    Parameters
    ----------
    kind
        One of `KINDS`.
    path
        Where to.
    seed
        Which of the files of that kind.
    overwrite
        Whether a file there may be replaced.

    Returns
    -------
    pathlib.Path
        Where the file lies.

    Raises
    ------
    ValueError
        Where there is no such kind; the message lists them.
    """
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        there = "; ".join(filter(None, (", ".join(KINDS), hint)))
        raise ValueError(f"there is no kind {kind!r}; there are {there}")
    return nwb_ophys.write(KINDS[kind](seed=seed), path, overwrite=overwrite)

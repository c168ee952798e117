"""One small two-photon session, which the tests of faults damage, link, pickle and rewrite."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nwb_ophys as nwb

SCOPE = "/general/devices/scope"
MOVIE = "/acquisition/movie"
PLANE = "/general/optophysiology/plane"
SEGMENTATION = "/processing/ophys/ImageSegmentation/cells"
TRACES = "/processing/ophys/Fluorescence/traces"

FRAMES, WIDTH, HEIGHT, ROIS = 20, 6, 4, 5


def frames(count: int = FRAMES) -> np.ndarray:
    return np.arange(count * WIDTH * HEIGHT, dtype=np.int16).reshape(count, WIDTH, HEIGHT)


def small_session() -> nwb.NWBFile:
    session = nwb.NWBFile(
        identifier="m1",
        session_description="a test",
        session_start_time=datetime(2024, 1, 1, tzinfo=UTC),
    )
    scope = session.devices.add(nwb.Device(name="scope", description="a microscope"))
    plane = session.imaging_planes.add(
        nwb.ImagingPlane(
            name="plane",
            device=scope,
            excitation_lambda=920.0,
            indicator="GCaMP6f",
            location="V1",
            children=[nwb.OpticalChannel(name="green", description="g", emission_lambda=520.0)],
        )
    )
    session.acquisition.add(
        nwb.TwoPhotonSeries(
            name="movie", data=frames(), unit="n.a.", rate=30.0, imaging_plane=plane
        )
    )
    cells = nwb.PlaneSegmentation(name="cells", description="cells", imaging_plane=plane)
    pixels = [[(roi, 1, 1.0), (roi, 2, 0.5)] for roi in range(ROIS)]
    cells.add_column("pixel_mask", pixels, "pixels", index=True)
    cells.add_column("snr", np.linspace(0, 1, ROIS), "signal to noise")
    traces = nwb.RoiResponseSeries(
        name="traces",
        data=np.arange(FRAMES * ROIS, dtype=np.float64).reshape(FRAMES, ROIS),
        unit="n.a.",
        rate=30.0,
        rois=cells.create_region(),
    )
    session.processing.add(
        nwb.ProcessingModule(
            name="ophys",
            description="results",
            children=[
                nwb.ImageSegmentation(children=[cells]),
                nwb.Fluorescence(children=[traces]),
            ],
        )
    )
    return session


def small_file(path: Path) -> Path:
    return nwb.write(small_session(), path)


def edited(path: Path, edit: Callable[[h5py.File], Any]) -> Path:
    """Change a file with plain h5py."""
    with h5py.File(path, "r+") as file:
        edit(file)
    return path

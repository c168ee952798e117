"""The stubs that wheels carry: what type checkers know of constructors and fields."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import nwb_ophys
from nwb_ophys.stubs import model_stubs

_GOOD = """
from datetime import datetime, timezone
from typing import Any

import numpy as np

import nwb_ophys as nwb

session = nwb.NWBFile(
    identifier="m1-s1",
    session_description="...",
    session_start_time=datetime.now(timezone.utc),
    experimenter="Doe, Jane",
)
scope = nwb.Device(name="scope", description="...")
plane = nwb.ImagingPlane(
    name="plane",
    description="...",
    device=scope,
    excitation_lambda=920.0,
    indicator="GCaMP6f",
    location="V1",
    children=[nwb.OpticalChannel(name="green", description="...", emission_lambda=520.0)],
)
session.devices.add(scope)
session.imaging_planes.add(plane)
movie = nwb.TwoPhotonSeries(
    name="movie", data=np.zeros((3, 4, 5)), unit="n.a.", rate=30.0, imaging_plane=plane
)
session.acquisition.add(movie)
result = nwb.Segmentation(
    masks=np.zeros((2, 4, 5)), axes="yx", fluorescence=np.zeros((3, 2)), columns={"snr": [1, 2]}
)
areas: np.ndarray[Any, Any] = result.select([True, False]).masks.areas()
nwb.write_segmentation("out.nwb", result, kinds=("pixel", "image"), replace=True)
back: nwb.Segmentation = nwb.read_segmentation("out.nwb", name=None, axes="yx")
imported: nwb.Segmentation = nwb.Segmentation.from_suite2p("suite2p", plane=0)
rate: float | None = movie.rate
location: str = movie.imaging_plane.location
nwb.write(session, "out.nwb", overwrite=False, compression="gzip", progress=True)
with nwb.open("out.nwb") as opened:
    subject: nwb.Subject | None = opened.subject
    for series in opened.find(nwb.RoiResponseSeries):
        table: nwb.DynamicTable | None = series.rois.table
    for cells in opened.find(nwb.PlaneSegmentation):
        images: np.ndarray[Any, Any] = cells.masks.to_dense(shape=(4, 5))
        chosen: nwb.PlaneSegmentation = cells.select([True, False])
        chosen.add_rows({"pixel_mask": [[(0, 1, 0.5)]]})
        traces: list[nwb.RoiResponseSeries] = chosen.responses()
made: nwb.PlaneSegmentation = nwb.PlaneSegmentation.from_masks(
    np.zeros((2, 4, 5)), description="...", imaging_plane=plane, kind=("pixel", "image"), axes="yx"
)
"""

_BAD = [
    ('nwb.Device(nmae="scope")', 'Unexpected keyword argument "nmae"'),
    ("nwb.Device(name=3)", 'Argument "name" to "Device" has incompatible type "int"'),
    ('nwb.Device(description="...")', 'Missing named argument "name"'),
    ('nwb.TwoPhotonSeries(name="m", data=[], imaging_plane=scope)', '"imaging_plane"'),
    ("movie.imaging_plain", '"TwoPhotonSeries" has no attribute "imaging_plain"'),
    ("session.devices.add(plane)", 'has incompatible type "ImagingPlane"; expected "Device"'),
]


@pytest.fixture(scope="module")
def stubbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay the package out as a wheel does: with the stubs beside the models."""
    folder = tmp_path_factory.mktemp("site")
    package = Path(nwb_ophys.__file__).parent
    target = folder / "nwb_ophys"
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyi"))
    for name, text in model_stubs():
        (target / "models" / f"{name}.pyi").write_text(text, encoding="utf-8")
    return folder


def _check(folder: Path, text: str) -> list[str]:
    sample = folder / "sample.py"
    sample.write_text(text, encoding="utf-8")
    options = ["--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, sample.name],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not run.stderr, run.stderr
    return [line for line in run.stdout.splitlines() if line.startswith("sample.py")]


def test_a_session_is_authored_under_strict_checks(stubbed: Path) -> None:
    assert _check(stubbed, _GOOD) == []


def test_what_constructors_refuse_is_an_error(stubbed: Path) -> None:
    found = _check(stubbed, _GOOD + "\n".join(line for line, _ in _BAD) + "\n")
    first = len(_GOOD.splitlines()) + 1
    for number, (line, message) in enumerate(_BAD, first):
        errors = [each for each in found if each.startswith(f"sample.py:{number}:")]
        assert any(message in each for each in errors), (line, found)


def test_every_model_has_a_stub_that_parses() -> None:
    for name, text in model_stubs():
        compile(text, f"{name}.pyi", "exec")

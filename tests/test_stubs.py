"""The stubs that wheels carry: what type checkers know of constructors and fields."""

from __future__ import annotations

import json
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

_ASSIGNED = """
from collections.abc import Iterator
from datetime import date
from typing import Annotated, assert_type

from nwb_ophys.models.images import ImageSeriesData
from nwb_ophys.models.series import TimeSeriesData, TimeSeriesStartingTime
from nwb_ophys.storage import Attr, NDArray

def assigned(
    series: nwb.TimeSeries, images: nwb.ImageSeries, cells: nwb.PlaneSegmentation,
    blocks: Iterator[np.ndarray[Any, Any]],
) -> None:
    series.data = np.zeros(3)
    assert_type(series.data, TimeSeriesData)
    assert_type(series.data.array, NDArray | None)
    series.data = [1, 2, 3]
    series.data = blocks
    series.data = nwb.VectorData(name="v", description="d", array=[1, 2])
    images.data = np.zeros((3, 4, 5))
    assert_type(images.data, ImageSeriesData)
    images.data = series.data
    images.dimension = (4, 5)
    series.data.array = [1, 2]
    series.timestamps = [0.1, 0.2, 0.4]
    series.timestamps = None
    series.starting_time = 0.5
    assert_type(series.starting_time, TimeSeriesStartingTime | None)
    series.rate, series.unit, series.name = 10, "V", "renamed"
    session.acquisition = [series, movie]
    assert_type(
        session.acquisition, nwb.Children[nwb.NWBDataInterface | nwb.DynamicTable]
    )
    session.acquisition = {"movie": movie}
    session.processing["ophys"].children = [series]
    session.subject = {"age": "P90D"}
    session.subject = nwb.Subject(age="P90D")
    session.experimenter = "Doe, Jane"
    assert_type(session.keywords, list[str] | None)
    session.session_start_time = date(2026, 1, 1)
    assert_type(session.session_start_time, datetime)
    movie.imaging_plane = nwb.link(plane)
    movie.device = None
    cells.colnames = ("pixel_mask",)
    cells.id = range(3)

class GainSeries(nwb.ImageSeries, schema="my-lab"):
    gain: Annotated[float | None, Attr("float32")] = None

gains = GainSeries(name="g", data=np.zeros((3, 4, 5)), unit="V", rate=1.0, gain=2.0)
gains.data, gains.gain = [[[1]]], 3.0
assert_type(gains.data, ImageSeriesData)

"""

_REFUSED = [
    "movie.rate = 'x'",
    "GainSeries(name='g', data=None, gain=2.0)",
    "GainSeries(name='g', data=[], gian=2.0)",
    "movie.data = None",
    "movie.description = 3",
    "movie.imaging_plane = scope",
    "movie.num_frames = 3",
    "movie.dtaa = [1, 2]",
    "session.subject = 'a mouse'",
    "session.subject = scope",
    "session.acquisition = 3",
    "session.devices = [plane]",
    "session.session_start_time = 3",
    "session.identifier = None",
]

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
    """Let mypy judge a program; the places and texts of what it finds in it, and in the stubs."""
    sample = folder / "sample.py"
    sample.write_text(text, encoding="utf-8")
    options = ["--strict", "--follow-imports=silent", "--ignore-missing-imports"]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, sample.name, "nwb_ophys/models"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not run.stderr, run.stderr
    return [line for line in run.stdout.splitlines() if ": error: " in line]


def test_a_session_is_authored_under_strict_checks(stubbed: Path) -> None:
    assert _check(stubbed, _GOOD + _ASSIGNED) == []


def test_what_constructors_refuse_is_an_error(stubbed: Path) -> None:
    found = _check(stubbed, _GOOD + "\n".join(line for line, _ in _BAD) + "\n")
    first = len(_GOOD.splitlines()) + 1
    for number, (line, message) in enumerate(_BAD, first):
        errors = [each for each in found if each.startswith(f"sample.py:{number}:")]
        assert any(message in each for each in errors), (line, found)


def test_what_is_not_to_be_assigned_is_an_error(stubbed: Path) -> None:
    found = _check(stubbed, "\n".join((_GOOD, _ASSIGNED, *_REFUSED, "")))
    first = len(_GOOD.splitlines()) + len(_ASSIGNED.splitlines()) + 3
    lines = [int(each.split(":")[1]) for each in found]
    assert sorted(set(lines)) == list(range(first, first + len(_REFUSED))), found


def test_pyright_agrees(stubbed: Path) -> None:
    checker = shutil.which("basedpyright", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("basedpyright is not installed (it comes with '.[dev]')")
    text = "\n".join((_GOOD, _ASSIGNED, *_REFUSED, ""))
    (stubbed / "sample.py").write_text(text, encoding="utf-8")
    settings = {"typeCheckingMode": "standard", "include": ["sample.py", "nwb_ophys/models/*.pyi"]}
    (stubbed / "pyrightconfig.json").write_text(json.dumps(settings))
    run = subprocess.run(
        [checker, "--pythonpath", sys.executable, "--outputjson"],
        cwd=stubbed,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [
        each for each in json.loads(run.stdout)["generalDiagnostics"] if each["severity"] == "error"
    ]
    lines = [
        each["range"]["start"]["line"] if each["file"].endswith("sample.py") else each["file"]
        for each in errors
    ]
    first = len(text.splitlines()) - len(_REFUSED)
    assert lines == list(range(first, first + len(_REFUSED))), errors


def test_every_model_has_a_stub_that_parses() -> None:
    for name, text in model_stubs():
        compile(text, f"{name}.pyi", "exec")

"""`nwb-ophys segment`: results of other programs go into a file, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nwb_ophys as nwb
from nwb_ophys import cli
from nwb_ophys.testing import make_session
from tests.results import COLUMNS, RATE, ROIS, ROWS, SAMPLES, Result


@pytest.fixture
def path(tmp_path: Path) -> Path:
    session = make_session(
        frames=SAMPLES, width=COLUMNS, height=ROWS, rois=3, rate=RATE, segmentation=False
    )
    return nwb.write(session, tmp_path / "session.nwb")


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    status = cli.main(["segment", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("source", ["suite2p", "caiman", "labels"])
def test_results_go_into_the_file(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    truth = Result()
    expected = truth.masks
    if source == "suite2p":
        given = truth.suite2p(tmp_path, old=False) / "plane0"
    elif source == "caiman":
        given = truth.caiman(tmp_path / "results.hdf5")
    else:
        given = tmp_path / "labels.npy"
        labels = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % (ROIS + 1)
        np.save(given, labels)
        expected = labels == np.arange(1, ROIS + 1)[:, None, None]
    status, out, err = run(
        capsys,
        path,
        f"--{source}",
        given,
        "--imaging-plane",
        "ImagingPlane",
        "--kinds",
        "pixel,image",
    )
    assert (status, err) == (0, "")
    assert out.startswith(f"{path}: <Segmentation: 5 ROIs in 14 x 23 (yx)")
    result = nwb.read_segmentation(path, axes="yx")
    assert np.array_equal(result.masks.to_dense(), expected)
    if source != "labels":
        assert result.deconvolved is not None
        assert np.array_equal(result.deconvolved, truth.traces["deconvolved"])
        assert result.accepted.tolist() == truth.accepted.tolist()


def test_what_is_there_stays_unless_it_is_to_be_replaced(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = Result(planes=2)
    root = truth.suite2p(tmp_path, old=True)
    assert run(capsys, path, "--suite2p", root, "--plane", 0)[0] == 0
    before = path.read_bytes()
    status, out, err = run(capsys, path, "--suite2p", root, "--plane", 1)
    assert (status, out) == (2, "")
    assert "the name is taken: there is a PlaneSegmentation of 5 ROIs" in err
    assert path.read_bytes() == before
    assert run(capsys, path, "--suite2p", root, "--plane", 1, "--name", "second")[0] == 0
    assert run(capsys, path, "--suite2p", root, "--replace")[0] == 0
    result = nwb.read_segmentation(path, "PlaneSegmentation", axes="yx")
    assert np.array_equal(result.masks.to_dense(), truth.volume)


def test_messages(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Result().suite2p(tmp_path, old=True)
    file = root / "plane0" / "Fneu.npy"
    np.save(file, np.load(file)[:, 1:])
    status, _, err = run(capsys, path, "--suite2p", root)
    assert status == 2
    assert f"{root}: neuropil has 29 samples, but fluorescence has 30" in err
    status, _, err = run(capsys, path, "--caiman", root / "a.hdf5", "--plane", 1)
    assert (status, err) == (2, "nwb-ophys: --plane is for --suite2p only\n")
    status, _, err = run(capsys, path, "--caiman", root / "a.hdf5")
    assert (status, err) == (2, f"nwb-ophys: {root / 'a.hdf5'}: there is no such file\n")

"""The demonstration does what it says, with the core dependencies only."""

import subprocess
import sys

import h5py
import pytest

from nwb_ophys import demo
from nwb_ophys.errors import FileExistsNWBError


@pytest.fixture(scope="module")
def transcript(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "new"
    return folder, list(demo.run(folder))


def after(lines, code, count=1):
    at = next(i for i, line in enumerate(lines) if code in line and ">>>" in line)
    return [line.strip() for line in lines[at + 1 : at + 1 + count]]


def test_every_step_is_told_and_timed(transcript):
    _, lines = transcript
    for number, step in enumerate(demo.STEPS, 1):
        assert f"{number}. {step.title}" in lines
        assert any(
            line.startswith(f"{number}. {step.title} ") and float(line.split()[-1]) >= 0
            for line in lines
        )


def test_the_files_lie_where_it_says(transcript):
    folder, lines = transcript
    assert sorted(path.name for path in folder.iterdir()) == ["segmented.nwb", "session.nwb"]
    for path in folder.iterdir():
        assert any(line.strip().startswith(str(path)) for line in lines)


def test_exactly_what_was_added_differs(transcript):
    _, lines = transcript
    assert after(lines, "print(*nwb.diff(first, second)", 2) == [
        "/processing/ophys/Fluorescence: only in b: Fluorescence",
        "/processing/ophys/ImageSegmentation: only in b: ImageSegmentation",
    ]
    assert after(lines, "same_movie, same_cells, same_masks") == ["(True, True, True)"]
    assert after(lines, "movie.imaging_plane is session") == ["True"]


def test_the_movie_is_the_same_for_h5py(transcript):
    folder, _ = transcript
    with h5py.File(folder / "session.nwb") as a, h5py.File(folder / "segmented.nwb") as b:
        path = "acquisition/TwoPhotonSeries/data"
        assert (a[path][:] == b[path][:]).all()
        assert b["processing/ophys/ImageSegmentation/PlaneSegmentation/pixel_mask"].size


def test_files_of_an_earlier_run_are_left_alone(transcript):
    folder, _ = transcript
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises(FileExistsNWBError, match=r"session\.nwb"):
        list(demo.run(folder))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_it_needs_the_core_dependencies_only(tmp_path):
    absent = ["pynwb", "hdmf", "pandas", "scipy", "hypothesis", "pytest", "dask", "xarray"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r})); "
        f"from nwb_ophys.cli import main; sys.exit(main(['demo', '--folder', {str(tmp_path)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "(True, True, True)" in done.stdout
    assert done.stderr == ""

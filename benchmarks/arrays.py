"""Large arrays: copying their files, reading them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nwb_ophys as nwb
from benchmarks.files import MOVIE, Files
from benchmarks.registry import benchmark, faster
from benchmarks.timing import Comparison, compare, seconds

_RANDOM_FRAMES = 50


@benchmark(
    "copy",
    "open and write an unchanged gzip file of {copied_mb:,} MB",
    against="cp",
    target=faster(0.5),
)
def copy(files: Files) -> Comparison:
    path = files.to_copy()

    def ours() -> None:
        with nwb.open(path) as session:
            nwb.write(session, files.target("copied.nwb"))

    return compare(
        seconds(ours),
        seconds(lambda: _cp(path, files.target("cp.nwb"))),
        rounds=files.scale.rounds,
        budget=files.scale.budget,
    )


def _cp(source: Path, target: Path) -> None:
    if shutil.which("cp") is None:
        shutil.copyfile(source, target)
    else:
        subprocess.run(["cp", source, target], check=True)


@benchmark(
    "read-plain",
    "read an uncompressed movie of {frames:,} frames",
    against="h5py",
    target=faster(0.95),
)
def read_plain(files: Files) -> Comparison:
    return _reading(files, files.plain_movie(), _whole)


@benchmark("read-gzip", "read a gzip movie of {frames:,} frames", against="h5py", target=faster(3))
def read_gzip(files: Files) -> Comparison:
    return _reading(files, files.gzip_movie(), _whole)


@benchmark("frames-gzip", "read 50 random frames of it", against="h5py", target=faster(3))
def frames_gzip(files: Files) -> Comparison:
    return _reading(files, files.gzip_movie(), _random_frames)


@benchmark("frames-gzip-pynwb", "read 50 random frames of it", against="pynwb", target=faster(3))
def frames_gzip_pynwb(files: Files) -> Comparison:
    from pynwb import NWBHDF5IO

    path = files.gzip_movie()
    with nwb.open(path) as session, NWBHDF5IO(path, "r") as io:
        return _side_by_side(
            files,
            session.acquisition["TwoPhotonSeries"].data,
            io.read().acquisition["TwoPhotonSeries"].data,
            _random_frames,
        )


def _reading(files: Files, path: Path, read: Any) -> Comparison:
    with nwb.open(path) as session, h5py.File(path, "r") as file:
        return _side_by_side(files, session.acquisition["TwoPhotonSeries"].data, file[MOVIE], read)


def _side_by_side(files: Files, ours: Any, theirs: Any, read: Any) -> Comparison:
    if not np.array_equal(read(ours), read(theirs)):
        raise RuntimeError("both sides read different data")
    return compare(
        seconds(lambda: read(ours)),
        seconds(lambda: read(theirs)),
        rounds=files.scale.rounds,
        budget=files.scale.budget,
    )


def _whole(movie: Any) -> np.ndarray[Any, Any]:
    frames: np.ndarray[Any, Any] = movie[:]
    return frames


def _random_frames(movie: Any) -> list[np.ndarray[Any, Any]]:
    places = np.random.default_rng(0).integers(0, movie.shape[0], _RANDOM_FRAMES)
    return [movie[place] for place in places.tolist()]

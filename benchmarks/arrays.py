"""Large arrays: copying their files, reading them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nwb_ophys as nwb
from benchmarks.files import MOVIE, Files
from benchmarks.registry import benchmark, faster
from benchmarks.timing import Comparison, compare, seconds

Read = Callable[[Any], Any]
"""Reads something of a movie."""


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
        files.scale,
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


@benchmark(
    "frames-gzip",
    "read {random_frames} random frames of a gzip movie",
    against="h5py",
    target=faster(3),
)
def frames_gzip(files: Files) -> Comparison:
    return _reading(files, files.gzip_movie(), _frames(files))


@benchmark(
    "frames-gzip-pynwb",
    "read {random_frames} random frames of a gzip movie",
    against="pynwb",
    target=faster(3),
)
def frames_gzip_pynwb(files: Files) -> Comparison:
    from pynwb import NWBHDF5IO

    path = files.gzip_movie()
    with nwb.open(path) as session, NWBHDF5IO(path, "r") as io:
        return _side_by_side(
            files,
            session.acquisition["TwoPhotonSeries"].data,
            io.read().acquisition["TwoPhotonSeries"].data,
            _frames(files),
        )


def _reading(files: Files, path: Path, read: Read) -> Comparison:
    with nwb.open(path) as session, h5py.File(path, "r") as file:
        return _side_by_side(files, session.acquisition["TwoPhotonSeries"].data, file[MOVIE], read)


def _side_by_side(files: Files, ours: Any, theirs: Any, read: Read) -> Comparison:
    if not np.array_equal(read(ours), read(theirs)):
        raise RuntimeError("both sides read different data")
    return compare(
        seconds(lambda: read(ours)),
        seconds(lambda: read(theirs)),
        files.scale,
    )


def _whole(movie: Any) -> Any:
    return movie[:]


def _frames(files: Files) -> Read:
    scale = files.scale
    places = np.random.default_rng(0).integers(0, scale.frames, scale.random_frames).tolist()
    return lambda movie: [movie[place] for place in places]

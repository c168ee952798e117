"""Large arrays: copying their files, reading them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import nwb_ophys as nwb
from benchmarks.files import MOVIE, Files
from benchmarks.registry import benchmark, faster, growth
from benchmarks.timing import Comparison, compare, seconds
from nwb_ophys.hdf5.workers import thread_count

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


@benchmark(
    "pixel-plain",
    "read a pixel's {frames:,} samples of an uncompressed movie",
    against="h5py",
    target=faster(0.95),
)
def pixel_plain(files: Files) -> Comparison:
    return _reading(files, files.plain_movie(), lambda movie: movie[:, 200, 300])


@benchmark(
    "mean-gzip",
    "average a gzip movie of {frames:,} frames over time",
    against="h5py and numpy",
    target=faster(2),
)
def mean_gzip(files: Files) -> Comparison:
    return _reading(files, files.gzip_movie(), lambda movie: np.mean(movie, axis=0))


@growth("chunks", "open, read the first frame, by number of chunks in the movie")
def first_frame_by_chunks(files: Files) -> dict[int, list[float]]:
    paths = {count: files.many_chunks(count) for count in files.scale.chunks}

    def read(path: Path) -> None:
        with nwb.open(path) as session:
            session.acquisition["frames"].data[0]

    return _rounds(files, {count: partial(read, path) for count, path in paths.items()})


@growth("frames", "read so many frames of a gzip movie")
def by_frames(files: Files) -> dict[int, list[float]]:
    counts = [files.scale.frames * share // 8 for share in (1, 2, 4, 8)]

    def read(count: int) -> None:
        with nwb.open(files.gzip_movie()) as session:
            session.acquisition["TwoPhotonSeries"].data[:count]

    return _rounds(files, {count: partial(read, count) for count in counts})


@growth("threads", "read a gzip movie whole, by number of threads")
def by_threads(files: Files) -> dict[int, list[float]]:
    usual = thread_count()

    def read(count: int) -> None:
        nwb.configure(threads=count)
        with nwb.open(files.gzip_movie()) as session:
            session.acquisition["TwoPhotonSeries"].data[:]

    try:
        counts = sorted({1, 2, usual})
        return _rounds(files, {count: partial(read, count) for count in counts})
    finally:
        nwb.configure(threads=usual)


def _rounds(files: Files, works: dict[int, Callable[[], None]]) -> dict[int, list[float]]:
    samples: dict[int, list[float]] = {count: [] for count in works}
    for work in works.values():
        work()
    for _ in range(files.scale.rounds):
        for count, work in works.items():
            samples[count].append(seconds(work)())
    return samples


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

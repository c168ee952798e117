"""Changes of a file in place: next to h5py, which has no journal, and next to opening to read."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import h5py
import numpy as np

import nwb_ophys as nwb
from benchmarks.files import Files
from benchmarks.registry import at_most, benchmark
from benchmarks.timing import Comparison, Stopwatch, compare, seconds

_COLUMNS = 1000


@benchmark(
    "edit",
    "add {added_mb:,} MB to a file of {edited_mb:,} MB",
    against="h5py, then a sync",
    target=at_most(2),
)
def edit(files: Files) -> Comparison:
    scale = files.scale
    rows = scale.added_mb * 1_000_000 // (2 * _COLUMNS)
    data = np.random.default_rng(0).integers(0, 1000, (rows, _COLUMNS), "int16")
    return compare(
        _adding(_add_ours, _large(files, "ours.nwb"), data),
        _adding(_add_theirs, _large(files, "theirs.nwb"), data),
        scale,
    )


@benchmark(
    "open-to-edit",
    "open a file so that it can be changed, and close it",
    against="ours, to read",
    target=at_most(1.1),
)
def open_to_edit(files: Files) -> Comparison:
    path = files.plain_movie()
    return compare(
        seconds(lambda: nwb.open(path, "r+").close()),
        seconds(lambda: nwb.open(path).close()),
        files.scale,
        more=5,
    )


def _large(files: Files, name: str) -> Path:
    """Make a large session, whose movie takes no room where files may be sparse."""
    session = nwb.NWBFile(
        identifier="large",
        session_description="a large session",
        session_start_time="2026-01-02T03:04:05+00:00",
    )
    movie = np.zeros((1, 512, 512), np.int16)
    session.acquisition.add(nwb.TimeSeries(name="movie", data=movie, unit="a.u.", rate=30.0))
    path = nwb.write(session, files.target(name))
    frames = files.scale.edited_mb * 1_000_000 // movie.nbytes
    with h5py.File(path, "r+") as file:
        group = file["acquisition/movie"]
        attributes = dict(group["data"].attrs)
        del group["data"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((frames, *movie.shape[1:]))
        h5py.h5d.create(group.id, b"data", h5py.h5t.NATIVE_INT16, space, plist)
        group["data"].attrs.update(attributes)
    return path


def _adding(
    work: Callable[[Path, str, np.ndarray], None], path: Path, data: np.ndarray
) -> Stopwatch:
    numbers = count()
    return seconds(lambda: work(path, f"added{next(numbers)}", data))


def _add_ours(path: Path, name: str, data: np.ndarray) -> None:
    with nwb.open(path, "r+") as session:
        session.acquisition.add(nwb.TimeSeries(name=name, data=data, unit="a.u.", rate=30.0))
        session.save(compression=None)


def _add_theirs(path: Path, name: str, data: np.ndarray) -> None:
    with h5py.File(path, "r+") as file:
        group = file["acquisition"].create_group(name)
        group.attrs.update({"namespace": "core", "neurodata_type": "TimeSeries"})
        stored = group.create_dataset("data", data=data)
        stored.attrs.update({"unit": "a.u.", "conversion": 1.0, "resolution": -1.0})
        group["starting_time"] = 0.0
        group["starting_time"].attrs.update({"rate": 30.0, "unit": "seconds"})
    descriptor = os.open(path, os.O_RDWR)
    os.fsync(descriptor)
    os.close(descriptor)

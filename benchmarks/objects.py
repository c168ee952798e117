"""Files of many objects: opening, touching, authoring."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import nwb_ophys as nwb
from benchmarks.files import Files, write_series
from benchmarks.registry import at_most, benchmark, faster, growth
from benchmarks.timing import Comparison, compare, seconds


def _open(path: Path) -> None:
    nwb.open(path).close()


def _touch(path: Path) -> int:
    """Open a file and touch every field of every object; arrays stay unread."""
    touched = 0
    with nwb.open(path) as session:
        for model in session.walk():
            for name in type(model).model_fields:
                getattr(model, name)
                touched += 1
    return touched


def _read_with_pynwb(path: Path) -> Any:
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(path, "r") as io:
        return io.read()


def _author(path: Path, count: int) -> None:
    session = nwb.NWBFile(
        identifier="m1-s1",
        session_description="two-photon session",
        session_start_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    for number in range(count):
        session.acquisition.add(
            nwb.TimeSeries(
                name=f"series{number:05}",
                data=np.arange(10.0),
                unit="V",
                rate=30.0,
                description="d",
            )
        )
    nwb.write(session, path)


@benchmark("open", "open a file of {series:,} TimeSeries", against="pynwb", target=faster(300))
def open_many(files: Files) -> Comparison:
    path = files.many()
    _open(files.few())
    _read_with_pynwb(files.few())
    return compare(
        seconds(lambda: _open(path)),
        seconds(lambda: _read_with_pynwb(path)),
        files.scale,
        warm=False,
    )


@benchmark(
    "open-growth",
    "open a file of {series:,} TimeSeries",
    against="ours, of {few}",
    target=at_most(1.5),
)
def open_many_or_few(files: Files) -> Comparison:
    many, few = files.many(), files.few()
    return compare(
        seconds(lambda: _open(many)),
        seconds(lambda: _open(few)),
        files.scale,
        more=10,
    )


@benchmark(
    "touch",
    "open and touch every field of {series:,} TimeSeries",
    against="pynwb's read",
    target=faster(5),
)
def touch(files: Files) -> Comparison:
    path = files.many()
    _touch(files.few())
    _read_with_pynwb(files.few())
    return compare(
        seconds(lambda: _touch(path)),
        seconds(lambda: _read_with_pynwb(path)),
        files.scale,
        warm=False,
    )


@benchmark("author", "author and write {series:,} TimeSeries", against="pynwb", target=faster(5))
def author(files: Files) -> Comparison:
    count, few = files.scale.series, files.scale.few
    _author(files.target("ours.nwb"), few)
    write_series(files.target("theirs.nwb"), few)
    return compare(
        seconds(lambda: _author(files.target("ours.nwb"), count)),
        seconds(lambda: write_series(files.target("theirs.nwb"), count)),
        files.scale,
        warm=False,
    )


@growth("objects", "open, by number of TimeSeries in the file")
def open_by_count(files: Files) -> dict[int, list[float]]:
    paths = {count: files.series(count) for count in files.scale.growth}
    samples: dict[int, list[float]] = {count: [] for count in paths}
    for _ in range(10 * files.scale.rounds):
        for count, path in paths.items():
            samples[count].append(seconds(partial(_open, path))())
    return samples

"""Writing movies: compressed, from an iterator, and how fast what was written is to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import nwb_ophys as nwb
from benchmarks.files import MOVIE, Files, noise, write_movie
from benchmarks.registry import at_most, benchmark, faster
from benchmarks.timing import Comparison, compare, fresh_process, seconds

_LIMIT = 500e6  # bytes of memory that a stream may take, however long it is


@benchmark(
    "write-gzip",
    "write a gzip movie of {written:,} frames",
    against="pynwb, gzip 4",
    target=faster(10),
)
def write_gzip(files: Files) -> Comparison:
    movie = _movie(files)
    ours, theirs = files.target("ours.nwb"), files.target("theirs.nwb")
    result = compare(
        seconds(lambda: _write_ours(ours, movie)),
        seconds(lambda: _write_theirs(theirs, movie, compression="gzip", compression_opts=4)),
        files.scale,
        warm=False,
    )
    if ours.stat().st_size > theirs.stat().st_size:
        raise RuntimeError("our file is larger")
    return result


@benchmark(
    "write-stream",
    "the same from an iterator of blocks of 7 frames",
    against="pynwb, gzip 4",
    target=faster(10),
)
def write_stream(files: Files) -> Comparison:
    from hdmf.data_utils import DataChunkIterator

    movie = _movie(files)

    def blocks() -> Iterator[Any]:
        return (movie[first : first + 7] for first in range(0, len(movie), 7))

    def theirs() -> None:
        data = DataChunkIterator(iter(movie), buffer_size=7)
        settings = {"compression": "gzip", "compression_opts": 4}
        _write_theirs(files.target("theirs.nwb"), data, **settings)

    return compare(
        seconds(lambda: _write_ours(files.target("ours.nwb"), blocks())),
        seconds(theirs),
        files.scale,
        warm=False,
    )


@benchmark(
    "write-plain",
    "write an uncompressed movie of {written:,} frames",
    against="pynwb",
    target=faster(0.5),
)
def write_plain(files: Files) -> Comparison:
    # Unlike the other side we wait until it is on the disk.
    movie = _movie(files)
    return compare(
        seconds(lambda: _write_ours(files.target("ours.nwb"), movie, compression=None)),
        seconds(lambda: write_movie(files.target("theirs.nwb"), movie)),
        files.scale,
    )


@benchmark(
    "frames-written",
    "read {random_frames} random frames of a gzip movie written with default chunks",
    against="pynwb, of its own",
    target=faster(20),
)
def frames_written(files: Files) -> Comparison:
    from pynwb import NWBHDF5IO

    movie = _movie(files)
    ours, theirs = files.target("ours.nwb"), files.target("theirs.nwb")
    _write_ours(ours, movie)
    _write_theirs(theirs, movie, compression="gzip")
    count = files.scale.random_frames
    places = np.random.default_rng(0).integers(0, len(movie), count).tolist()
    with nwb.open(ours) as session, NWBHDF5IO(theirs, "r") as io:
        sides: list[Any] = [
            session.acquisition["TwoPhotonSeries"].data,
            io.read().acquisition["TwoPhotonSeries"].data,
        ]
        if any(not np.array_equal(side[place], movie[place]) for side in sides for place in places):
            raise RuntimeError("other frames were read than were written")
        return compare(
            seconds(_reading(sides[0], places)),
            seconds(_reading(sides[1], places)),
            files.scale,
        )


@benchmark(
    "stream-memory",
    "most memory while {streamed_mb:,} MB are written from an iterator",
    against="500 MB",
    target=at_most(1),
    unit="B",
)
def stream_memory(files: Files) -> Comparison:
    frames = files.scale.streamed_mb * 1_000_000 // (512 * 512 * 2)
    peak = float(fresh_process(_STREAM, str(files.target("stream.nwb")), str(frames)))
    return Comparison([peak], [_LIMIT])


_STREAM = """
import re, sys
from pathlib import Path
import nwb_ophys as nwb
from benchmarks.files import noise
from benchmarks.writing import session_of

block = noise((20, 512, 512), 0)
left = int(sys.argv[2])

def blocks():
    global left
    while left > 0:
        yield block[:left].copy()
        left -= len(block)

nwb.write(session_of(blocks()), sys.argv[1])
# getrusage would count what the parent process had when it made this one.
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024)
"""


def _movie(files: Files) -> np.ndarray[Any, np.dtype[np.int16]]:
    return noise((files.scale.written, 512, 512), 0)


def session_of(movie: Any) -> nwb.NWBFile:
    """Author a session with a movie."""
    session = nwb.NWBFile(
        identifier="m1-s1",
        session_description="two-photon session",
        session_start_time="2026-01-02T03:04:05+00:00",
    )
    scope = session.devices.add(nwb.Device(name="scope"))
    plane = session.imaging_planes.add(
        nwb.ImagingPlane(
            name="plane",
            description="layer 2/3",
            device=scope,
            excitation_lambda=920.0,
            indicator="GCaMP6f",
            location="V1",
            children=[nwb.OpticalChannel(name="green", description="g", emission_lambda=520.0)],
        )
    )
    name = MOVIE.split("/")[2]
    session.acquisition.add(
        nwb.TwoPhotonSeries(name=name, data=movie, unit="n.a.", rate=30.0, imaging_plane=plane)
    )
    return session


def _write_ours(path: Path, movie: Any, **settings: Any) -> None:
    nwb.write(session_of(movie), path, overwrite=True, **settings)


def _write_theirs(path: Path, movie: Any, **settings: Any) -> None:
    from hdmf.backends.hdf5 import H5DataIO

    write_movie(path, H5DataIO(movie, **settings))


def _reading(movie: Any, places: list[int]) -> Callable[[], Any]:
    return lambda: [movie[place] for place in places]

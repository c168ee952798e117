"""The files that are measured on, written by PyNWB when they are first asked for."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

__all__ = [
    "FULL",
    "MOVIE",
    "NORMAL",
    "ROIS",
    "SMALL",
    "Files",
    "Scale",
    "noise",
    "write_movie",
    "write_series",
]

MOVIE = "/acquisition/TwoPhotonSeries/data"
ROIS = "/processing/ophys/ImageSegmentation/PlaneSegmentation"

_START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_CHUNK = (20, 256, 256)
_PATTERNS = 8  # different chunks of noise, repeated over a movie


@dataclass(frozen=True)
class Scale:
    """How large the work is.

    Parameters
    ----------
    rounds, budget
        The most rounds of a comparison, and the seconds after which no further one begins.
    series
        `TimeSeries` of the file of many objects.
    few
        Those of the file of few.
    rois
        Regions of interest of the segmentation.
    frames, random_frames
        Of the movie to read, 512 x 512 int16, and those read one by one.
    copied_mb
        Megabytes of the file to copy.
    growth
        The numbers of `TimeSeries` over which growth is shown.
    chunks
        The numbers of chunks over which growth is shown.
    segmented, trace_samples
        Regions of interest of a result to write, and the samples of the trace of each.
    edited_mb, added_mb
        Megabytes of the file to change in place, and of what is added to it.
    written
        Frames of a movie to write.
    streamed_mb
        Megabytes to write from an iterator.
    """

    name: str
    rounds: int
    budget: float
    series: int
    few: int
    rois: int
    frames: int
    random_frames: int
    copied_mb: int
    growth: tuple[int, ...]
    chunks: tuple[int, ...] = (100, 10_000, 100_000)
    segmented: int = 5000
    trace_samples: int = 20000
    edited_mb: int = 5000
    added_mb: int = 10
    written: int = 200
    streamed_mb: int = 2000


SMALL = Scale(
    "small",
    1,
    0,
    50,
    5,
    20,
    40,
    3,
    2,
    (5, 50),
    (5, 50),
    segmented=30,
    trace_samples=200,
    edited_mb=5,
    added_mb=1,
    written=12,
    streamed_mb=20,
)
NORMAL = Scale("normal", 15, 30, 2000, 20, 500, 400, 50, 200, (20, 200, 2000))
FULL = Scale(
    "full",
    25,
    60,
    2000,
    20,
    500,
    1000,
    50,
    1000,
    (20, 200, 2000, 20000),
    written=400,
    streamed_mb=8000,
)


@dataclass(frozen=True)
class Files:
    """A folder of files to measure on.

    Parameters
    ----------
    folder
        Where they lie.
    scale
        How large they are.
    """

    folder: Path
    scale: Scale

    def many(self) -> Path:
        """Give the file of many `TimeSeries`."""
        return self.series(self.scale.series)

    def few(self) -> Path:
        """Give the file of few `TimeSeries`."""
        return self.series(self.scale.few)

    def series(self, count: int) -> Path:
        """Give a file of so many `TimeSeries`."""
        return self._made(f"series-{count}.nwb", lambda path: write_series(path, count))

    def segmentation(self) -> Path:
        """Give a file with regions of interest and their pixel masks."""
        return self._made("rois.nwb", lambda path: _write_rois(path, self.scale.rois))

    def segmented(self) -> Path:
        """Give a file with the pixel masks of a large segmentation."""
        return self._made("segmented.nwb", lambda path: _write_rois(path, self.scale.segmented))

    def gzip_movie(self) -> Path:
        """Give a file with a gzip movie."""
        frames = self.scale.frames
        return self._made("gzip.nwb", lambda path: _write_gzip_movie(path, frames))

    def plain_movie(self) -> Path:
        """Give a file with an uncompressed movie."""
        frames = self.scale.frames
        return self._made("plain.nwb", lambda path: _write_plain_movie(path, frames))

    def many_chunks(self, count: int) -> Path:
        """Give a file with a movie of tiny compressed frames, each a chunk."""
        return self._made(f"chunks-{count}.nwb", lambda path: _write_chunks(path, count))

    def to_copy(self) -> Path:
        """Give a file of compressed chunks, as large as the scale asks."""
        frames = max(20, self.scale.copied_mb * 5) // 20 * 20  # half a megabyte raw, 0.4 times that
        return self._made("copy.nwb", lambda path: _write_gzip_movie(path, frames))

    def target(self, name: str) -> Path:
        """Give a path to write to, with nothing there."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        return path

    def _made(self, name: str, write: Callable[[Path], None]) -> Path:
        path = self.folder / name
        if not path.exists():
            write(path)
        return path


def _new_session() -> Any:
    from pynwb import NWBFile

    return NWBFile("two-photon session", "m1-s1", _START)


def _write(session: Any, path: Path) -> None:
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(path, "w") as io:
        io.write(session)


def write_series(path: Path, count: int) -> None:
    """Author and write a file of so many `TimeSeries` with PyNWB."""
    from pynwb import TimeSeries

    session = _new_session()
    for number in range(count):
        session.add_acquisition(
            TimeSeries(
                name=f"series{number:05}",
                data=np.arange(10.0),
                unit="V",
                rate=30.0,
                description="d",
            )
        )
    _write(session, path)


def _plane(session: Any) -> Any:
    from pynwb.ophys import OpticalChannel

    device = session.create_device("scope")
    channel = OpticalChannel(name="green", description="green", emission_lambda=520.0)
    return session.create_imaging_plane(
        name="plane",
        optical_channel=channel,
        description="layer 2/3",
        device=device,
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="V1",
    )


def _write_rois(path: Path, count: int) -> None:
    from pynwb.ophys import ImageSegmentation

    session = _new_session()
    ophys = session.create_processing_module("ophys", "ophys")
    segmentation = ImageSegmentation()
    ophys.add(segmentation)
    table = segmentation.create_plane_segmentation(
        "regions of interest", _plane(session), name="PlaneSegmentation"
    )
    random = np.random.default_rng(0)
    for _ in range(count):
        pixels = random.integers(0, 512, (60, 2))
        table.add_roi(pixel_mask=[(x, y, 1.0) for x, y in pixels.tolist()])
    _write(session, path)


def write_movie(path: Path, data: Any) -> None:
    from pynwb.ophys import TwoPhotonSeries

    session = _new_session()
    session.add_acquisition(
        TwoPhotonSeries(
            name="TwoPhotonSeries",
            data=data,
            unit="n.a.",
            rate=30.0,
            imaging_plane=_plane(session),
        )
    )
    _write(session, path)


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Make photon noise around a level that changes over the image."""
    level = 100 + 80 * np.sin(np.linspace(0, 9, shape[-1]))
    return np.random.default_rng(seed).poisson(level, shape).astype(np.int16)


def _write_plain_movie(path: Path, frames: int) -> None:
    write_movie(path, np.resize(noise((20, 512, 512), 0), (frames, 512, 512)))


def _write_chunks(path: Path, count: int) -> None:
    from pynwb import TimeSeries

    session = _new_session()
    session.add_acquisition(TimeSeries(name="frames", data=np.zeros((1, 4, 4)), unit="V", rate=1.0))
    _write(session, path)
    with h5py.File(path, "r+") as file:
        attributes = dict(file["acquisition/frames/data"].attrs)
        del file["acquisition/frames/data"]
        data = file["acquisition/frames"].create_dataset(
            "data", (count, 4, 4), "i2", chunks=(1, 4, 4), compression="gzip"
        )
        data.attrs.update(attributes)
        chunk = zlib.compress(np.arange(16, dtype="i2").tobytes(), 1)
        for number in range(count):
            data.id.write_direct_chunk((number, 0, 0), chunk)


def _write_gzip_movie(path: Path, frames: int) -> None:
    """Write a movie whose chunks are compressed once and stored many times over."""
    from hdmf.backends.hdf5 import H5DataIO

    shape = (frames, 512, 512)
    settings = {"chunks": _CHUNK, "compression": "gzip", "compression_opts": 4}
    write_movie(path, H5DataIO(shape=shape, dtype=np.dtype(np.int16), **settings))
    packed = [zlib.compress(noise(_CHUNK, seed).tobytes(), 4) for seed in range(_PATTERNS)]
    with h5py.File(path, "r+") as file:
        movie = file[MOVIE]
        starts = np.ndindex(*(-(-n // chunk) for n, chunk in zip(shape, _CHUNK, strict=True)))
        for number, start in enumerate(starts):
            offset = tuple(n * chunk for n, chunk in zip(start, _CHUNK, strict=True))
            movie.id.write_direct_chunk(offset, packed[number % _PATTERNS])

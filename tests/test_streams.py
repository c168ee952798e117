"""Arrays that are not in memory, of every kind, and what is left when they break off."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hdmf.backends.hdf5 import H5DataIO
from hdmf.data_utils import DataChunk, DataChunkIterator, GenericDataChunkIterator
from nwbinspector import Importance, inspect_nwbfile
from pydantic import ValidationError
from pynwb import NWBHDF5IO, validate
from scripts import printed, run
from test_writing_arrays import movie, noise, same, series, written

import nwb_ophys as nwb
from nwb_ophys.hdf5 import blocks, turns
from nwb_ophys.testing import make_session

MOVIE = noise("i2", (37, 24, 18))


class Generic(GenericDataChunkIterator):
    def __init__(self, array: np.ndarray, **settings: Any) -> None:
        self.array = array
        super().__init__(**settings)

    def _get_data(self, selection: Any) -> np.ndarray:
        return self.array[selection]

    def _get_maxshape(self) -> tuple[int, ...]:
        return self.array.shape

    def _get_dtype(self) -> np.dtype:
        return self.array.dtype


class Backwards(DataChunkIterator):
    """Gives its entries from the last to the first, each under its number."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.left = len(array)

    def __next__(self) -> DataChunk:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return DataChunk(self.array[self.left], self.left)

    @property
    def maxshape(self) -> tuple[int | None, ...]:
        return (None, *self.array.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype


class Scattered(Backwards):
    """Gives every second entry, and then the others."""

    def __init__(self, array: np.ndarray) -> None:
        super().__init__(array)
        self.left = 2

    def __next__(self) -> DataChunk:
        if not self.left:
            raise StopIteration
        self.left -= 1
        chosen = slice(1 - self.left, len(self.array), 2)
        return DataChunk(self.array[chosen], (chosen, slice(None), slice(None)))


class Reader:
    """A reader in the manner of that of ScanImage files."""

    def shape(self) -> list[int]:
        return list(MOVIE.shape)

    def dtype(self) -> type:
        return np.int16

    def data(self, first: int = 0, last: int = len(MOVIE)) -> np.ndarray:
        return MOVIE[first:last]


OPEN: list[Any] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


class OnlyIterable:
    def __iter__(self) -> Iterator[np.ndarray]:
        return iter([MOVIE[:5], MOVIE[5:]])


def _memmap(folder: Path) -> np.ndarray:
    np.save(folder / "movie.npy", MOVIE)
    return np.load(folder / "movie.npy", mmap_mode="r")


def _dask(chunks: Any) -> Callable[[Path], Any]:
    return lambda folder: pytest.importorskip("dask.array").from_array(MOVIE, chunks)


def _zarr(folder: Path) -> Any:
    zarr = pytest.importorskip("zarr")
    array = zarr.open(
        str(folder / "a.zarr"), mode="w", shape=MOVIE.shape, dtype="i2", chunks=(10, 24, 7)
    )
    array[:] = MOVIE
    return array


def _tiff(*, compressed: bool, series: bool) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        tifffile = pytest.importorskip("tifffile")
        how = {"compression": "zlib"} if compressed else {}
        tifffile.imwrite(folder / "a.tif", MOVIE, photometric="minisblack", **how)
        opened = tifffile.TiffFile(folder / "a.tif")
        OPEN.append(opened)
        return opened.series[0] if series else opened

    return make


def _h5py(folder: Path) -> Any:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("a", data=MOVIE, chunks=(8, 5, 18), compression="gzip")
    OPEN.append(h5py.File(folder / "a.h5"))
    return nwb.Storage(OPEN[-1]["a"], shuffle=True)  # else its chunks would be copied


KINDS: dict[str, Callable[[Path], Any]] = {
    "blocks of 7 frames": lambda _: (MOVIE[i : i + 7] for i in range(0, 37, 7)),
    "single frames": lambda _: iter(MOVIE),
    "single frames with an axis": lambda _: (frame[None] for frame in MOVIE),
    "one block": lambda _: iter([MOVIE]),
    "blocks and empty ones": lambda _: iter([MOVIE[:0], MOVIE[:3], MOVIE[3:3], MOVIE[3:]]),
    "iterable": lambda _: OnlyIterable(),
    "memory map": _memmap,
    "dask": _dask((10, 24, 18)),
    "dask in odd chunks": _dask(((1, 20, 0, 16), (20, 4), (9, 9))),
    "zarr": _zarr,
    "h5py": _h5py,
    "tiff": _tiff(compressed=False, series=True),
    "compressed tiff": _tiff(compressed=True, series=True),
    "tiff file": _tiff(compressed=True, series=False),
    "ScanImage": lambda _: Reader(),
    "DataChunkIterator": lambda _: DataChunkIterator(iter(MOVIE), buffer_size=4),
    "DataChunkIterator of an array": lambda _: DataChunkIterator(MOVIE, buffer_size=10),
    "DataChunkIterator along x": lambda _: DataChunkIterator(MOVIE, iter_axis=1, buffer_size=5),
    "GenericDataChunkIterator": lambda _: Generic(MOVIE),
    "Generic, small": lambda _: Generic(MOVIE, chunk_shape=(3, 8, 18), buffer_shape=(9, 16, 18)),
    "backwards": lambda _: Backwards(MOVIE),
    "scattered": lambda _: Scattered(MOVIE),
    "H5DataIO": lambda _: H5DataIO(MOVIE),
    "H5DataIO of an iterator": lambda _: H5DataIO(DataChunkIterator(iter(MOVIE))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunks", [True, (4, 10, 18)])
def test_everything_streams(tmp_path: Path, kind: str, chunks: Any) -> None:
    dataset = written(movie(KINDS[kind](tmp_path)), tmp_path, chunks=chunks)
    np.testing.assert_array_equal(dataset[()], MOVIE)
    assert dataset.dtype.newbyteorder("=") == MOVIE.dtype
    assert dataset.maxshape[0] is None
    if chunks is not True and kind != "Generic, small":
        assert dataset.chunks == chunks


def test_settings_of_hdmf_are_taken_over(tmp_path: Path) -> None:
    settings = {"chunks": (3, 24, 9), "compression": "gzip", "compression_opts": 7}
    for data in (MOVIE, DataChunkIterator(iter(MOVIE)), Generic(MOVIE)):
        dataset = written(movie(H5DataIO(data, shuffle=False, **settings)), tmp_path)
        assert (dataset.chunks, dataset.compression_opts, dataset.shuffle) == ((3, 24, 9), 7, False)
        same(dataset, MOVIE)
    with pytest.warns(UserWarning, match="lzf compression may not be available"):
        lzf = H5DataIO(MOVIE, compression="lzf")
    assert written(movie(lzf), tmp_path).compression == "lzf"
    with pytest.raises(ValidationError, match="found an H5DataIO without data"):
        movie(H5DataIO(shape=(3, 4, 5), dtype=np.dtype("i2")))


def test_blocks_for_other_chunks_keep_theirs(tmp_path: Path) -> None:
    made_for = Generic(MOVIE, chunk_shape=(3, 8, 18), buffer_shape=(9, 16, 18))
    assert written(movie(made_for), tmp_path).chunks == (3, 8, 18)


def test_values_are_checked_as_those_of_arrays_are(tmp_path: Path) -> None:
    with pytest.raises(nwb.SchemaError, match=r"/acquisition/series/data.*expected axes .*frame"):
        nwb.write(movie(iter([np.zeros(3)])), tmp_path / "a.nwb")
    with pytest.raises(nwb.SchemaError, match=r"/acquisition/series/data.*expected numeric"):
        nwb.write(movie(iter([np.array([[["a"]]])])), tmp_path / "a.nwb")
    with pytest.raises(nwb.SchemaError, match="expected blocks with a first axis"):
        nwb.write(series(iter([1.0, 2.0])), tmp_path / "a.nwb")
    times = iter([np.arange(20, dtype="f4"), np.arange(20, 37, dtype="f4")])
    session = series(MOVIE, rate=None, timestamps=times)
    with h5py.File(nwb.write(session, tmp_path / "a.nwb")) as file:
        same(file["/acquisition/series/timestamps"], np.arange(37.0))
    wrong = Generic(MOVIE)
    wrong._get_data = lambda selection: np.zeros((50, 24, 18), "i2")  # type: ignore[method-assign]
    with pytest.raises(nwb.SchemaError, match=r"a block reaches to \(50, 24, 18\), beyond"):
        nwb.write(movie(wrong), tmp_path / "b.nwb")


def test_an_array_that_gives_other_shapes_than_it_has(tmp_path: Path) -> None:
    class Lying:
        shape, dtype = (4, 3, 2), np.dtype("i2")

        def __getitem__(self, index: Any) -> np.ndarray:
            return np.zeros((4, 3, 1), "i2")

    with pytest.raises(nwb.SchemaError, match=r"has the shape \(4, 3, 2\), but \[0:4\] of it has"):
        nwb.write(movie(Lying()), tmp_path / "a.nwb")


def test_no_part_is_computed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_STEP", 1 << 14)
    dask = pytest.importorskip("dask.array")
    computed = []

    def compute(block: np.ndarray, block_info: Any = None) -> np.ndarray:
        computed.append(block_info[0]["chunk-location"])
        return block + 1

    array = dask.from_array(MOVIE, ((5, 1, 30, 1), (20, 4), 9))
    same(written(movie(array.map_blocks(compute, dtype="i2")), tmp_path), MOVIE + 1)
    assert len(computed) == len(set(computed)) == 4 * 2 * 2


# -- judged by others --------------------------------------------------------------------------


def test_pynwb_and_the_inspector_are_content(tmp_path: Path) -> None:
    session = make_session()
    for item in session.acquisition.values():
        data = item.data
        data.array = iter([np.asarray(data.array)])
    path = nwb.write(session, tmp_path / "a.nwb")
    assert validate(path=str(path)) == []
    least = Importance.BEST_PRACTICE_VIOLATION
    assert list(inspect_nwbfile(nwbfile_path=str(path), importance_threshold=least)) == []


def test_pynwb_reads_the_same(tmp_path: Path) -> None:
    path = nwb.write(movie(iter(MOVIE)), tmp_path / "a.nwb")
    with NWBHDF5IO(path, "r") as io:
        np.testing.assert_array_equal(io.read().acquisition["series"].data[:], MOVIE)


def test_a_lossless_copy_has_room_to_grow_too(tmp_path: Path) -> None:
    path = nwb.write(movie(iter(MOVIE)), tmp_path / "a.nwb")
    with nwb.open(path) as session:
        session.subject = nwb.Subject(subject_id="m1", age="P90D", sex="U", species="Mus musculus")
        copy = nwb.write(session, tmp_path / "b.nwb")
    with h5py.File(path) as old, h5py.File(copy) as new:
        a, b = (file["/acquisition/series/data"] for file in (old, new))
        assert (a.chunks, a.maxshape) == (b.chunks, b.maxshape)
        same(b, MOVIE)


# -- progress ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["array", "stream", "elsewhere"])
def test_a_bar_shows_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    monkeypatch.setattr("nwb_ophys.hdf5.storing._LONG", 1000)
    data = {"array": MOVIE, "stream": iter(MOVIE), "elsewhere": Reader()}[kind]
    nwb.write(movie(data), tmp_path / "a.nwb", progress=True)
    shown = capsys.readouterr().err
    total = "32.0k" if kind == "stream" else "32.0k/32.0k"
    assert "data" in shown
    assert total in shown
    assert "B/s]" in shown
    nwb.write(movie(MOVIE), tmp_path / "b.nwb")
    assert capsys.readouterr().err == ""


# -- breaking off ------------------------------------------------------------------------------


def test_what_fails_in_a_thread_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nwb_ophys.hdf5.codecs import Pipeline

    calls = []

    def fail(pipeline: Pipeline, data: Any) -> bytes:
        calls.append(data)
        if len(calls) > 3:
            raise MemoryError("no room for it")
        return bytes(100)

    monkeypatch.setattr(Pipeline, "encode", fail)
    with pytest.raises(MemoryError, match="no room for it"):
        nwb.write(movie(MOVIE), tmp_path / "a.nwb", chunks=(1, 24, 18))
    assert list(tmp_path.iterdir()) == []


def test_the_producer_may_be_slow_or_fast(tmp_path: Path) -> None:
    def slow() -> Iterator[np.ndarray]:
        for number in range(0, 37, 4):
            time.sleep(0.01)
            yield MOVIE[number : number + 4]

    same(written(movie(slow()), tmp_path, chunks=(3, 24, 18)), MOVIE)


def test_several_sessions_at_once(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            path = nwb.write(movie(iter(MOVIE + number)), tmp_path / f"{number}.nwb", chunks=2)
            with h5py.File(path) as file:
                same(file["/acquisition/series/data"], MOVIE + number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize("step", ["before a chunk is stored", "while", "after"])
def test_an_interrupt_of_storing_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupted(*_: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    mine = turns.Turns(object())
    stored: list[Any] = []
    monkeypatch.setattr(turns, "write_stored", lambda *chunk: stored.append(chunk))
    if step == "before a chunk is stored":
        monkeypatch.setattr(mine, "_waiting", Interrupting(interrupted))
    elif step == "while":
        monkeypatch.setattr(turns, "write_stored", interrupted)
    else:
        monkeypatch.setattr(mine, "_tell", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mine.ready(mine.next(), (0,), b"")
    assert len(stored) == (step == "after")
    end = threading.Thread(target=mine.end, daemon=True)
    end.start()
    end.join(30)
    assert not end.is_alive()


class Interrupting(dict[int, Any]):
    """What waits for its turn, and is interrupted when it is taken."""

    def __init__(self, interrupted: Callable[[], None]) -> None:
        self.interrupted = interrupted

    def pop(self, *_: Any) -> Any:
        self.interrupted()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_while_threads_encode(tmp_path: Path, number: int) -> None:
    # At a moment of which the outcome is known: Python drops an interrupt that comes while it
    # finalizes something. `test_guarding` has those at any moment.
    code = """
        import os, sys, numpy as np, nwb_ophys as nwb
        from test_writing_arrays import movie
        noise = np.random.default_rng(0).integers(0, 200, (16, 512, 512)).astype("i2")
        def blocks():
            for count in range(6):
                if count == 3:
                    os.kill(os.getpid(), int(sys.argv[2]))
                yield noise
        try:
            nwb.write(movie(blocks()), sys.argv[1], overwrite=True)
        except KeyboardInterrupt:
            print("interrupted")
    """
    target = tmp_path / "a.nwb"
    target.write_bytes(b"what was there")
    done = run(code, target, int(number))
    assert target.read_bytes() == b"what was there"
    if number == signal.SIGINT:
        assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
        assert [one.name for one in tmp_path.iterdir()] == ["a.nwb"]
    else:
        assert done.returncode == -number


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to measure memory")
def test_memory_is_bounded(tmp_path: Path) -> None:
    code = """
        import re, sys, numpy as np, nwb_ophys as nwb
        from pathlib import Path
        from test_writing_arrays import movie
        block = np.tile(np.arange(512, dtype="i2"), (4, 512, 1))
        nwb.write(movie(iter([block])), sys.argv[1], overwrite=True)
        def most():  # getrusage would count what the parent had when it made this process
            status = Path("/proc/self/status").read_text()
            return int(re.search("VmHWM:[^0-9]+([0-9]+) kB", status)[1])
        before = most()
        nwb.write(movie(block for _ in range(250)), sys.argv[1], overwrite=True)
        print(most() - before)
    """
    assert int(printed(code, tmp_path / "a.nwb")) < 200_000  # kB, for 524 MB

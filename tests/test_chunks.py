"""Chunks read past HDF5 are what HDF5 reads, whatever they went through; damage is told."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from h5py import h5d
from h5py._objects import phil
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import indices, result_or_error

import nwb_ophys as nwb
from nwb_ophys.errors import DataError
from nwb_ophys.hdf5 import chunks, fetching, stored, workers
from nwb_ophys.hdf5.arrays import LazyArray
from nwb_ophys.hdf5.nodes import node_at
from nwb_ophys.hdf5.source import Source

SHAPE = (23, 14, 9)
COMPOUND = np.dtype([("x", "u4"), ("y", "u4"), ("weight", "f4")])
DTYPES = ["u1", "i2", ">i4", "f4", ">f8", "?", "S3", COMPOUND]
FILTERS: dict[str, dict[str, Any]] = {
    "gzip": {"compression": "gzip"},
    "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "shuffle": {"shuffle": True},
    "fletcher32": {"fletcher32": True},
    "lzf": {"compression": "lzf"},
    "scale-offset": {"scaleoffset": 0},
    "blosc": dict(hdf5plugin.Blosc()),
    "blosc2": dict(hdf5plugin.Blosc2()),
    "zstd": dict(hdf5plugin.Zstd()),
    "bitshuffle": dict(hdf5plugin.Bitshuffle()),
}


@pytest.fixture
def by_hdf5(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the requests that are left to HDF5."""
    seen: list[int] = []
    plain = fetching._fetch_by_hdf5

    def counted(dataset: Any, blocks: Any, out: Any) -> None:
        seen.append(len(blocks))
        plain(dataset, blocks, out)

    monkeypatch.setattr(fetching, "_fetch_by_hdf5", counted)
    return seen


def test_stored_chunks_pass_under_the_lock_of_h5py() -> None:
    passed: list[Any] = []

    class Dataset:
        def read_direct_chunk(self, offset: Any) -> Any:
            passed.append((phil._is_owned(), offset))
            return 0, b"a"

        def write_direct_chunk(self, *given: Any) -> None:
            passed.append((phil._is_owned(), *given))

    assert stored.read_stored(Dataset(), (0, 1)) == (0, b"a")
    stored.write_stored(Dataset(), (2, 3), b"b", 1)
    assert passed == [(True, (0, 1)), (True, (2, 3), b"b", 1)]
    assert not phil._is_owned()


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    yield
    workers.configure(threads=workers.thread_count(), cache_bytes=64_000_000)


def values_of(dtype: Any, shape: tuple[int, ...] = SHAPE) -> np.ndarray[Any, Any]:
    numbers = np.random.default_rng(1).integers(0, 120, shape)
    if np.dtype(dtype).names:
        result = np.zeros(shape, dtype)
        for place, name in enumerate(result.dtype.names or ()):
            result[name] = numbers + place
        return result
    if np.dtype(dtype).kind == "S":
        return np.char.mod("%d", numbers % 100).astype(dtype)
    return numbers.astype(dtype)


def lazy(path: Path, name: str = "data") -> LazyArray:
    return LazyArray(node_at(Source(path), f"/{name}"))


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_all_of_it(tmp_path: Path, name: str, dtype: Any, by_hdf5: list[int]) -> None:
    if name == "scale-offset" and np.dtype(dtype).kind not in "iu":
        pytest.skip("HDF5 has scale and offset for integers only, when nothing is to be lost")
    values = values_of(dtype)
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("data", data=values, chunks=(5, 6, 4), **FILTERS[name])
    array = lazy(tmp_path / "file.h5")
    expected = values.astype(object) if values.dtype.kind == "S" else values
    if values.dtype.kind == "S":
        expected = np.vectorize(bytes.decode, otypes=[object])(values)
    for index in (..., 3, np.s_[4:20:3, ::-2, 7], np.s_[[1, 1, 22], :, 2:5]):
        found = array[index]
        assert np.array_equal(found, expected[index])
        assert np.asarray(found).dtype == np.asarray(expected[index]).dtype
    # A chunk over the edge that is as long as it would be without filters could be plain.
    if name not in ("shuffle", "bitshuffle"):
        assert bool(by_hdf5) == (name == "scale-offset")


def check_index(array: LazyArray, values: np.ndarray, index: Any) -> None:
    found = result_or_error(lambda: array[index])
    wanted = result_or_error(lambda: values[index])
    if isinstance(wanted, Exception):
        assert type(found) is type(wanted)
    else:
        assert np.array_equal(found, wanted)


@settings(max_examples=150)
@given(data=st.data())
def test_every_index(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple))
    chunk = tuple(data.draw(st.integers(1, length)) for length in shape)
    filters = FILTERS[data.draw(st.sampled_from(["gzip", "all", "lzf", "shuffle"]))]
    values = values_of(data.draw(st.sampled_from(["i2", ">f4"])), shape)
    written = data.draw(st.integers(0, shape[0]))
    path = tmp_path_factory.mktemp("index") / "file.h5"
    with h5py.File(path, "w") as file:
        stored = file.create_dataset(
            "data", shape, values.dtype, chunks=chunk, fillvalue=77, **filters
        )
        stored[:written] = values[:written]
    values[written:] = 77
    workers.configure(
        threads=data.draw(st.integers(1, 2)), cache_bytes=data.draw(st.sampled_from([0, 200]))
    )
    array = lazy(path)
    for _ in range(3):
        check_index(array, values, data.draw(indices(shape)))


def test_chunks_without_some_filters(tmp_path: Path, by_hdf5: list[int]) -> None:
    values = values_of("i4", (20, 6))
    with h5py.File(tmp_path / "file.h5", "w") as file:
        stored = file.create_dataset(
            "data", (20, 6), "i4", chunks=(10, 6), compression="gzip", shuffle=True
        )
        stored[...] = values
        stored.id.write_direct_chunk((10, 0), values[10:].tobytes(), filter_mask=0b11)
    assert np.array_equal(lazy(tmp_path / "file.h5")[...], values)
    assert not by_hdf5


def test_a_chunk_over_the_edge_that_may_be_plain_is_left_to_hdf5(
    tmp_path: Path, by_hdf5: list[int]
) -> None:
    values = values_of("i4", (7,))
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("data", data=values, chunks=(4,), shuffle=True)
    assert np.array_equal(lazy(tmp_path / "file.h5")[...], values)
    assert by_hdf5


@pytest.mark.parametrize("options", [{"libver": "latest"}, {"userblock_size": 1024}, {}])
def test_kinds_of_files(tmp_path: Path, options: dict[str, Any]) -> None:
    values = values_of("i2", (40, 30))
    with h5py.File(tmp_path / "file.h5", "w", **options) as file:
        for maxshape in (None, (None, 30), (None, None)):
            file.create_dataset(
                f"data{maxshape}", data=values, chunks=(7, 11), maxshape=maxshape, compression=4
            )
        file["plain"] = values
        names = list(file)
    for name in names:
        assert np.array_equal(lazy(tmp_path / "file.h5", name)[1:, ::2], values[1:, ::2])
        assert np.array_equal(lazy(tmp_path / "file.h5", name)[...], values)
    with (tmp_path / "file.h5").open("rb") as stream:
        for name in names:
            array = LazyArray(node_at(Source(stream), f"/{name}"))
            assert np.array_equal(array[...], values)


@settings(max_examples=200)
@given(data=st.data())
def test_contiguous_data(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple))
    values = values_of(data.draw(st.sampled_from(["i2", ">f8", "u1"])), shape)
    path = tmp_path_factory.mktemp("contiguous") / "file.h5"
    with h5py.File(path, "w") as file:
        file["data"] = values
    array = lazy(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching, "_FAR", 0)
        for _ in range(4):
            check_index(array, values, data.draw(indices(shape)))


def test_a_pixel_over_time_is_read_past_hdf5(tmp_path: Path, by_hdf5: list[int]) -> None:
    movie = values_of("i2", (7, 100, 90))
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["data"] = movie
    array = lazy(tmp_path / "file.h5")
    assert np.array_equal(array[:, 41, 17], movie[:, 41, 17])
    assert np.array_equal(array[1::3, 41, 5:50], movie[1::3, 41, 5:50])
    assert np.array_equal(array[:, 20:30], movie[:, 20:30])
    assert not by_hdf5
    assert np.array_equal(array[:, 20:30, 4:9], movie[:, 20:30, 4:9])
    assert by_hdf5


def test_what_was_never_written(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("data", (10**6, 10**6), "i2", chunks=(7, 9), compression=1)
        file["data"][70:77, 90:99] = 5
        file.create_dataset("filled", (5, 6), ">f4", chunks=(2, 2), compression=1, fillvalue=2.5)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_fill_time(h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((50, 60))
        h5d.create(file.id, b"empty", h5py.h5t.NATIVE_INT32, space, plist)
    part = lazy(tmp_path / "file.h5")[65:80, 85:100]
    assert part.sum() == 5 * 7 * 9
    assert part[5, 5] == 5
    assert np.array_equal(lazy(tmp_path / "file.h5", "filled")[...], np.full((5, 6), 2.5, ">f4"))
    assert np.array_equal(lazy(tmp_path / "file.h5", "empty")[...], np.zeros((50, 60), "i4"))


def test_a_chunk_is_decoded_once_for_many_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    place = chunks.Chunks._place

    def counted(self: Any, task: Any, data: Any) -> None:
        decoded.append(task.number)
        place(self, task, data)

    monkeypatch.setattr(chunks.Chunks, "_place", counted)
    values = values_of("i2", (30, 8, 6))
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("data", data=values, chunks=(10, 4, 6), compression=1)
    array = lazy(tmp_path / "file.h5")
    for frame in range(30):
        assert np.array_equal(array[frame], values[frame])
    assert len(decoded) == len(set(decoded)) == 6
    workers.configure(cache_bytes=0)
    array = lazy(tmp_path / "file.h5")
    for frame in range(3):
        assert np.array_equal(array[frame], values[frame])
    assert len(decoded) == 6 + 3 * 2


def test_only_the_chunks_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    read = chunks.RawFile.read

    def counted(self: Any, address: int, size: int) -> bytes:
        sizes.append(size)
        return read(self, address, size)

    noise = np.random.default_rng(0).integers(0, 255, (100, 1000), "u1")
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("data", data=noise, chunks=(1, 1000), compression=1)
    array = lazy(tmp_path / "file.h5")
    assert array.shape == noise.shape  # which reads the header
    monkeypatch.setattr(chunks.RawFile, "read", counted)
    assert np.array_equal(array[17], noise[17])
    assert sum(sizes) < 1100
    sizes.clear()
    assert np.array_equal(array[...], noise)
    assert len(sizes) < 10  # neighbours at one go


def damaged(path: Path, change: Any) -> tuple[int, int]:
    """Store noise in chunks, and change the bytes of one; give where it lies."""
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    noise = np.random.default_rng(0).integers(0, 99, (30, 40), "i2")
    with h5py.File(path, "a") as file:
        del file["data"]
        stored = file.create_dataset(
            "data", data=noise, chunks=(10, 40), compression=4, fletcher32=True
        )
        info = stored.id.get_chunk_info_by_coord((10, 0))
    change(path, info.byte_offset, info.size)
    return info.byte_offset, info.size


def test_a_corrupt_chunk(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"

    def change(path: Path, address: int, size: int) -> None:
        raw = bytearray(path.read_bytes())
        raw[address + size // 2] ^= 0xFF
        path.write_bytes(raw)

    address, _ = damaged(path, change)
    array = lazy(path)
    message = (
        rf"file\.h5.*/data.*corrupt.*the chunk that begins at \[10, 0\], byte {address} of the "
        r"file, is corrupt: its Fletcher-32 checksum is .*other chunks may still be readable"
    )
    with pytest.raises(DataError, match=message):
        array[...]
    assert array[:10].shape == (10, 40)
    assert array[20:].shape == (10, 40)


def test_a_short_file(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    damaged(path, lambda *_: None)
    array = lazy(path)
    array[0, 0]
    with h5py.File(path) as file:
        last = file["data"].id.get_chunk_info_by_coord((20, 0))
    os.truncate(path, last.byte_offset + 5)
    with pytest.raises(DataError, match=r"/data.*the file ends before the data do.*truncated"):
        array[...]


def test_damage_never_gives_wrong_data(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    address, size = damaged(path, lambda *_: None)
    whole = path.read_bytes()
    expected = lazy(path)[...]
    chance = random.Random(0)
    for _ in range(60):
        raw = bytearray(whole)
        raw[address + chance.randrange(size)] ^= 1 << chance.randrange(8)
        path.write_bytes(raw)
        with pytest.raises(DataError):
            lazy(path)[...]
        assert np.array_equal(lazy(path)[20:], expected[20:])


def test_many_threads_and_a_session_that_closes(tmp_path: Path) -> None:
    values = values_of("i4", (200, 50))
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("data", data=values, chunks=(3, 50), compression=1)
    source = Source(tmp_path / "file.h5")
    array = LazyArray(node_at(source, "/data"))
    closed, begun = threading.Event(), threading.Semaphore(0)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while True:
            was_closed, first = closed.is_set(), chance.randrange(190)
            try:
                found = array[first : first + 10]
            except nwb.ClosedError:
                return
            finally:
                begun.release()
            assert not was_closed
            assert np.array_equal(found, values[first : first + 10])

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(work, seed) for seed in range(4)]
        for _ in range(100):
            begun.acquire(timeout=60)
        source.close()
        closed.set()
        for one in running:
            one.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(tmp_path: Path) -> None:
    values = values_of("i4", (400, 500))
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset("data", data=values, chunks=(10, 500), compression=1)
    array = lazy(tmp_path / "file.h5")
    workers.configure(threads=2)
    assert np.array_equal(array[...], values)
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(array[...], values) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threads": 0}, "expected one thread or more, found threads=0"),
        ({"threads": "all"}, "expected one thread or more, found threads='all'"),
        ({"cache_bytes": -1}, "expected a number of bytes, or 0, found cache_bytes=-1"),
        ({"cache_bytes": "64 MB"}, "expected a number of bytes, or 0, found cache_bytes='64 MB'"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        workers.configure(**settings)
